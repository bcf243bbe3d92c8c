package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
)

const (
	// whatIfSpan is how far back decisions are decided again, pipeline time; whatIfMost how many, the newest.
	whatIfSpan = 21 * 24 * time.Hour
	whatIfMost = 20_000
	// whatIfKept is how long they are held in memory after they were last asked for, machine time.
	whatIfKept = 5 * time.Minute
	// whatIfFresh is how old they may be, machine time.
	whatIfFresh = 5 * time.Second
)

// whatIf holds the inputs of the last decisions while pages ask for them.
type whatIf struct {
	mu   sync.Mutex
	kept *replay.Kept // nil while no page asks
	read time.Time    // machine time
	drop *time.Timer

	last map[pipeline.Plan]appliedHere
}

// appliedHere is the progress of the rules of a plan that were applied last from this page.
type appliedHere struct {
	Version int
	Says    string
	Ended   bool
}

// rules returns the rules by which a plan's daemons decide.
func (s *Server) rules(ctx context.Context, b *bus.Bus) (current cli.RuleFile, err error) {
	own, err := s.ownRules(ctx, b.Plan())
	if err == nil {
		current, err = cli.CurrentRules(ctx, b, own)
	}
	if err != nil {
		return current, fmt.Errorf("the current rules cannot be read here: %w", err)
	}
	return current, nil
}

// ownRules returns the rules with which the daemons here were started: RULES, which is the first plan's, or the
// built-in ones.
func (s *Server) ownRules(ctx context.Context, p pipeline.Plan) (cli.RuleFile, error) {
	file, from := s.o.Rules, "RULES"
	if p != "" || file == "" {
		file, from = "", "built in"
	}
	text, judge, err := worker.ReadRules(ctx, file)
	return cli.RuleFile{Text: text, Judge: judge, From: from}, err
}

// knob is a threshold that can be moved. Values are as people write them: dollars for cents, percent for a chance.
type knob struct {
	Name, Says, Unit string
	Value            string
	Was              string // the current value
	Most, Step       string // of the slider
	Rules            string
	scale            float64 // of the file's unit
	whole            bool    // an amount of the currency's smallest unit
}

// knobPrefix begins the parameters of thresholds.
const knobPrefix = "t-"

// knobSays has the names of the built-in rules' thresholds for people; another one is shown as it is written.
var knobSays = map[string]string{
	"min_profit_cents": "Min. profit", "max_loss_chance": "Max. odds of a loss", "min_roi_percent": "Min. return on the cost",
	"min_n_eff": "Min. evidence, sales weighted by age", "min_sales": "Min. inferred sales", "min_sales_in_year": "Min. sales in a year",
	"min_rank_drops": "Min. rank drops in a year", "min_seller_rating": "Min. rating of the seller, percent", "max_offers_age_hours": "Max. age of the offers, hours",
	"max_months_to_sell": "Max. months to sell", "min_reference_cents": "Min. average price",
}

