package visibility

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/text/foreign"
)

// These functions decide which messages of DEALS and VERDICTS are valid, and their content. The
// recorder makes its rows from it and the Fold its states; an error is a *pipeline.Unrecordable, for
// which the recorder writes a dead letter and the Fold skips the message.

// Verdict is one message of VERDICTS.
type Verdict struct {
	pipeline.Origin  // its time is when it was decided
	pipeline.Verdict // without its inputs

	// Inputs are the verdict's inputs as received, apart from cleaned
	// text: decoding and encoding might change the format of a number.
	Inputs json.RawMessage
}

// WithInputs returns the verdict with its inputs, if they are an object.
func (v Verdict) WithInputs() pipeline.Verdict {
	out := v.Verdict
	if json.Unmarshal(v.Inputs, &out.Inputs) != nil {
		out.Inputs = nil
	}
	return out
}

// ReadVerdict reads a message of VERDICTS.
func ReadVerdict(m pipeline.Stored) (Verdict, error) {
	var v Verdict
	var err error
	if v.Origin, err = m.Origin(); err != nil {
		return v, err
	}
	wire := struct {
		*pipeline.Verdict
		Inputs json.RawMessage `json:"inputs"`
	}{Verdict: &v.Verdict}
	if err := m.Decode(pipeline.SchemaVerdict, &wire); err != nil {
		return v, err
	}
	if v.Look == "" || v.Outcome == "" || v.ASIN == "" || v.DecidedAt.IsZero() {
		return v, unreadable(pipeline.SchemaVerdict, errNoVerdict)
	}
	v.Inputs, v.Deal, v.At = foreign.JSON(wire.Inputs), foreign.JSON(v.Deal), v.DecidedAt
	numbers := v.Numbers()
	return v, v.Fits(numbers[:]...)
}

// ReadVersion reads a message of DEALS. A member of the wrong
// type is an error, so that it never becomes an empty column.
func ReadVersion(m pipeline.Stored) (Version, error) {
	var v Version
	var err error
	if v.Origin, err = m.Origin(); err != nil {
		return v, err
	}
	schema := pipeline.SchemaDeal
	if m.Schema() == pipeline.SchemaDealV1 {
		schema = pipeline.SchemaDealV1 // its remaining members have the same names
	}
	if err := m.Decode(schema, &v.Members); err != nil {
		return v, err
	}
	var typed struct {
		deal.Deal
		Source pipeline.Source `json:"source"`
	}
	if err := json.Unmarshal(m.Body, &typed); err != nil {
		return v, unreadable(pipeline.SchemaDeal, err)
	}
	if typed.ASIN == "" || typed.Domain == 0 {
		return v, unreadable(pipeline.SchemaDeal, errNoDeal)
	}
	v.DealKey = DealKey{typed.Domain, typed.ASIN, typed.PriceType}
	v.clean()
	maps.DeleteFunc(v.Members, func(_ string, raw json.RawMessage) bool { return string(raw) == noTime })
	if typed.DecidedAt.IsZero() {
		delete(v.Members, "decided_at") // in any spelling
	} else {
		v.At = typed.DecidedAt
	}
	numbers := v.Numbers()
	return v, v.Fits(numbers[:]...)
}

// clean removes from the members everything that a terminal, a table or a chat
// would interpret, whatever published them, and recreates their links.
func (v *Version) clean() {
	for name, raw := range v.Members {
		v.Members[name] = foreign.JSON(raw)
	}
	to := deal.LinksOf(v.Domain, v.ASIN)
	if string(v.Members["simulated"]) == "true" {
		to = deal.Links{}
	}
	for name, link := range map[string]string{"url": to.Amazon, "keepa_url": to.Keepa} {
		if _, said := v.Members[name]; !said {
			continue
		}
		delete(v.Members, name)
		if raw, err := json.Marshal(link); err == nil && link != "" {
			v.Members[name] = raw
		}
	}
}

// noTime is Go's encoding of a zero time: such a member is absent.
const noTime = `"0001-01-01T00:00:00Z"`

var (
	errNoVerdict = errors.New("want look, outcome, asin and decided_at")
	errNoDeal    = errors.New("want asin and domain")
)

func unreadable(schema string, err error) error {
	return &pipeline.Unrecordable{Reason: pipeline.BadMessage, Err: fmt.Errorf("decode %s: %w", schema, err)}
}

// Numbers returns the numbers of a deal key that may be too large for their columns.
func (p DealKey) Numbers() [2]pipeline.Bound {
	return [2]pipeline.Bound{
		{Name: "domain", Value: p.Domain, Most: math.MaxUint16}, {Name: "price_type", Value: p.PriceType, Most: math.MaxUint16},
	}
}
