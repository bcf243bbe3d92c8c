package keepa

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"ratchet/pipeline/text/foreign"
)

// APIError is Keepa's description of an error in a request. It can come with HTTP 200.
type APIError struct {
	Type    foreign.Text `json:"type"`
	Message foreign.Text `json:"message"`
	Details foreign.Text `json:"details,omitzero"` // often the name of the offending field
}

// Error returns Keepa's message with its type and details.
func (e *APIError) Error() string {
	if e.Details.IsZero() {
		return fmt.Sprintf("keepa: %s (%s)", e.Message, e.Type)
	}
	return fmt.Sprintf("keepa: %s (%s: %s)", e.Message, e.Type, e.Details)
}

// Envelope is the token account that every answer carries.
type Envelope struct {
	Timestamp          int64     // Unix milliseconds at which the request arrived at Keepa; 0 unknown
	TokensLeft         *int      // balance after this request, may be negative; nil unknown
	RefillIn           int       // milliseconds until the next refill, measured at the end of processing
	RefillRate         int       // tokens per minute
	TokenFlowReduction float64   // tokens per minute that trackings consume
	TokensConsumed     int       // price of this request
	Charged            bool      // the answer contains the price
	ProcessingTimeInMs int       // Keepa's own time for the request
	Error              *APIError // nil when Keepa reports none
	Payload            bool      // the answer contains deals, products or sellers that are not null
}

// Authoritative reports whether the envelope may correct our balance. A bad key
// is answered with an envelope of zeroes, which describes no account.
func (e Envelope) Authoritative() bool {
	return e.RefillRate > 0 || e.TokensLeft != nil && *e.TokensLeft != 0
}

// Balance returns the balance after the request; false when Keepa did not report it.
func (e Envelope) Balance() (int, bool) {
	if e.TokensLeft == nil {
		return 0, false
	}
	return *e.TokensLeft, true
}

// At returns the instant at which the request arrived at Keepa; the zero time when unknown.
func (e Envelope) At() time.Time {
	if e.Timestamp <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(e.Timestamp).UTC()
}

// DecodeEnvelope reads the account of any answer and skips its payload.
func DecodeEnvelope(body []byte) (Envelope, error) {
	s := scanner{b: body}
	env, err := s.envelope(func([]byte) (bool, error) { return false, nil })
	return env, err
}

// envelope decodes a whole answer: payload is called for every key that is
// not the account's, and reports whether it consumed the value.
func (s *scanner) envelope(payload func(key []byte) (bool, error)) (Envelope, error) {
	var env Envelope
	if s.peek() != '{' {
		return env, s.fail("an object")
	}
	vague := false
	err := s.object(func(key []byte) (err error) {
		switch string(key) {
		case "timestamp", "tokensLeft", "refillIn", "refillRate", "tokenFlowReduction", "tokensConsumed", "processingTimeInMs":
			return s.accountField(&env, string(key))
		case "error":
			vague, err = s.apiError(&env.Error)
			return err
		}
		switch string(key) {
		case "deals", "products", "sellers":
			env.Payload = env.Payload || s.peek() != 'n'
		}
		if done, err := payload(key); done || err != nil {
			return err
		}
		_, _, err = s.element() // its content is for other decoders
		return err
	})
	if vague && env.Payload && env.TokensConsumed > 0 {
		env.Error = nil // Keepa answered and charged
	}
	if err != nil {
		return env, err
	}
	return env, s.end()
}

// accountField reads one number of the account. Fractions are rounded to
// the smaller number of tokens; an unreadable value is absent.
func (s *scanner) accountField(env *Envelope, key string) error {
	if key == "tokenFlowReduction" {
		start := s.i
		if err := s.intoFloat(&env.TokenFlowReduction); err != nil {
			s.i = start
			return s.skip()
		}
		return nil
	}
	round := math.Floor
	if key == "tokensConsumed" {
		round = math.Ceil
	}
	n, known, err := s.account(round)
	if !known {
		return err
	}
	switch key {
	case "timestamp":
		env.Timestamp = n
	case "tokensLeft":
		left := int(n)
		env.TokensLeft = &left
	case "refillIn":
		env.RefillIn = int(n)
	case "refillRate":
		env.RefillRate = int(n)
	case "tokensConsumed":
		env.TokensConsumed, env.Charged = int(n), true
	case "processingTimeInMs":
		env.ProcessingTimeInMs = int(n)
	}
	return nil
}

// apiError decodes Keepa's error, usually an object; vague reports one that is neither an
// object nor text. An empty one is not an error, nor are false and 0.
func (s *scanner) apiError(p **APIError) (vague bool, err error) {
	e := &APIError{}
	switch s.peek() {
	case '"':
		err = s.intoForeign(&e.Message)
	case '{':
		err = s.object(func(key []byte) error { return s.tolerate("error.", key, func() error { return s.errorField(e, key) }) })
	default:
		if s.null() || s.emptyList() {
			return false, nil
		}
		vague, e.Type, e.Message = true, foreign.Of("unreadable"), foreign.Of("an error that is "+s.describe())
		var raw []byte
		raw, err = s.raw()
		if n, wrong := strconv.ParseFloat(string(raw), 64); string(raw) == "false" || wrong == nil && n == 0 {
			return false, nil
		}
	}
	if err == nil && *e != (APIError{}) {
		*p = e
	}
	return vague, err
}

func (s *scanner) errorField(e *APIError, key []byte) error {
	switch string(key) {
	case "type":
		return s.intoForeign(&e.Type)
	case "message":
		return s.intoForeign(&e.Message)
	case "details":
		return s.intoForeign(&e.Details)
	}
	return s.skip()
}
