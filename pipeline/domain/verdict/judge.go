package verdict

import (
	"maps"
	"slices"
	"time"

	"github.com/expr-lang/expr/vm"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
)

// Reasons that no rule gives.
const (
	ReasonOK         = "ok"                 // no rule rejected
	ReasonUnreadable = "product_unreadable" // a history has an unexpected shape
	ReasonNoDeal     = "no_deal"            // the rules accept a product that cannot be bought, or was never sold
)

// Judge is a rule set, ready to decide. It is immutable and safe for concurrent use.
type Judge struct {
	file      file
	text      []byte
	version   string
	constants map[string]any
	needed    map[pipeline.Look][]Input // kept by verdicts
	mem       *deal.Scratch             // nil: every product is read into memory of its own
}

// Alone returns a judge for one goroutine that decides on many products: it reads all of them into the same memory.
func (j *Judge) Alone() *Judge {
	alone := *j
	alone.mem = new(deal.Scratch)
	return &alone
}

// NewJudge reads, checks and compiles a rule file. Its error names every mistake.
func NewJudge(rules []byte) (*Judge, error) {
	f, err := parse(rules)
	if err != nil {
		return nil, err
	}
	return Judge{file: f, text: slices.Clone(rules), version: fingerprint(f.Settings) + version(rules), constants: f.constants()}.prepared(), nil
}

// Version returns the name of the rule set on every verdict: a hash of its inputs' settings and one of the rule file.
func (j *Judge) Version() string { return j.version }

// Text returns the rule file. It is shared and must not be modified.
func (j *Judge) Text() []byte { return j.text }

// Name returns the name in the rule file.
func (j *Judge) Name() string { return j.file.Name }

// Settings returns the constants of the economics in force.
func (j *Judge) Settings() deal.Settings { return j.file.Settings }

// Rules returns the rules in the order in which they run, including those that are switched off.
func (j *Judge) Rules() []Rule { return slices.Clone(j.file.Rules) }

// Finding is the result of a look.
type Finding struct {
	Outcome   pipeline.Outcome
	Reason    string // a snake_case code; ReasonOK when no rule rejected
	RuleID    string // the rule that decided; "" when none did
	Says      string // the deciding rule's sentence
	Heuristic bool   // the deciding rule may be wrong

	// Inputs are what the deciding rule used; for a survivor or a deal what all rules used. nil is unknown.
	Inputs  map[string]any
	Unknown []string // inputs that a rule needed and that were unknown, sorted
	// Kept are the inputs of every rule of a paid look, so that other rules can decide on them; nil at a glance.
	Kept map[string]any

	ExpectedValueCents int64 // profit × chance of a sale; see ExpectedKnown
	ExpectedKnown      bool
	Tier               pipeline.Tier // by expected value; c where it is unknown

	ProfitCents int64 // estimated before the commit, of the copy at it; see ProfitKnown
	ProfitKnown bool

	Deal *deal.Deal // on accept and confirm

	Estimate *deal.Outcome // of a Walker's copy; nil elsewhere, and when there is no evidence for a price
}

// Glance judges a deal-list row, for no token.
func (j *Judge) Glance(row keepa.DealRow, now time.Time) Finding {
	return j.find(pipeline.LookGlance, &facts{view: j.file.Settings.OfRow(&row, now), s: j.file.Settings})
}

// Peek judges a product without offers.
func (j *Judge) Peek(row keepa.DealRow, p keepa.Product, now time.Time) Finding {
	f, err := j.peeked(&row, &p, now)
	if err != nil {
		return unreadable()
	}
	return j.find(pipeline.LookPeek, f)
}

// Commit judges a product with offers. Of the copies that the rules accept it buys the one
// with the highest expected profit; if there is none, the cheapest explains the reject.
// sellers may lack a copy's seller: the rules' inputs about it are then unknown.
func (j *Judge) Commit(row keepa.DealRow, p keepa.Product, sellers map[string]keepa.Seller, now time.Time) Finding {
	views, err := j.copies(&row, &p, sellers, now)
	if err != nil {
		return unreadable()
	}
	found, view := j.best(views)
	if found.Outcome == pipeline.Accept {
		j.deal(&found, j.file.Settings.Make(&row, &p, view, now))
	}
	return found
}

// deal puts the deal of an accepted copy into the finding.
func (j *Judge) deal(found *Finding, d *deal.Deal) {
	if found.Deal = d; d == nil {
		// An incomplete rule file. Not a reject: no rule decided.
		found.Outcome, found.Reason = pipeline.Fail, ReasonNoDeal
		found.Says = "No rule rejects it, but there is nothing to buy, or no evidence for a sale price."
		return
	}
	d.RuleSet = j.version
}

