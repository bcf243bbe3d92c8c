package committer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/text/foreign"
	"ratchet/pipeline/worker"
)

// enrich adds the sellers that the product's deal needs, paid for by what the claim has left after spent, and
// closes the claim. A seller that cannot be fetched does not fail the commit: the deal then records that its seller
// is unknown.
func (s *step) enrich(ctx context.Context, u worker.Unit, product responses.Answer, spent int, last *pipeline.Reading) (fact, error) {
	f := fact{Product: product}
	s.doubt = false
	cost, newest, err := s.askSellers(ctx, u, spent, last, &f)
	f.Letters = s.unreadSellers(u, f.Sellers)
	switch {
	case s.doubt && spent+cost == 0: // a close at 0 tokens would not make tokend ask Keepa
		return f, errors.Join(err, s.CloseUnknown(ctx, "the cost of the sellers is unknown"))
	case s.doubt:
		newest = nil // no reading contains the cost of that call, so tokend must ask Keepa
	}
	return f, errors.Join(err, s.Close(ctx, spent+cost, newest))
}

// askSellers finds or buys the seller of the copy that the deal would buy,
// and repeats this while the seller's data make another copy the best. Only rounds that cost tokens are limited.
func (s *step) askSellers(ctx context.Context, u worker.Unit, spent int, last *pipeline.Reading, f *fact) (int, *pipeline.Reading, error) {
	if !s.cfg.Sellers {
		return 0, last, nil
	}
	cost, newest := 0, last
	var ids []string
	for paid := 0; paid < decide.SellerRounds; {
		evidence := make([]decide.Answer, len(f.Sellers))
		for i, a := range f.Sellers {
			evidence[i] = a.Evidence()
		}
		id := decide.SellerWanted(s.Judge, u.Work, f.Product.Body, evidence, s.env.Now())
		if id == "" {
			break
		}
		ids = append(ids, id)
		slices.Sort(ids)
		before := len(f.Sellers)
		c, reading, err := s.sellers(ctx, u, ids, spent+cost, f)
		if cost, newest = cost+c, token.Newer(newest, reading); c > 0 {
			paid++
		}
		if err != nil || f.Err != nil || len(f.Sellers) == before {
			return cost, newest, err
		}
	}
	return cost, newest, nil
}

// sellers finds the sellers in RESPONSES or buys them. One that
// is too old and cannot be bought is unknown and not used.
func (s *step) sellers(ctx context.Context, u worker.Unit, ids []string, spent int, f *fact) (int, *pipeline.Reading, error) {
	missing, err := s.knownSellers(ctx, u, ids, f)
	if err != nil || len(missing) == 0 || s.Claim == nil || spent+len(missing)*token.PriceSeller > s.Claim.Tokens() {
		return 0, nil, err
	}
	mine, done, err := responses.Order(ctx, s.bus, u.Survivor.Domain, pipeline.KindSeller, missing, s.life())
	if err != nil {
		return 0, nil, err
	}
	defer done()
	for _, ordered := range mine {
		if !ordered {
			// The product is stored: redelivery costs nothing.
			f.Err = worker.ErrOrdered
			return 0, nil, nil
		}
	}
	if missing, err = s.knownSellers(ctx, u, ids, f); err != nil || len(missing) == 0 {
		return 0, nil, err
	}
	cost, reading, err := s.buySellers(ctx, u, missing)
	if err == nil {
		_, err = s.knownSellers(ctx, u, ids, f)
	}
	return cost, reading, err
}

// knownSellers adds the stored sellers that serve to the fact, in the order of ids, and returns the others.
func (s *step) knownSellers(ctx context.Context, u worker.Unit, ids []string, f *fact) ([]string, error) {
	wants := make([]responses.Want, len(ids))
	for i, id := range ids {
		wants[i] = responses.Want{Key: id, WorkID: u.ID, Also: u.Survivor.AnswersOf, Limit: s.cfg.SellerFresh}
	}
	stored, err := responses.Serving(ctx, s.bus, u.Survivor.Domain, pipeline.KindSeller, wants, s.env.Now())
	if err != nil {
		return nil, err
	}
	f.Sellers = f.Sellers[:0]
	var missing []string
	for i, a := range stored {
		if a == nil {
			missing = append(missing, ids[i])
			continue
		}
		f.Sellers = append(f.Sellers, *a)
	}
	return missing, nil
}

