package verdict

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/expr-lang/expr/vm"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
)

// fingerprintDigits is the length of the part of a version that
// names the settings and the extraction behind its inputs.
const fingerprintDigits = 6

// fingerprint is equal for rule sets whose inputs are the same numbers.
func fingerprint(s deal.Settings) string {
	body, err := json.Marshal(s)
	if err != nil {
		panic(err) // settings are numbers, so this cannot happen
	}
	sum := sha256.Sum256(fmt.Appendf(body, "|%d", deal.Extraction))
	return hex.EncodeToString(sum[:])[:fingerprintDigits]
}

// SameInputs reports whether two rule sets, by their versions, derive the
// same inputs from an answer: then each may use what the other has kept.
func SameInputs(a, b string) bool {
	return len(a) >= fingerprintDigits && len(b) >= fingerprintDigits && a[:fingerprintDigits] == b[:fingerprintDigits]
}

// Needs returns the names of all inputs that a look's rules use, sorted. Every verdict of
// a paid look keeps them, so that other rules over the same inputs need no answer.
func (j *Judge) Needs(look pipeline.Look) []string {
	var names []string
	if look == pipeline.LookCommit {
		names = append(names, copyCount)
	}
	for i := range j.file.Rules {
		if r := &j.file.Rules[i]; r.runsAt(look) {
			for _, in := range r.inputs {
				names = append(names, in.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// kept returns the inputs that a verdict keeps.
func (j *Judge) kept(look pipeline.Look, f *facts) map[string]any {
	all := make(map[string]any, len(j.needed[look]))
	for _, in := range j.needed[look] {
		all[in.Name] = in.value(f)
	}
	return all
}

// prepared returns the judge with the inputs that its verdicts keep looked up.
func (j Judge) prepared() *Judge {
	j.needed = map[pipeline.Look][]Input{}
	for _, look := range looks {
		for _, name := range j.Needs(look) {
			in, _ := inputNamed(name)
			j.needed[look] = append(j.needed[look], in)
		}
	}
	return &j
}

// runsAt reports whether the rule is evaluated at a look.
func (r *Rule) runsAt(look pipeline.Look) bool { return r.On() && r.known(look) }

// known reports whether a look knows what the rule needs.
func (r *Rule) known(look pipeline.Look) bool {
	return slices.Index(looks, r.Look) <= slices.Index(looks, look)
}

// InputAnswerAge is among the kept inputs of a verdict from an answer about an earlier price: the answer's age in
// seconds. No rule can use it. What was decided so is decided again only from the answer.
const InputAnswerAge = "answer_age_s"

// Redecider decides again from kept inputs. It is not safe for concurrent use.
type Redecider struct {
	look  pipeline.Look
	rules []redecidedRule
	slots []slot // sorted by name
	env   map[string]any
	vm    vm.VM
	set   []bool // which slots env holds
	named int    // how many inputs the object had
}

type redecidedRule struct {
	*Rule
	slots []int
}

// slot is one kept input.
type slot struct {
	name  string
	kind  Kind
	value any
}

// Redecider returns this rule set over kept inputs of a look.
func (j *Judge) Redecider(look pipeline.Look) *Redecider {
	s := &Redecider{look: look, env: map[string]any{}}
	for name, v := range j.constants {
		s.env[name] = v
	}
	for _, name := range j.Needs(look) {
		in, _ := inputNamed(name)
		s.slots = append(s.slots, slot{name: name, kind: in.Kind})
	}
	s.set = make([]bool, len(s.slots))
	for i := range j.file.Rules {
		r := &j.file.Rules[i]
		if !r.runsAt(look) {
			continue
		}
		var of []int
		for _, in := range r.inputs {
			of = append(of, s.slot(in.Name))
		}
		s.rules = append(s.rules, redecidedRule{Rule: r, slots: of})
	}
	return s
}

func (s *Redecider) slot(name string) int {
	i, _ := slices.BinarySearchFunc(s.slots, name, func(l slot, n string) int {
		switch {
		case l.name < n:
			return -1
		case l.name > n:
			return 1
		}
		return 0
	})
	return i
}

// Redecision is the result of rules over kept inputs.
type Redecision struct {
	Outcome   pipeline.Outcome
	Reason    string
	RuleID    string
	Heuristic bool
	Unknown   []string // sorted
}

// Decide decides on inputs as a verdict keeps them: a JSON object of numbers, booleans and nulls. It
// returns false when the rules need an input that is not kept, when inputs is not such an object or is
// of an answer about an earlier price, and when the commit chose among several copies: other rules may choose another.
func (s *Redecider) Decide(inputs []byte) (Redecision, bool) {
	t, ok := s.DecideCopy(inputs)
	if !ok || s.look == pipeline.LookCommit && s.SeveralCopies() {
		return Redecision{}, false
	}
	return t, true
}

// DecideCopy is Decide for the copy that the verdict was about, even if there were others.
func (s *Redecider) DecideCopy(inputs []byte) (Redecision, bool) {
	if !s.read(inputs) {
		return Redecision{}, false
	}
	t := Redecision{Outcome: pipeline.Survive, Reason: ReasonOK}
	if s.look == pipeline.LookCommit {
		t.Outcome = pipeline.Accept
	}
	for i := range s.rules {
		r := &s.rules[i]
		missing := false
		for _, n := range r.slots {
			if l := &s.slots[n]; l.value == nil {
				missing = true
			} else if !s.set[n] {
				s.env[l.name], s.set[n] = l.value, true
			}
		}
		if rejects, reason, _ := r.eval(&s.vm, s.look, missing, s.env); rejects {
			return Redecision{
				Outcome: pipeline.Reject, Reason: reason, RuleID: r.ID, Heuristic: r.Heuristic, Unknown: s.unknown(r.slots, nil),
			}, true
		}
		if missing {
			t.Unknown = s.unknown(r.slots, t.Unknown)
		}
	}
	slices.Sort(t.Unknown)
	t.Unknown = slices.Compact(t.Unknown)
	return t, true
}

// SeveralCopies reports whether the commit is known to have chosen among several copies; valid after a decision.
func (s *Redecider) SeveralCopies() bool {
	n, ok := s.slots[s.slot(copyCount)].value.(int64)
	return !ok || n > 1
}

// unknown appends the names of a rule's unknown inputs.
func (s *Redecider) unknown(slots []int, to []string) []string {
	for _, n := range slots {
		if s.slots[n].value == nil {
			to = append(to, s.slots[n].name)
		}
	}
	return to
}

// Kept returns the part of the verdict's inputs that this rule set keeps; valid after a Decide that returned true.
func (s *Redecider) Kept() map[string]any {
	m := make(map[string]any, len(s.slots))
	for i := range s.slots {
		m[s.slots[i].name] = s.slots[i].value
	}
	return m
}

// AllKept reports whether this rule set keeps exactly the inputs that the verdict kept; valid when Kept is.
func (s *Redecider) AllKept() bool { return s.named == len(s.slots) }

// read fills the slots from a JSON object; false unless it has all of them.
func (s *Redecider) read(b []byte) bool {
	for i := range s.slots {
		s.slots[i].value, s.set[i] = nil, false
	}
	next, found, at := 0, 0, 0
	s.named = 0
	if len(b) < 2 || b[0] != '{' {
		return false
	}
	for at = 1; at < len(b) && b[at] != '}'; {
		if b[at] == ',' {
			at++
		}
		name, rest, ok := quoted(b, at)
		if !ok || rest >= len(b) || b[rest] != ':' || string(name) == InputAnswerAge {
			return false
		}
		end := rest + 1
		for end < len(b) && b[end] != ',' && b[end] != '}' {
			if b[end] == '"' || b[end] == '{' || b[end] == '[' {
				return false // no input has such a value
			}
			end++
		}
		// Both are sorted, so the next slot nearly always matches.
		for next < len(s.slots) && s.slots[next].name < string(name) {
			next++
		}
		if next < len(s.slots) && s.slots[next].name == string(name) {
			if !s.slots[next].fill(b[rest+1 : end]) {
				return false
			}
			found++
			next++
		}
		s.named++
		at = end
	}
	return found == len(s.slots)
}

// quoted returns the string that begins at b[at], which has no escapes, and its end.
func quoted(b []byte, at int) ([]byte, int, bool) {
	if at >= len(b) || b[at] != '"' {
		return nil, 0, false
	}
	for end := at + 1; end < len(b); end++ {
		if b[end] == '"' {
			return b[at+1 : end], end + 1, true
		}
	}
	return nil, 0, false
}

// fill reads a value of the slot's kind; false for another kind.
func (l *slot) fill(raw []byte) bool {
	switch {
	case string(raw) == "null":
		l.value = nil
		return true
	case l.kind == Boolean:
		l.value = string(raw) == "true"
		return l.value == true || string(raw) == "false"
	case l.kind == Integer:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		l.value = n
		return err == nil
	default:
		f, err := strconv.ParseFloat(string(raw), 64)
		l.value = f
		return err == nil
	}
}
