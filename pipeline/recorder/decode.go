package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
)

// The functions below convert a stored message to a row; in names its stream. Whether a message can
// be recorded is decided where all its readers decode it (pipeline.Stored, package visibility).

// storedOf converts a delivered message to a stored one, with the number of messages still to come after it.
func storedOf(m jetstream.Msg) (s pipeline.Stored, pending uint64, err error) {
	r, pending, err := bus.ReadOf(m)
	if err != nil {
		return s, 0, &pipeline.Unrecordable{Reason: pipeline.UnknownMessage, Err: err}
	}
	return r.Stored(), pending, nil
}

// reasonOf returns the reason code of a dead letter.
func reasonOf(err error) string {
	if never, ok := errors.AsType[*pipeline.Unrecordable](err); ok {
		return never.Reason
	}
	return pipeline.BadMessage
}

func readVerdict(in warehouse.Origin, m pipeline.Stored) (warehouse.VerdictRow, error) {
	v, err := visibility.ReadVerdict(m)
	if err != nil {
		return warehouse.VerdictRow{}, err
	}
	return warehouse.VerdictOf(in, v), nil
}

func readDeal(in warehouse.Origin, m pipeline.Stored) (warehouse.DealRow, error) {
	v, err := visibility.ReadVersion(m)
	if err != nil {
		return warehouse.DealRow{}, err
	}
	return warehouse.DealOf(in, v, m.Body), nil
}

func readAction(in warehouse.Origin, m pipeline.Stored) (warehouse.ActionRow, error) {
	taken, err := action.Read(m)
	if err != nil {
		return warehouse.ActionRow{}, err
	}
	return warehouse.ActionOf(in, taken), nil
}

func readEntry(in warehouse.Origin, m pipeline.Stored) (warehouse.LedgerRow, error) {
	r := warehouse.LedgerRow{Origin: in}
	var err error
	if r.Origin.Origin, err = m.Origin(); err != nil {
		return r, err
	}
	if err := m.Decode(pipeline.SchemaLedger, &r.Entry); err != nil {
		return r, err
	}
	if r.Event == "" || r.Stage == "" {
		return r, fmt.Errorf("decode %s: want event and stage", pipeline.SchemaLedger)
	}
	if r.Entry.At.IsZero() {
		r.Entry.At = r.Origin.At
	}
	r.Origin.At = r.Entry.At
	return r, nil
}

func readDead(in warehouse.Origin, m pipeline.Stored) (warehouse.DeadRow, error) {
	r := warehouse.DeadRow{Origin: in}
	var err error
	if r.Origin.Origin, err = m.Origin(); err != nil {
		return r, err
	}
	if err := m.Decode(pipeline.SchemaDead, &r.Dead); err != nil {
		return r, err
	}
	tokens := strings.SplitN(m.Subject, ".", 3)
	if len(tokens) == 3 {
		r.Stage, r.Key = tokens[1], tokens[2]
	}
	// The key locates the message; its own subject ends in an ASIN if it is about one.
	if asin := r.Subject[strings.LastIndex(r.Subject, ".")+1:]; pipeline.ValidASIN(asin) {
		r.Key = asin
	}
	header, err := json.Marshal(r.Header)
	if err != nil {
		return r, fmt.Errorf("encode header: %w", err)
	}
	r.HeaderJSON = string(header)
	return r, nil
}
