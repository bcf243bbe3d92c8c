package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/text/foreign"
)

const (
	examples  = 3  // kept of each change
	bestDeals = 20 // kept of the deals that would have been found
)

// Sums are the results of a run, of bounded size.
type Sums struct {
	Selected    int `json:"selected"` // live verdicts that the options select
	Same        int `json:"same"`     // decided alike
	Changed     int `json:"changed"`
	FromInputs  int `json:"from_inputs"`
	FromAnswers int `json:"from_answers"`
	// Lost counts verdicts that were not decided again, by what the streams no longer hold.
	Lost map[string]int `json:"lost,omitempty"`
	// RuleSets are the live rule sets, by how many verdicts each had decided.
	RuleSets map[string]int     `json:"rule_sets,omitempty"`
	Changes  map[string]*Change `json:"changes,omitempty"` // by before and after
	NewCount int                `json:"new_count"`         // newly passing
	New      []Example          `json:"new,omitempty"`     // the best of them
}

// Change is one way in which decisions changed.
type Change struct {
	Before   string    `json:"before"` // outcome and reason
	After    string    `json:"after"`
	N        int       `json:"n"`
	Examples []Example `json:"examples"` // the first
}

// Example is one decision.
type Example struct {
	Domain int          `json:"domain"`
	ASIN   string       `json:"asin"`
	Title  foreign.Text `json:"title,omitzero"`
	Profit *int64       `json:"profit_cents,omitempty"`
}

// passes reports whether an outcome passes its look.
func passes(o pipeline.Outcome) bool {
	return o == pipeline.Survive || o == pipeline.Accept || o == pipeline.Confirm
}

// add counts one decision.
func (s *Sums) add(p *original, d decided) {
	s.Selected++
	count(&s.RuleSets, p.ruleSet)
	if d.lost != "" {
		count(&s.Lost, d.lost)
		return
	}
	if d.fromInputs {
		s.FromInputs++
	} else {
		s.FromAnswers++
	}
	if d.outcome == p.outcome && d.reason == p.reason {
		s.Same++
		return
	}
	s.Changed++
	e := Example{Domain: p.domain, ASIN: p.asin, Title: p.title, Profit: d.profit}
	before, after := p.was(), string(d.outcome)+" "+d.reason
	if s.Changes == nil {
		s.Changes = map[string]*Change{}
	}
	c := s.Changes[before+" > "+after]
	if c == nil {
		c = &Change{Before: before, After: after}
		s.Changes[before+" > "+after] = c
	}
	if c.N++; len(c.Examples) < examples {
		c.Examples = append(c.Examples, e)
	}
	if passes(d.outcome) && !passes(p.outcome) {
		s.NewCount++
		s.best(e)
	}
}

// best keeps an example if it is one of the most profitable; of equals the first.
func (s *Sums) best(e Example) {
	at, _ := slices.BinarySearchFunc(s.New, e, func(kept, e Example) int {
		if profitOf(kept) >= profitOf(e) {
			return -1
		}
		return 1
	})
	s.New = slices.Insert(s.New, at, e)
	s.New = s.New[:min(len(s.New), bestDeals)]
}

func profitOf(e Example) int64 {
	if e.Profit == nil {
		return -1 << 62
	}
	return *e.Profit
}

func count(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key]++
}

// Write prints the comparison for people.
func (r *Record) Write(w io.Writer) error {
	s := &r.Sums
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	var b strings.Builder
	fmt.Fprintf(&b, "Run %s: %d verdicts of the %s decided again under rules %s (live: %s)\n", r.Run, s.Same+s.Changed, r.Look, r.RuleSet, listed(s.RuleSets))
	fmt.Fprintf(&b, "  the same   %d\n  changed    %d\n", s.Same, s.Changed)
	if s.FromInputs > 0 && s.FromAnswers > 0 {
		fmt.Fprintf(&b, "  from kept inputs %d, from stored answers %d\n", s.FromInputs, s.FromAnswers)
	}
	for _, why := range sorted(s.Lost) {
		fmt.Fprintf(&b, "  not decided again  %d: %s\n", s.Lost[why], why)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	if s.Changed > 0 {
		fmt.Fprintf(out, "\nWhat changed\n  before\tnow\tcount\texamples\n")
	}
	for _, c := range r.Changes() {
		fmt.Fprintf(out, "  %s\t%s\t%d\t%s\n", c.Before, c.After, c.N, r.shown(c.Examples))
	}
	if s.NewCount > 0 {
		fmt.Fprintf(out, "\n%s: %d%s\n  ASIN\t%s\ttitle\n", r.Passing(), s.NewCount, firstOf(len(s.New), s.NewCount), strings.TrimSpace("profit "+r.Look.Bound()))
		for _, e := range s.New {
			fmt.Fprintf(out, "  %s\t%s\t%s\n", e.ASIN, keepa.Domain(e.Domain).Money(e.Profit), e.Title)
		}
	}
	if r.AllOut {
		fmt.Fprintf(out, "\nPublished: %d candidates, as candidate.DOMAIN.retry.ASIN\n", r.Published)
	}
	return out.Flush()
}

// Passing names what newly passes.
func (r *Record) Passing() string {
	switch r.Look {
	case pipeline.LookGlance:
		return "Candidates that would have gone on to the peek"
	case pipeline.LookPeek:
		return "Candidates that would have gone on to the commit"
	case pipeline.LookList, pipeline.LookCommit:
	}
	return "Deals that would have been found"
}

// Changes returns the ways in which decisions changed, the largest first.
func (r *Record) Changes() []*Change {
	return slices.SortedFunc(maps.Values(r.Sums.Changes), func(a, b *Change) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
}

func (r *Record) shown(es []Example) string {
	var parts []string
	for _, e := range es {
		part := e.ASIN
		if e.Profit != nil {
			part += " (" + r.Look.Bound() + keepa.Domain(e.Domain).Money(e.Profit) + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func firstOf(shown, all int) string {
	if shown < all {
		return fmt.Sprintf(" (the best %d)", shown)
	}
	return ""
}

func listed(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(sorted(m), ", ")
}

func sorted(m map[string]int) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), strings.Compare(a, b)) })
}
