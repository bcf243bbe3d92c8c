package committer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/answers"
	"ratchet/pipeline/gateway"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/purse"
	"ratchet/pipeline/stage"
	"ratchet/pipeline/token"
	"ratchet/pipeline/verdict"
	"ratchet/pipeline/work"
)

// worker does one commit at a time under a claim of its own.
type worker struct {
	*committer
	claim *purse.Claim // of the step in hand; nil in nospend
}

// fact is the full record of a survivor, or why there is none.
type fact struct {
	Product answers.Answer
	Sellers map[string]answers.Answer
	Spent   int // tokens of this look, sellers included
	Missing bool
	Err     error
}

func (w *worker) run(ctx context.Context) error {
	defer w.giveBack(context.WithoutCancel(ctx))
	return stage.Loop[work.Unit, fact, work.Effect]{
		Take: w.take, Read: work.Read(pipeline.SchemaSurvivor), Gather: w.gather, Decide: w.decide, Apply: work.Apply(w.bus),
		Bury: func(ctx context.Context, it stage.Item, reason string, cause error) error {
			w.pulse.Count("dead", 1)
			return w.bus.Bury(ctx, string(pipeline.StageCommitter), it, reason, cause)
		},
		Now: w.env.Now, Log: w.env.Log, Grace: w.cfg.Grace, Retry: 100 * time.Millisecond,
	}.Run(ctx)
}

// take claims the worst price of one commit and then takes one survivor.
func (w *worker) take(ctx context.Context) ([]stage.Item, error) {
	w.giveBack(ctx)
	if w.fuse.Blown() {
		return nil, w.rest(ctx, "circuit_open")
	}
	pending, err := w.bus.Pending(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	tier, waits := w.tiers.next(pending)
	if !waits {
		return nil, w.rest(ctx, "idle")
	}
	wish, err := w.purse.Wish(ctx)
	if err != nil {
		return nil, err
	}
	if wish != token.Nospend {
		w.claim, err = w.purse.Claim(ctx, token.PriceCommit, pipeline.KindCommit, 1)
		if errors.Is(err, purse.ErrShort) {
			return nil, w.rest(ctx, "waiting_for_tokens")
		}
		if err != nil {
			return nil, err
		}
	}
	w.pulse.State("working")
	return w.inlets[tier].Take(ctx, 1, 200*time.Millisecond)
}

// rest waits for a hint or a nap.
func (w *worker) rest(ctx context.Context, state string) error {
	w.pulse.State(state)
	t := time.NewTimer(work.Nap(w.env))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.purse.Changed():
		if state == "idle" {
			<-t.C // a grant that moved says nothing about work
		}
	case <-t.C:
	}
	return nil
}

// giveBack closes a claim under which nothing was called.
func (w *worker) giveBack(ctx context.Context) {
	if err := w.close(ctx, 0, nil); err != nil {
		w.env.Log.Debug("claim is left to tokend", "err", err)
	}
}

func (w *worker) close(ctx context.Context, consumed int, r *pipeline.Reading) error {
	if w.claim == nil {
		return nil
	}
	c := w.claim
	w.claim = nil
	return c.Close(ctx, consumed, r)
}

// gather finds or buys the full record, and then the sellers that an accepted
// deal wants. A step has one unit.
func (w *worker) gather(ctx context.Context, units []work.Unit) ([]fact, error) {
	facts := make([]fact, len(units))
	for i, u := range units {
		f, err := w.fetch(ctx, u)
		if err != nil {
			return nil, err
		}
		facts[i] = f
	}
	return facts, nil
}

func (w *worker) fetch(ctx context.Context, u work.Unit) (fact, error) {
	stored, err := answers.Find(ctx, w.bus, u.Survivor.Domain, pipeline.KindCommit, []string{u.Survivor.ASIN})
	if err != nil {
		return fact{}, err
	}
	if a, ok := stored[u.Survivor.ASIN]; ok && a.Fresh(u.WorkID, w.limit(u), w.env.Now()) {
		f := fact{Product: a}
		if a.WorkID == u.WorkID {
			f.Spent = a.Cost
		}
		var reading *pipeline.Reading
		spent := 0
		f.Sellers, spent, reading = w.sellers(ctx, u, a, 0)
		f.Spent += spent
		return f, w.close(ctx, spent, reading)
	}
	if w.claim == nil {
		return fact{Err: errNoSpend}, nil
	}
	return w.buy(ctx, u)
}

var errNoSpend = errors.New("the operator's wish is nospend, and no stored answer serves")

// limit is how old another work's answer may be: a refresh wants news, and an
// answer from before the price began knows nothing of it.
func (w *worker) limit(u work.Unit) time.Duration {
	if s := u.Survivor.Source; s == pipeline.SourceRefresh || s == pipeline.SourceRepair {
		return 0
	}
	return max(0, min(w.cfg.Fresh, w.env.Now().Sub(u.Row.CreationDate.Time())))
}

