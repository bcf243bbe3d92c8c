package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/text/foreign"
)

// Explanation is the result of rules on everything that is stored about one ASIN. It costs no token: a look without a
// stored answer is not explained.
type Explanation struct {
	Domain  int             `json:"domain"`
	ASIN    string          `json:"asin"`
	Title   foreign.Text    `json:"title"`
	RuleSet string          `json:"rule_set"` // the version of the rules used
	Rules   string          `json:"rules"`    // and their name
	WorkID  string          `json:"work_id"`
	Listed  time.Time       `json:"listed_at"`
	Looks   []ExplainedLook `json:"looks"`
}

// ExplainedLook is one look and the result of every rule.
type ExplainedLook struct {
	Look     pipeline.Look    `json:"look"`
	At       time.Time        `json:"at,omitzero"`      // the instant of the decision: that of the live verdict, if any
	Answer   string           `json:"answer,omitempty"` // the stored answer
	Answered time.Time        `json:"answered_at,omitzero"`
	Earlier  bool             `json:"earlier,omitempty"` // it is about an earlier price; current values are the row's
	Missing  string           `json:"missing,omitempty"` // why the look cannot be explained
	Outcome  pipeline.Outcome `json:"outcome,omitempty"`
	Reason   string           `json:"reason,omitempty"`
	Live     *LiveVerdict     `json:"live,omitempty"` // the earlier decision of the pipeline
	Profit   *int64           `json:"profit_cents"`
	Expected *int64           `json:"expected_value_cents"`
	Tier     pipeline.Tier    `json:"tier,omitempty"`
	Rules    []ExplainedRule  `json:"rules"`
	Deal     *deal.Deal       `json:"deal,omitempty"` // the deal that the commit accepts, and its evidence
	Product  *keepa.Product   `json:"-"`              // the stored answer; nil at a glance, and if Missing gives a reason
}

// LiveVerdict is the decision of the pipeline at the look.
type LiveVerdict struct {
	Outcome pipeline.Outcome `json:"outcome"`
	Reason  string           `json:"reason"`
	RuleSet string           `json:"rule_set"`
	answers []string
	at      time.Time
}

// ExplainedRule is one rule at one look.
type ExplainedRule struct {
	ID         string             `json:"id"`
	Look       pipeline.Look      `json:"look"` // the first look that runs it
	When       string             `json:"when"`
	Reason     string             `json:"reason"`
	Says       string             `json:"says"`
	Heuristic  bool               `json:"heuristic"`
	Enabled    bool               `json:"enabled"`
	Outcome    RuleResult         `json:"outcome"`
	Decides    bool               `json:"decides"` // it is the rule that rejected
	Inputs     map[string]any     `json:"inputs"`  // null if unknown
	Thresholds map[string]float64 `json:"thresholds"`
	Unknown    []string           `json:"unknown,omitempty"`
	Error      string             `json:"error,omitempty"`
}

// RuleResult is the result of a rule.
type RuleResult string

// The results of a rule.
const (
	Passes       RuleResult = "passes"
	Rejects      RuleResult = "rejects"
	Needs        RuleResult = "needs a later look" // an input is unknown, and the rule waits for it
	PassesBlind  RuleResult = "passes, unknown"    // an input is unknown, and the rule passes it
	RejectsBlind RuleResult = "rejects, unknown"   // an input is unknown, and the rule rejects it
)

