// Package visibility says which deals are visible, and why the others are not.
//
// It is the definition of ClickHouse's view deal_states in Go, for where the streams
// must answer: a property test holds the two together over random sequences of
// versions and verdicts (package warehouse). Lists and counts of one Book come from
// the same states, so they cannot differ.
//
//	a deal          an ASIN and price type of which DEALS holds a version
//	its columns     of each the newest that a version said; null says nothing
//	invalid         without a profit, a list price or a yearly average above 0
//	set aside       the user bought the ASIN, or ignores it, its seller, its brand or words of its title (package action)
//	rejected        a reject, of any look, that is newer than every accept and confirm
//	hidden because  of the first of these that is so; visible where none is
//	stale because   of the newest mark stale_… of the keeper that is later than every
//	                accept and confirm; a stale deal is visible
//
// Which messages say anything at all is decided by ReadVersion and ReadVerdict, for the
// book and for the recorder alike.
//
// What is shed, fails or survives says nothing, and neither does what a replay
// decided. Newer means later in its stream. What was published again is what it was at
// first.
//
// The laws, each a property test: neither the order nor the repetition of messages
// matters; a list and a count agree; what the view says is said here.
package visibility
