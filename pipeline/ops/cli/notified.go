package cli

import (
	"encoding/json"
	"time"

	"ratchet/pipeline"
)

// notifierName is the daemon that notifies.
const notifierName = "notifier"

// Notified is the state of a target of the notifier, from its heartbeat.
type Notified struct {
	Target      string    `json:"target"`
	Sent        int       `json:"sent"`    // messages since the notifier's start
	Waiting     int       `json:"waiting"` // deals that are not sent or not considered yet
	Refused     int       `json:"refused"` // messages that the target rejects for good
	LastRefused string    `json:"last_refused,omitempty"`
	LastError   string    `json:"last_error,omitempty"` // why the last message was not delivered; empty after a delivery
	Next        time.Time `json:"next,omitzero"`        // when the next message is due, if it is delayed; pipeline time
}

// notifiedBy returns the targets in a heartbeat.
func notifiedBy(h pipeline.Heartbeat) []Notified {
	raw, err := json.Marshal(h.Detail["targets"])
	var out []Notified
	if h.Daemon != notifierName || err != nil || json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}
