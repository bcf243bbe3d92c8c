package page

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/cli"
)

func dealView() view {
	return view{
		name: dealName, title: func(a asked) string { return a.asin },
		topics:   func(a asked) []string { return []string{aboutASIN(a.asin)} },
		fresh:    10 * time.Minute, // it reads the streams, and its ages are of hours
		fragment: func(ctx context.Context, s *Server, a asked) (any, error) { return s.one(ctx, a) },
	}
}

// one is everything about an ASIN.
type one struct {
	ASIN, Title string
	Cover       cover
	Simulated   bool
	Links       []cli.Link
	Rows        []row // the visible deals of it: as a rule one or none
	Stands      []string
	Sum         []cli.SumLine
	SumOf       string   // when it was decided
	Picture     *picture // nil: NotDrawn has the reason
	NotDrawn    string
	Obstacles   []cli.Obstacle
	Rules       string
	Looks       []look
	NotWhy      string // why the looks are not explained
	Verdicts    []verdictRow
	Tokens      int
	Answers     []cli.StoryAnswer
	Versions    []versionRow
	Offers      []cli.Offered
	OffersOf    string

	domain int // the marketplace of the newest verdict
}

// look is a look and the result of every rule at it.
type look struct {
	Name, Headline string
	Outcome        string
	Rules, Others  []ruleRow // those that reject or decide, and the others
}

type ruleRow struct {
	ID, Says, When, Numbers, Outcome string
	Decides                          bool
}

type verdictRow struct {
	At, Look, Outcome, Reason, Profit, Rule, RuleSet, Run, Says, Inputs string
	Tokens                                                              int
}

type versionRow struct {
	Sequence                                                   uint64
	At, Buy, Condition, Sell, Profit, Loss, Seller, Rules, Run string
}

// one reads what the streams hold of an ASIN.
func (s *Server) one(ctx context.Context, a asked) (one, error) {
	name, err := deal.Named(a.asin)
	if err != nil {
		return one{}, notFound{err}
	}
	o := one{ASIN: name.ASIN, Title: name.ASIN}
	story, err := cli.Why(ctx, s.b, o.ASIN)
	if err != nil {
		return o, err
	}
	if len(story.Verdicts) == 0 && len(story.Answers) == 0 {
		return o, notFound{fmt.Errorf("%s was never listed, or its messages have left the streams", o.ASIN)}
	}
	if err := s.explain(ctx, &o, &story, a); err != nil {
		return o, err
	}
	o.addStory(story)
	versions, err := cli.Versions(ctx, s.b, o.ASIN)
	if err != nil {
		return o, err
	}
	states, deals, err := cli.DealStates(ctx, s.b, o.ASIN)
	if err != nil {
		return o, err
	}
	o.stand(s, states, deals, versions)
	o.Cover = coverOf(o.ASIN, o.Title)
	return o, nil
}

// explain adds what the current rules decide about it, or why they cannot be applied.
func (s *Server) explain(ctx context.Context, o *one, story *cli.Story, a asked) error {
	var current cli.RuleFile
	on, err := cli.Serving(ctx, s.b, o.ASIN)
	if err == nil {
		current, err = s.rules(ctx, on)
	}
	if err != nil {
		o.NotWhy = err.Error()
		return nil
	}
	judge := current.Judge
	story.AddSentences(judge)
	o.draw(ctx, s, judge.Settings(), a)
	e, err := cli.Explain(ctx, s.b, judge, o.ASIN)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	o.Rules = e.Rules + ", version " + e.RuleSet
	if err != nil {
		o.NotWhy = err.Error()
		return nil
	}
	if !e.Title.IsZero() {
		o.Title = e.Title.Short(200).String()
	}
	o.Obstacles = e.Obstacles()
	for _, l := range e.Looks {
		o.Looks = append(o.Looks, lookOf(l, e.Domain))
		o.offers(l)
	}
	return nil
}