func (w *worker) buy(ctx context.Context, u work.Unit) (fact, error) {
	domain, asin := u.Survivor.Domain, u.Survivor.ASIN
	answer, err := w.keepa.Products(ctx, w.claim, domain, []string{asin}, true)
	if err != nil {
		return fact{Err: err}, w.refused(ctx, err)
	}
	w.fuse.Worked()
	w.pulse.Paid(answer.Consumed)
	_, raw, err := keepa.SplitProducts(answer.Body)
	if err != nil {
		return fact{Err: err}, w.close(ctx, answer.Consumed, answer.Reading)
	}
	if len(raw) == 0 || raw[0].ASIN != asin {
		return fact{Missing: true, Spent: answer.Consumed}, w.close(ctx, answer.Consumed, answer.Reading)
	}
	// Paid for and only in memory: stored before anything looks at it. Dying on
	// the next line buys it again.
	kept, err := answers.Put(ctx, w.bus, []answers.Answer{{
		Domain: domain, Kind: pipeline.KindCommit, Key: asin, Body: raw[0].Body, Request: answer.Request,
		RequestID: w.claim.ID(), WorkID: u.WorkID, Cost: answer.Consumed, AnsweredAt: answer.AnsweredAt,
	}})
	if err != nil {
		return fact{}, errors.Join(err, w.close(ctx, answer.Consumed, answer.Reading))
	}
	sellers, spent, reading := w.sellers(ctx, u, kept[0], answer.Consumed)
	f := fact{Product: kept[0], Sellers: sellers, Spent: answer.Consumed + spent}
	return f, w.close(ctx, f.Spent, token.Newer(answer.Reading, reading))
}

func (w *worker) refused(ctx context.Context, cause error) error {
	c := w.claim
	w.claim = nil
	return work.Refused(ctx, w.env, w.pulse, &w.fuse, c, cause)
}

// sellers finds or buys the sellers behind an accepted deal, within what is left
// of the claim. Their failure never loses the commit: the deal then says that its
// seller is unknown.
func (w *worker) sellers(ctx context.Context, u work.Unit, product answers.Answer, spent int) (map[string]answers.Answer, int, *pipeline.Reading) {
	p, err := keepa.DecodeProduct(product.Body)
	if err != nil || !w.cfg.Sellers {
		return nil, 0, nil
	}
	now := w.env.Now()
	if f := w.judge.Commit(u.Row, p, nil, now); f.Outcome != pipeline.Accept {
		return nil, 0, nil
	}
	ids := w.judge.SellersWanted(p, now)
	found, err := answers.Find(ctx, w.bus, u.Survivor.Domain, pipeline.KindSeller, ids)
	if err != nil {
		w.pulse.Failed(err)
		return nil, 0, nil
	}
	var buy []string
	for _, id := range ids {
		if a, ok := found[id]; !ok || !a.Fresh("", w.cfg.SellerFresh, now) {
			buy = append(buy, id)
		}
	}
	if w.claim == nil || len(buy) == 0 || spent+len(buy)*token.PriceSeller > w.claim.Tokens() {
		return found, 0, nil
	}
	cost, reading := w.buySellers(ctx, u.Survivor.Domain, buy, found)
	return found, cost, reading
}

func (w *worker) buySellers(ctx context.Context, domain int, ids []string, found map[string]answers.Answer) (int, *pipeline.Reading) {
	answer, err := w.keepa.Sellers(ctx, w.claim, domain, ids)
	if err != nil {
		w.pulse.Failed(err)
		w.env.Log.Warn("sellers stay unknown", "err", err)
		var e *gateway.Error
		if errors.As(err, &e) {
			return e.Consumed, e.Reading
		}
		return 0, nil
	}
	w.pulse.Paid(answer.Consumed)
	_, raw, err := keepa.SplitSellers(answer.Body)
	if err != nil {
		w.pulse.Failed(err)
		return answer.Consumed, answer.Reading
	}
	var keep []answers.Answer
	for _, id := range ids {
		body, ok := raw[id]
		cost := token.PriceSeller
		if !ok {
			body, cost = []byte("null"), 0 // Keepa knows no such seller: remembered, so that it is not asked again
		}
		keep = append(keep, answers.Answer{
			Domain: domain, Kind: pipeline.KindSeller, Key: id, Body: body, Request: answer.Request,
			RequestID: w.claim.ID() + ".s", Cost: cost, AnsweredAt: answer.AnsweredAt,
		})
	}
	kept, err := answers.Put(ctx, w.bus, keep)
	if err != nil {
		w.pulse.Failed(err)
		return answer.Consumed, answer.Reading
	}
	for _, a := range kept {
		found[a.Key] = a
	}
	return answer.Consumed, answer.Reading
}

// missingTries is how often a product that Keepa left out is asked for.
const missingTries = 3

// decide translates a fact into effects.
func (w *worker) decide(u work.Unit, f fact, now time.Time) stage.Decision[work.Effect] {
	paid := work.Paid{Tokens: f.Spent, ResponseIDs: u.Survivor.ResponseIDs}
	switch {
	case f.Err != nil, f.Missing && u.Deliveries < missingTries:
		return stage.Decision[work.Effect]{Again: work.Postpone(w.env)}
	case f.Missing:
		return w.conclude(u, verdict.Finding{Outcome: pipeline.Fail, Reason: "not_found"}, paid, now)
	}
	paid.ResponseIDs = append(paid.ResponseIDs[:len(paid.ResponseIDs):len(paid.ResponseIDs)], f.Product.ID)
	product, err := keepa.DecodeProduct(f.Product.Body)
	if err != nil {
		return stage.Decision[work.Effect]{
			Never: fmt.Sprintf("product_unreadable: %v", err),
			Out:   w.conclude(u, verdict.Finding{Outcome: pipeline.Fail, Reason: "product_unreadable"}, paid, now).Out,
		}
	}
	sellers := map[string]keepa.Seller{}
	// In order of their ids: a verdict's bytes must not depend on a map's order.
	for _, id := range slices.Sorted(maps.Keys(f.Sellers)) {
		a := f.Sellers[id]
		if s, err := keepa.DecodeSeller(a.Body); err == nil && string(a.Body) != "null" {
			sellers[id] = s
			paid.ResponseIDs = append(paid.ResponseIDs, a.ID)
		}
	}
	return w.conclude(u, w.judge.Commit(u.Row, product, sellers, now), paid, now)
}