// Explain explains the newest candidate of an ASIN in the marketplace that is meant by it.
func Explain(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) (Explanation, error) {
	e := Explanation{ASIN: asin, RuleSet: j.Version(), Rules: j.Name()}
	domain, _, err := marketOf(ctx, b, asin)
	if err != nil {
		return e, err
	}
	var newest pipeline.Candidate
	err = bus.ScanJSON(ctx, b, pipeline.StreamCandidates, bus.From{Subjects: []string{pipeline.SubjectCandidate(domain, "*", asin)}},
		func(r bus.Read, c pipeline.Candidate) error {
			e.WorkID, newest = r.Header.Get(pipeline.HeaderWorkID), c
			return nil
		})
	if err != nil {
		return e, err
	}
	if e.WorkID == "" {
		return e, fmt.Errorf("no candidate of it is stored: it was never listed, or was listed more than 30 days ago; `ratchet why %s` shows what is left", asin)
	}
	row, err := keepa.DecodeDealRow(newest.Row)
	if err != nil {
		return e, fmt.Errorf("decode its row: %w", err)
	}
	e.Title, e.Listed, e.Domain = row.Title, newest.ListSeenAt, newest.Domain
	live, err := decided(ctx, b, domain, asin, e.WorkID)
	if err != nil {
		return e, err
	}
	for _, look := range []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
		l := ExplainedLook{Look: look, Live: live[look], At: newest.ListSeenAt}
		var product *keepa.Product
		if look != pipeline.LookGlance {
			if product, err = l.product(ctx, b, newest.Domain, asin, decide.Work{ID: e.WorkID, Row: row, Survivor: pipeline.Survivor{Candidate: newest}}); err != nil {
				return e, err
			}
		}
		if l.Product = product; l.Live != nil {
			l.At = l.Live.at
		}
		sellers, err := l.sellers(ctx, b)
		if err != nil {
			return e, err
		}
		if err := l.explain(j, row, product, sellers); err != nil {
			return e, fmt.Errorf("%s: %w", look, err)
		}
		e.Looks = append(e.Looks, l)
	}
	return e, nil
}

// decided returns the live verdicts about a unit of work, by look.
func decided(ctx context.Context, b *bus.Bus, domain int, asin, workID string) (map[pipeline.Look]*LiveVerdict, error) {
	out := map[pipeline.Look]*LiveVerdict{}
	err := messages.ScanVerdicts(ctx, b, bus.From{Subjects: []string{pipeline.SubjectVerdict(domain, "*", "*", asin)}},
		func(_ bus.Read, v visibility.Verdict) error {
			if v.Run == pipeline.RunLive && v.WorkID == workID {
				out[v.Look] = &LiveVerdict{Outcome: v.Outcome, Reason: v.Reason, RuleSet: v.RuleSet, answers: v.ResponseIDs, at: v.DecidedAt}
			}
			return nil
		})
	return out, err
}

// product returns the stored product of a look: that of the live verdict, else the newest. If none is stored, it sets
// Missing.
func (l *ExplainedLook) product(ctx context.Context, b *bus.Bus, domain int, asin string, w decide.Work) (*keepa.Product, error) {
	kind := pipeline.KindPeek
	if l.Look == pipeline.LookCommit {
		kind = pipeline.KindCommit
	}
	answer, err := l.decidedOn(ctx, b, kind)
	if err != nil {
		return nil, err
	}
	if answer == nil {
		found, err := responses.Find(ctx, b, domain, kind, []string{asin})
		if err != nil {
			return nil, err
		}
		if a, ok := found[asin]; ok {
			answer = &a
		}
	}
	if answer == nil {
		l.Missing = "no answer is stored"
		return nil, nil //nolint:nilnil // Missing has the reason
	}
	l.Answer, l.Answered, l.At = answer.ID, answer.AnsweredAt, answer.AnsweredAt
	product, err := keepa.DecodeProduct(answer.Body)
	if err != nil {
		l.Missing = "the stored answer is unreadable: " + err.Error()
		return nil, nil //nolint:nilnil // Missing has the reason
	}
	if l.Look == pipeline.LookPeek && w.Earlier(answer.AnsweredAt, answer.WorkID) {
		product, l.Earlier = product.Repriced(&w.Row), true
	}
	return &product, nil
}

