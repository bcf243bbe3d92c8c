package committer

import (
	"context"
	"errors"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/answers"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/gateway"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/purse"
	"ratchet/pipeline/ruling"
	"ratchet/pipeline/stage"
	"ratchet/pipeline/stall"
	"ratchet/pipeline/token"
	"ratchet/pipeline/work"
)

// worker does one commit at a time under a claim of its own.
type worker struct {
	*committer
	claim *purse.Claim // of the step in hand; nil in nospend
	doubt bool         // a call for sellers may have cost tokens that no reading shows
}

// fact is the full record of a survivor, or why there is none.
type fact struct {
	Product answers.Answer
	Sellers []answers.Answer // those that are known, in the order of their ids
	Spent   int              // tokens, where Keepa charged and knows no such product
	Missing bool             // Keepa answered and left it out
	Tally   token.Tally      // of earlier calls
	Letters []bus.Message    // dead letters of sellers that cannot be read
	Err     error            // not now
}

func (w *worker) run(ctx context.Context) error {
	defer w.giveBack(context.WithoutCancel(ctx))
	return stage.Loop[work.Unit, fact, work.Effect]{
		Take: w.take, Read: work.Read(pipeline.SchemaSurvivor), Gather: w.gather, Decide: w.decide, Apply: work.Apply(w.bus),
		Bury: func(ctx context.Context, it stage.Item, reason string, cause error) error {
			w.pulse.Count("dead", 1)
			return w.bus.Bury(ctx, string(pipeline.StageCommitter), it, reason, cause)
		},
		Progress: func() { w.pulse.Stepped(loopCommit) },
		Now:      w.env.Now, Log: w.env.Log, Grace: w.cfg.Grace, Retry: 100 * time.Millisecond,
	}.Run(ctx)
}

// loopCommit is the committer's loop in its heartbeat.
const loopCommit = "commit"

