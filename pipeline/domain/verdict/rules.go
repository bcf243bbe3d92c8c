package verdict

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/vm"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/text/complaint"
)

// Policy is the effect of a rule when one of its inputs is unknown.
type Policy string

// The policies.
const (
	Pass        Policy = "pass"   // it does not reject
	RejectIt    Policy = "reject" // it rejects
	NeedALook   Policy = "need"   // a later look must decide; at the last look it rejects
	unknownMark        = "_unknown"
)

// Rule is one line of the rule file.
type Rule struct {
	ID        string        `yaml:"id"`
	Look      pipeline.Look `yaml:"look"`
	When      string        `yaml:"when"`
	Reason    string        `yaml:"reason"`
	Unknown   Policy        `yaml:"unknown"`
	Heuristic bool          `yaml:"heuristic"`
	Enabled   *bool         `yaml:"enabled"` // nil means true
	Says      string        `yaml:"says"`

	program    *vm.Program
	inputs     []Input
	thresholds []string
}

// On reports whether the rule is used.
func (r *Rule) On() bool { return r.Enabled == nil || *r.Enabled }

// Inputs returns the names of the rule's inputs, in the order of its condition.
func (r *Rule) Inputs() []string {
	names := make([]string, len(r.inputs))
	for i, in := range r.inputs {
		names[i] = in.Name
	}
	return names
}

// Thresholds returns the names of the file's numbers that the rule compares with.
func (r *Rule) Thresholds() []string { return slices.Clone(r.thresholds) }

// Tolerances are how far a stored deal may move and still be confirmed by a peek, in percent.
type Tolerances struct {
	PricePercent  float64 `yaml:"price_percent"`
	RankPercent   float64 `yaml:"rank_percent"` // by how much the rank may improve; it may always get worse
	AmazonPercent float64 `yaml:"amazon_percent"`
}

// file is a rule file.
type file struct {
	Name       string         `yaml:"name"`
	Settings   deal.Settings  `yaml:"settings"`
	Confirm    Tolerances     `yaml:"confirm"`
	Thresholds map[string]any `yaml:"thresholds"` // int64, or float64 with a fraction
	Rules      []Rule         `yaml:"rules"`
}

// looks in their order.
var looks = []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// parse reads a rule file and checks all of it; the error names every mistake.
func parse(data []byte) (file, error) {
	f, d := file{Settings: deal.Defaults()}, &decoder{}
	if !d.read(data, &f) {
		return f, d.Err()
	}
	d.Join(f.Settings.Validate(), d.at)
	f.check(d)
	d.Rename(f.called)
	return f, d.Err()
}

// check validates the file beyond its settings, and compiles its rules.
func (f *file) check(d *decoder) {
	if f.Name == "" {
		d.addOnce("name", "missing")
	}
	if len(f.Rules) == 0 {
		d.addOnce("rules", "none")
	}
	for name, value := range map[string]float64{
		"price_percent": f.Confirm.PricePercent, "rank_percent": f.Confirm.RankPercent, "amazon_percent": f.Confirm.AmazonPercent,
	} {
		if value < 0 {
			d.addOnce("confirm."+name, "%g: must be 0 or more", value)
		}
	}
	own := f.own()
	for name := range f.Thresholds {
		_, input := inputNamed(name)
		_, setting := own[name]
		if input || setting || !nameForm.MatchString(name) || slices.Contains(functions, name) {
			d.addOnce("thresholds."+name, "must be a name in snake_case that no input, setting or function has")
		}
	}
	seen, constants := map[string]bool{}, f.constants()
	for name := range f.Thresholds {
		if _, input := inputNamed(name); input {
			delete(constants, name)
		}
	}
	for i := range f.Rules {
		r, path := &f.Rules[i], fmt.Sprintf("rules[%d]", i)
		if seen[r.ID] && r.ID != "" {
			d.addOnce(path+".id", "there are two rules %q: rename one", r.ID)
		}
		seen[r.ID] = true
		r.check(d, path, constants)
	}
}

// called returns the name of a field in a message: rules by their id.
func (f *file) called(path string) string {
	for i := range f.Rules {
		in, ok := strings.CutPrefix(path, fmt.Sprintf("rules[%d]", i))
		if !ok || f.Rules[i].ID == "" {
			continue
		}
		return strings.Replace(fmt.Sprintf("rule %q%s", f.Rules[i].ID, in), `".`, `": `, 1)
	}
	return path
}

// own returns the settings that expressions can use.
func (f *file) own() map[string]any {
	return map[string]any{"shipping_cents": f.Settings.ShippingCents}
}

// constants returns the numbers of the file that expressions can use.
func (f *file) constants() map[string]any {
	c := f.own()
	for name, value := range f.Thresholds {
		if value != nil {
			c[name] = value
		}
	}
	return c
}

// check validates a rule and compiles it for its look.
func (r *Rule) check(d *decoder, path string, constants map[string]any) {
	for _, name := range [][2]string{{"id", r.ID}, {"reason", r.Reason}} {
		switch {
		case name[1] == "":
			d.addOnce(path+"."+name[0], "missing: write a name in snake_case")
		case !nameForm.MatchString(name[1]):
			d.addOnce(path+"."+name[0], "%q: must be a name in snake_case%s", name[1], complaint.DidYouMean(snake(name[1])))
		}
	}
	d.oneOf(path+".look", string(r.Look), string(pipeline.LookGlance), string(pipeline.LookPeek), string(pipeline.LookCommit))
	d.oneOf(path+".unknown", string(r.Unknown), string(Pass), string(RejectIt), string(NeedALook))
	if r.Says == "" {
		d.addOnce(path+".says", "missing; explain to people why the rule rejects")
	}
	if r.When == "" {
		d.addOnce(path+".when", "missing; write the condition under which the rule rejects")
	}
	if !d.Has(path + ".when") {
		r.compile(d, path+".when", constants)
	}
}

// snake converts a name to snake_case.
func snake(name string) string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "_"), "_0123456789")
}

func inputNamed(name string) (Input, bool) {
	for _, in := range catalogue {
		if in.Name == name {
			return in, true
		}
	}
	return Input{}, false
}

func zero(k Kind) any {
	switch k {
	case Integer:
		return int64(0)
	case Number:
		return float64(0)
	default:
		return false
	}
}

// version returns the short hash of a rule file. Line ends do not count: a
// copy that passed through another system has the same version.
func version(data []byte) string {
	text, _ := complaint.Text(data, &complaint.List{})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:12-fingerprintDigits]
}
