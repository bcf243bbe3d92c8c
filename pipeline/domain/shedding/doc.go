// Package shedding decides what is given up when more is listed than tokens can ever
// decide, so that what is decided is the best of it.
//
//	waiting ──▶ Draw(what tokens can decide within the patience) ──▶ a Line, stored before it is applied
//	                                                                  │
//	work ──▶ Lines.Find(its place, its worth) ──▶ shed for 0 tokens, or paid for
//
// A line is drawn through everything that waits at one moment: of what stands up
// to a place in the stream, what is worth less than the line is given up. The line
// is state; whether it covers a piece of work is a function of the work alone. So
// every worker, after any crash, says the same of the same work.
//
// The crash table:
//
//	dies…                                left                      next
//	before the line is stored            nothing                   it is drawn again, perhaps elsewhere
//	line stored, verdict not published   the line                  the work comes again and is under the line
//	verdict published, not settled       the line, the verdict     the same verdict, dropped by its identity
//	paid for, then a line is drawn       the stored answer         decided from it: what was paid for is not shed
//
// Four laws, each a property test:
//
//   - Nothing is shed while everything can be decided within the patience.
//   - What is kept can be decided within it, and is worth at least as much as
//     what is shed.
//   - A line once drawn sheds what it shed, whatever lines are added.
//   - Work that came after a line is not under it: a new price begins anew.
package shedding