// best judges the views of all copies, the cheapest first.
func (j *Judge) best(views []deal.View) (Finding, deal.View) {
	var best Finding
	var of deal.View
	for i, v := range views {
		found := j.find(pipeline.LookCommit, &facts{view: v, s: j.file.Settings})
		better := found.Outcome == pipeline.Accept && (best.Outcome != pipeline.Accept || found.ProfitCents > best.ProfitCents)
		if i == 0 || better {
			best, of = found, v
		}
	}
	return best, of
}

// copies returns the views of the copies that can be bought, the cheapest first; one
// view without a copy if there are none. Nothing is bought from a scammer.
func (j *Judge) copies(row *keepa.DealRow, p *keepa.Product, sellers map[string]keepa.Seller, now time.Time) ([]deal.View, error) {
	s := j.file.Settings
	view, copies, err := s.OfOffersIn(j.memory(), s.OfRow(row, now), p, now)
	copies = slices.DeleteFunc(copies, func(c deal.Copy) bool { return sellers[c.SellerID].Scammer })
	if err != nil || len(copies) == 0 {
		return []deal.View{view}, err
	}
	view.Copies = len(copies)
	views := make([]deal.View, len(copies))
	for i, c := range copies {
		var seller *keepa.Seller
		if known, ok := sellers[c.SellerID]; ok {
			seller = &known
		}
		views[i] = view.With(s, c, seller)
	}
	return views, nil
}

func unreadable() Finding {
	return Finding{Outcome: pipeline.Fail, Reason: ReasonUnreadable, Says: "A history has an unexpected shape.", Tier: pipeline.TierC}
}

// memory returns the scratch buffer of this judge, or a new one.
func (j *Judge) memory() *deal.Scratch {
	if j.mem != nil {
		return j.mem
	}
	return new(deal.Scratch)
}

// peeked returns the facts of a peek.
func (j *Judge) peeked(row *keepa.DealRow, p *keepa.Product, now time.Time) (*facts, error) {
	s := j.file.Settings
	view, err := s.OfProductIn(j.memory(), s.OfRow(row, now), p, now)
	return &facts{view: view, s: s}, err
}

