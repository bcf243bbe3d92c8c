package watermark

import (
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// The warnings of a reader.
const (
	strange = "list has a strange shape, nothing is concluded from it"
	expired = "a gap has expired, its rows have left the list"
)

// line returns a line of the ledger about the list.
func (r Reader) line(id string, e pipeline.Entry) token.Line {
	e.Stage, e.Query = pipeline.StageWatermarker, r.Query
	return token.Line{ID: id, Entry: e}
}

// polled returns the line about one page. Its note ends with when the read was due and the interval
// before it: a poll that is due is work that waits, and the query for stalls reads it there.
func (r Reader) polled(a Answer, candidates int, now time.Time) token.Line {
	e := pipeline.Entry{
		Event: pipeline.EventPoll, At: now, From: int64(a.Page.Oldest()), To: int64(r.read.Top), RowsEstimate: len(a.Page.Rows),
		Claim: a.Call, Note: fmt.Sprintf("page %d, %d new", a.Page.Index, candidates),
	}
	if odd := a.Page.Odd(); odd != "" {
		e.Note = fmt.Sprintf("page %d, list shape anomaly: %s, %d new", a.Page.Index, odd, candidates)
	}
	if due := r.State.NextPoll; !due.IsZero() {
		e.Note += fmt.Sprintf(", due %s, every %d s", due.UTC().Format(time.RFC3339), r.State.IntervalS)
	}
	return r.line("poll:"+a.Call, e)
}

// changed returns the lines about what the read did to the gaps, and a warning for each that expired with rows.
func (r Reader) changed(c Change, now time.Time) []Effect {
	var out []Effect
	for _, gaps := range []struct {
		event pipeline.Event
		all   []Gap
	}{{pipeline.EventGapOpened, c.Opened}, {pipeline.EventGapFilled, c.Filled}, {pipeline.EventGapExpired, c.Expired}} {
		for _, g := range gaps.all {
			out = append(out, Append{r.line(string(gaps.event)+":"+g.ID, pipeline.Entry{
				Event: gaps.event, At: now, From: int64(g.From), To: int64(g.To), RowsEstimate: g.RowsEstimate, Note: g.ID,
			})})
		}
	}
	for _, g := range c.Expired {
		if g.RowsEstimate > 0 {
			out = append(out, Warn{expired, []any{"from", g.From, "to", g.To, "rows_estimate", g.RowsEstimate}})
		}
	}
	if r.read.ReachedEnd() {
		out = append(out, Append{r.swept(c, now)})
	}
	return out
}

// swept returns the line about a full sweep.
func (r Reader) swept(c Change, now time.Time) token.Line {
	return r.line("sweep:"+r.State.Read.ID, pipeline.Entry{
		Event: pipeline.EventSweep, At: now, To: int64(r.read.Top), RowsEstimate: r.read.Distinct(),
		Note: fmt.Sprintf("%d pages, %d new, about %d came and went unseen", r.read.Pages, r.read.Fresh+r.read.Late, c.Missed),
	})
}
