// Package refresh decides about the deals that we hold: which are looked
// at again and when, which are stale, and which expire and why.
//
//	     accept                         not confirmed for Plan.Stale
//	────────────▶ held ───────────────────────────────────────▶ stale
//	              │  ▲                                          │  │
//	a look rejects│  └──────────── accept, confirm ─────────────┘  │ looks failed, or more is held
//	              ▼                    ▲    ▲                      │ than the share can refresh,
//	             gone ── new price ────┘    └────── expired ◀──────┘ while looks were being decided
//
// The deal list is a feed of changes: a deal that does not change is not listed again, and one that is
// not listed may still exist. So every deal is looked at once in a period, for one token while nothing
// changed, and only a look ends it. A deal that could not be looked at in time is stale: shown, with the
// reason. It expires only by time during which looks were decided, so that an outage of any length
// expires nothing; and no deal that the share can refresh expires for lack of tokens.
//
// Checked and confirmed are different: a look that failed has checked a deal and confirmed nothing.
//
// The crash table of the process that holds the stock (package refresher):
//
//	dies…                                        left                   next
//	verdict received, holding not swapped        the verdict            received again from the cursor on: same effect
//	work published, holding not swapped          the candidate          the same due hour and Work-Id: deduplicated
//	state published, holding not swapped         the verdict            published again under the same id
//	holding swapped, cursor not                  the holding            verdicts are received again: nothing changes
//	two refreshers at once                       one swap fails         it reads again and decides again
//
// The laws, each a property test: applying verdicts is idempotent and follows the stream; work is offered
// once for a due hour, however often it is planned; nothing expires while looks are stalled; what expires
// for lack of tokens is worth no more than what is kept, and never more than the excess; with enough
// capacity, everything that does not change is confirmed in every period for ever.
package refresh
