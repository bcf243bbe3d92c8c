package verdict

import (
	"maps"
	"slices"
	"time"

	"github.com/expr-lang/expr/vm"

	"ratchet/pipeline"
	"ratchet/pipeline/deal"
	"ratchet/pipeline/keepa"
)

// Reasons that no rule gives.
const (
	ReasonOK         = "ok"                 // nothing stood against it
	ReasonUnreadable = "product_unreadable" // a history is not what it used to be
	ReasonNoDeal     = "no_deal"            // the rules accept what cannot be bought, or was never sold
)

// Judge is a rule set, ready to decide. It holds no state and may be shared.
type Judge struct {
	file      file
	version   string
	constants map[string]any
	mem       *deal.Memory // nil: every product is read into memory of its own
}

// Alone is the judge for one goroutine that decides on many products: it reads all of
// them into the same memory.
func (j *Judge) Alone() *Judge {
	alone := *j
	alone.mem = new(deal.Memory)
	return &alone
}

// NewJudge reads, checks and compiles a rule file. Its error names everything that is wrong with it.
func NewJudge(rules []byte) (*Judge, error) {
	f, err := parse(rules)
	if err != nil {
		return nil, err
	}
	return &Judge{file: f, version: fingerprint(f.Settings) + version(rules), constants: f.constants()}, nil
}

// Version is the name of the rule set on every verdict: a hash of what its inputs rest on and one of the rule file.
func (j *Judge) Version() string { return j.version }

// Name is what the rule file calls itself.
func (j *Judge) Name() string { return j.file.Name }

// Settings are the constants of the economics in force.
func (j *Judge) Settings() deal.Settings { return j.file.Settings }

// Rules are the rules in the order in which they run, switched-off ones included.
func (j *Judge) Rules() []Rule { return slices.Clone(j.file.Rules) }

// Finding is what a look concluded.
type Finding struct {
	Outcome   pipeline.Outcome
	Reason    string // a snake_case code; ReasonOK when nothing stood against it
	RuleID    string // the rule that decided; "" when none did
	Says      string // the deciding rule's sentence
	Heuristic bool   // the deciding rule may be wrong

	// Inputs are what the deciding rule used; for a survivor or a deal what all rules used. nil is unknown.
	Inputs  map[string]any
	Unknown []string // inputs that were wanted and unknown, sorted
	// Kept are the inputs of every rule of a paid look, so that other rules can decide on them; nil at a glance.
	Kept map[string]any

	ExpectedValueCents int64 // profit × chance of a sale; see ExpectedKnown
	ExpectedKnown      bool
	Tier               pipeline.Tier // by expected value; c where it is unknown

	ProfitCents int64 // likely before the commit, real at it; see ProfitKnown
	ProfitKnown bool

	Deal *deal.Deal // on accept
}

// Glance judges a deal-list row, for no token. now is not used by any bound of a row; it is here so that all
// looks read alike.
func (j *Judge) Glance(row keepa.DealRow, _ time.Time) Finding {
	return j.find(pipeline.LookGlance, &facts{view: j.file.Settings.OfRow(&row), s: j.file.Settings})
}

// Peek judges a product without offers.
func (j *Judge) Peek(row keepa.DealRow, p keepa.Product, now time.Time) Finding {
	f, err := j.facts(pipeline.LookPeek, &row, &p, now)
	if err != nil {
		return unreadable()
	}
	return j.find(pipeline.LookPeek, f)
}

// Commit judges a product with offers. sellers may lack the seller of the deal: it then says so.
func (j *Judge) Commit(row keepa.DealRow, p keepa.Product, sellers map[string]keepa.Seller, now time.Time) Finding {
	f, err := j.facts(pipeline.LookCommit, &row, &p, now)
	if err != nil {
		return unreadable()
	}
	found := j.find(pipeline.LookCommit, f)
	if found.Outcome == pipeline.Accept {
		found.Deal = j.file.Settings.Make(&row, &p, f.view, sellers, now)
		if found.Deal == nil {
			// A rule file that somebody thinned out. Not a reject: no rule decided.
			found.Outcome, found.Reason = pipeline.Fail, ReasonNoDeal
			found.Says = "No rule rejects it, but there is nothing to buy, or no sale that a list price could rest on."
			return found
		}
		found.Deal.RuleSet = j.version
	}
	return found
}

