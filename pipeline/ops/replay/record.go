package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// Record is the state of a run in RUNS: its options, its progress and its
// results. A process that resumes the run continues from here.
type Record struct {
	Run     string          `json:"run"`
	Look    pipeline.Look   `json:"look"`
	RuleSet string          `json:"rule_set"`
	Rules   string          `json:"rules"` // the rule file itself
	Span    string          `json:"span,omitempty"`
	From    time.Time       `json:"from,omitzero"`
	To      time.Time       `json:"to,omitzero"`
	ASIN    string          `json:"asin,omitempty"`
	Source  pipeline.Source `json:"source,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Rejects bool            `json:"rejects,omitempty"`      // only what was rejected
	Changed bool            `json:"changed_only,omitempty"` // verdicts that do not change are counted and not stored
	Plan    pipeline.Plan   `json:"plan,omitempty"`         // whose marketplaces are decided again
	Depth   Depth           `json:"depth"`
	Why     string          `json:"why"`      // the depth was chosen
	ReadsCH bool            `json:"reads_ch"` // inputs come from ClickHouse

	// The ends of the streams when the run began: later verdicts and answers are not
	// read, so that a resumed run gives the same result as an uninterrupted one.
	Made    uint32 `json:"made"`    // VERDICTS', Unix seconds
	Until   uint64 `json:"until"`   // last sequence of VERDICTS
	Answers uint64 `json:"answers"` // last sequence of RESPONSES

	Place  place  `json:"place"`  // where to continue
	Stored uint64 `json:"stored"` // last sequence of VERDICTS at that place: our later verdicts are repeats
	Done   bool   `json:"done"`
	Sums   Sums   `json:"sums"`

	Publishing bool   `json:"publishing"` // it was begun
	Since      uint64 `json:"since"`      // last sequence of CANDIDATES before
	Published  int    `json:"published"`  // candidates offered again
	AllOut     bool   `json:"all_out"`

	Began   time.Time `json:"began"` // machine time, as the next
	Updated time.Time `json:"updated"`
}

// place is a position in the verdicts to decide again.
type place struct {
	Next uint64    `json:"next"`          // sequence of VERDICTS
	From time.Time `json:"from,omitzero"` // the window that ClickHouse was asked about
	To   time.Time `json:"to,omitzero"`
}

// farEnd is more sequences than a stream will ever have.
const farEnd = 1 << 48

// Validate returns an error for an impossible record: resumed from such a place, a run would be complete without
// having decided anything.
func (r Record) Validate() error {
	switch {
	case r.Look != pipeline.LookGlance && r.Look != pipeline.LookPeek && r.Look != pipeline.LookCommit:
		return fmt.Errorf("look %q: want glance, peek or commit", r.Look)
	case max(r.Until, r.Answers, r.Stored, r.Since) > farEnd, r.Place.Next > r.last()+1:
		return fmt.Errorf("place %d, until %d, answers %d: want sequences", r.Place.Next, r.Until, r.Answers)
	case r.Published < 0:
		return fmt.Errorf("published %d: want no negative number", r.Published)
	}
	return nil
}

// last returns the last place of VERDICTS, or of their rows in ClickHouse.
func (r Record) last() uint64 {
	if r.Place.From.IsZero() {
		return r.Until
	}
	return rowID(r.Made, r.Until)
}

// begun reports whether the run has read anything.
func (p place) begun() bool { return p.Next > 0 || !p.From.IsZero() }

// ErrTaken means that another process continues the run.
var ErrTaken = errors.New("another process has resumed this run")

// ledger is a run's record and the revision that we know.
type ledger struct {
	kv  jetstream.KeyValue
	rev uint64
	Record
}

func openLedger(ctx context.Context, b *bus.Bus, run string) (*ledger, error) {
	kv, err := b.Store(ctx, pipeline.BucketRuns)
	if err != nil {
		return nil, fmt.Errorf("%w; no daemon of this version has run on this NATS yet: start one with `ratchet up`", err)
	}
	l := &ledger{kv: kv}
	e, err := kv.Get(ctx, run)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", run, err)
	}
	if l.Record, err = bus.Decode[Record](bus.NewCell(kv, run), e.Value()); err == nil && l.Run != run {
		err = &bus.BadCell{Bucket: pipeline.BucketRuns, Key: run, Err: fmt.Errorf("it is about run %q", l.Run)}
	}
	if err != nil {
		return nil, fmt.Errorf("%w; `nats kv del %s %s` forgets the run, whose verdicts stay; or choose another --run", err, pipeline.BucketRuns, run)
	}
	l.rev = e.Revision()
	return l, nil
}

// exists reports whether the run was started before.
func (l *ledger) exists() bool { return l.rev != 0 }

// write swaps the record. A second process with the same run makes it fail.
func (l *ledger) write(ctx context.Context, now time.Time) error {
	l.Updated = now
	body, err := json.Marshal(l.Record)
	if err != nil {
		return fmt.Errorf("encode run %s: %w", l.Run, err)
	}
	next, err := bus.NewCell(l.kv, l.Run).Swap(ctx, l.rev, body)
	if errors.Is(err, bus.ErrConflict) {
		return ErrTaken
	}
	if err != nil {
		return l.landed(ctx, body, err)
	}
	l.rev = next
	return nil
}

// landed finds out whether a write with an unknown outcome was stored.
func (l *ledger) landed(ctx context.Context, body []byte, cause error) error {
	e, err := l.kv.Get(ctx, l.Run)
	if err == nil && string(e.Value()) == string(body) {
		l.rev = e.Revision()
		return nil
	}
	return errors.Join(fmt.Errorf("write run %s: %w", l.Run, cause), err)
}

// agrees names the first option in which a resumed run differs from its record.
// Options that are not given are taken from the record.
func (l *ledger) agrees(o Options, ruleSet string) error {
	for _, c := range []struct {
		flag       string
		is, wanted string
	}{
		{"--look", string(l.Look), string(o.Look)},
		{"--rules", l.RuleSet, ruleSet},
		{"--since, --from or --to", l.Span, o.Span},
		{"--asin", l.ASIN, o.ASIN},
		{"--source", string(l.Source), string(o.Source)},
		{"--reason", l.Reason, o.Reason},
		{"--depth", string(l.Depth), string(o.Depth)},
	} {
		if c.wanted != "" && c.wanted != c.is {
			return fmt.Errorf("%s: run %s was begun with %q, not %q; leave the flag out, or choose another --run", c.flag, l.Run, c.is, c.wanted)
		}
	}
	return nil
}

// options returns those with which the run was started.
func (l *ledger) options(o Options) Options {
	o.Look, o.Rules, o.Span, o.From, o.To = l.Look, []byte(l.Rules), l.Span, l.From, l.To
	o.ASIN, o.Source, o.Reason, o.Depth, o.ChangedOnly, o.Rejects = l.ASIN, l.Source, l.Reason, l.Depth, l.Changed, l.Rejects
	return o
}