func knobOf(t verdict.Threshold, c keepa.Currency) knob {
	k := knob{Name: t.Name, Says: cmp.Or(knobSays[t.Name], strings.ReplaceAll(t.Name, "_", " ")), Rules: strings.Join(t.Rules, ", "), scale: 1}
	most, step := max(4*t.Value, 10), 1.0
	switch {
	case strings.HasSuffix(t.Name, "_cents"):
		k.scale, k.Unit, k.whole = math.Pow10(c.Decimals), c.Symbol, true
		k.Says = strings.TrimSuffix(k.Says, " cents")
		most, step = max(4*t.Value/k.scale, 30), max(0.5, 1/k.scale)
	case strings.HasSuffix(t.Name, "_chance"):
		k.scale, k.Unit, most = 0.01, "%", 100
	case strings.HasSuffix(t.Name, "_percent"):
		k.Unit, most = "%", max(2*t.Value, 100)
		k.Says = strings.TrimSuffix(k.Says, " percent")
	case t.Value != math.Trunc(t.Value):
		step = 0.1
	}
	k.Was = k.text(t.Value)
	k.Value, k.Most, k.Step = k.Was, number(math.Ceil(most)), number(step)
	return k
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// text returns a value of the file as people write it.
func (k knob) text(v float64) string { return number(math.Round(v/k.scale*1e6) / 1e6) }

// take reads a requested value, in the file's unit.
func (k *knob) take(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > 1e12 {
		return 0, fmt.Errorf("%s: want a number like %s, got %q", k.Says, k.Was, text)
	}
	k.Value = number(v)
	v *= k.scale
	if k.whole {
		return math.Round(v), nil
	}
	return math.Round(v*1e6) / 1e6, nil
}

// whatIfModel is what other thresholds would have changed.
type whatIfModel struct {
	Plan    string       // that the rules belong to; empty with a single key
	Plans   []planChoice // all of them; none with a single key
	Knobs   []knob
	Wrong   string
	From    string // the current rules
	RuleSet string
	Changed []knob
	Span    string
	Answer  *whatIfAnswer
	Last    appliedHere
}

// planChoice is a plan that can be asked about.
type planChoice struct {
	Name, Serves string
	Chosen       bool
}

type whatIfAnswer struct {
	replay.Compared
	BeforeProfit, AfterProfit     string
	BeforeExpected, AfterExpected string
	Deals, Profit, Expected       string // the differences
	MoreOf, FewerOf, OnwardOf     groupShown
	Glance                        bool // what was changed is also compared with by the glance, which keeps no inputs
	LeftOut                       int
	Took                          string
}

type groupShown struct {
	Profit   string
	Reasons  string
	Examples []example
}

func whatIfView() view {
	return view{
		name: whatIfName, title: func(asked) string { return "What if" },
		fragment: func(ctx context.Context, s *Server, a asked) (any, error) { return s.whatIf(ctx, a.query) },
	}
}

// changedRules returns the current rules with the requested thresholds.
func (s *Server) changedRules(ctx context.Context, b *bus.Bus, q url.Values) (m whatIfModel, t cli.RuleFile, body []byte, after *verdict.Judge, err error) {
	if t, err = s.rules(ctx, b); err != nil {
		return m, t, nil, nil, err
	}
	m.From, m.RuleSet = t.From, t.Judge.Version()
	to := map[string]float64{}
	currency := t.Judge.Settings().Domain().Currency()
	for _, threshold := range t.Judge.Thresholds() {
		k := knobOf(threshold, currency)
		if text := q.Get(knobPrefix + k.Name); text != "" && text != k.Was {
			v, wrong := k.take(text)
			if wrong != nil {
				err = wrong
			} else if v != threshold.Value {
				to[k.Name] = v
				m.Changed = append(m.Changed, k)
			}
		}
		m.Knobs = append(m.Knobs, k)
	}
	if err == nil {
		body, after, err = verdict.WithThresholds(t.Text, to)
	}
	return m, t, body, after, err
}

// whatIf compares the current rules with other thresholds, over the inputs that the last weeks kept.
func (s *Server) whatIf(ctx context.Context, q url.Values) (whatIfModel, error) {
	b, plans, err := s.planOf(ctx, q)
	if err != nil {
		return whatIfModel{}, err
	}
	m, t, _, after, err := s.changedRules(ctx, b, q)
	m.choose(b.Plan(), plans)
	m.Span = "the last 3 weeks"
	if err != nil {
		m.Wrong = err.Error()
		return m, nil
	}
	w := &s.what
	w.mu.Lock()
	defer w.mu.Unlock()
	m.Last = w.last[b.Plan()]
	if err := w.load(ctx, s); err != nil {
		return m, err
	}
	began := process.MachineNow()
	a := &whatIfAnswer{Compared: w.kept.Compare(t.Judge, after), LeftOut: w.kept.LeftOut}
	a.Took = process.MachineSince(began).Round(time.Millisecond).String()
	a.format(t.Judge.Settings().Domain())
	for _, threshold := range t.Judge.Thresholds() {
		a.Glance = a.Glance || slices.Contains(threshold.Looks, pipeline.LookGlance) && slices.ContainsFunc(m.Changed, func(k knob) bool { return k.Name == threshold.Name })
	}
	m.Answer = a
	return m, nil
}

// planParameter names the plan of a question; absent: the first one.
const planParameter = "plan"

// planOf returns the connection for the requested plan, and all plans.
func (s *Server) planOf(ctx context.Context, q url.Values) (*bus.Bus, plan.Map, error) {
	plans, err := s.b.Plans(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := pipeline.PlanOf(cmp.Or(q.Get(planParameter), pipeline.MainPlan))
	switch {
	case err == nil && !plans.Has(p):
		err = fmt.Errorf("there is no plan %s; the plans are %v", p, plans.All())
		fallthrough
	case err != nil:
		return nil, nil, notFound{err}
	case p == s.b.Plan():
		return s.b, plans, nil
	}
	b, err := s.b.As(ctx, p)
	return b, plans, err
}

// choose sets the requested plan, and all of them.
func (m *whatIfModel) choose(p pipeline.Plan, plans plan.Map) {
	if len(plans) == 0 {
		return
	}
	m.Plan = p.String()
	for _, one := range plans.All() {
		m.Plans = append(m.Plans, planChoice{Name: one.String(), Serves: plans.Describe(one), Chosen: one == p})
	}
}

// load reads the inputs, or what was decided since they were read. They are dropped when no page asks any more.
func (w *whatIf) load(ctx context.Context, s *Server) error {
	if w.kept == nil {
		w.kept = &replay.Kept{Most: whatIfMost}
	}
	if w.read.IsZero() || process.MachineSince(w.read) > whatIfFresh {
		if err := w.kept.Read(ctx, s.b, s.env.Now(), whatIfSpan); err != nil {
			return err
		}
		w.read = process.MachineNow()
	}
	if w.drop == nil {
		w.drop = time.AfterFunc(whatIfKept, w.forget)
	}
	w.drop.Reset(whatIfKept)
	return nil
}

func (w *whatIf) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept, w.read = nil, time.Time{}
}

// format sets the amounts as they are shown.
func (a *whatIfAnswer) format(d keepa.Domain) {
	money := func(n int64) string { return d.Money(&n) }
	a.BeforeProfit, a.AfterProfit, a.BeforeExpected, a.AfterExpected = money(a.Before.Profit), money(a.After.Profit), money(a.Before.Expected), money(a.After.Expected)
	a.Deals = signed(int64(a.After.Deals-a.Before.Deals), func(n int64) string { return strconv.FormatInt(n, 10) })
	a.Profit, a.Expected = signed(a.After.Profit-a.Before.Profit, money), signed(a.After.Expected-a.Before.Expected, money)
	if a.Before.Known+a.After.Known == 0 {
		a.Expected, a.BeforeExpected, a.AfterExpected = "–", "–", "–"
	}
	of := func(g replay.Group) groupShown {
		return groupShown{Profit: money(g.Profit), Reasons: cli.Because(g.Reasons), Examples: examplesOf(g.Examples)}
	}
	a.MoreOf, a.FewerOf, a.OnwardOf = of(a.More), of(a.Fewer), of(a.Onward)
}

func signed(n int64, say func(int64) string) string {
	switch {
	case n > 0:
		return "+" + say(n)
	case n < 0:
		return "−" + say(-n)
	}
	return "±0"
}

// apply puts the thresholds of the form live, as `ratchet rules apply` does. Stored deals, and what was rejected in the
// last week, are decided again in the background.
func (s *Server) apply(r *http.Request, f url.Values) (*notice, error) {
	b, plans, err := s.planOf(r.Context(), f)
	if err != nil {
		return nil, err
	}
	m, t, body, after, err := s.changedRules(r.Context(), b, f)
	m.choose(b.Plan(), plans)
	switch {
	case err != nil:
		return nil, err
	case f.Get("apply") != t.Judge.Version():
		return nil, errors.New("other rules were applied since this page was loaded: load it again")
	case len(m.Changed) == 0:
		return nil, errors.New("no threshold differs from the current rules")
	}
	went, err := cli.ApplyNextRules(r.Context(), b, func(all []pipeline.AppliedRules) (pipeline.AppliedRules, error) {
		if n := len(all); n > 0 && all[n-1].Version != t.Version && all[n-1].Rules != "" {
			return pipeline.AppliedRules{}, errors.New("other rules were applied meanwhile: load the page again")
		}
		return pipeline.AppliedRules{RuleSet: after.Version(), Rules: string(body), File: "the page"}, nil
	})
	if err != nil {
		return nil, err
	}
	v := went.Is
	cli.AwaitRules(r.Context(), b, v.Version)
	s.what.note(b.Plan(), appliedHere{Version: v.Version, Says: "Stored deals, and what was rejected in the last week, are being decided again."})
	s.wait.Go(func() { s.decideAgain(s.running, b, v, after) })
	s.machine.hint.Give()
	return applied(v.Version, m.Plan), nil
}

// applied returns the notice that rules went live, with their plan; without it with a single key.
func applied(version int, plan string) *notice {
	rules, did, flag := "the rules", "", ""
	if plan != "" {
		rules, did, flag = "the rules of plan "+plan, ","+plan, " --plan "+plan
	}
	return &notice{
		Says: fmt.Sprintf("Version %d of %s is live; stored deals are being decided again by it. `ratchet rules revert%s` takes it back.", version, rules, flag),
		did:  fmt.Sprintf("applied=%d%s", version, did),
	}
}

func (w *whatIf) note(p pipeline.Plan, a appliedHere) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[pipeline.Plan]appliedHere{}
	}
	w.last[p] = a
}

// decideAgain decides again by rules that went live.
func (s *Server) decideAgain(ctx context.Context, b *bus.Bus, v pipeline.AppliedRules, judge *verdict.Judge) {
	var said strings.Builder
	deals, err := replay.Deals(ctx, b, judge, v.Version, func(replay.Step) {})
	if err == nil {
		err = cli.WriteRedecided(&said, deals)
	}
	var rejects replay.Reconsidered
	if err == nil {
		if rejects, err = cli.Reconsider(ctx, b, v, []byte(v.Rules), func(replay.Step) {}); err == nil {
			err = cli.WriteReconsidered(&said, rejects)
		}
	}
	if err != nil {
		s.env.Log.Warn("the rules are live, but not everything was decided again", "version", v.Version, "err", err)
		fmt.Fprintf(&said, "Not everything was decided again: %v; `ratchet rules apply` with the same rules continues.", err)
	}
	s.what.note(b.Plan(), appliedHere{Version: v.Version, Says: said.String(), Ended: true})
}
