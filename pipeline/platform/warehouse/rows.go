package warehouse

import (
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
)

// Origin is the message from which a row comes. A row's key is derived from it and from
// the message alone, so the same message is the same row in every process and at any time.
type Origin struct {
	Stream string // VERDICTS …
	Epoch  uint32 // creation time of the stream in Unix seconds: distinguishes it from a later stream of that name
	pipeline.Origin
}

// RowID returns the origin as one number: unique even if a stream is recreated, and dense.
func (o Origin) RowID() uint64 { return uint64(o.Epoch)<<32 | o.Sequence&0xffffffff }

// EventID identifies the event, however often it was published; 0: unknown.
func (o Origin) EventID() uint64 { return MessageID(o.Epoch, o.MsgID) }

// StoredOn returns when the stream stored the message.
func (o Origin) StoredOn() time.Time { return o.StoredAt }

// VerdictRow is one row of verdicts.
type VerdictRow struct {
	Origin
	pipeline.Verdict

	// InputsJSON holds the verdict's inputs as received; Verdict.Inputs is not used.
	InputsJSON string
}

// VerdictOf returns the row of a message; in names its stream.
func VerdictOf(in Origin, v visibility.Verdict) VerdictRow {
	in.Origin = v.Origin
	return VerdictRow{Origin: in, Verdict: v.Verdict, InputsJSON: string(v.Inputs)}
}

// EventID depends on the run, the work and the look, not on the message's
// ID: they identify a verdict. Table verdict_ids uses the same ID.
func (r VerdictRow) EventID() uint64 {
	if r.Origin.WorkID == "" {
		return 0 // published by hand
	}
	return hash(r.ID(r.Run, r.Origin.WorkID))
}

// LedgerRow is one row of ledger.
type LedgerRow struct {
	Origin
	pipeline.Entry
}

// DeadRow is one row of dead.
type DeadRow struct {
	Origin
	pipeline.Dead

	Stage      string // the stage that gave up
	Key        string // an ASIN, if there is one
	HeaderJSON string
}

// ActionRow is one row of actions.
type ActionRow struct {
	Origin
	action.Action
}

// ActionOf returns the row of a message; in names its stream.
func ActionOf(in Origin, s action.Recorded) ActionRow {
	in.Origin = s.Origin
	return ActionRow{Origin: in, Action: s.Action}
}

// DealRow is one version of a deal. Fields holds every member of the message
// by its name, as JSON; an absent or null member leaves its column unchanged.
type DealRow struct {
	Origin
	Domain    int
	ASIN      string
	PriceType int
	Fields    map[string][]byte
	Message   string // the complete message
}
