package responses

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
)

// RecordAttempts stores, before a call, that it is about to be made for these units of work under a claim: after a
// crash on any later line the call still counts. It stores one message for each unit.
func RecordAttempts(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, works []string, claim string) error {
	ms := make([]bus.Message, len(works))
	for i, w := range works {
		ms[i] = bus.Message{
			Subject: pipeline.SubjectAttempt(domain, kind, w), Schema: pipeline.SchemaAttempt,
			ID: fmt.Sprintf("attempt:%s:%s:%s", claim, kind, w), WorkID: w,
			Header: map[string]string{pipeline.HeaderKind: string(kind), pipeline.HeaderRequestID: claim},
		}
	}
	return b.PublishAll(ctx, ms)
}

// Outcomes returns the outcomes of earlier calls for units of work, of those that had any. The calls are read
// from RESPONSES and their costs from LEDGER, so the count survives restarts and is the same for every worker.
func Outcomes(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, works []string) (map[string]token.Attempts, error) {
	subjects := make([]string, len(works))
	for i, w := range works {
		subjects[i] = pipeline.SubjectAttempt(domain, kind, w)
	}
	some, err := b.Newest(ctx, pipeline.StreamResponses, subjects, bus.Until{})
	if err != nil || len(some) == 0 {
		return nil, err
	}
	from := bus.From{Headers: true}
	for _, m := range some {
		from.Subjects = append(from.Subjects, m.Subject)
	}
	calls, since := map[string][]token.Call{}, time.Time{}
	err = b.Scan(ctx, pipeline.StreamResponses, from, func(r bus.Read) error {
		at, err := time.Parse(pipeline.TimeFormat, r.Header.Get(pipeline.HeaderAt))
		if err != nil {
			return fmt.Errorf("read attempt %d: %w", r.Sequence, err)
		}
		if since.IsZero() || r.StoredAt.Before(since) {
			since = r.StoredAt
		}
		work := r.Header.Get(pipeline.HeaderWorkID)
		calls[work] = append(calls[work], token.Call{Claim: r.Header.Get(pipeline.HeaderRequestID), At: at})
		return nil
	})
	if err != nil {
		return nil, err
	}
	closed, ledger, err := accounts(ctx, b)
	if err != nil {
		return nil, err
	}
	lines := bus.From{Subjects: []string{"ledger.*." + string(pipeline.EventClose), "ledger.*." + string(pipeline.EventDrift)}, Since: since}
	if b.Plan() != "" {
		lines.Subjects = append(lines.Subjects, lines.Subjects[0]+".*", lines.Subjects[1]+"."+string(b.Plan()))
	}
	err = bus.ScanJSON(ctx, b, pipeline.StreamLedger, lines, func(_ bus.Read, e pipeline.Entry) error {
		// The work may have been begun with the key of the plan that had its marketplace before; drift is of one key.
		if e.Event == pipeline.EventClose || e.Plan == b.Plan() {
			ledger = append(ledger, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]token.Attempts, len(calls))
	for w, c := range calls {
		out[w] = token.AttemptsOf(c, ledger, closed)
	}
	return out, nil
}

// accounts returns the time up to which tokend's accounts are closed, and the lines
// that the ledger may not have yet. It is read before the ledger, so that no line
// of a closing is missed. An unreadable balance yields nothing; tokend rebuilds it.
func accounts(ctx context.Context, b *bus.Bus) (time.Time, []pipeline.Entry, error) {
	kv, err := b.Store(ctx, b.Own(pipeline.BucketTokens))
	if err != nil {
		return time.Time{}, nil, err
	}
	var balance token.Balance
	raw, _, err := bus.NewCell(kv, pipeline.KeyBalance).Read(ctx)
	if err != nil || json.Unmarshal(raw, &balance) != nil {
		return time.Time{}, nil, err
	}
	lines := make([]pipeline.Entry, len(balance.Books.Lines))
	for i, l := range balance.Books.Lines {
		lines[i] = l.Entry
	}
	return balance.Books.Closed, lines, nil
}
