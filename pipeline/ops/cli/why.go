package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
)

// Story is everything the streams hold about one ASIN.
type Story struct {
	ASIN     string         `json:"asin"`
	Verdicts []StoryVerdict `json:"verdicts"` // oldest first
	Answers  []StoryAnswer  `json:"answers"`
}

// StoryVerdict is a verdict and its position in the stream.
type StoryVerdict struct {
	Sequence uint64           `json:"sequence"`
	Run      string           `json:"run"`
	WorkID   string           `json:"work_id"`
	Verdict  pipeline.Verdict `json:"verdict"`
	Says     string           `json:"says,omitempty"` // the deciding rule's sentence, if its rule set is known

	decided []string // the inputs of the deciding rule
	limits  string   // its thresholds and their values
}

// StoryAnswer is a stored answer without its body.
type StoryAnswer struct {
	Sequence   uint64 `json:"sequence"`
	Kind       string `json:"kind"`
	AnsweredAt string `json:"answered_at"`
	Cost       string `json:"cost"`
	Bytes      int    `json:"bytes"`
}

// Why reads the story of one ASIN.
func Why(ctx context.Context, b *bus.Bus, asin string) (Story, error) {
	s := Story{ASIN: asin}
	err := messages.ScanVerdicts(ctx, b, bus.From{Subjects: []string{"verdict.*.*.*." + asin}},
		func(_ bus.Read, v visibility.Verdict) error {
			s.Verdicts = append(s.Verdicts, StoryVerdict{Sequence: v.Sequence, Run: v.Run, WorkID: v.WorkID, Verdict: v.WithInputs()})
			return nil
		})
	if err != nil {
		return s, err
	}
	err = b.Scan(ctx, pipeline.StreamResponses, bus.From{Subjects: []string{"response.*.*." + asin}}, func(r bus.Read) error {
		s.Answers = append(s.Answers, StoryAnswer{
			Sequence: r.Sequence, Kind: r.Header.Get(pipeline.HeaderKind),
			AnsweredAt: r.Header.Get(pipeline.HeaderAnsweredAt), Cost: r.Header.Get(pipeline.HeaderCost), Bytes: len(r.Body),
		})
		return nil
	})
	return s, err
}

// Write prints the story for people.
func (s Story) Write(w io.Writer) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	if len(s.Verdicts) == 0 && len(s.Answers) == 0 {
		p.f("%s was never listed, or its messages have left the streams.\n", s.ASIN)
		return p.flush()
	}
	for _, v := range s.Verdicts {
		p.f("%s  %s: %s (%s)\t%s\tprofit %s\trule %s of %s\trun %s\n", v.Verdict.DecidedAt.Format("2006-01-02 15:04:05"),
			v.Verdict.Look, v.Verdict.Outcome, v.Verdict.Reason, inTokens(strconv.Itoa(v.Verdict.Tokens)), ProfitOf(v.Verdict.Look, v.Verdict.Domain, v.Verdict.ProfitCents),
			orDash(v.Verdict.RuleID), orDash(v.Verdict.RuleSet), v.Run)
		if v.Says != "" {
			p.f("    %s\n", v.Says)
		}
		if in := v.Inputs(); in != "" {
			p.f("    %s\n", in)
		}
		if s, earlier := v.Verdict.Inputs[verdict.InputAnswerAge].(float64); earlier {
			p.f("    The histories are those of the answer about an earlier price, %s before: it may be wrong.\n", time.Duration(s)*time.Second)
		}
	}
	s.writeSum(p)
	for _, a := range s.Answers {
		p.f("answer %s #%d\tat %s\t%s\t%d bytes\n", a.Kind, a.Sequence, a.AnsweredAt, inTokens(a.Cost), a.Bytes)
	}
	return p.flush()
}

// ProfitOf writes the profit that a look found, with what it means before the commit.
func ProfitOf(look pipeline.Look, domain int, cents *int64) string {
	if cents == nil {
		return keepa.Domain(domain).Money(nil)
	}
	return look.Bound() + keepa.Domain(domain).Money(cents)
}

func inTokens(n string) string {
	if n == "1" {
		return "1 token"
	}
	return n + " tokens"
}

// AddSentences adds the sentences and the limits of the rules that decided to the verdicts of their rule set.
func (s *Story) AddSentences(j *verdict.Judge) {
	for i := range s.Verdicts {
		v := &s.Verdicts[i]
		if r, ok := j.Rule(v.Verdict.RuleID); ok && v.Verdict.RuleSet == j.Version() {
			v.Says, v.decided, v.limits = r.Says, r.Inputs(), limits(j, r)
		}
	}
}

// limits returns the thresholds of a rule with their values.
func limits(j *verdict.Judge, r verdict.Rule) string {
	var parts []string
	for _, name := range r.Thresholds() {
		value, _ := j.Threshold(name)
		parts = append(parts, name+"="+strconv.FormatFloat(value, 'f', -1, 64))
	}
	return strings.Join(parts, " ")
}

// Inputs returns the inputs of a verdict, by name: those of the deciding rule with its limits if it is known, else all
// that are stored.
func (v StoryVerdict) Inputs() string {
	names := v.decided
	if names == nil {
		names = slices.Sorted(maps.Keys(v.Verdict.Inputs))
	}
	parts := make([]string, 0, len(names))
	for _, n := range names {
		parts = append(parts, n+"="+valueOf(v.Verdict.Inputs[n]))
	}
	if v.limits != "" {
		return strings.Join(parts, " ") + "; limit " + v.limits
	}
	return strings.Join(parts, " ")
}

// valueOf formats an input for people; nil is unknown.
func valueOf(v any) string {
	if v == nil {
		return "unknown"
	}
	if f, ok := v.(float64); ok {
		v = math.Round(100*f) / 100
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return "unreadable"
	}
	return string(raw)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// lines keeps the first error of a table that is being written.
type lines struct {
	w   *tabwriter.Writer
	err error
}

func (l *lines) f(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintf(l.w, format, args...)
	}
}

func (l *lines) flush() error {
	if l.err != nil {
		return l.err
	}
	return l.w.Flush()
}
