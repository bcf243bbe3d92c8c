package cli

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// Obstacle is a rule that rejects, and what would have to change for it to pass.
type Obstacle struct {
	Rule    string
	Look    pipeline.Look
	Says    string
	When    string // its condition, which is true if it rejects
	Numbers string
	Change  string
}

// Obstacles returns all rules that reject at the last look that could be explained, because the rule that decided may
// hide others. Nil if no rule rejects.
func (e Explanation) Obstacles() []Obstacle {
	for _, l := range slices.Backward(e.Looks) {
		if l.Missing != "" {
			continue
		}
		var out []Obstacle
		for _, r := range l.Rules {
			if r.Enabled && (r.Outcome == Rejects || r.Outcome == RejectsBlind) {
				out = append(out, Obstacle{Rule: r.ID, Look: l.Look, Says: r.Says, When: r.When, Numbers: r.Numbers(), Change: r.change(keepa.Domain(e.Domain))})
			}
		}
		return out
	}
	return nil
}

// comparison is a condition that compares two values, absence one that requires a value to be true.
var (
	comparison = regexp.MustCompile(`^(\w+) (<|<=|>|>=) (\w+)$`)
	absence    = regexp.MustCompile(`^!(\w+)$`)
)

// passing maps the operator of a rejecting comparison to the words for what passes.
var passing = map[string]string{"<": "at least", "<=": "more than", ">": "at most", ">=": "less than"}

// change returns what would have to change for the rule to pass, in words if its condition is simple.
func (r ExplainedRule) change(at keepa.Domain) string {
	if len(r.Unknown) > 0 {
		return "unknown: " + strings.Join(r.Unknown, ", ") + "; the rule rejects what is unknown"
	}
	if m := absence.FindStringSubmatch(r.When); m != nil {
		return plainly(m[1]) + " would have to be true"
	}
	m := comparison.FindStringSubmatch(r.When)
	if m == nil {
		return "this would have to be false: " + r.When
	}
	left, right := r.number(m[1]), r.number(m[3])
	if left == nil || right == nil {
		return "this would have to be false: " + r.When
	}
	return fmt.Sprintf("%s is %s and would have to be %s %s (%s)", plainly(m[1]), quantity(m[1], *left, at), passing[m[2]], quantity(m[1], *right, at), m[3])
}

// number returns the value of an input, a threshold or a literal; nil if it is not a number.
func (r ExplainedRule) number(name string) *float64 {
	if f, ok := r.Thresholds[name]; ok {
		return &f
	}
	if v, ok := r.Inputs[name]; ok {
		name = fmt.Sprint(v)
	}
	f, err := strconv.ParseFloat(name, 64)
	if err != nil {
		return nil
	}
	return &f
}

// plainly returns a name as people write it.
func plainly(name string) string {
	return strings.ReplaceAll(strings.TrimSuffix(name, "_cents"), "_", " ")
}

// quantity formats a number by the suffix of its name: money, a chance or a plain number.
func quantity(name string, f float64, at keepa.Domain) string {
	switch {
	case strings.HasSuffix(name, "_cents"):
		cents := int64(f)
		return at.Money(&cents)
	case strings.HasSuffix(name, "_chance"):
		return chance(&f)
	}
	return strconv.FormatFloat(math.Round(100*f)/100, 'f', -1, 64)
}
