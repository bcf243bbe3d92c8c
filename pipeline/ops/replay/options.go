// Package replay decides again what was decided before: from stored answers, or
// from the inputs that verdicts keep, under the same rules or others. It never calls
// Keepa, so it costs no token.
//
//	VERDICTS (or ClickHouse) ─▶ the live verdicts, in order
//	SURVIVORS, RESPONSES     ─▶ the row and the answers of each         ─▶ decide ─▶ VERDICTS, Run-Id RUN
//
// The live verdict is the unit: each that the span and the filters select gets one
// verdict of the run, in the same order, as of the same instant. A run's progress is
// a record in RUNS. What was stored after the last record is recognised by its ids,
// so an interrupted and resumed run gives the same result as an uninterrupted one.
package replay

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"ratchet/pipeline"
)

// Options select what to decide again, and how.
type Options struct {
	Look  pipeline.Look // peek or commit
	Rules []byte        // the rule file
	Run   string        // the run's name
	Depth Depth         // "" lets the replay choose

	// The live verdicts to decide again. The zero value of each selects all.
	Span     string    // the span as the user wrote it, kept with the run
	From, To time.Time // pipeline time; From is in it, To is not
	ASIN     string
	Source   pipeline.Source
	Reason   string

	// Rejects selects only rejections, and offers only work whose last verdict is still a rejection. The glance can be
	// decided again only with it.
	Rejects bool

	ChangedOnly bool // store only the verdicts that change

	Resume bool // resume a run that was started
	Batch  int  // verdicts in one step, which bounds the memory; 0 is 128
}

// Depth is what a replay decides from.
type Depth string

// The depths.
const (
	Inputs  Depth = "inputs"  // the inputs that verdicts keep
	Answers Depth = "answers" // the answers on RESPONSES
)

// runForm is the form of a run's name: it is part of message ids and a KV key.
var runForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// Validate names the first invalid option.
func (o Options) Validate() error {
	var errs []error
	switch {
	case o.Run == pipeline.RunLive:
		errs = append(errs, fmt.Errorf("--run: %q is the name of what the daemons decide; choose another", o.Run))
	case !runForm.MatchString(o.Run):
		errs = append(errs, fmt.Errorf("--run: want up to 63 letters, digits, _ and -, got %q", o.Run))
	}
	glances := o.Look == pipeline.LookGlance && o.Rejects
	if o.Look != pipeline.LookPeek && o.Look != pipeline.LookCommit && !glances && (o.Look != "" || !o.Resume) {
		errs = append(errs, fmt.Errorf("--look: want peek or commit, got %q", o.Look))
	}
	if o.Depth != "" && o.Depth != Inputs && o.Depth != Answers {
		errs = append(errs, fmt.Errorf("--depth: want inputs or answers, got %q", o.Depth))
	}
	if o.ASIN != "" && !pipeline.ValidASIN(o.ASIN) {
		errs = append(errs, fmt.Errorf("--asin: %q is not an ASIN", o.ASIN))
	}
	if o.Source != "" && !slices.Contains(pipeline.Sources(), o.Source) {
		errs = append(errs, fmt.Errorf("--source: want one of %v, got %q", pipeline.Sources(), o.Source))
	}
	if !o.From.IsZero() && !o.To.IsZero() && !o.From.Before(o.To) {
		errs = append(errs, fmt.Errorf("--to: want a time after --from, got %s", o.To.Format(time.RFC3339)))
	}
	return errors.Join(errs...)
}

// selects reports whether a live verdict is one of those to decide again.
func (o Options) selects(p *original) bool {
	return (!o.Rejects || p.rejected()) && (o.Source == "" || p.source == o.Source) && (o.Reason == "" || p.reason == o.Reason) && (o.ASIN == "" || p.asin == o.ASIN) &&
		(o.From.IsZero() || !p.decidedAt.Before(o.From)) && (o.To.IsZero() || p.decidedAt.Before(o.To))
}
