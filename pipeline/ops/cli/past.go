package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/text/foreign"
)

// Sections returns the funnel, the reasons and the tokens of the history, each as a table.
func (h History) Sections() []Section {
	funnel := Section{Name: "Funnel", Heads: []string{"LOOK", "DECIDED", "SURVIVED", "REJECTED", "ACCEPTED", "OTHER"}}
	for _, look := range []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
		by := h.sum.Looked(look)
		all := 0
		for _, n := range by {
			all += n
		}
		survive, reject, accept := by[pipeline.Survive], by[pipeline.Reject], by[pipeline.Accept]
		row := []string{string(look)}
		for _, n := range []int{all, survive, reject, accept, all - survive - reject - accept} {
			row = append(row, strconv.Itoa(n))
		}
		funnel.Rows = append(funnel.Rows, row)
	}
	reasons := Section{Name: "Reasons", Heads: []string{"LOOK", "REASON", "OUTCOME", "COUNT", "PERCENT"}}
	for _, r := range h.sum.Reasons() {
		percent := fmt.Sprintf("%.1f", 100*float64(r.Count)/float64(max(1, h.sum.Decided())))
		reasons.Rows = append(reasons.Rows, []string{string(r.Look), foreign.Of(r.Reason).String(), string(r.Outcome), strconv.Itoa(r.Count), percent})
	}
	tokens := Section{Name: "Tokens", Heads: []string{"STAGE", "FOR", "CALLS", "ITEMS", "TOKENS"}}
	for _, s := range h.sum.Spent() {
		tokens.Rows = append(tokens.Rows, []string{s.Plan.With(string(s.Stage)), string(s.Kind), strconv.Itoa(s.Calls), strconv.Itoa(s.Items), strconv.Itoa(s.Tokens)})
	}
	return []Section{funnel, reasons, tokens}
}

// Decided is a decision, as an example of its reason.
type Decided struct {
	ASIN    string
	At      time.Time
	Look    pipeline.Look
	Outcome pipeline.Outcome
	Reason  string
	Rule    string
	Tokens  int
}

// Examples returns the newest decisions with a reason.
func (h History) Examples(look, reason string, most int) []Decided {
	var out []Decided
	for _, v := range h.sum.Final() {
		if v.Reason == reason && (look == "" || string(v.Look) == look) {
			out = append(out, Decided{ASIN: v.ASIN, At: v.DecidedAt, Look: v.Look, Outcome: v.Outcome, Reason: v.Reason, Rule: v.RuleID, Tokens: v.TokensSpent})
		}
	}
	slices.SortFunc(out, func(a, b Decided) int { return cmp.Or(b.At.Compare(a.At), strings.Compare(a.ASIN, b.ASIN)) })
	return out[:min(len(out), most)]
}
