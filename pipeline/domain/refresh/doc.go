// Package refresh decides what becomes of the deals that we hold: which are looked at
// again and when, which are stale, and which are given up and why.
//
//	     accept                         not confirmed for Plan.Stale
//	────────────▶ held ───────────────────────────────────────▶ stale
//	              │  ▲                                          │  │
//	a look rejects│  └──────────── accept, confirm ─────────────┘  │ looks failed, or more is held
//	              ▼                    ▲    ▲                      │ than the share can refresh,
//	             gone ── new price ────┘    └────── expired ◀──────┘ while looks were being decided
//
// The deal list is a feed of changes: a deal that stays as it is is never mentioned
// again, and one that is not mentioned is not gone. So every deal is looked at once
// in a period, for one token while nothing changed, and only a look ends it. A deal
// that could not be looked at in time is stale: shown, with the reason. It expires
// only by time during which looks were being decided, so that an outage of any
// length expires nothing; and of those that the share can refresh none expires for
// want of tokens.
//
// Checked and confirmed are two things: a look that failed has checked a deal and
// confirmed nothing.
//
// The crash table of whoever keeps the stock (package keeper):
//
//	dies…                                        left                     next
//	verdict heard, holding not swapped           the verdict              heard again from the cursor on, to the same effect
//	work published, holding not swapped          the candidate            the same due hour, so the same Work-Id: dropped as a repeat
//	state told, holding not swapped              the verdict              told again under the same id
//	holding swapped, cursor not                  the holding              verdicts up to the cursor are heard again: nothing changes
//	two keepers at once                          one swap fails           it reads again and decides again
//
// The laws, each a property test: hearing is idempotent and follows the stream;
// work is offered once for a due hour, however often it is asked for; nothing
// expires while looks stand still; what expires for want of tokens is worth no more
// than what is kept, and never more than the excess; with capacity enough, whatever
// does not change is confirmed in every period for ever.
package refresh
