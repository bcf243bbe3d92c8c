package peeker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/answers"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/deal"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/ruling"
	"ratchet/pipeline/shed"
	"ratchet/pipeline/stage"
	"ratchet/pipeline/work"
)

// fact is a product, or why there is none.
type fact struct {
	Answer  answers.Answer
	Stored  *deal.Deal // the deal that a refresh is about; nil without one
	Missing bool       // Keepa answered and left it out
	Line    *shed.Line // it is not worth what it would cost
	Err     error      // not now
}

// The reasons for which work comes back although no call failed.
var (
	errNoSpend   = errors.New("the operator's wish is nospend, and no stored answer serves")
	errOrdered   = errors.New("another worker is buying this answer")
	errElsewhere = errors.New("another domain: one call asks one")
)

// gather finds stored answers and buys the rest under the step's claim.
func (l *peekLoop) gather(ctx context.Context, units []work.Unit) ([]fact, error) {
	facts := make([]fact, len(units))
	domain := units[0].Survivor.Domain
	var here []int
	for i, u := range units {
		if u.Survivor.Domain == domain {
			here = append(here, i)
		} else {
			facts[i].Err = errElsewhere
		}
	}
	if err := work.Name(ctx, l.bus, units); err != nil {
		return nil, err
	}
	if err := l.deals(ctx, units, facts); err != nil {
		return nil, err
	}
	missing, err := l.serve(ctx, domain, units, here, facts)
	if err != nil {
		return nil, err
	}
	if missing, err = l.flood.split(ctx, units, missing, facts); err != nil {
		return nil, err
	}
	if len(missing) == 0 {
		return facts, l.close(ctx, 0, nil)
	}
	if l.claim == nil {
		for _, i := range missing {
			facts[i].Err = errNoSpend
		}
		return facts, nil
	}
	return facts, l.order(ctx, domain, units, missing, facts)
}

// serve fills in the facts that stored answers serve and returns the others.
func (l *peekLoop) serve(ctx context.Context, domain int, units []work.Unit, of []int, facts []fact) ([]int, error) {
	wants := make([]answers.Want, len(of))
	for k, i := range of {
		wants[k] = answers.Want{Key: units[i].Survivor.ASIN, WorkID: units[i].ID, Limit: l.limit(units[i])}
	}
	stored, err := answers.Serving(ctx, l.bus, domain, pipeline.KindPeek, wants, l.env.Now())
	if err != nil {
		return nil, err
	}
	var missing []int
	for k, i := range of {
		if stored[k] == nil {
			missing = append(missing, i)
			continue
		}
		facts[i].Answer = *stored[k]
	}
	return missing, nil
}

// limit is how old another work's answer may be: a refresh wants news.
func (l *peekLoop) limit(u work.Unit) time.Duration {
	switch u.Survivor.Source {
	case pipeline.SourceRefresh, pipeline.SourceRepair:
		return 0
	case pipeline.SourceLive, pipeline.SourceGap, pipeline.SourceBackfill, pipeline.SourceRetry:
		// A price that began after the answer was given is not in it.
		began := u.Row.CreationDate.Time()
		return max(0, min(l.cfg.Fresh, l.env.Now().Sub(began)))
	}
	return 0
}

// order says which ASINs are about to be bought, looks once more, since one may
// have been bought in between, and buys the rest.
func (l *peekLoop) order(ctx context.Context, domain int, units []work.Unit, missing []int, facts []fact) error {
	byASIN := map[string][]int{} // two units of one ASIN share an answer
	var asins []string
	for _, i := range missing {
		asin := units[i].Survivor.ASIN
		if len(byASIN[asin]) == 0 {
			asins = append(asins, asin)
		}
		byASIN[asin] = append(byASIN[asin], i)
	}
	mine, done, err := answers.Order(ctx, l.bus, domain, pipeline.KindPeek, asins, -daemon.MachineSince(l.claim.Deadline()))
	if err != nil {
		return errors.Join(err, l.close(ctx, 0, nil))
	}
	defer done()
	var ours []int
	for k, asin := range asins {
		if mine[k] {
			ours = append(ours, byASIN[asin]...)
			continue
		}
		for _, i := range byASIN[asin] {
			facts[i].Err = errOrdered
		}
	}
	if ours, err = l.serve(ctx, domain, units, ours, facts); err != nil {
		return errors.Join(err, l.close(ctx, 0, nil))
	}
	if len(ours) == 0 {
		return l.close(ctx, 0, nil)
	}
	return l.buy(ctx, domain, units, ours, facts)
}

