package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/text/foreign"
)

// original is a live verdict of which only the needed members are decoded.
type original struct {
	made   uint32 // when its VERDICTS was created, if it comes from ClickHouse
	seq    uint64 // in VERDICTS; the order of the replay
	work   string
	origin string // SURVIVORS/SEQUENCE of what was decided; empty if unknown
	stored time.Time
	body   []byte            // as published; nil while only the inputs were read
	full   *pipeline.Verdict // all of it but the inputs; nil unless it comes from ClickHouse
	lost   string            // why it cannot be decided again

	domain    int
	asin      string
	outcome   pipeline.Outcome
	reason    string
	ruleID    string
	ruleSet   string
	heuristic bool
	source    pipeline.Source
	decidedAt time.Time
	tokens    int
	responses []string
	unknown   []string
	inputs    []byte
	profit    *int64
	expected  *int64
	priceType int
	title     foreign.Text
}

// was returns the header that a replay's verdict carries.
func (p *original) was() string { return string(p.outcome) + " " + p.reason }

// readOriginal reads a message of VERDICTS. A message that is not a verdict is an error; the recorder has made a
// dead letter of it.
func readOriginal(r bus.Read) (original, error) {
	p := original{
		seq: r.Sequence, stored: r.StoredAt, body: r.Body, work: r.Header.Get(pipeline.HeaderWorkID),
		origin: r.Header.Get(pipeline.HeaderOrigin),
	}
	if got := r.Header.Get(pipeline.HeaderSchema); got != pipeline.SchemaVerdict {
		return p, fmt.Errorf("read verdict %d: schema is %q, want %s", r.Sequence, got, pipeline.SchemaVerdict)
	}
	err := messages.Members(r.Body, func(name, value []byte) error { return p.member(name, value) })
	if err != nil {
		return p, fmt.Errorf("read verdict %d: %w", r.Sequence, err)
	}
	if p.asin == "" || p.outcome == "" || p.decidedAt.IsZero() {
		return p, fmt.Errorf("read verdict %d: want asin, outcome and decided_at", r.Sequence)
	}
	return p, nil
}

func (p *original) member(name, value []byte) (err error) {
	switch string(name) {
	case "domain":
		p.domain, err = strconv.Atoi(string(value))
	case "asin":
		p.asin, err = text(value)
	case "outcome":
		var s string
		s, err = text(value)
		p.outcome = pipeline.Outcome(s)
	case "reason":
		p.reason, err = text(value)
	case "rule_id":
		p.ruleID, err = text(value)
	case "rule_set":
		p.ruleSet, err = text(value)
	case "heuristic":
		p.heuristic = string(value) == "true"
	case "source":
		var s string
		s, err = text(value)
		p.source = pipeline.Source(s)
	case "title":
		var s string
		s, err = text(value)
		p.title = foreign.Of(s)
	case "decided_at":
		err = p.decidedAt.UnmarshalJSON(value)
	case "tokens":
		p.tokens, err = strconv.Atoi(string(value))
	case "profit_cents":
		p.profit, err = cents(value)
	case "expected_value_cents":
		p.expected, err = cents(value)
	case "price_type":
		p.priceType, err = strconv.Atoi(string(value))
	case "response_ids":
		p.responses, err = texts(value)
	case "unknown":
		p.unknown, err = texts(value)
	case "inputs":
		p.inputs = value
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// text decodes a string; most have no escapes.
func text(value []byte) (string, error) {
	if n := len(value); n >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : n-1]), nil
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err
}

func texts(value []byte) ([]string, error) {
	if string(value) == "[]" || string(value) == "null" {
		return nil, nil
	}
	var out []string
	err := json.Unmarshal(value, &out)
	return out, err
}

func cents(value []byte) (*int64, error) {
	if string(value) == "null" {
		return nil, nil
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	return &n, err
}

// rejected reports whether a look rejected it, rather than rules that decided on a stored deal.
func (p *original) rejected() bool {
	return p.outcome == pipeline.Reject && !strings.HasPrefix(p.origin, pipeline.StreamDeals+"/")
}

// decidedOf returns the stream of the work that a look decides.
func decidedOf(l pipeline.Look) string {
	if l == pipeline.LookGlance {
		return pipeline.StreamCandidates
	}
	return pipeline.StreamSurvivors
}

// originOf returns the sequence of the work that a look decided.
func (p *original) originOf(l pipeline.Look) (uint64, bool) {
	seq, ok := strings.CutPrefix(p.origin, decidedOf(l)+"/")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	return n, err == nil
}

// complete reports whether all of the verdict was read, not only its inputs.
func (p *original) complete() bool { return p.body != nil || p.full != nil }
