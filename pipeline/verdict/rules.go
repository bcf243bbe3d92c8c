package verdict

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm"
	"github.com/goccy/go-yaml"

	"ratchet/pipeline"
	"ratchet/pipeline/deal"
)

// Policy is what a rule does where one of its inputs is unknown.
type Policy string

// The policies.
const (
	Pass        Policy = "pass"   // it does not reject
	RejectIt    Policy = "reject" // it rejects
	NeedALook   Policy = "need"   // a later look must tell; at the last look it rejects
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

// On says whether the rule is used.
func (r *Rule) On() bool { return r.Enabled == nil || *r.Enabled }

// Inputs are the names of what the rule looks at, in the order of its condition.
func (r *Rule) Inputs() []string {
	names := make([]string, len(r.inputs))
	for i, in := range r.inputs {
		names[i] = in.Name
	}
	return names
}

// Thresholds are the names of the file's numbers that the rule compares with.
func (r *Rule) Thresholds() []string { return slices.Clone(r.thresholds) }

// Tolerances are how far a stored deal may move and still be confirmed by a peek, in percent.
type Tolerances struct {
	PricePercent  float64 `yaml:"price_percent"`
	RankPercent   float64 `yaml:"rank_percent"`
	AmazonPercent float64 `yaml:"amazon_percent"`
}

// file is a rule file as it is written.
type file struct {
	Name       string         `yaml:"name"`
	Settings   deal.Settings  `yaml:"settings"`
	Confirm    Tolerances     `yaml:"confirm"`
	Thresholds map[string]any `yaml:"thresholds"`
	Rules      []Rule         `yaml:"rules"`
}

// looks in the order in which they come.
var looks = []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// parse reads a rule file and checks all of it; the error names everything that is wrong.
func parse(data []byte) (file, error) {
	f := file{Settings: deal.Defaults()}
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
		return f, fmt.Errorf("read rules: %w", err)
	}
	errs := []error{f.Settings.Validate()}
	if f.Name == "" {
		errs = append(errs, errors.New("name: missing"))
	}
	if len(f.Rules) == 0 {
		errs = append(errs, errors.New("rules: none"))
	}
	for name, value := range f.Thresholds {
		if f.Thresholds[name] = number(value); f.Thresholds[name] == nil {
			errs = append(errs, fmt.Errorf("threshold %q: must be a number, got %v", name, value))
		}
		if _, taken := inputNamed(name); taken || !nameForm.MatchString(name) {
			errs = append(errs, fmt.Errorf("threshold %q: must be a name in snake_case that no input has", name))
		}
	}
	seen := map[string]bool{}
	for i := range f.Rules {
		r := &f.Rules[i]
		if seen[r.ID] {
			errs = append(errs, fmt.Errorf("rule %q: there are two of this name", r.ID))
		}
		seen[r.ID] = true
		if err := r.check(f.constants()); err != nil {
			errs = append(errs, fmt.Errorf("rule %q: %w", r.ID, err))
		}
	}
	return f, errors.Join(errs...)
}

// constants are the numbers of the file that expressions can use.
func (f *file) constants() map[string]any {
	c := map[string]any{"shipping_cents": f.Settings.ShippingCents}
	for name, value := range f.Thresholds {
		c[name] = value
	}
	return c
}

// number is a threshold as expressions see it: a whole number or one with a fraction; nil for anything else.
func number(value any) any {
	switch n := value.(type) {
	case int64:
		return n
	case uint64:
		if n <= math.MaxInt64 {
			return int64(n)
		}
	case float64:
		return n
	}
	return nil
}

// check validates a rule and compiles it for its look.
func (r *Rule) check(constants map[string]any) error {
	switch {
	case !nameForm.MatchString(r.ID):
		return errors.New("id: must be a name in snake_case")
	case !nameForm.MatchString(r.Reason):
		return fmt.Errorf("reason %q: must be a name in snake_case", r.Reason)
	case !slices.Contains(looks, r.Look):
		return fmt.Errorf("look %q: must be glance, peek or commit", r.Look)
	case r.Unknown != Pass && r.Unknown != RejectIt && r.Unknown != NeedALook:
		return fmt.Errorf("unknown %q: must be pass, reject or need", r.Unknown)
	case r.Says == "":
		return errors.New("says: missing; tell a person why the rule rejects")
	case r.When == "":
		return errors.New("when: missing")
	}
	names := &names{}
	env := map[string]any{}
	for name, value := range constants {
		env[name] = value
	}
	for _, in := range catalogue {
		env[in.Name] = zero(in.Kind)
	}
	program, err := expr.Compile(r.When, expr.Env(env), expr.AsBool(), expr.Patch(names))
	if err != nil {
		return fmt.Errorf("when: %w", err)
	}
	for _, name := range names.used {
		in, ok := inputNamed(name)
		if _, threshold := constants[name]; !ok && threshold {
			r.thresholds = append(r.thresholds, name)
		}
		if !ok {
			continue // a threshold, or a function of the expression language
		}
		if slices.Index(looks, in.From) > slices.Index(looks, r.Look) {
			return fmt.Errorf("uses %s at the %s, but it is first known at the %s", in.Name, r.Look, in.From)
		}
		r.inputs = append(r.inputs, in)
	}
	if len(r.inputs) == 0 {
		return errors.New("when: uses no input, so it would decide the same for every candidate")
	}
	r.program = program
	return nil
}

// names collects the identifiers of an expression, each once.
type names struct{ used []string }

// Visit is called for every node of the expression.
func (n *names) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok && !slices.Contains(n.used, id.Value) {
		n.used = append(n.used, id.Value)
	}
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

// version is the short hash of a rule file.
func version(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:12-fingerprintDigits]
}
