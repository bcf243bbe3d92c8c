package watermarker

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/trace"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/text/foreign"
	"ratchet/pipeline/worker"
)

// turn interprets the effects of one turn of a reader.
type turn struct {
	w     *watermarker
	list  *list
	claim *claims.Claim              // of the next call
	pages map[string]*keepa.DealPage // by call, until their rows are published
	spans *trace.Step                // of the rows that are published
}

// step passes an event to a list's reader and carries out the resulting effects.
// After a stop it begins no call, and finishes a page within the grace period.
func (w *watermarker) step(ctx context.Context, l *list, e watermark.Event) error {
	ctx, spans := w.env.Trace.Begin(ctx, "candidate")
	grace, cancel := loop.Graceful(ctx, w.cfg.Grace)
	defer cancel()
	t := &turn{w: w, list: l, pages: map[string]*keepa.DealPage{}, spans: spans}
	var err error
	l.reader, err = l.reader.Run(e, w.env.Now, func(e watermark.Effect) (watermark.Event, error) {
		if event, mine, err := t.interruptible(ctx, e); mine {
			return event, err
		}
		return t.finishing(grace, e)
	})
	return err
}

// interruptible carries out the effects before a call. They end with the daemon.
func (t *turn) interruptible(ctx context.Context, e watermark.Effect) (event watermark.Event, mine bool, err error) {
	switch e := e.(type) {
	case watermark.CountBacklog:
		event, err = t.w.countBacklog(ctx)
	case watermark.ReadFunds:
		event, err = t.readFunds(ctx)
	case watermark.Replay:
		event, err = t.replay(ctx, e.Since)
	case watermark.Locate:
		var last uint64
		last, err = t.w.bus.Last(ctx, pipeline.StreamResponses)
		event = watermark.Located{Sequence: last}
	case watermark.Claim:
		event, err = t.claimPage(ctx)
	case watermark.Wait:
		t.w.pause(ctx, leaseTurn)
		var leads bool
		leads, _, err = t.w.lease.Hold(ctx)
		event, err = watermark.Woke{Leads: leads}, errors.Join(err, ctx.Err())
	default:
		return nil, false, nil
	}
	return event, true, err
}

// finishing carries out the effects of a page and of the end of a read.
func (t *turn) finishing(ctx context.Context, e watermark.Effect) (watermark.Event, error) {
	switch e := e.(type) {
	case watermark.CountAttempts:
		all, err := responses.Outcomes(ctx, t.w.bus, int(t.list.Domain), pipeline.KindDeals, []string{e.Work})
		return watermark.Tried{Attempts: all[e.Work]}, err
	case watermark.Attempt:
		return nil, responses.RecordAttempts(ctx, t.w.bus, int(t.list.Domain), pipeline.KindDeals, []string{e.Work}, t.claim.ID())
	case watermark.Buy:
		return t.buy(ctx, e.Index)
	case watermark.Release:
		return nil, t.claim.Close(ctx, 0, nil)
	case watermark.Offer:
		if e.Odd {
			t.w.status.Count("list_shape_anomaly", 1)
		}
		return t.offer(ctx, e)
	case watermark.DeadLetterRows:
		t.w.status.Count("list_shape_anomaly", 1)
		return watermark.Offered{}, t.deadLetterRows(ctx, t.takePage(e.Call), e.Call)
	case watermark.DeadLetter:
		return nil, t.deadPage(ctx, e)
	case watermark.BuyLater: // logged and counted as work that returns: it is not also a failed step
		t.w.status.Again(t.w.env.Log, t.list.pageKey(e.Index), cmp.Or(e.Err, worker.ErrPrice))
		return watermark.Failed{Effect: e}, nil
	case watermark.Append:
		return nil, t.append(ctx, e.Line)
	case watermark.Reload:
		return t.reload(ctx)
	case watermark.Swap:
		s, err := swap(ctx, t.list.cell, e.Edit)
		return watermark.Swapped{State: s}, err
	}
	return nil, t.report(e)
}

