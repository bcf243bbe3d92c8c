package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/warehouse"
)

// errUnknownSchema is a message of a shape that this build does not know.
var errUnknownSchema = errors.New("unknown schema")

// originOf is where a message comes from. Its time is the header's, until the body says better.
func originOf(m jetstream.Msg, stream string, epoch uint32) (warehouse.Origin, error) {
	o := warehouse.Origin{Stream: stream, Epoch: epoch}
	meta, err := m.Metadata()
	if err != nil {
		return o, fmt.Errorf("read metadata: %w", err)
	}
	h := m.Headers()
	o.Sequence, o.StoredAt = meta.Sequence.Stream, meta.Timestamp.UTC()
	o.WorkID, o.Build = h.Get(pipeline.HeaderWorkID), h.Get(pipeline.HeaderBuild)
	o.MsgID = h.Get(pipeline.HeaderMsgID)
	if o.Run = h.Get(pipeline.HeaderRunID); o.Run == "" {
		o.Run = pipeline.RunLive
	}
	if o.Sequence > math.MaxUint32 {
		return o, fmt.Errorf("sequence %d: want less than 2^32; start a new stream", o.Sequence)
	}
	if at := h.Get(pipeline.HeaderAt); at == "" {
		o.At = o.StoredAt // published by hand
	} else if o.At, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return o, fmt.Errorf("header %s: %w", pipeline.HeaderAt, err)
	}
	return o, nil
}

// body decodes a message of a schema into v.
func body(m jetstream.Msg, schema string, v any) error {
	if got := m.Headers().Get(pipeline.HeaderSchema); got != schema {
		return fmt.Errorf("%w %q: want %s", errUnknownSchema, got, schema)
	}
	if err := json.Unmarshal(m.Data(), v); err != nil {
		return fmt.Errorf("decode %s: %w", schema, err)
	}
	return nil
}

func readVerdict(o warehouse.Origin, m jetstream.Msg) (warehouse.VerdictRow, error) {
	r := warehouse.VerdictRow{Origin: o}
	// The inputs stay as they came: decoded and encoded again, a number might change its look.
	wire := struct {
		*pipeline.Verdict
		Inputs json.RawMessage `json:"inputs"`
	}{Verdict: &r.Verdict}
	if err := body(m, pipeline.SchemaVerdict, &wire); err != nil {
		return r, err
	}
	if r.Look == "" || r.Outcome == "" || r.ASIN == "" || r.DecidedAt.IsZero() {
		return r, fmt.Errorf("decode %s: want look, outcome, asin and decided_at", pipeline.SchemaVerdict)
	}
	r.InputsJSON, r.At = string(wire.Inputs), r.DecidedAt
	return r, nil
}

func readDeal(o warehouse.Origin, m jetstream.Msg) (warehouse.DealRow, error) {
	var raw json.RawMessage
	if err := body(m, pipeline.SchemaDeal, &raw); err != nil {
		return warehouse.DealRow{}, err
	}
	return warehouse.ReadDeal(o, raw)
}

func readEntry(o warehouse.Origin, m jetstream.Msg) (warehouse.LedgerRow, error) {
	r := warehouse.LedgerRow{Origin: o}
	if err := body(m, pipeline.SchemaLedger, &r.Entry); err != nil {
		return r, err
	}
	if r.Event == "" || r.Stage == "" {
		return r, fmt.Errorf("decode %s: want event and stage", pipeline.SchemaLedger)
	}
	if r.Entry.At.IsZero() {
		r.Entry.At = o.At
	}
	r.Origin.At = r.Entry.At
	return r, nil
}

func readDead(o warehouse.Origin, m jetstream.Msg) (warehouse.DeadRow, error) {
	r := warehouse.DeadRow{Origin: o}
	if err := body(m, pipeline.SchemaDead, &r.Dead); err != nil {
		return r, err
	}
	tokens := strings.SplitN(m.Subject(), ".", 3)
	if len(tokens) == 3 {
		r.Stage, r.Key = tokens[1], tokens[2]
	}
	// The key names where the message was; its own subject ends in an ASIN where it is about one.
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
