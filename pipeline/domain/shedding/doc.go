// Package shedding decides what to give up when more is listed than
// tokens can ever decide, so that the most valuable part is decided.
//
//	waiting ──▶ Draw(what tokens can decide within the patience) ──▶ a Line, stored before it is applied
//	                                                                  │
//	work ──▶ Lines.Find(its sequence, source and value) ──▶ shed for 0 tokens, or paid for
//
// A line is drawn through everything that waits at one moment: of the work up to a sequence in the stream,
// what is worth less than the line is given up. New rows have a line of their own that spares the backfill, because
// their prices change sooner; the other line is drawn through both. The line is state; whether it covers a piece of
// work is a function of the work alone. So every worker, after any crash, decides the same about the same work.
//
// The crash table:
//
//	dies…                                left                      next
//	before the line is stored            nothing                   it is drawn again, perhaps elsewhere
//	line stored, verdict not published   the line                  the work is redelivered and is under the line
//	verdict published, not settled       the line, the verdict     the same verdict, deduplicated by its identity
//	paid for, then a line is drawn       the stored answer         decided from it: paid work is not shed
//
// Four laws, each a property test:
//
//   - Nothing is shed while new rows can be decided within the patience, and all work within that of the backfill.
//   - What is kept of each can be decided within it, and is worth at least as
//     much as what the same line sheds.
//   - A stored line sheds the same work, whatever lines are added.
//   - Work that came after a line is not under it: a new price starts again.
package shedding