// report carries out the effects on the heartbeat and the log.
func (t *turn) report(e watermark.Effect) error {
	switch e := e.(type) {
	case watermark.Show:
		t.w.status.State(e.State)
	case watermark.ReportDue:
		t.w.status.Observe(loopList, stall.Observation{Work: true, Tokens: e.Tokens, Wish: true}) // a pause gives no credit
	case watermark.Stepped:
		t.w.status.Stepped(loopList)
	case watermark.Warn:
		t.w.env.Log.Warn(e.Text, append([]any{"query", t.list.ID()}, e.Args...)...) //nolint:sloglint // the texts are the reader's constants
	}
	return nil
}

// swap changes a stored state.
func swap(ctx context.Context, c bus.Cell, e watermark.Edit) (watermark.State, error) {
	return bus.Change(ctx, c, func(s watermark.State) (watermark.State, bool, error) {
		s, write := e.Apply(s)
		return s, write, nil
	})
}

func (t *turn) readFunds(ctx context.Context) (watermark.Event, error) {
	pages, err := t.w.spender.Affords(ctx, pipeline.KindDeals)
	if err != nil {
		return nil, err
	}
	income, err := t.w.spender.Income(ctx)
	return watermark.Funds{Pages: pages, Income: float64(income)}, err
}

func (t *turn) reload(ctx context.Context) (watermark.Event, error) {
	s, err := t.w.state(ctx, t.list.cell)
	if err != nil {
		return nil, err
	}
	income, err := t.w.spender.Income(ctx)
	return watermark.Reloaded{State: s, Income: float64(income)}, err
}

// claimPage claims the tokens of a page. A process that was frozen in a read
// finds that another instance leads, and leaves the pages to it.
func (t *turn) claimPage(ctx context.Context) (watermark.Event, error) {
	if leads, _, err := t.w.lease.Hold(ctx); err != nil || !leads {
		return watermark.Woke{}, err
	}
	if !t.w.current.has(t.list.Query) {
		return watermark.Removed{}, nil
	}
	var err error
	t.claim, err = t.w.spender.Claim(ctx, token.PricePage, pipeline.KindDeals, 1)
	if errors.Is(err, claims.ErrShort) {
		return watermark.Short{}, nil
	}
	return watermark.Claimed{}, err
}

// append adds a line to the ledger.
func (t *turn) append(ctx context.Context, l token.Line) error {
	if err := messages.AppendLine(ctx, t.w.bus, l); err != nil {
		return err
	}
	if e := l.Entry.Event; e == pipeline.EventGapOpened || e == pipeline.EventGapFilled || e == pipeline.EventGapExpired {
		t.w.status.Count(string(e), 1)
	}
	return nil
}

// deadPage writes the dead letter of a page that is skipped. One of an answer
// names the stored bytes, from which the page can be retried.
func (t *turn) deadPage(ctx context.Context, e watermark.DeadLetter) error {
	key, a := t.list.pageKey(e.Index), e.Answer
	if a == nil {
		why := fmt.Sprintf("page %d was paid for %d times and no answer was complete (`ratchet answer %s` prints them)", e.Index, pipeline.MaxPaid, e.Work)
		return t.dead(ctx, key, "dead:"+key+":"+e.Work, pipeline.Dead{Reason: "no_answer", Error: foreign.Of(why), Header: t.header("", 0)})
	}
	return t.dead(ctx, key, "dead:"+key+":"+a.Call, pipeline.Dead{
		Reason: "unreadable_page", Error: foreign.Of(fmt.Sprintf("call %s, page %d (`ratchet answer %s`): %v", a.Call, e.Index, a.Call, a.Err)),
		Stream: pipeline.StreamResponses, Sequence: sequence(a.ID), Subject: pipeline.SubjectResponse(int(t.list.Domain), pipeline.KindDeals, t.list.answerKey(e.Index)),
		Header: t.header(a.Call, e.Index),
	})
}
