package warehouse

import (
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
)

// Origin is where a row comes from: a message of a stream. Its key is made of it and of the message alone, so that the
// same message is the same row in every process and at any time.
type Origin struct {
	Stream string // VERDICTS …
	Epoch  uint32 // when the stream was made, Unix seconds: tells it from a later one of that name
	pipeline.Origin
}

// RowID is the origin as one number: unique over streams that were made anew, and dense.
func (o Origin) RowID() uint64 { return uint64(o.Epoch)<<32 | o.Sequence&0xffffffff }

// EventID tells what happened from whatever else did, however often it was published; 0: nobody can tell.
func (o Origin) EventID() uint64 { return MessageID(o.Epoch, o.MsgID) }

// StoredOn is when the stream stored the message.
func (o Origin) StoredOn() time.Time { return o.StoredAt }

// VerdictRow is one row of verdicts.
type VerdictRow struct {
	Origin
	pipeline.Verdict

	// InputsJSON is the verdict's inputs as they came; Verdict.Inputs is not read.
	InputsJSON string
}

// VerdictOf is the row of a message of a stream, of which in names the making.
func VerdictOf(in Origin, v visibility.Verdict) VerdictRow {
	in.Origin = v.Origin
	return VerdictRow{Origin: in, Verdict: v.Verdict, InputsJSON: string(v.Inputs)}
}

// EventID is that of the run, the work and the look, whatever the message's id: a verdict is one of these. It is what
// table verdict_ids calls the verdict.
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

	Stage      string // who gave it up
	Key        string // an ASIN where there is one
	HeaderJSON string
}

// ActionRow is one row of actions.
type ActionRow struct {
	Origin
	action.Action
}

// ActionOf is the row of a message of a stream, of which in names the making.
func ActionOf(in Origin, s action.Said) ActionRow {
	in.Origin = s.Origin
	return ActionRow{Origin: in, Action: s.Action}
}

// DealRow is one version of a deal. Fields holds every member of the message by its name, as JSON; a member that is
// absent or null is a column that this version says nothing about.
type DealRow struct {
	Origin
	Domain    int
	ASIN      string
	PriceType int
	Fields    map[string][]byte
	Message   string // the whole message
}