// offers returns those of the newest answer that has any.
func (o *one) offers(l cli.ExplainedLook) {
	o.Simulated = o.Simulated || l.Product != nil && l.Product.Simulated
	if offers, ok := cli.Offers(l.Product); ok {
		o.Offers, o.OffersOf = offers, l.Answered.Format("2006-01-02 15:04")
	}
}

func lookOf(l cli.ExplainedLook, domain int) look {
	out := look{Name: string(l.Look), Headline: l.Headline(domain), Outcome: string(l.Outcome)}
	for _, r := range l.Rules {
		row := ruleRow{ID: r.ID, Says: r.Says, When: r.When, Numbers: r.Numbers(), Outcome: string(r.Outcome), Decides: r.Decides}
		switch {
		case r.Outcome == "":
			row.Outcome = "not run"
		case !r.Enabled:
			row.Outcome = "off; " + row.Outcome
		}
		if r.Decides || r.Enabled && (r.Outcome == cli.Rejects || r.Outcome == cli.RejectsBlind) {
			out.Rules = append(out.Rules, row)
			continue
		}
		out.Others = append(out.Others, row)
	}
	return out
}

// addStory adds the story: verdicts, answers, and the newest deal as a sum.
func (o *one) addStory(story cli.Story) {
	for _, v := range slices.Backward(story.Verdicts) {
		d := v.Verdict
		if o.Tokens += d.Tokens; o.domain == 0 {
			o.domain = d.Domain
		}
		o.Verdicts = append(o.Verdicts, verdictRow{
			At: d.DecidedAt.Format("2006-01-02 15:04:05"), Look: string(d.Look), Outcome: string(d.Outcome), Reason: d.Reason, Tokens: d.Tokens,
			Profit: cli.ProfitOf(d.Look, d.Domain, d.ProfitCents), Rule: d.RuleID, RuleSet: d.RuleSet, Run: v.Run, Says: v.Says, Inputs: v.Inputs(),
		})
	}
	for _, a := range story.Answers {
		if at, err := time.Parse(time.RFC3339, a.AnsweredAt); err == nil {
			a.AnsweredAt = at.UTC().Format(time.DateTime)
		}
		o.Answers = append(o.Answers, a)
	}
	if d := story.Deal(); d != nil {
		o.Sum, o.SumOf = cli.Sum(*d), d.DecidedAt.Format("2006-01-02 15:04:05")
		o.Simulated = o.Simulated || d.Simulated
	}
}

// stand adds the states of its deals, and their versions.
func (o *one) stand(s *Server, states []visibility.State, deals []cli.Deal, versions []cli.Version) {
	now := s.env.Now()
	for _, d := range deals {
		o.Rows = append(o.Rows, rowOf(d, now, nil))
	}
	for _, st := range states {
		says := "visible"
		switch {
		case st.HiddenBecause != "":
			says = "hidden: " + strings.ReplaceAll(st.HiddenBecause, "_", " ")
		case st.StaleBecause != "":
			says = "visible, stale: " + strings.ReplaceAll(st.StaleBecause, "_", " ")
		}
		o.Stands = append(o.Stands, fmt.Sprintf("The deal at amazon.%s is %s.", keepa.Domain(st.Domain).Suffix(), says))
	}
	for _, v := range versions {
		of := func(name string) string { return cli.Columns(name)[0].Of(v.Deal, now) }
		o.Versions = append(o.Versions, versionRow{
			Sequence: v.Sequence, At: v.Deal.DecidedAt.Format("2006-01-02 15:04:05"), Buy: of("buy"), Condition: of("condition"), Sell: of("sell"),
			Profit: of("profit"), Loss: of("loss"), Seller: of("seller"), Rules: v.Deal.RuleSet, Run: v.Run,
		})
		if o.Links == nil && v.Run == pipeline.RunLive {
			o.Links, o.Simulated = linksOf(v.Deal), o.Simulated || v.Deal.Simulated
			if title := v.Deal.Title; !title.IsZero() {
				o.Title = title.Short(200).String()
			}
		}
	}
	if len(versions) == 0 && !o.Simulated && !s.simulated() {
		o.Links = linksOf(cli.Deal{Domain: o.domain, ASIN: o.ASIN})
	}
}
