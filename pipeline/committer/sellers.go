package committer

import (
	"context"
	"errors"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/answers"
	"ratchet/pipeline/gateway"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/ruling"
	"ratchet/pipeline/token"
	"ratchet/pipeline/work"
)

// enrich adds the sellers behind the deal that a product would make, within what
// is left of the claim after spent, and ends the claim. Keepa's failure to tell of
// a seller never loses the commit: the deal then says that its seller is unknown.
func (w *worker) enrich(ctx context.Context, u work.Unit, product answers.Answer, spent int, last *pipeline.Reading) (fact, error) {
	f := fact{Product: product}
	w.doubt = false
	cost, newest, err := w.askSellers(ctx, u, spent, last, &f)
	if w.doubt {
		newest = nil // no reading shows what that call cost: tokend asks
	}
	return f, errors.Join(err, w.close(ctx, spent+cost, newest))
}

// sellerRounds is how many sellers one commit asks for at most: a seller that the rules refuse leaves the next
// copy to be looked at, and its seller.
const sellerRounds = 3

// askSellers finds or buys the seller of the copy that the deal would buy, and again while what is known of it
// makes another copy the best.
func (w *worker) askSellers(ctx context.Context, u work.Unit, spent int, last *pipeline.Reading, f *fact) (int, *pipeline.Reading, error) {
	if !w.cfg.Sellers {
		return 0, last, nil
	}
	cost, newest := 0, last
	var ids []string
	for range sellerRounds {
		evidence := make([]ruling.Answer, len(f.Sellers))
		for i, s := range f.Sellers {
			evidence[i] = s.Evidence()
		}
		id := ruling.SellerWanted(w.judge, u.Work, f.Product.Body, evidence, w.env.Now())
		if id == "" {
			break
		}
		ids = append(ids, id)
		slices.Sort(ids)
		before := len(f.Sellers)
		c, reading, err := w.sellers(ctx, u, ids, spent+cost, f)
		cost, newest = cost+c, token.Newer(newest, reading)
		if err != nil || f.Err != nil || len(f.Sellers) == before {
			return cost, newest, err
		}
	}
	return cost, newest, nil
}

// sellers finds the sellers in RESPONSES or buys them. One that is too old and
// cannot be bought is unknown, not used.
func (w *worker) sellers(ctx context.Context, u work.Unit, ids []string, spent int, f *fact) (int, *pipeline.Reading, error) {
	missing, err := w.knownSellers(ctx, u, ids, f)
	if err != nil || len(missing) == 0 || w.claim == nil || spent+len(missing)*token.PriceSeller > w.claim.Tokens() {
		return 0, nil, err
	}
	mine, done, err := answers.Order(ctx, w.bus, u.Survivor.Domain, pipeline.KindSeller, missing, w.life())
	if err != nil {
		return 0, nil, err
	}
	defer done()
	for _, ordered := range mine {
		if !ordered {
			// The product is stored: coming back costs nothing.
			f.Err = errOrdered
			return 0, nil, nil
		}
	}
	if missing, err = w.knownSellers(ctx, u, ids, f); err != nil || len(missing) == 0 {
		return 0, nil, err
	}
	cost, reading, err := w.buySellers(ctx, u, missing)
	if err == nil {
		_, err = w.knownSellers(ctx, u, ids, f)
	}
	return cost, reading, err
}

// knownSellers puts the stored sellers that serve into the fact, in the order of
// ids, and returns the others.
func (w *worker) knownSellers(ctx context.Context, u work.Unit, ids []string, f *fact) ([]string, error) {
	wants := make([]answers.Want, len(ids))
	for i, id := range ids {
		wants[i] = answers.Want{Key: id, WorkID: u.ID, Limit: w.cfg.SellerFresh}
	}
	stored, err := answers.Serving(ctx, w.bus, u.Survivor.Domain, pipeline.KindSeller, wants, w.env.Now())
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

// buySellers asks Keepa and stores what it says. An error means that something
// paid for is not stored.
func (w *worker) buySellers(ctx context.Context, u work.Unit, ids []string) (int, *pipeline.Reading, error) {
	answer, err := w.keepa.Sellers(ctx, w.claim, u.Survivor.Domain, ids)
	if err != nil {
		w.pulse.Failed(err)
		w.env.Log.Warn("sellers stay unknown", "err", err)
		var e *gateway.Error
		if errors.As(err, &e) {
			w.doubt = e.MayHaveCost()
			return e.Consumed, e.Reading, nil
		}
		return 0, nil, nil
	}
	w.pulse.Paid(answer.Consumed)
	_, raw, err := keepa.SplitSellers(answer.Body)
	if err != nil {
		w.pulse.Failed(err)
		return answer.Consumed, answer.Reading, nil
	}
	var keep []answers.Answer
	share := (answer.Consumed + max(1, len(raw)) - 1) / max(1, len(raw))
	for _, id := range ids {
		body, cost := raw[id], share
		if body == nil {
			body, cost = []byte("null"), 0 // Keepa knows no such seller: remembered, so that it is not asked again
		}
		keep = append(keep, answers.Answer{
			Domain: u.Survivor.Domain, Kind: pipeline.KindSeller, Key: id, Body: body, Request: answer.Request,
			RequestID: w.claim.ID() + ".s", WorkID: u.ID, Cost: cost, AnsweredAt: answer.AnsweredAt,
		})
	}
	// Paid for and only in memory: dying on the next line buys them again.
	_, err = answers.Put(ctx, w.bus, keep)
	return answer.Consumed, answer.Reading, err
}
