// Package action is what the user did about deals: bought one, sold one, or wants
// to see no more of a kind. It decides which deals that hides, and why.
//
//	buy ASIN ─────▶ bought ──undo──▶ as before
//	ignore TARGET ▶ ignored ─undo──▶ as before         TARGET: an ASIN, a seller, a brand, or words of a title
//	                   └──── lapse ▶ as before         (--for: the refresher publishes it at the end of the time)
//	sold ASIN ────▶ sold, which hides nothing ─undo──▶ as before
//
// Everything is a message of the stream ACTIONS, and the end of a time is one too: the state of a deal follows from
// the messages alone and not from a clock, so that ClickHouse (view actions_standing) and the streams agree.
//
// An undo or a lapse ends the earlier actions, in the order of the stream, of one kind about one
// target. A message that is published again, under the same id, counts as its first version.
//
//	the command dies…                      then                     because
//	before its message is published        nothing was done         repeat the command
//	message stored, reported as failed     it counts once           an equal command makes the same id, however
//	                                                                much later: see Action.ID
//	a lapse is published twice             it counts once           its id names what it ends
package action
