// Package pipeline is the vocabulary of Ratchet: the messages that
// travel between its daemons and the names under which they travel.
//
//	Keepa deal list ─▶ watermarker ─candidate─▶ peeker ─survivor─▶ committer ─deal─▶ recorder ─▶ ClickHouse
//	                       │                      │                   │
//	                   watermark               glance, peek         commit
//	                       └──── claims on the grants that tokend publishes ────┘
//
// Every daemon runs the same step: take some work, gather what it needs to know, decide (pure), apply the
// decision, settle the work. It settles last, after the effects are known to be stored. An effect may have
// been stored although an error was reported, so every effect carries an identity and is idempotent.
//
// # Glossary
//
// A candidate is an ASIN worth a look, with the deal-list row it came from. A look is what was looked at: list,
// glance (the row, 0 tokens), peek (statistics and history, 1 token), commit (history with offers). A verdict is
// what a look concluded: survive, accept, reject, shed, confirm or fail, with a reason. A survivor is a
// candidate that a look let through; a deal is what a commit accepted. A token is one unit of Keepa's budget;
// the balance is what the bucket held at an instant; a grant is permission to spend; a claim is a worker's hold
// on part of a grant, for one call. A stage is a daemon that spends tokens (watermarker, peeker, committer); a
// lane is a source or tier within a stage. A mark is a position in Keepa's time; the watermark is the mark up to
// which the list has been read; a gap is a span below it that is still owed.
//
// Pipeline time is the time by which Ratchet works, which a simulation scales; machine time is never scaled, and is
// for leases, timeouts and the lives of claims. A hint is a signal that something may have changed: it may be lost
// or mean nothing, so its receiver also reads after a while. An epoch is the term of one leader of tokend, and a
// write of an earlier one fails; the epoch of a stream is when it was created. To shed is to give up for no token,
// because more waits than the income can decide; it is not a rejection. The ledger is the list of all token
// movements; the books are the basis of its totals: the reading up to which every token is explained. A plan is a
// key of Keepa's with its balance and the marketplaces that it serves.
//
// This package has no clock and no I/O.
package pipeline
