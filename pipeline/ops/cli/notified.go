package cli

import (
	"encoding/json"
	"time"

	"ratchet/pipeline"
)

// notifierName is the daemon that notifies.
const notifierName = "notifier"

// Notified is how a target of the notifier stands, as its heartbeat says.
type Notified struct {
	Target      string    `json:"target"`
	Sent        int       `json:"sent"`    // messages since the notifier's start
	Waiting     int       `json:"waiting"` // deals that are not sent, or not looked at yet
	Refused     int       `json:"refused"` // messages that the target will never take, ever
	LastRefused string    `json:"last_refused,omitempty"`
	LastError   string    `json:"last_error,omitempty"` // why the last message was not taken; empty once one is
	Next        time.Time `json:"next,omitzero"`        // when the next message is due, where something holds it; pipeline time
}

// notifiedBy is what a heartbeat says of targets.
func notifiedBy(h pipeline.Heartbeat) []Notified {
	raw, err := json.Marshal(h.Detail["targets"])
	var out []Notified
	if h.Daemon != notifierName || err != nil || json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}
