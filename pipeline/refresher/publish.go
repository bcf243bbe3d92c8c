package refresher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/seen"
)

// signs returns the signs that looks are being decided, and the plan's rate; 0 while the budget is unknown.
func (k *refresher) signs(ctx context.Context) (refresh.Signs, int, error) {
	var s refresh.Signs
	kv, err := k.bus.Store(ctx, k.bus.Own(pipeline.BucketTokens))
	if err != nil {
		return s, 0, err
	}
	var b token.Balance
	raw, _, err := bus.NewCell(kv, pipeline.KeyBalance).Read(ctx)
	if err != nil {
		return s, 0, err
	}
	if raw != nil && (json.Unmarshal(raw, &b) != nil || token.ValidFigures(b.Rate) != nil) {
		return s, 0, fmt.Errorf("decode the balance: %.80q", raw)
	}
	s.Mode = b.State
	for _, h := range k.stock.all {
		if at := instant(h.offered); h.State.Shown() && !at.IsZero() && (s.Oldest.IsZero() || at.Before(s.Oldest)) {
			s.Oldest = at
		}
	}
	s.Answered, err = k.answered(ctx)
	return s, b.Rate, err
}

// answered returns when the newest paid answer was stored, pipeline time.
func (k *refresher) answered(ctx context.Context) (newest time.Time, err error) {
	stream, err := k.bus.Stream(ctx, pipeline.StreamResponses)
	if err != nil {
		return newest, fmt.Errorf("read the state of %s: %w", pipeline.StreamResponses, err)
	}
	// Not the stream's last message: that may be an attempt without an answer.
	var subjects []string
	for _, kind := range []pipeline.Kind{pipeline.KindDeals, pipeline.KindPeek, pipeline.KindCommit, pipeline.KindSeller} {
		subjects = append(subjects, k.bus.Subjects(fmt.Sprintf("response.%%s.%s.>", kind))...)
	}
	for _, subject := range subjects {
		m, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return newest, fmt.Errorf("read the newest answer: %w", err)
		}
		at, err := time.Parse(pipeline.TimeFormat, m.Header.Get(pipeline.HeaderAt))
		if err == nil && at.After(newest) { // otherwise it was written by hand and proves nothing
			newest = at
		}
	}
	return newest, nil
}

// publish publishes the changed states and offers what is due.
// The IDs follow from the holdings, so that repeats are dropped.
func (k *refresher) publish(ctx context.Context, r round, now time.Time) error {
	var ms []bus.Message
	for _, h := range r.Change {
		if h.State == refresh.Stale || h.State == refresh.Expired {
			ms = append(ms, state(h, outcome(h.State), h.Why, now))
			k.status.Count(string(h.State), 1)
			k.status.Verdict(pipeline.LookList, outcome(h.State), h.Why)
		}
	}
	for _, h := range r.gaveUp {
		ms = append(ms, state(h, pipeline.Fail, h.GaveUp, now))
		k.status.Count("gave_up", 1)
		k.status.Verdict(pipeline.LookList, pipeline.Fail, h.GaveUp)
	}
	if err := k.withRows(ctx, r.Offer); err != nil {
		return err
	}
	wanted, err := k.wanted(ctx, r.Offer)
	if err != nil {
		return err
	}
	ctx, spans := k.env.Trace.Begin(ctx, "candidate")
	defer spans.End()
	for _, w := range r.Offer {
		w.Holding.Queries = seen.Union(w.Holding.Queries, wanted[w.Holding.Identity])
		m := offer(w)
		ms = append(ms, m)
		spans.Create(m.WorkID, w.Holding.ASIN, string(w.Source))
		k.status.Count("offered_"+string(w.Source), 1)
	}
	if len(ms) == 0 {
		return nil
	}
	if err := k.bus.PublishAll(ctx, ms); err != nil {
		return fmt.Errorf("offer %d deals again: %w", len(r.Offer), err)
	}
	return nil
}

// wanted returns the queries that want each offered deal, if there are several queries.
func (k *refresher) wanted(ctx context.Context, offers []refresh.Work) (map[pipeline.Identity][]string, error) {
	ids := make([]pipeline.Identity, len(offers))
	for i, w := range offers {
		ids[i] = w.Holding.Identity
	}
	return seen.Wanted(ctx, k.bus, ids)
}

// outcome maps a state to the outcome of its verdict: a stale deal
// could not be decided in time, an expired one is no longer shown.
func outcome(s refresh.State) pipeline.Outcome {
	if s == refresh.Expired {
		return pipeline.Reject
	}
	return pipeline.Fail
}

// offer returns a deal as a candidate for a refresh or a repair.
func offer(w refresh.Work) bus.Message {
	h := w.Holding
	return messages.Candidate("candidate", h.WorkID(w.Generation()), pipeline.Candidate{
		Identity: h.Identity, Queries: h.Queries, Source: w.Source, ListSeenAt: h.ListedAt, Attempt: w.Attempt, Row: h.Row,
	})
}

// state returns the verdict for a holding's state. Nothing was looked at,
// so its look is list; its work is the state since the last confirmation.
func state(h refresh.Holding, o pipeline.Outcome, why string, now time.Time) bus.Message {
	cents := h.Cents
	workID := h.WorkID(pipeline.Generation(fmt.Sprintf("%s-%d", why, h.Confirmed.UnixMilli())))
	return messages.Verdict(pipeline.RunLive, workID, "", pipeline.Verdict{
		Identity: h.Identity, Look: pipeline.LookList, Outcome: o, Reason: why, Source: pipeline.SourceRefresh, Queries: h.Queries,
		Inputs: map[string]any{
			"confirmed_at": h.Confirmed, "checked_at": h.Checked, "failed": h.Failed, "attempts": h.Attempt, "missing": h.Missing,
		},
		Unknown: []string{}, ResponseIDs: []string{}, ListedAt: h.ListedAt, DecidedAt: now.UTC().Truncate(time.Millisecond), ExpectedValueCents: &cents,
	})
}