func unreadable() Finding {
	return Finding{Outcome: pipeline.Fail, Reason: ReasonUnreadable, Says: "A history is not what it used to be.", Tier: pipeline.TierC}
}

// facts gathers what a paid look knows.
func (j *Judge) facts(look pipeline.Look, row *keepa.DealRow, p *keepa.Product, now time.Time) (*facts, error) {
	s, mem := j.file.Settings, j.mem
	if mem == nil {
		mem = new(deal.Memory)
	}
	view, err := s.OfRow(row), error(nil)
	if look == pipeline.LookCommit {
		view, err = s.OfOffersIn(mem, view, p, now)
	} else {
		view, err = s.OfProductIn(mem, view, p, now)
	}
	return &facts{view: view, s: s}, err
}

// find runs the rules until one rejects.
func (j *Judge) find(look pipeline.Look, f *facts) Finding {
	found := Finding{Outcome: pipeline.Survive, Reason: ReasonOK, Inputs: map[string]any{}, Tier: pipeline.TierC}
	if look == pipeline.LookCommit {
		found.Outcome = pipeline.Accept
	}
	j.value(&found, f)
	if look != pipeline.LookGlance {
		found.Kept = j.kept(look, f)
	}
	env := maps.Clone(j.constants)
	for i := range j.file.Rules {
		r := &j.file.Rules[i]
		if !r.runsAt(look) {
			continue
		}
		o := r.run(look, f, env)
		if o.Rejects {
			found.Outcome, found.Reason, found.RuleID = pipeline.Reject, o.Reason, r.ID
			found.Says, found.Heuristic, found.Inputs, found.Unknown = r.Says, r.Heuristic, o.Inputs, o.Unknown
			return found
		}
		maps.Copy(found.Inputs, o.Inputs)
		found.Unknown = append(found.Unknown, o.Unknown...)
	}
	slices.Sort(found.Unknown)
	found.Unknown = slices.Compact(found.Unknown)
	return found
}

// value fills in what the candidate is worth.
func (j *Judge) value(found *Finding, f *facts) {
	profit := f.view.Profit(f.s)
	if profit == nil {
		profit = f.view.LikelyProfit
	}
	if profit != nil {
		found.ProfitCents, found.ProfitKnown = *profit, true
	}
	expected := f.view.Expected(f.s)
	if expected == nil {
		return
	}
	found.ExpectedValueCents, found.ExpectedKnown = *expected, true
	switch {
	case *expected >= f.s.TierACents:
		found.Tier = pipeline.TierA
	case *expected >= f.s.TierBCents:
		found.Tier = pipeline.TierB
	}
}

// RuleOutcome is what one rule made of its inputs.
type RuleOutcome struct {
	Rule    Rule
	Inputs  map[string]any // nil is unknown
	Unknown []string
	Rejects bool
	Reason  string // why it rejects; "" when it does not
	Error   string // the expression could not be evaluated; the rule then does as for an unknown input
}

// run evaluates a rule. env is scratch space that already holds the constants.
func (r *Rule) run(look pipeline.Look, f *facts, env map[string]any) RuleOutcome {
	o := RuleOutcome{Rule: *r, Inputs: make(map[string]any, len(r.inputs))}
	for _, in := range r.inputs {
		v := in.value(f)
		o.Inputs[in.Name] = v
		if v == nil {
			o.Unknown = append(o.Unknown, in.Name)
		}
		env[in.Name] = v
	}
	o.Rejects, o.Reason, o.Error = r.eval(&vm.VM{}, look, len(o.Unknown) > 0, env)
	return o
}