// Walker returns a function that judges copies which might have been on
// offer in a product's past, as the commit would have judged them then.
func (j *Judge) Walker(p keepa.Product) (func(at time.Time, c deal.Copy) Finding, error) {
	w, err := j.file.Settings.NewWalk(&p)
	if err != nil {
		return nil, err
	}
	return func(at time.Time, c deal.Copy) Finding {
		found, view := j.best([]deal.View{w.At(at, c)})
		found.Estimate = view.Outcome
		return found
	}, nil
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

// value sets the expected value and the tier.
func (j *Judge) value(found *Finding, f *facts) {
	if profit := f.view.ProfitCents(); profit != nil {
		found.ProfitCents, found.ProfitKnown = *profit, true
	}
	expected := f.view.ExpectedValueCents()
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

// RuleOutcome is the result of one rule.
type RuleOutcome struct {
	Rule    Rule
	Inputs  map[string]any // nil is unknown
	Unknown []string
	Rejects bool
	Reason  string // why it rejects; "" if it does not
	Error   string // the expression could not be evaluated; the rule then treats it as an unknown input
}

// run evaluates a rule. env is a scratch buffer that already holds the constants.
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

// eval evaluates the rule over env, which holds its inputs unless one is unknown.
// An expression that cannot be evaluated counts as an unknown input.
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

// Explain runs every rule of the look and of earlier ones, including those that are switched off, and
// returns their outcomes: at the commit for the copy that decides. p is nil at a glance.
func (j *Judge) Explain(look pipeline.Look, row keepa.DealRow, p *keepa.Product, sellers map[string]keepa.Seller, now time.Time) ([]RuleOutcome, error) {
	f, err := j.explained(look, &row, p, sellers, now)
	if err != nil {
		return nil, err
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

func (j *Judge) explained(look pipeline.Look, row *keepa.DealRow, p *keepa.Product, sellers map[string]keepa.Seller, now time.Time) (*facts, error) {
	s := j.file.Settings
	switch {
	case p == nil || look == pipeline.LookGlance:
		return &facts{view: s.OfRow(row, now), s: s}, nil
	case look == pipeline.LookPeek:
		return j.peeked(row, p, now)
	}
	views, err := j.copies(row, p, sellers, now)
	if err != nil {
		return nil, err
	}
	_, view := j.best(views)
	return &facts{view: view, s: s}, nil
}

// Rule returns the rule of that id; false without one.
func (j *Judge) Rule(id string) (Rule, bool) {
	for _, r := range j.file.Rules {
		if r.ID == id {
			return r, true
		}
	}
	return Rule{}, false
}

// Switched returns this rule set with one rule on or off, to measure
// the effect of the rule. No verdict carries its version.
func (j *Judge) Switched(id string, on bool) *Judge {
	other := *j
	other.file.Rules = slices.Clone(j.file.Rules)
	for i := range other.file.Rules {
		if other.file.Rules[i].ID == id {
			other.file.Rules[i].Enabled = &on
		}
	}
	other.version = j.version + "+" + id
	return other.prepared()
}

// Threshold returns a number of the rule file by its name; false without one.
func (j *Judge) Threshold(name string) (float64, bool) {
	switch n := j.constants[name].(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// SellerWanted returns the seller worth a token: that of the copy
// that the deal would buy, if it is unknown; "" without one.
func (j *Judge) SellerWanted(row keepa.DealRow, p keepa.Product, known map[string]keepa.Seller, asked []string, now time.Time) string {
	f := j.Commit(row, p, known, now)
	if f.Deal == nil || slices.Contains(asked, f.Deal.SellerID) {
		return ""
	}
	return f.Deal.SellerID
}

// Confirm judges a stored deal again from a peek: its own copy, at the price, in the condition and beside the
// next-best offer that the commit found, over today's histories. The outcome is confirm if every rule of the
// commit accepts it, and used price and Amazon's price have moved, and the rank has improved, by no more than the rule
// file tolerates; the finding then carries the deal with today's numbers. False if only another commit can decide. That
// includes a copy that was not the cheapest, because a peek shows the lowest price alone, and nothing of that copy.
func (j *Judge) Confirm(stored *deal.Deal, row keepa.DealRow, p keepa.Product, now time.Time) (Finding, bool) {
	f, err := j.held(stored, &row, &p, now)
	if err != nil || stored.Extraction != deal.Extraction || !j.unmoved(stored, f.view) {
		return Finding{}, false
	}
	found := j.find(pipeline.LookCommit, f)
	if found.Outcome != pipeline.Accept {
		return Finding{}, false
	}
	found.Outcome = pipeline.Confirm
	j.deal(&found, j.file.Settings.Renew(*stored, &p, f.view, now))
	return found, found.Deal != nil
}

// Held judges the copy of a stored deal again on the peek that last confirmed it. If
// accepted, the finding carries the deal with the numbers of these settings.
func (j *Judge) Held(stored *deal.Deal, row keepa.DealRow, p keepa.Product, now time.Time) Finding {
	f, err := j.held(stored, &row, &p, now)
	if err != nil {
		return unreadable()
	}
	found := j.find(pipeline.LookCommit, f)
	if found.Outcome == pipeline.Accept {
		j.deal(&found, j.file.Settings.Renew(*stored, &p, f.view, now))
	}
	return found
}

// held returns the facts of a stored deal's own copy on a later peek.
func (j *Judge) held(stored *deal.Deal, row *keepa.DealRow, p *keepa.Product, now time.Time) (*facts, error) {
	s := j.file.Settings
	view, err := s.OfStoredIn(j.memory(), s.OfRow(row, now), p, stored, now)
	return &facts{view: view, s: s}, err
}

// unmoved reports whether the prices behind the deal are still there, and no jump of the rank shows a sale. A rank that
// got worse shows none: it drifts up between two sales, and the new estimate takes it into account.
func (j *Judge) unmoved(stored *deal.Deal, v deal.View) bool {
	t := j.file.Confirm
	was := func(t keepa.PriceType) *int64 {
		if n, ok := stored.MarketCents[t.String()]; ok {
			return &n
		}
		return nil
	}
	lowest := was(keepa.Used)
	return lowest != nil && *lowest == stored.UsedCents() && within(lowest, v.Used, t.PricePercent) && within(was(keepa.Amazon), v.Amazon, t.AmazonPercent) &&
		!improved(stored.Rank, v.Rank, t.RankPercent)
}

// improved reports whether a rank is lower than it was by more than that many percent; false where one is unknown.
func improved(was, is *int64, percent float64) bool {
	return was != nil && is != nil && float64(*was-*is)*100 > percent*float64(*was)
}

// within reports whether two values differ by at most that many percent of the first; both may be absent.
func within(was, is *int64, percent float64) bool {
	if was == nil || is == nil {
		return was == is
	}
	diff := float64(max(*was-*is, *is-*was))
	return diff*100 <= percent*float64(*was)
}
