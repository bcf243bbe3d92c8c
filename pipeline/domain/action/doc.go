// Package action is what the user did about deals: bought one, sold one, or wants to see no more of a kind. It says
// which deals that hides, and why.
//
//	buy ASIN ─────▶ bought ──undo──▶ as before
//	ignore TARGET ▶ ignored ─undo──▶ as before         TARGET: an ASIN, a seller, a brand, or words of a title
//	                   └──── lapse ▶ as before         (--for: the keeper says so when the time is over)
//	sold ASIN ────▶ sold, which hides nothing ─undo──▶ as before
//
// Everything is a message of the stream ACTIONS, and the end of a time is one too: how a deal stands follows from the
// messages alone and not from a clock, so that ClickHouse (view actions_standing) and the streams say the same.
//
// An undo or a lapse ends what was said before it, in the order of the stream, of one kind about one target. What was
// published again, under the same id, is what it was at first.
//
//	the command dies…                      then                     because
//	before its message is published        nothing was done         repeat the command
//	the message landed, and nobody knows   it counts once           an equal command makes the same id, however
//	                                                                much later: see Action.ID
//	a lapse is published twice             it counts once           its id names what it ends
package action
