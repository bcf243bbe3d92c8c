package verdict

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ratchet/pipeline"
)

// Threshold is a number of the rule file that rules in use compare with.
type Threshold struct {
	Name  string
	Value float64
	Rules []string        // ids of the rules that use it and are on
	Looks []pipeline.Look // the first look of each of them, in the order of the looks
}

// Thresholds returns the numbers of the file that rules in use compare with, in the order in which the rules use them.
func (j *Judge) Thresholds() []Threshold {
	var out []Threshold
	for i := range j.file.Rules {
		r := &j.file.Rules[i]
		if !r.On() {
			continue
		}
		for _, name := range r.thresholds {
			if _, ofFile := j.file.Thresholds[name]; !ofFile {
				continue
			}
			at := slices.IndexFunc(out, func(t Threshold) bool { return t.Name == name })
			if at < 0 {
				value, _ := j.Threshold(name)
				at, out = len(out), append(out, Threshold{Name: name, Value: value})
			}
			out[at].Rules = append(out[at].Rules, r.ID)
			if !slices.Contains(out[at].Looks, r.Look) {
				out[at].Looks = append(out[at].Looks, r.Look)
			}
		}
	}
	return out
}

// thresholdLine is a number in the section of thresholds, on a line of its own.
var thresholdLine = regexp.MustCompile(`^([ \t]+)([a-z][a-z0-9_]*)([ \t]*:[ \t]*)([^ \t#]+)(.*)$`)

// WithThresholds returns a rule file with other numbers in its section of thresholds, and its rules. Everything else,
// comments too, stays as it is. A file that is laid out otherwise is refused.
func WithThresholds(rules []byte, to map[string]float64) ([]byte, *Judge, error) {
	before, err := NewJudge(rules)
	if err != nil {
		return nil, nil, err
	}
	lines, inside := strings.SplitAfter(string(rules), "\n"), false
	for i, line := range lines {
		text := strings.TrimRight(line, "\r\n")
		if len(text) > 0 && !strings.ContainsAny(text[:1], " \t#") {
			inside = strings.HasPrefix(text, "thresholds:")
		}
		m := thresholdLine.FindStringSubmatch(text)
		if !inside || m == nil {
			continue
		}
		if v, ok := to[m[2]]; ok {
			lines[i] = m[1] + m[2] + m[3] + strconv.FormatFloat(v, 'f', -1, 64) + m[5] + line[len(text):]
		}
	}
	out := []byte(strings.Join(lines, ""))
	after, err := NewJudge(out)
	if err != nil {
		return nil, nil, err
	}
	want := maps.Clone(before.numbers())
	maps.Copy(want, to)
	if got := after.numbers(); !maps.Equal(got, want) || after.version[:fingerprintDigits] != before.version[:fingerprintDigits] {
		return nil, nil, errors.New("the thresholds of this rule file cannot be changed here: write each on a line of its own")
	}
	return out, after, nil
}

// numbers are the thresholds by name.
func (j *Judge) numbers() map[string]float64 {
	out := map[string]float64{}
	for name := range j.file.Thresholds {
		if v, ok := j.Threshold(name); ok {
			out[name] = v
		}
	}
	return out
}
