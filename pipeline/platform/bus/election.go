package bus

import "time"

// While peers elect a leader, which takes four to nine seconds, they answer nothing, and what is sent to them is lost.
// So after a request that was not answered the next ones are repeated more often, for as long as an election takes.
// Servers that are merely slow are not: after that a while must pass.
const (
	electionLasts     = 10 * time.Second
	electionApart     = 30 * time.Second
	ackWithinElection = 500 * time.Millisecond
)

// election is what a client knows of its servers' last election.
type election struct {
	since time.Time // of the first request that was not answered
}

// unanswered returns what is known after a request that was not answered.
func (e *election) unanswered(now time.Time) *election {
	if e != nil && now.Sub(e.since) < electionApart {
		return e
	}
	return &election{since: now}
}

// electing reports whether an election may be going on.
func (e *election) electing(now time.Time) bool {
	return e != nil && now.Sub(e.since) < electionLasts
}
