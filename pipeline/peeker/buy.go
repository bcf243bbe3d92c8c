package peeker

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
)

// fact is a product, or the reason why it is missing.
type fact struct {
	Judge    *verdict.Judge
	Answer   responses.Answer
	Stored   *deal.Deal // the deal that a refresh is about; nil without one
	Missing  bool       // the answer lacks it
	Attempts token.Attempts
	Line     *shedding.Line // it is not worth its cost
	Err      error          // retry later
}

// gather finds stored answers and buys the rest under the step's claim. The rules that decide are those of that moment.
func (s *step) gather(ctx context.Context, units []worker.Unit) ([]fact, error) {
	facts, err := s.collect(ctx, units)
	if err == nil {
		s.HoldRules()
		for i := range facts {
			facts[i].Judge = s.Judge
		}
	}
	return facts, err
}

func (s *step) collect(ctx context.Context, units []worker.Unit) ([]fact, error) {
	facts := make([]fact, len(units))
	domain := units[0].Survivor.Domain
	var here []int
	for i, u := range units {
		if u.Survivor.Domain == domain {
			here = append(here, i)
		} else {
			facts[i].Err = worker.ErrElsewhere
		}
	}
	if err := worker.AddQueries(ctx, s.bus, units); err != nil {
		return nil, err
	}
	if err := s.deals(ctx, units, facts); err != nil {
		return nil, err
	}
	missing, err := s.serve(ctx, domain, units, here, facts)
	if err != nil {
		return nil, err
	}
	if missing, err = s.earlier(ctx, domain, units, missing, facts); err != nil {
		return nil, err
	}
	if missing, err = s.shedder.split(ctx, units, missing, facts); err != nil {
		return nil, err
	}
	if len(missing) == 0 {
		return facts, s.Close(ctx, 0, nil)
	}
	if s.Claim == nil {
		for _, i := range missing {
			facts[i].Err = worker.ErrNoSpend
			if s.sheds {
				facts[i].Err = worker.ErrUnfunded
			}
		}
		return facts, nil
	}
	return facts, s.order(ctx, domain, units, missing, facts)
}

