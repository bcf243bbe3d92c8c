package pipeline

import (
	"cmp"
	"fmt"
	"strings"
)

// Plan is the name of one of several Keepa keys, with its own budget and its own marketplaces. It is never the
// key. The first plan, which is the only one where there is a single key, has no name: "".
type Plan string

// planSep separates a name from its plan. No name without a plan contains it.
const planSep = "_"

// Own returns this plan's name of an object that each plan has for itself, such as a bucket, a durable, a lease or
// applied rules: the name unchanged for the first plan, NAME_PLAN for any other.
func (p Plan) Own(name string) string {
	if p == "" {
		return name
	}
	return name + planSep + string(p)
}

// Base is the inverse of Own; false for the name of another plan.
func (p Plan) Base(name string) (string, bool) {
	if p == "" {
		return name, !strings.Contains(name, planSep)
	}
	return strings.CutSuffix(name, planSep+string(p))
}

// AnyBase removes what Own has added, whatever the plan.
func AnyBase(name string) string {
	base, _, _ := strings.Cut(name, planSep)
	return base
}

// With returns a name with that of its plan, if the plan has one, for people.
func (p Plan) With(name string) string {
	if p == "" {
		return name
	}
	return name + " " + string(p)
}

// String is the name for people; that of the first plan is "main".
func (p Plan) String() string {
	if p == "" {
		return MainPlan
	}
	return string(p)
}

// MainPlan is the first plan for people.
const MainPlan = "main"

// PlanOf returns the plan with a name that people wrote: up to 16 small letters and digits, beginning with a letter.
func PlanOf(name string) (Plan, error) {
	if name == MainPlan {
		return "", nil
	}
	good := len(name) >= 1 && len(name) <= 16 && name[0] >= 'a' && name[0] <= 'z'
	for _, c := range name {
		good = good && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9')
	}
	if !good {
		return "", fmt.Errorf("plan %q: want 1 to 16 small letters and digits, beginning with a letter", name)
	}
	return Plan(name), nil
}

// EnvDecode reads the value of a variable; an empty one is the first plan.
func (p *Plan) EnvDecode(text string) (err error) {
	text = cmp.Or(text, MainPlan)
	*p, err = PlanOf(text)
	return err
}
