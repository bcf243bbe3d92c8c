package messages

import (
	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/platform/bus"
)

// Action is what the user did as it is published. Its id is the action's, so that a repeat counts once.
func Action(a action.Action) bus.Message {
	return must(bus.Encode(a.Subject(), pipeline.SchemaAction, a.ID(), "", a))
}
