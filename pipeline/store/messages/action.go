package messages

import (
	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/platform/bus"
)

// Action returns the message for an action of the user. Its ID is the action's, so that a repeat counts once.
func Action(a action.Action) bus.Message {
	return must(bus.Encode(a.Subject(), pipeline.SchemaAction, a.ID(), "", a))
}
