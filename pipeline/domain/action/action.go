package action

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"ratchet/pipeline"
)

// Kind is the kind of an action.
type Kind string

// The kinds.
const (
	Buy    Kind = "buy"
	Sold   Kind = "sold"
	Ignore Kind = "ignore"
	Undo   Kind = "undo"  // the user takes back the action of kind Of
	Lapse  Kind = "lapse" // an ignore has expired
)

// By is how a target is identified.
type By string

// How a target may be identified; buy and sold allow only the ASIN.
const (
	ByASIN   By = "asin"
	BySeller By = "seller"
	ByBrand  By = "brand"
	ByWords  By = "words" // of the title
)

// Target is the object of an action.
type Target struct {
	By     By     `json:"by"`
	Domain int    `json:"domain"` // Keepa's number of the marketplace; 0: every one (seller, brand, words)
	Value  string `json:"value"`  // as Clean returns it
}

// Action is one message of ACTIONS. Subject action.DOMAIN.KIND.KEY.
type Action struct {
	Kind Kind `json:"action"`
	Of   Kind `json:"of,omitempty"` // of undo and lapse: buy, sold or ignore
	Target
	At         time.Time `json:"at"`                    // pipeline time
	PriceCents *int64    `json:"price_cents,omitempty"` // of buy and sold: for one copy, in the smallest unit
	Condition  string    `json:"condition,omitempty"`   // of buy; empty when unknown
	On         string    `json:"on,omitempty"`          // of buy and sold: the day, YYYY-MM-DD
	Copy       int       `json:"copy,omitempty"`        // of buy and sold: number among equal ones, from 2; 0: only one
	Until      time.Time `json:"until,omitzero"`        // of ignore: when it lapses, pipeline time; absent: never
	After      uint64    `json:"after,omitempty"`       // sequence of the last undo or lapse; of those, what they end
}

var (
	notWord  = regexp.MustCompile(`[^a-z0-9\x{80}-\x{10FFFF}]+`)
	sellerID = regexp.MustCompile(`^[A-Z0-9]{5,30}$`)
	day      = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
)

// lower returns s with the letters A to Z in lower case. Others are unchanged, as in ClickHouse's lower.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// wordsOf returns the words of a text, in lower case, with one space between them.
func wordsOf(s string) string { return strings.TrimSpace(notWord.ReplaceAllString(lower(s), " ")) }

// Clean returns a value as messages hold it; an error describes what is wrong.
func Clean(by By, value string) (string, error) {
	value = strings.TrimSpace(value)
	switch by {
	case ByASIN:
		if !pipeline.ValidASIN(value) {
			return "", fmt.Errorf("%q is not an ASIN", value)
		}
		return value, nil
	case BySeller:
		if value = strings.ToUpper(value); !sellerID.MatchString(value) {
			return "", fmt.Errorf("%q is not the id of a seller: want letters and digits like A2L77EE7U53NWQ", value)
		}
		return value, nil
	case ByBrand:
		if value = lower(value); value == "" {
			return "", errors.New("want the name of a brand")
		}
		return value, nil
	case ByWords:
		if value = wordsOf(value); value == "" {
			return "", errors.New("want words of a title")
		}
		return value, nil
	}
	return "", fmt.Errorf("%q: want asin, seller, brand or words", by)
}

// Key returns the target as the last part of a subject.
func (t Target) Key() string {
	if t.By == ByASIN || t.By == BySeller {
		return t.Value
	}
	return digest(string(t.By), t.Value)
}

// Subject returns the subject of the action.
func (a Action) Subject() string { return pipeline.SubjectAction(a.Domain, string(a.Kind), a.Key()) }

// ID is equal for equal actions, whenever they are published, so a command may be repeated when its
// outcome is unknown. After distinguishes an action that is done again after an undo from a repeat.
func (a Action) ID() string {
	price := "-"
	if a.PriceCents != nil {
		price = fmt.Sprint(*a.PriceCents)
	}
	until := ""
	if !a.Until.IsZero() {
		until = a.Until.UTC().Format(time.RFC3339)
	}
	return "action:" + digest(string(a.Kind), string(a.Of), string(a.By), fmt.Sprint(a.Domain), a.Value, price, a.Condition, a.On, fmt.Sprint(a.Copy), until, fmt.Sprint(a.After))
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Recorded is an action and its position in the stream; its time is the action's.
type Recorded struct {
	pipeline.Origin
	Action
}

// Read reads a message of ACTIONS. An error is a *pipeline.Unrecordable, for which
// the recorder writes a dead letter; every other reader skips the message.
func Read(m pipeline.Stored) (Recorded, error) {
	var s Recorded
	var err error
	if s.Origin, err = m.Origin(); err != nil {
		return s, err
	}
	if err := m.Decode(pipeline.SchemaAction, &s.Action); err != nil {
		return s, err
	}
	if !s.Action.At.IsZero() {
		s.Origin.At = s.Action.At
	}
	s.Origin.At = s.Origin.At.UTC().Truncate(time.Millisecond)
	s.Action.At = s.Origin.At
	if err := s.check(); err != nil {
		return s, &pipeline.Unrecordable{Reason: pipeline.BadMessage, Err: fmt.Errorf("decode %s: %w", pipeline.SchemaAction, err)}
	}
	return s, s.Fits(s.Numbers()...)
}

// Numbers returns the numbers that may be too large for their columns.
func (a Action) Numbers() []pipeline.Bound {
	return []pipeline.Bound{{Name: "domain", Value: a.Domain, Most: math.MaxUint16}, {Name: "copy", Value: a.Copy, Most: math.MaxUint16}}
}

// check returns an error for what an action lacks.
func (a Action) check() error {
	if clean, err := Clean(a.By, a.Value); err != nil {
		return err
	} else if clean != a.Value {
		return fmt.Errorf("value is %q, want %q", a.Value, clean)
	}
	if (a.By == ByASIN) != (a.Domain > 0) {
		return fmt.Errorf("domain is %d for %s: want one for an ASIN, and 0 for all else", a.Domain, a.By)
	}
	switch a.Kind {
	case Buy, Sold:
		return a.traded()
	case Ignore:
		return nil
	case Undo, Lapse:
		if a.Of != Buy && a.Of != Sold && a.Of != Ignore {
			return fmt.Errorf("%s of %q: want buy, sold or ignore", a.Kind, a.Of)
		}
		return nil
	}
	return fmt.Errorf("action is %q: want buy, sold, ignore, undo or lapse", a.Kind)
}

func (a Action) traded() error {
	switch _, err := time.Parse(time.DateOnly, a.On); {
	case a.By != ByASIN:
		return fmt.Errorf("%s of a %s: want an ASIN", a.Kind, a.By)
	case a.PriceCents == nil || *a.PriceCents < 0:
		return errors.New("want a price of 0 or more")
	case err != nil || !day.MatchString(a.On):
		return fmt.Errorf("on is %q: want a day like 2026-03-02", a.On)
	}
	return nil
}