// decidedOn returns the answer of the kind that the live verdict used; nil if absent.
func (l *ExplainedLook) decidedOn(ctx context.Context, b *bus.Bus, kind pipeline.Kind) (*responses.Answer, error) {
	if l.Live == nil {
		return nil, nil //nolint:nilnil // nothing was decided yet
	}
	for _, id := range slices.Backward(l.Live.answers) {
		a, err := responses.Load(ctx, b, id)
		if err != nil || a != nil && a.Kind == kind {
			return a, err
		}
	}
	return nil, nil //nolint:nilnil // the stream has deleted it
}

// sellers returns those that the live verdict used.
func (l *ExplainedLook) sellers(ctx context.Context, b *bus.Bus) (map[string]keepa.Seller, error) {
	if l.Live == nil || l.Look != pipeline.LookCommit {
		return nil, nil
	}
	sellers := map[string]keepa.Seller{}
	for _, id := range l.Live.answers {
		a, err := responses.Load(ctx, b, id)
		if err != nil {
			return nil, err
		}
		if a == nil || a.Kind != pipeline.KindSeller || decide.NoSeller(a.Body) {
			continue
		}
		if seller, err := keepa.DecodeSeller(a.Body); err == nil {
			sellers[a.Key] = seller
		}
	}
	return sellers, nil
}

// explain fills in the finding and the result of every rule.
func (l *ExplainedLook) explain(j *verdict.Judge, row keepa.DealRow, p *keepa.Product, sellers map[string]keepa.Seller) error {
	at := decide.Instant(l.At)
	var f verdict.Finding
	switch {
	case l.Look == pipeline.LookGlance:
		f = j.Glance(row, at)
	case p == nil:
		l.At = time.Time{}
		l.unexplained(j)
		return nil
	case l.Look == pipeline.LookPeek:
		f = j.Peek(row, *p, at)
	default:
		f = j.Commit(row, *p, sellers, at)
	}
	l.Outcome, l.Reason, l.Tier, l.Deal = f.Outcome, f.Reason, f.Tier, f.Deal
	if f.ProfitKnown {
		l.Profit = &f.ProfitCents
	}
	if f.ExpectedKnown {
		l.Expected = &f.ExpectedValueCents
	}
	outcomes, err := j.Explain(l.Look, row, p, sellers, at)
	for _, o := range outcomes {
		l.Rules = append(l.Rules, explained(j, o, l.Look, f.RuleID))
	}
	return err
}

// unexplained lists the rules that only this look could have run.
func (l *ExplainedLook) unexplained(j *verdict.Judge) {
	for _, r := range j.Rules() {
		if r.Look == l.Look {
			l.Rules = append(l.Rules, ruleOf(j, r))
		}
	}
}

func ruleOf(j *verdict.Judge, r verdict.Rule) ExplainedRule {
	out := ExplainedRule{
		ID: r.ID, Look: r.Look, When: r.When, Reason: r.Reason, Says: r.Says, Heuristic: r.Heuristic, Enabled: r.On(),
		Inputs: map[string]any{}, Thresholds: map[string]float64{},
	}
	for _, name := range r.Thresholds() {
		out.Thresholds[name], _ = j.Threshold(name)
	}
	return out
}

func explained(j *verdict.Judge, o verdict.RuleOutcome, look pipeline.Look, decides string) ExplainedRule {
	r := ruleOf(j, o.Rule)
	r.Inputs, r.Unknown, r.Error, r.Decides = o.Inputs, o.Unknown, o.Error, o.Rule.ID == decides
	blind := len(o.Unknown) > 0 || o.Error != ""
	switch {
	case blind && o.Rejects:
		r.Outcome = RejectsBlind
	case blind && o.Rule.Unknown == verdict.NeedALook && look != pipeline.LookCommit:
		r.Outcome = Needs
	case blind:
		r.Outcome = PassesBlind
	case o.Rejects:
		r.Outcome = Rejects
	default:
		r.Outcome = Passes
	}
	return r
}