// buySellers requests sellers from Keepa and stores the answers. An error means that something paid
// for is not stored. Sellers that were, or may have been, paid for as often as allowed stay unknown.
func (s *step) buySellers(ctx context.Context, u worker.Unit, ids []string) (int, *pipeline.Reading, error) {
	domain := u.Survivor.Domain
	attempts, err := responses.Outcomes(ctx, s.bus, domain, pipeline.KindSeller, []string{u.ID})
	if t := attempts[u.ID]; err != nil || t.Spent() || t.Waits() {
		return 0, nil, err
	}
	if err := responses.RecordAttempts(ctx, s.bus, domain, pipeline.KindSeller, []string{u.ID}, s.Claim.ID()); err != nil {
		return 0, nil, err
	}
	answer, err := s.keepa.Sellers(ctx, s.Claim, domain, ids)
	bought := worker.Bought(s.Claim, domain, pipeline.KindSeller, answer)
	bought.Call += ".s" // next to the product's call, under the same claim
	if err != nil {
		s.status.Failed(err)
		s.env.Log.Warn("sellers cannot be fetched, their deals lack a rating", "err", err)
		if e, ok := errors.AsType[*gateway.Error](err); ok {
			s.doubt = e.MayHaveCost()
			return e.Consumed, e.Reading, worker.KeepFailed(ctx, s.bus, bought, err)
		}
		return 0, nil, nil
	}
	s.doubt = !answer.ConsumedKnown
	s.status.Paid(answer.Consumed)
	_, err = bought.Keep(ctx, s.bus, sellerParts(u, bought, ids))
	return answer.Consumed, answer.Reading, err
}

// sellerParts returns what is stored for each seller of an answer, including that Keepa
// knows no such seller, so that it is not requested again, and what cannot be read.
func sellerParts(u worker.Unit, bought *worker.Purchase, ids []string) []responses.Answer {
	all := keepa.CutSellers(bought.Body)
	bought.Odd = !all.Separated()
	found, _ := all.For(ids)
	var keep []responses.Answer
	share := (bought.Consumed + max(1, len(found)) - 1) / max(1, len(found))
	for _, id := range ids {
		e, ok := found[id]
		switch {
		case ok:
			keep = append(keep, bought.Part(id, u.ID, e, share))
		case all.Part == nil:
			keep = append(keep, bought.Part(id, u.ID, keepa.Element{Body: []byte("null")}, 0))
		}
	}
	return keep
}

// unreadSellers returns the dead letters of sellers with an unreadable answer. The deal reports that
// its seller is unknown; the dead letter holds the work, which can be retried from the stored bytes.
func (s *step) unreadSellers(u worker.Unit, found []responses.Answer) []bus.Message {
	var out []bus.Message
	for _, a := range found {
		_, err := keepa.DecodeSeller(a.Body)
		if err == nil || a.WorkID != u.ID {
			continue
		}
		key := fmt.Sprintf("seller-%s-%s", a.Key, u.ID)
		m, err := bus.Encode(pipeline.SubjectDead(string(pipeline.StageCommitter), key), pipeline.SchemaDead, "dead:"+key, u.ID, pipeline.Dead{
			Reason: "seller_unreadable", Error: foreign.Of(a.Place() + ": " + err.Error()), Stream: pipeline.StreamSurvivors, Sequence: u.Sequence,
			Deliveries: u.Deliveries, Subject: u.Subject, Header: u.Header, Body: u.Body,
		})
		if err == nil {
			out = append(out, m)
			s.status.Count("dead", 1)
		}
	}
	return out
}