// serve fills in the facts for which stored answers serve and returns the other units.
func (s *step) serve(ctx context.Context, domain int, units []worker.Unit, of []int, facts []fact) ([]int, error) {
	wants, now := make([]responses.Want, len(of)), s.env.Now()
	for k, i := range of {
		u := units[i]
		wants[k] = responses.Want{Key: u.Survivor.ASIN, WorkID: u.ID, Also: u.Survivor.AnswersOf, Limit: u.Limit(s.cfg.Fresh, now)}
	}
	stored, err := responses.Serving(ctx, s.bus, domain, pipeline.KindPeek, wants, now)
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

// order announces which ASINs are about to be bought, looks them up once
// more, since one may have been bought in between, and buys the rest.
func (s *step) order(ctx context.Context, domain int, units []worker.Unit, missing []int, facts []fact) error {
	byASIN := map[string][]int{} // two units of one ASIN share an answer
	var asins []string
	for _, i := range missing {
		asin := units[i].Survivor.ASIN
		if len(byASIN[asin]) == 0 {
			asins = append(asins, asin)
		}
		byASIN[asin] = append(byASIN[asin], i)
	}
	mine, done, err := responses.Order(ctx, s.bus, domain, pipeline.KindPeek, asins, process.MachineUntil(s.Claim.Deadline()))
	if err != nil {
		return errors.Join(err, s.Close(ctx, 0, nil))
	}
	defer done()
	var ours []int
	for k, asin := range asins {
		if mine[k] {
			ours = append(ours, byASIN[asin]...)
			continue
		}
		for _, i := range byASIN[asin] {
			facts[i].Err = worker.ErrOrdered
		}
	}
	if ours, err = s.serve(ctx, domain, units, ours, facts); err != nil {
		return errors.Join(err, s.Close(ctx, 0, nil))
	}
	if len(ours) == 0 {
		return s.Close(ctx, 0, nil)
	}
	if ours, err = s.payable(ctx, domain, units, ours, facts); err != nil || len(ours) == 0 {
		return errors.Join(err, s.Close(ctx, 0, nil))
	}
	return s.buy(ctx, domain, units, ours, facts)
}

// payable fills in the outcomes of earlier calls and returns the units that may be paid for once more.
func (s *step) payable(ctx context.Context, domain int, units []worker.Unit, of []int, facts []fact) ([]int, error) {
	works := make([]string, len(of))
	for k, i := range of {
		works[k] = units[i].ID
	}
	attempts, err := responses.Outcomes(ctx, s.bus, domain, pipeline.KindPeek, works)
	if err != nil {
		return nil, err
	}
	var ours []int
	for _, i := range of {
		facts[i].Attempts = attempts[units[i].ID]
		switch t := facts[i].Attempts; {
		case t.Waits():
			facts[i].Err = worker.ErrPrice
		case !t.Over():
			ours = append(ours, i)
		}
	}
	return ours, nil
}

// buy makes the call. It stores what was bought before anything interprets it, under the first work that needs it.
func (s *step) buy(ctx context.Context, domain int, units []worker.Unit, buy []int, facts []fact) error {
	var wanted, works []string
	for _, i := range buy {
		works = append(works, units[i].ID)
		if asin := units[i].Survivor.ASIN; !slices.Contains(wanted, asin) {
			wanted = append(wanted, asin)
		}
	}
	if err := responses.RecordAttempts(ctx, s.bus, domain, pipeline.KindPeek, works, s.Claim.ID()); err != nil {
		return errors.Join(err, s.Close(ctx, 0, nil))
	}
	answer, err := s.keepa.Products(ctx, s.Claim, domain, wanted, false)
	bought := worker.Bought(s.Claim, domain, pipeline.KindPeek, answer)
	if err != nil {
		for _, i := range buy {
			facts[i].Err = err
		}
		return errors.Join(worker.KeepFailed(ctx, s.bus, bought, err), s.CallFailed(ctx, err))
	}
	s.status.Paid(answer.Consumed)
	keep, at := s.assign(units, buy, facts, bought, keepa.CutProducts(answer.Body), wanted)
	// The paid answer is only in memory, so it is stored before
	// anything interprets it. A crash on the next line buys it again.
	kept, err := bought.Keep(ctx, s.bus, keep)
	if err != nil {
		return errors.Join(err, s.End(ctx, answer))
	}
	for _, i := range buy {
		if k, ok := at[units[i].Survivor.ASIN]; ok {
			facts[i].Answer = kept[k]
		}
	}
	return s.End(ctx, answer)
}

// assign matches the parts of an answer to ASINs for storage, and marks the units that the answer lacks.
func (s *step) assign(
	units []worker.Unit, buy []int, facts []fact, bought *worker.Purchase, all keepa.Elements, wanted []string,
) ([]responses.Answer, map[string]int) {
	found, extra := all.For(wanted)
	if extra > 0 {
		s.status.Count("products_not_asked_for", extra)
	}
	bought.Odd = !all.Separated()
	var keep []responses.Answer
	at := map[string]int{} // index in keep, by ASIN
	share := (bought.Consumed + max(1, len(found)) - 1) / max(1, len(found))
	for _, i := range buy {
		asin := units[i].Survivor.ASIN
		e, ok := found[asin]
		_, kept := at[asin]
		switch {
		case kept:
		case ok:
			at[asin] = len(keep)
			keep = append(keep, bought.Part(asin, units[i].ID, e, share))
		case all.Part != nil:
			facts[i].Err = worker.ErrPart
		default:
			facts[i].Missing, bought.Odd = true, true
		}
	}
	return keep, at
}

// deals finds the newest deal of every refresh, which its peek may confirm.
func (s *step) deals(ctx context.Context, units []worker.Unit, facts []fact) error {
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
	stored, err := s.bus.Newest(ctx, pipeline.StreamDeals, subjects, bus.Until{})
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

// dealOf decodes a deal; nil if this build cannot read it, since such a deal cannot be confirmed.
func dealOf(m bus.Read) *deal.Deal {
	var d deal.Deal
	if json.Unmarshal(m.Body, &d) != nil {
		return nil
	}
	return &d
}

// decidePeek translates a fact into effects.
func decidePeek(u worker.Unit, f fact, now time.Time) loop.Decision[worker.Effect] {
	cause := f.Err
	if f.Missing && f.Attempts.Answered+1 < pipeline.MaxPaid {
		cause = worker.ErrLeftOut
	}
	switch {
	case cause != nil:
		return loop.Decision[worker.Effect]{Again: cause}
	case f.Line != nil:
		return conclude(u, decide.Shed(f.Judge, u.Work, *f.Line, now))
	case f.Missing:
		return worker.Dead(conclude(u, decide.NotFound(f.Judge, pipeline.LookPeek, u.Work, 0, now)), decide.ReasonNotFound, "the paid answers did not contain it (`ratchet answer "+u.ID+"` prints them)")
	case f.Attempts.Over():
		return worker.Dead(conclude(u, decide.NoAnswer(f.Judge, pipeline.LookPeek, u.Work, now)), decide.ReasonNoAnswer,
			worker.NoAnswer(u, f.Attempts))
	}
	a := evidence(u, f.Answer)
	if !a.EarlierAt.IsZero() {
		r, rejected := decide.EarlierRejects(f.Judge, u.Work, a, now)
		if !rejected {
			return loop.Decision[worker.Effect]{Again: worker.ErrRules}
		}
		return conclude(u, r)
	}
	r := decide.Peek(f.Judge, u.Work, a, f.Answer.CostTo(u.ID), f.Stored, now)
	d := conclude(u, r)
	if r.Unreadable != nil {
		d = worker.Dead(d, r.Verdict.Reason, f.Answer.Place()+": "+r.Unreadable.Error())
	}
	return d
}
