package peeker

import (
	"context"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
)

// earlier fills in the answers about an earlier price that reject a unit for no token, and returns the other units.
// Only a book whose last decision was a reject is decided so: a new price of a deal is worth a look.
func (s *step) earlier(ctx context.Context, domain int, units []worker.Unit, of []int, facts []fact) ([]int, error) {
	rejected, err := s.rejected(ctx, units, of)
	if err != nil || len(rejected) == 0 {
		return of, err
	}
	var asins []string
	for _, i := range of {
		if rejected[i] {
			asins = append(asins, units[i].Survivor.ASIN)
		}
	}
	stored, err := responses.Find(ctx, s.bus, domain, pipeline.KindPeek, asins)
	if err != nil {
		return nil, err
	}
	var others []int
	now := s.env.Now()
	for _, i := range of {
		u := units[i]
		a, ok := stored[u.Survivor.ASIN]
		rejects := false
		if ok && rejected[i] && a.Fresh("", s.cfg.Earlier, now) && u.Earlier(a.AnsweredAt, a.WorkID) {
			_, rejects = decide.EarlierRejects(s.Judge, u.Work, evidence(u, a), now)
		}
		if rejects {
			facts[i].Answer = a
		} else {
			others = append(others, i)
		}
	}
	return others, nil
}

// rejected returns which units are new prices of a book whose last decision was a reject.
func (s *step) rejected(ctx context.Context, units []worker.Unit, of []int) (map[int]bool, error) {
	if s.cfg.Earlier <= 0 {
		return nil, nil //nolint:nilnil // none
	}
	var rows []int
	var ids []pipeline.Identity
	for _, i := range of {
		if u := units[i]; once(u.Survivor.Source) && !u.Survivor.Pay {
			rows, ids = append(rows, i), append(ids, u.Identity())
		}
	}
	last, err := seen.Last(ctx, s.bus, ids)
	if err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for k, i := range rows {
		if last[ids[k]].Outcome == pipeline.Reject {
			out[i] = true
		}
	}
	return out, nil
}

// evidence returns an answer as the input of a unit's decision.
func evidence(u worker.Unit, a responses.Answer) decide.Answer {
	e := a.Evidence()
	if u.Earlier(a.AnsweredAt, a.WorkID) {
		e.EarlierAt = a.AnsweredAt
	}
	return e
}