// eval evaluates the rule over env, which holds its inputs unless one is unknown. An expression that cannot be
// evaluated is as good as an unknown input.
func (r *Rule) eval(machine *vm.VM, look pipeline.Look, unknown bool, env map[string]any) (rejects bool, reason, failed string) {
	if !unknown {
		result, err := machine.Run(r.program, env)
		if err == nil {
			if rejects, _ = result.(bool); rejects {
				reason = r.Reason
			}
			return rejects, reason, ""
		}
		failed = err.Error()
	}
	if r.Unknown == RejectIt || r.Unknown == NeedALook && look == pipeline.LookCommit {
		return true, r.Reason + unknownMark, failed
	}
	return false, "", failed
}

// Explain runs every rule that belongs to the look or an earlier one, those that are switched off included, and
// tells what each made of its inputs. p is nil at a glance.
func (j *Judge) Explain(look pipeline.Look, row keepa.DealRow, p *keepa.Product, now time.Time) ([]RuleOutcome, error) {
	f := &facts{view: j.file.Settings.OfRow(&row), s: j.file.Settings}
	if p != nil && look != pipeline.LookGlance {
		var err error
		if f, err = j.facts(look, &row, p, now); err != nil {
			return nil, err
		}
	}
	env := maps.Clone(j.constants)
	var outcomes []RuleOutcome
	for i := range j.file.Rules {
		if r := &j.file.Rules[i]; r.known(look) {
			outcomes = append(outcomes, r.run(look, f, env))
		}
	}
	return outcomes, nil
}

// Rule is the rule of that id; false where there is none.
func (j *Judge) Rule(id string) (Rule, bool) {
	for _, r := range j.file.Rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// Switched is this rule set with one rule on or off, to measure what the rule does. No verdict bears its version.
func (j *Judge) Switched(id string, on bool) *Judge {
	other := *j
	other.file.Rules = slices.Clone(j.file.Rules)
	for i := range other.file.Rules {
		if other.file.Rules[i].ID == id {
			other.file.Rules[i].Enabled = &on
		}
	}
	other.version = j.version + "+" + id
	return &other
}

// Threshold is a number of the rule file by its name; false where it has none.
func (j *Judge) Threshold(name string) (float64, bool) {
	switch n := j.constants[name].(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// SellersWanted are the sellers worth a token: the one that the deal would be bought from, where known.
func (j *Judge) SellersWanted(p keepa.Product, now time.Time) []string {
	c, ok := j.file.Settings.Buy(&p, now)
	if !ok || c.SellerID == "" {
		return nil
	}
	return []string{c.SellerID}
}

// Confirms says whether a peek leaves a stored deal as it was: used price, rank and Amazon's price moved by
// no more than the rule file tolerates, and what appeared or vanished is neither of the prices.
func (j *Judge) Confirms(stored *deal.Deal, row keepa.DealRow, p keepa.Product, now time.Time) bool {
	f, err := j.facts(pipeline.LookPeek, &row, &p, now)
	if err != nil || j.find(pipeline.LookPeek, f).Outcome != pipeline.Survive {
		return false
	}
	t := j.file.Confirm
	was := func(name string) *int64 {
		if n, ok := stored.MarketCents[name]; ok {
			return &n
		}
		return nil
	}
	return within(was(keepa.Used.String()), f.view.Used, t.PricePercent) &&
		within(was(keepa.Amazon.String()), f.view.Amazon, t.AmazonPercent) &&
		(stored.Rank == nil || f.view.Rank == nil || within(stored.Rank, f.view.Rank, t.RankPercent))
}

// within says whether two values differ by at most so many percent of the first; both may be absent.
func within(was, is *int64, percent float64) bool {
	if was == nil || is == nil {
		return was == is
	}
	diff := float64(max(*was-*is, *is-*was))
	return diff*100 <= percent*float64(*was)
}
