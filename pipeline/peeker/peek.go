package peeker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/answers"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/gateway"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/purse"
	"ratchet/pipeline/stage"
	"ratchet/pipeline/token"
	"ratchet/pipeline/verdict"
	"ratchet/pipeline/work"
)

type busMessage = bus.Message

// peekLoop is the paid loop. One goroutine runs it, so the claim of the step in
// hand can live here between take and gather.
type peekLoop struct {
	*peeker
	keepa  *gateway.Gateway
	purse  *purse.Purse
	inlets map[pipeline.Source]*bus.Inlet
	served map[pipeline.Source]int // items taken, for the lanes' weights
	claim  *purse.Claim            // of the step in hand; nil in nospend
	fuse   work.Fuse
}

// weights divide the stage's tokens among its lanes.
func weights() map[pipeline.Source]int {
	return map[pipeline.Source]int{
		pipeline.SourceLive: 60, pipeline.SourceGap: 15, pipeline.SourceRefresh: 15,
		pipeline.SourceBackfill: 5, pipeline.SourceRepair: 5, pipeline.SourceRetry: 5,
	}
}

// fact is a product, or why there is none.
type fact struct {
	Answer  answers.Answer
	Bought  bool // by this step
	Missing bool // Keepa answered and left it out
	Err     error
}

// Run steps until ctx ends.
func (l *peekLoop) Run(ctx context.Context) error {
	l.served = map[pipeline.Source]int{}
	loop := stage.Loop[work.Unit, fact, work.Effect]{
		Take: l.take, Read: work.Read(pipeline.SchemaSurvivor), Gather: l.gather, Decide: l.decide, Apply: work.Apply(l.bus),
		Bury: func(ctx context.Context, it stage.Item, reason string, cause error) error {
			l.pulse.Count("dead", 1)
			return l.bus.Bury(ctx, string(pipeline.StagePeeker), it, reason, cause)
		},
		Now: l.env.Now, Log: l.env.Log, Grace: l.cfg.Grace, Retry: 100 * time.Millisecond,
	}
	defer l.giveBack(context.WithoutCancel(ctx))
	return loop.Run(ctx)
}

// take looks at what waits and what may be spent, claims, and only then takes
// what the claim pays for. Nothing is held while waiting for tokens.
func (l *peekLoop) take(ctx context.Context) ([]stage.Item, error) {
	l.giveBack(ctx) // the step before ended without a gather
	if l.fuse.Blown() {
		return nil, l.rest(ctx, "circuit_open")
	}
	pending, err := l.bus.Pending(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	lane, waiting := l.lane(pending)
	if waiting == 0 {
		return nil, l.rest(ctx, "idle")
	}
	wish, err := l.purse.Wish(ctx)
	if err != nil {
		return nil, err
	}
	n := min(waiting, l.cfg.Batch)
	if l.fuse.Doubtful() {
		n = 1 // one item finds out whether Keepa answers again
	}
	if wish != token.Nospend {
		credit, err := l.purse.Credit(ctx)
		if err != nil {
			return nil, err
		}
		if n = min(n, credit/token.PricePeek); n == 0 {
			return nil, l.rest(ctx, "waiting_for_tokens")
		}
		if l.claim, err = l.purse.Claim(ctx, n*token.PricePeek, pipeline.KindPeek, n); err != nil {
			if errors.Is(err, purse.ErrShort) {
				return nil, nil
			}
			return nil, err
		}
	}
	l.pulse.State("working")
	items, err := l.inlets[lane].Take(ctx, n, 200*time.Millisecond)
	l.served[lane] += len(items)
	return items, err
}

// lane is the waiting lane that has had the least of its weight.
func (l *peekLoop) lane(pending map[string]int) (pipeline.Source, int) {
	var best pipeline.Source
	waiting, score := 0, 0.0
	for _, s := range pipeline.Sources() {
		n := pending[pipeline.DurablePeek(s)]
		if n == 0 {
			continue
		}
		if sc := float64(l.served[s]+1) / float64(weights()[s]); waiting == 0 || sc < score {
			best, waiting, score = s, n, sc
		}
	}
	return best, waiting
}

// rest waits for a hint or a nap.
func (l *peekLoop) rest(ctx context.Context, state string) error {
	l.pulse.State(state)
	t := time.NewTimer(work.Nap(l.env))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-l.purse.Changed():
		if state == "idle" {
			<-t.C // a grant that moved says nothing about work
		}
	case <-t.C:
	}
	return nil
}

// giveBack closes a claim under which nothing was called.
func (l *peekLoop) giveBack(ctx context.Context) {
	if l.claim == nil {
		return
	}
	if err := l.claim.Close(ctx, 0, nil); err != nil {
		l.env.Log.Debug("claim is left to tokend", "err", err)
	}
	l.claim = nil
}

