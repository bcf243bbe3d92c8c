// Package visibility decides which deals are visible, and why the others are not.
//
// It defines ClickHouse's view deal_states in Go, for answers from the streams: a property test
// compares the two over random sequences of versions and verdicts (package warehouse). Lists
// and counts of one Fold come from the same states, so they cannot differ.
//
//	a deal          an ASIN and price type of which DEALS holds a version
//	its columns     for each, the newest value of any version; null is no value
//	invalid         without a profit, a list price or a yearly average above 0
//	set aside       the user bought the ASIN, or ignores it, its seller, brand or words of its title (package action)
//	rejected        a reject, of any look, that is newer than every accept and confirm
//	hidden because  the first of these that applies; visible without one
//	stale because   the newest mark stale_… of the refresher that is later than every
//	                accept and confirm; a stale deal is visible
//
// ReadVerdict and ReadVersion decide which messages count, for the Fold and for the recorder alike.
//
// Shed, fail and survive have no effect, nor have decisions of a replay. Newer means
// later in its stream. A message that is published again counts as its first version.
//
// The laws, each a property test: neither the order nor the repetition of
// messages matters; a list and a count agree; the view gives the same states.
package visibility
