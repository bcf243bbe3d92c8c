package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
)

// Write prints the explanation for people, by look and rule.
func (e Explanation) Write(w io.Writer) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("%s  %s\n", e.ASIN, e.Title.Short(120))
	p.f("rules %s, version %s; listed %s\n", e.Rules, e.RuleSet, e.Listed.Format("2006-01-02 15:04:05"))
	if err := p.flush(); err != nil {
		return err
	}
	for _, l := range e.Looks {
		p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
		l.write(p, e.Domain)
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (l ExplainedLook) write(p *lines, domain int) {
	p.f("\n%s\n", l.Headline(domain))
	p.f("  rule\toutcome\twhen\tinputs\n")
	for _, r := range l.Rules {
		outcome := string(r.Outcome)
		switch {
		case r.Outcome == "":
			outcome = "not run"
		case !r.Enabled && r.Heuristic:
			outcome = "off (heuristic); " + outcome
		case !r.Enabled:
			outcome = "off; " + outcome
		case r.Decides:
			outcome = strings.ToUpper(outcome)
		}
		p.f("  %s\t%s\t%s\t%s\n", r.ID, outcome, r.When, r.Numbers())
	}
	for _, r := range l.Rules {
		if r.Decides {
			p.f("  %s: %s\n", r.Reason, r.Says)
		}
	}
	if l.Deal != nil {
		writeSum(p, *l.Deal)
	}
}

// Headline returns the look, its outcome and its evidence.
func (l ExplainedLook) Headline(domain int) string {
	if l.Missing != "" {
		return fmt.Sprintf("%s: %s", l.Look, l.Missing)
	}
	parts := []string{fmt.Sprintf("%s: %s (%s)", l.Look, l.Outcome, l.Reason)}
	if l.Profit != nil {
		parts = append(parts, "profit "+ProfitOf(l.Look, domain, l.Profit))
	}
	if l.Expected != nil {
		parts = append(parts, fmt.Sprintf("expected value %s, tier %s", keepa.Domain(domain).Money(l.Expected), l.Tier))
	}
	if l.Answer != "" {
		about := ""
		if l.Earlier {
			about = ", about an earlier price"
		}
		parts = append(parts, fmt.Sprintf("answer #%s of %s%s", l.Answer, l.Answered.Format("2006-01-02 15:04:05"), about))
	}
	if v := l.Live; v != nil && (v.Outcome != l.Outcome || v.Reason != l.Reason) {
		parts = append(parts, fmt.Sprintf("decided then: %s (%s) by rules %s", v.Outcome, v.Reason, v.RuleSet))
	}
	return strings.Join(parts, "; ")
}

// Numbers returns a rule's inputs and the thresholds that it compares them with.
func (r ExplainedRule) Numbers() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		out = append(out, name+"="+valueOf(r.Inputs[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Thresholds)) {
		out = append(out, name+"="+strconv.FormatFloat(r.Thresholds[name], 'f', -1, 64))
	}
	if r.Error != "" {
		out = append(out, "error: "+r.Error)
	}
	return strings.Join(out, " ")
}

// WriteRules prints the rules of a valid file.
func WriteRules(w io.Writer, file string, j *verdict.Judge) error {
	rules := j.Rules()
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("%s: fine, version %s, %d rules\n", file, j.Version(), len(rules))
	p.f("  look\trule\tunknown\twhen\t\n")
	for _, r := range rules {
		note := ""
		if r.Heuristic {
			note = "heuristic"
		}
		if !r.On() {
			note = strings.TrimSpace(note + " off")
		}
		p.f("  %s\t%s\t%s\t%s\t%s\n", r.Look, r.ID, r.Unknown, r.When, note)
	}
	return p.flush()
}