// gather finds stored answers and buys the rest under the step's claim.
func (l *peekLoop) gather(ctx context.Context, units []work.Unit) ([]fact, error) {
	facts := make([]fact, len(units))
	domain := units[0].Survivor.Domain
	stored, err := answers.Find(ctx, l.bus, domain, pipeline.KindPeek, asins(units))
	if err != nil {
		return nil, err
	}
	now := l.env.Now()
	var buy []int
	for i, u := range units {
		a, ok := stored[u.Survivor.ASIN]
		if ok && a.Fresh(u.WorkID, l.limit(u), now) {
			facts[i].Answer = a
			continue
		}
		buy = append(buy, i)
	}
	if len(buy) == 0 {
		return facts, l.close(ctx, 0, nil)
	}
	if l.claim == nil {
		for _, i := range buy {
			facts[i].Err = errNoSpend
		}
		return facts, nil
	}
	return facts, l.buy(ctx, domain, units, buy, facts)
}

var errNoSpend = errors.New("the operator's wish is nospend, and no stored answer serves")

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

func (l *peekLoop) buy(ctx context.Context, domain int, units []work.Unit, buy []int, facts []fact) error {
	wanted := make([]string, len(buy))
	for k, i := range buy {
		wanted[k] = units[i].Survivor.ASIN
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
	var of []int
	share := (answer.Consumed + max(1, len(raw)) - 1) / max(1, len(raw))
	for _, i := range buy {
		got, ok := body[units[i].Survivor.ASIN]
		if !ok {
			facts[i].Missing = true
			continue
		}
		keep = append(keep, answers.Answer{
			Domain: domain, Kind: pipeline.KindPeek, Key: units[i].Survivor.ASIN, Body: got, Request: answer.Request,
			RequestID: l.claim.ID(), WorkID: units[i].WorkID, Cost: share, AnsweredAt: answer.AnsweredAt,
		})
		of = append(of, i)
	}
	// The answer is paid for and only in memory: it is stored before anything
	// looks at it. Dying on the next line buys it again.
	kept, err := answers.Put(ctx, l.bus, keep)
	if err != nil {
		return errors.Join(err, l.close(ctx, answer.Consumed, answer.Reading))
	}
	for k, i := range of {
		facts[i].Answer, facts[i].Bought = kept[k], true
	}
	return l.close(ctx, answer.Consumed, answer.Reading)
}

// close ends the step's claim.
func (l *peekLoop) close(ctx context.Context, consumed int, r *pipeline.Reading) error {
	if l.claim == nil {
		return nil
	}
	c := l.claim
	l.claim = nil
	return c.Close(ctx, consumed, r)
}

// refused ends the step's claim after a call that failed.
func (l *peekLoop) refused(ctx context.Context, cause error) error {
	c := l.claim
	l.claim = nil
	return work.Refused(ctx, l.env, l.pulse, &l.fuse, c, cause)
}

// missingTries is how often a product that Keepa left out is asked for.
const missingTries = 3

// decide translates a fact into effects.
func (l *peekLoop) decide(u work.Unit, f fact, now time.Time) stage.Decision[work.Effect] {
	paid := work.Paid{ResponseIDs: u.Survivor.ResponseIDs}
	switch {
	case f.Err != nil:
		return stage.Decision[work.Effect]{Again: work.Postpone(l.env)}
	case f.Missing && u.Deliveries < missingTries:
		return stage.Decision[work.Effect]{Again: work.Postpone(l.env)}
	case f.Missing:
		return l.conclude(u, verdict.Finding{Outcome: pipeline.Fail, Reason: "not_found"}, paid, now)
	}
	paid.ResponseIDs = append(paid.ResponseIDs[:len(paid.ResponseIDs):len(paid.ResponseIDs)], f.Answer.ID)
	if f.Bought || f.Answer.WorkID == u.WorkID {
		paid.Tokens = f.Answer.Cost
	}
	product, err := keepa.DecodeProduct(f.Answer.Body)
	if err != nil {
		return stage.Decision[work.Effect]{
			Never: fmt.Sprintf("product_unreadable: %v", err),
			Out:   l.conclude(u, verdict.Finding{Outcome: pipeline.Fail, Reason: "product_unreadable"}, paid, now).Out,
		}
	}
	return l.conclude(u, l.judge.Peek(u.Row, product, now), paid, now)
}

func (l *peekLoop) conclude(u work.Unit, f verdict.Finding, paid work.Paid, now time.Time) stage.Decision[work.Effect] {
	v := u.Verdict(pipeline.LookPeek, f, l.judge.Version(), paid, now)
	e := work.Effect{ID: v.Identity, Memory: work.Memorable(v)}
	if v.Outcome == pipeline.Survive {
		if v.Tier == "" {
			v.Tier = pipeline.TierC
		}
		e.Messages = append(e.Messages, u.Forward(v, string(v.Tier)))
	}
	e.Messages = append(e.Messages, work.Message(u.WorkID, v))
	l.pulse.Count("peek_"+string(v.Outcome), 1)
	return stage.Decision[work.Effect]{Out: []work.Effect{e}}
}

func asins(units []work.Unit) []string {
	out := make([]string, len(units))
	for i, u := range units {
		out[i] = u.Survivor.ASIN
	}
	return out
}