// take claims the worst price of one commit and then takes one survivor.
func (w *worker) take(ctx context.Context) ([]stage.Item, error) {
	w.giveBack(ctx)
	if w.fuse.Blown() {
		return nil, w.rest(ctx, "circuit_open")
	}
	backlogs, err := w.bus.Backlogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	tier, waits := w.tiers.next(func(t pipeline.Tier) bool {
		return w.returns.Waits(w.env, pipeline.DurableCommit(t), backlogs[pipeline.DurableCommit(t)]) > 0
	})
	wish, err := w.purse.Wish(ctx)
	if err != nil {
		return nil, err
	}
	if !waits {
		// Work that a failed call handed back still waits.
		w.pulse.See(loopCommit, stall.Sight{Work: w.fuse.Doubtful(), Tokens: true, Wish: wish == token.Run})
		return nil, w.rest(ctx, "idle")
	}
	if wish != token.Nospend {
		w.claim, err = w.purse.Claim(ctx, token.PriceCommit, pipeline.KindCommit, 1)
		w.pulse.See(loopCommit, stall.Sight{Work: true, Tokens: !errors.Is(err, purse.ErrShort), Wish: wish == token.Run})
		if errors.Is(err, purse.ErrShort) {
			return nil, w.rest(ctx, "waiting_for_tokens")
		}
		if err != nil {
			return nil, err
		}
	}
	w.pulse.State("working")
	items, err := w.inlets[tier].Take(ctx, 1, 200*time.Millisecond)
	w.returns.Took(pipeline.DurableCommit(tier), 1, items)
	return items, err
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
	if err := work.Name(ctx, w.bus, units); err != nil {
		return nil, err
	}
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

// fetch is the full record of one survivor and its sellers. Both are looked for
// in RESPONSES first and ordered before they are bought.
func (w *worker) fetch(ctx context.Context, u work.Unit) (fact, error) {
	stored, err := w.stored(ctx, u)
	if err != nil {
		return fact{}, err
	}
	if stored != nil {
		return w.enrich(ctx, u, *stored, 0, nil)
	}
	if w.claim == nil {
		return fact{Err: work.ErrNoSpend}, nil
	}
	mine, done, err := answers.Order(ctx, w.bus, u.Survivor.Domain, pipeline.KindCommit, []string{u.Survivor.ASIN}, w.life())
	if err != nil {
		return fact{}, errors.Join(err, w.close(ctx, 0, nil))
	}
	defer done()
	if !mine[0] {
		return fact{Err: work.ErrOrdered}, w.close(ctx, 0, nil)
	}
	// Whoever ordered before us may have bought it since we looked.
	if stored, err = w.stored(ctx, u); err != nil {
		return fact{}, errors.Join(err, w.close(ctx, 0, nil))
	}
	if stored != nil {
		return w.enrich(ctx, u, *stored, 0, nil)
	}
	return w.buy(ctx, u)
}

// stored is the full record that serves the work without a call; nil without one.
func (w *worker) stored(ctx context.Context, u work.Unit) (*answers.Answer, error) {
	want := answers.Want{Key: u.Survivor.ASIN, WorkID: u.ID, Also: u.Survivor.AnswersOf, Limit: w.limit(u)}
	found, err := answers.Serving(ctx, w.bus, u.Survivor.Domain, pipeline.KindCommit, []answers.Want{want}, w.env.Now())
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// life is how long an order of ours may last: as long as the claim.
func (w *worker) life() time.Duration { return -daemon.MachineSince(w.claim.Deadline()) }

// limit is how old another work's answer may be: a refresh wants news, and an
// answer from before the price began knows nothing of it.
func (w *worker) limit(u work.Unit) time.Duration {
	if s := u.Survivor.Source; u.Survivor.Pay || s == pipeline.SourceRefresh || s == pipeline.SourceRepair {
		return 0
	}
	return max(0, min(w.cfg.Fresh, w.env.Now().Sub(u.Row.CreationDate.Time())))
}

// buy asks Keepa for the full record, unless this work was paid for as often as work may be.
func (w *worker) buy(ctx context.Context, u work.Unit) (fact, error) {
	domain, asin := u.Survivor.Domain, u.Survivor.ASIN
	tallies, err := answers.Tallies(ctx, w.bus, domain, pipeline.KindCommit, []string{u.ID})
	if err != nil {
		return fact{}, errors.Join(err, w.close(ctx, 0, nil))
	}
	f := fact{Tally: tallies[u.ID]}
	if f.Tally.Waits() {
		f.Err = work.ErrPrice
	}
	if f.Err != nil || f.Tally.Spent() {
		return f, w.close(ctx, 0, nil)
	}
	if err := answers.Begin(ctx, w.bus, domain, pipeline.KindCommit, []string{u.ID}, w.claim.ID()); err != nil {
		return fact{}, errors.Join(err, w.close(ctx, 0, nil))
	}
	answer, err := w.keepa.Products(ctx, w.claim, domain, []string{asin}, true)
	bought := work.Bought(w.claim, domain, pipeline.KindCommit, answer)
	if err != nil {
		f.Err = err
		return f, errors.Join(work.KeepRefused(ctx, w.bus, bought, err), w.refused(ctx, err))
	}
	w.pulse.Paid(answer.Consumed)
	return w.keep(ctx, u, f, bought)
}

// keep stores the full record and goes on to its sellers. It is paid for and only in memory: stored before anything
// looks at it. Dying before that buys it again.
func (w *worker) keep(ctx context.Context, u work.Unit, f fact, bought *work.Purchase) (fact, error) {
	all := keepa.CutProducts(bought.Body)
	found, extra := all.For([]string{u.Survivor.ASIN})
	if extra > 0 {
		w.pulse.Count("products_not_asked_for", extra)
	}
	bought.Odd = !all.Whole() || len(found) == 0
	var parts []answers.Answer
	e, ok := found[u.Survivor.ASIN]
	if ok {
		parts = append(parts, bought.Part(u.Survivor.ASIN, u.ID, e, bought.Consumed))
	}
	kept, err := bought.Keep(ctx, w.bus, parts)
	switch {
	case err != nil:
		return f, errors.Join(err, w.end(ctx, bought.Answer))
	case ok && bought.ConsumedKnown && bought.Answer.Part == nil:
		w.fuse.Worked()
		got, err := w.enrich(ctx, u, kept[0], bought.Consumed, bought.Reading)
		return got, err
	case ok:
		// What is left of the claim is not known: the product is stored, and its sellers are asked for under the next one.
		f.Err = work.ErrPrice
	case all.Part != nil:
		f.Err = work.ErrPart
	default:
		f.Missing, f.Spent = true, bought.Consumed
	}
	return f, w.end(ctx, bought.Answer)
}

// end ends the claim at the price of an answer.
func (w *worker) end(ctx context.Context, answer gateway.Answer) error {
	c := w.claim
	w.claim = nil
	return work.End(ctx, w.env, w.pulse, &w.fuse, c, answer)
}

func (w *worker) refused(ctx context.Context, cause error) error {
	c := w.claim
	w.claim = nil
	return work.Refused(ctx, w.env, w.pulse, &w.fuse, c, cause)
}

// decide translates a fact into effects.
func (w *worker) decide(u work.Unit, f fact, now time.Time) stage.Decision[work.Effect] {
	cause := f.Err
	if f.Missing && f.Tally.Answered+1 < pipeline.MaxPaid {
		cause = work.ErrLeftOut
	}
	switch {
	case cause != nil:
		w.pulse.Again(w.env.Log, u.ID, cause)
		return stage.Decision[work.Effect]{Again: work.Postpone(w.env)}
	case f.Missing:
		return work.Dead(w.conclude(u, ruling.NotFound(w.rules.Judge(), pipeline.LookCommit, u.Work, f.Spent, now), f),
			ruling.ReasonNotFound, "the answers came without it (`ratchet answer "+u.ID+"` prints them)")
	case f.Tally.Spent():
		return work.Dead(w.conclude(u, ruling.NoAnswer(w.rules.Judge(), pipeline.LookCommit, u.Work, now), f), ruling.ReasonNoAnswer,
			"paid for as often as work may be, and no answer came whole (`ratchet answer "+u.ID+"` prints what came)")
	}
	// What it cost is read off the answers, so that a repeat says the same.
	cost := f.Product.CostTo(u.ID)
	sellers := make([]ruling.Answer, len(f.Sellers))
	for i, s := range f.Sellers {
		sellers[i] = s.Evidence()
		cost += s.CostTo(u.ID)
	}
	return w.conclude(u, ruling.Commit(w.rules.Judge(), u.Work, f.Product.Evidence(), sellers, cost, now), f)
}

func (w *worker) conclude(u work.Unit, r ruling.Ruling, f fact) stage.Decision[work.Effect] {
	w.pulse.Count("commit_"+string(r.Verdict.Outcome), 1)
	w.pulse.Verdict(pipeline.LookCommit, r.Verdict.Outcome, r.Verdict.Reason)
	w.pulse.Decided(u.ID)
	w.pulse.Changed(w.env.Log, r.Changed)
	e := u.Conclude(r.Verdict, "")
	e.Messages = append(e.Messages, f.Letters...)
	d := stage.Decision[work.Effect]{Out: []work.Effect{e}}
	if r.Unreadable != nil {
		d = work.Dead(d, r.Verdict.Reason, f.Product.Place()+": "+r.Unreadable.Error())
	}
	return d
}