// buy asks Keepa. It stores what was bought before anything interprets it, under
// the first work that wants it.
func (l *peekLoop) buy(ctx context.Context, domain int, units []work.Unit, buy []int, facts []fact) error {
	var wanted []string
	for _, i := range buy {
		if asin := units[i].Survivor.ASIN; !slices.Contains(wanted, asin) {
			wanted = append(wanted, asin)
		}
	}
	answer, err := l.keepa.Products(ctx, l.claim, domain, wanted, false)
	if err != nil {
		for _, i := range buy {
			facts[i].Err = err
		}
		return l.refused(ctx, err)
	}
	l.fuse.Worked()
	l.pulse.Paid(answer.Consumed)
	_, raw, err := keepa.SplitProducts(answer.Body)
	if err != nil {
		for _, i := range buy {
			facts[i].Err = err
		}
		return l.close(ctx, answer.Consumed, answer.Reading)
	}
	body := map[string][]byte{}
	for _, r := range raw {
		body[r.ASIN] = r.Body
	}
	var keep []answers.Answer
	at := map[string]int{} // in keep, by ASIN
	share := (answer.Consumed + max(1, len(raw)) - 1) / max(1, len(raw))
	for _, i := range buy {
		asin := units[i].Survivor.ASIN
		got, ok := body[asin]
		if _, kept := at[asin]; kept || !ok {
			facts[i].Missing = !ok
			continue
		}
		at[asin] = len(keep)
		keep = append(keep, answers.Answer{
			Domain: domain, Kind: pipeline.KindPeek, Key: asin, Body: got, Request: answer.Request,
			RequestID: l.claim.ID(), WorkID: units[i].ID, Cost: share, AnsweredAt: answer.AnsweredAt,
		})
	}
	// The answer is paid for and only in memory: it is stored before anything
	// looks at it. Dying on the next line buys it again.
	kept, err := answers.Put(ctx, l.bus, keep)
	if err != nil {
		return errors.Join(err, l.close(ctx, answer.Consumed, answer.Reading))
	}
	for _, i := range buy {
		if k, ok := at[units[i].Survivor.ASIN]; ok {
			facts[i].Answer = kept[k]
		}
	}
	return l.close(ctx, answer.Consumed, answer.Reading)
}

// deals finds the newest deal of every refresh, which its peek may confirm.
func (l *peekLoop) deals(ctx context.Context, units []work.Unit, facts []fact) error {
	of := map[string][]int{}
	var subjects []string
	for i, u := range units {
		if u.Survivor.Source != pipeline.SourceRefresh {
			continue
		}
		s := pipeline.SubjectDeal(u.Survivor.Domain, u.Survivor.PriceType, u.Survivor.ASIN)
		if len(of[s]) == 0 {
			subjects = append(subjects, s)
		}
		of[s] = append(of[s], i)
	}
	if len(subjects) == 0 {
		return nil
	}
	stored, err := l.bus.Newest(ctx, pipeline.StreamDeals, subjects, bus.Until{})
	if err != nil {
		return err
	}
	for _, m := range stored {
		d := dealOf(m)
		for _, i := range of[m.Subject] {
			facts[i].Stored = d
		}
	}
	return nil
}

// dealOf decodes a deal; one that this build cannot read confirms nothing.
func dealOf(m bus.Read) *deal.Deal {
	var d deal.Deal
	if json.Unmarshal(m.Body, &d) != nil {
		return nil
	}
	return &d
}

// missingTries is how often a product that Keepa left out is asked for.
const missingTries = 3

// decide translates a fact into effects.
func (l *peekLoop) decide(u work.Unit, f fact, now time.Time) stage.Decision[work.Effect] {
	switch {
	case f.Err != nil, f.Missing && u.Deliveries < missingTries:
		return stage.Decision[work.Effect]{Again: work.Postpone(l.env)}
	case f.Line != nil:
		return l.conclude(u, ruling.Shed(l.judge, u.Work, *f.Line, now))
	case f.Missing:
		return l.conclude(u, ruling.NotFound(l.judge, pipeline.LookPeek, u.Work, 0, now))
	}
	r := ruling.Peek(l.judge, u.Work, f.Answer.Evidence(), f.Answer.CostTo(u.ID), f.Stored, now)
	l.flood.saw(r.Verdict.Outcome)
	d := l.conclude(u, r)
	if r.Unreadable != nil {
		d.Never = fmt.Sprintf("%s: %v", r.Verdict.Reason, r.Unreadable)
	}
	return d
}
