// Package shedding decides what to give up when more is listed than
// tokens can ever decide, so that the most valuable part is decided.
//
//	waiting ──▶ Draw(what tokens can decide within the patience) ──▶ a Line, stored before it is applied
//	                                                                  │
//	work ──▶ Lines.Find(its sequence, its value) ──▶ shed for 0 tokens, or paid for
//
// A line is drawn through everything that waits at one moment: of the work up to a sequence in the stream,
// what is worth less than the line is given up. The line is state; whether it covers a piece of work is a
// function of the work alone. So every worker, after any crash, decides the same about the same work.
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
//   - Nothing is shed while everything can be decided within the patience.
//   - What is kept can be decided within it, and is worth at least as much as
//     what is shed.
//   - A stored line sheds the same work, whatever lines are added.
//   - Work that came after a line is not under it: a new price starts again.
package shedding
