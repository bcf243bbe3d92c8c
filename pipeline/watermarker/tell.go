package watermarker

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
)

// polled is the ledger's line about one page. The note ends with since when the read had been due and after how long
// the one before it had wanted another: a poll that is due is work that waits, and the question stalls reads it
// there.
func (r *read) polled(p watermark.Page, fresh int, claim string) pipeline.Entry {
	e := pipeline.Entry{
		Event: pipeline.EventPoll, At: r.w.env.Now(), Query: r.q.ID(), To: int64(r.moves.Top), RowsEstimate: len(p.Rows),
		Claim: claim, Note: fmt.Sprintf("page %d, %d new", p.Index, fresh),
	}
	for i, row := range p.Rows {
		if i == 0 || int64(row.At) < e.From {
			e.From = int64(row.At)
		}
	}
	if r.moves.Odd != "" {
		e.Note = fmt.Sprintf("page %d, list shape anomaly: %s", p.Index, r.moves.Odd)
	}
	if due := r.state.NextPoll; !due.IsZero() {
		e.Note += fmt.Sprintf(", due %s, every %d s", due.UTC().Format(time.RFC3339), r.state.IntervalS)
	}
	return e
}

// tell writes what the read did to what is owed. A gap that expired names the rows
// that were missed.
func (r *read) tell(ctx context.Context, c watermark.Change, now time.Time) error {
	for _, told := range []struct {
		event pipeline.Event
		gaps  []watermark.Gap
	}{{pipeline.EventGapOpened, c.Opened}, {pipeline.EventGapFilled, c.Filled}, {pipeline.EventGapExpired, c.Expired}} {
		for _, g := range told.gaps {
			e := pipeline.Entry{
				Event: told.event, At: now, Query: r.q.ID(), From: int64(g.From), To: int64(g.To), RowsEstimate: g.RowsEstimate, Note: g.ID,
			}
			if err := r.w.entry(ctx, e, string(told.event)+":"+g.ID); err != nil {
				return err
			}
			r.w.pulse.Count(string(told.event), 1)
		}
	}
	for _, g := range c.Expired {
		if g.RowsEstimate > 0 {
			r.w.env.Log.Warn("a gap has expired, its rows have left the list", "query", r.q.ID(), "from", g.From, "to", g.To, "rows_estimate", g.RowsEstimate)
		}
	}
	if !r.moves.Whole() {
		return nil
	}
	e := pipeline.Entry{
		Event: pipeline.EventSweep, At: now, Query: r.q.ID(), To: int64(r.moves.Top), RowsEstimate: r.moves.Distinct(),
		Note: fmt.Sprintf("%d pages, %d new, about %d came and went unseen", r.moves.Pages, r.moves.Fresh+r.moves.Late, c.Missed),
	}
	return r.w.entry(ctx, e, "sweep:"+r.state.Read.ID)
}

// entry writes a line of the ledger about a list.
func (w *watermarker) entry(ctx context.Context, e pipeline.Entry, id string) error {
	e.Stage = pipeline.StageWatermarker
	if e.At.IsZero() {
		e.At = w.env.Now()
	}
	m, err := bus.Encode(pipeline.SubjectLedger(e.Stage, e.Event), pipeline.SchemaLedger, id, "", e)
	if err != nil {
		return err
	}
	_, err = w.bus.Publish(ctx, m)
	return err
}
