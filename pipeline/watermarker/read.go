package watermarker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/answers"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/memory"
	"ratchet/pipeline/purse"
	"ratchet/pipeline/token"
	"ratchet/pipeline/watermark"
	"ratchet/pipeline/work"
)

// read is one movement over a list: an incremental read, newest first, or a full
// sweep.
type read struct {
	w      *watermarker
	q      query
	state  watermark.State // as it was when the read began
	sweep  bool
	seen   map[string]bool // ASINs of this read: the list moves while it is read
	top    watermark.Mark  // the newest row seen
	bottom watermark.Mark  // the oldest row of the last page
	pages  int
	listed int
	fresh  int // rows that became candidates
}

// run reads page after page. However it ends, what was published counts: the mark
// moves, and what was not fetched is owed.
func (r *read) run(ctx context.Context) error {
	first := 0
	if r.sweep && r.state.Sweep != nil {
		first, r.top = r.state.Sweep.Page, r.state.Sweep.Top
	}
	bottom := r.state.Bottom(r.w.plan.Margin)
	for index := first; ; index++ {
		page, err := r.page(ctx, index)
		if err != nil {
			return errors.Join(err, r.cutShort(ctx, index))
		}
		if !r.sweep && !page.Descends() {
			r.sweep = true // the list is in another order: only all of it is enough
		}
		if page.Last() || !r.sweep && page.Below(bottom) {
			return r.finish(ctx, page)
		}
		if index+1 >= keepa.MaxPages {
			return r.finish(ctx, page) // Keepa serves no more
		}
	}
}

// page buys one page under a claim of its own and publishes what is new on it.
func (r *read) page(ctx context.Context, index int) (watermark.Page, error) {
	claim, err := r.claim(ctx)
	if err != nil {
		return watermark.Page{}, err
	}
	ctx, cancel := r.w.graceful(ctx)
	defer cancel()
	answer, err := r.w.keepa.Deals(ctx, claim, int(r.q.Domain), r.q.Encode(index))
	if err != nil {
		return watermark.Page{}, errors.Join(err, work.Refused(ctx, r.w.env, r.w.pulse, &r.w.fuse, claim, err))
	}
	r.w.fuse.Worked()
	r.w.pulse.Paid(answer.Consumed)
	_, err = answers.Put(ctx, r.w.bus, []answers.Answer{{
		Domain: int(r.q.Domain), Kind: pipeline.KindDeals, Key: fmt.Sprintf("%s-%d", r.q.Name, index), Body: answer.Body,
		Request: answer.Request, RequestID: claim.ID(), Cost: answer.Consumed, AnsweredAt: answer.AnsweredAt,
	}})
	if err := errors.Join(err, claim.Close(ctx, answer.Consumed, answer.Reading)); err != nil {
		return watermark.Page{}, err
	}
	list, err := keepa.DecodeDealPage(answer.Body)
	if err != nil {
		// The answer is stored, but what it says cannot be read: another one may
		// differ, so it is asked for again, later and later.
		r.w.fuse.Failed(r.w.env)
		return watermark.Page{}, fmt.Errorf("decode page %d: %w", index, err)
	}
	return r.publish(ctx, index, &list, claim.ID())
}

// claim waits for a page's tokens; it holds nothing meanwhile.
func (r *read) claim(ctx context.Context) (*purse.Claim, error) {
	for {
		c, err := r.w.purse.Claim(ctx, token.PricePage, pipeline.KindDeals, 1)
		if err == nil || !errors.Is(err, purse.ErrShort) {
			return c, err
		}
		r.w.pulse.State("waiting_for_tokens")
		r.w.rest(ctx, work.Nap(r.w.env))
		if _, _, err := r.w.lease.Hold(ctx); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// publish makes candidates of the rows that are not decided yet, and returns when
// the stream has them.
func (r *read) publish(ctx context.Context, index int, list *keepa.DealPage, claim string) (watermark.Page, error) {
	page := watermark.Page{Index: index, Total: -1}
	if root, ok := r.q.Root(); ok {
		if n, ok := list.CategoryCount(root); ok {
			page.Total = n
		}
	}
	now := r.w.env.Now()
	var ids []pipeline.Identity
	for i := range list.Rows {
		row := &list.Rows[i]
		page.Rows = append(page.Rows, watermark.Mark(row.CreationDate))
		ids = append(ids, r.identity(row))
	}
	known, err := memory.Recall(ctx, r.w.bus, ids)
	if err != nil {
		return page, err
	}
	var ms []bus.Message
	for i := range list.Rows {
		m, ok, err := r.candidate(ctx, &list.Rows[i], ids[i], known, now)
		if err != nil {
			return page, err
		}
		if ok {
			ms = append(ms, m)
		}
	}
	if err := r.w.bus.PublishAll(ctx, ms); err != nil {
		return page, err
	}
	r.pages, r.listed, r.fresh = r.pages+1, r.listed+len(list.Rows), r.fresh+len(ms)
	r.top = max(r.top, watermark.Newest(page.Rows, watermark.Mark(keepa.FromTime(list.At()))))
	if len(page.Rows) > 0 {
		r.bottom = watermark.Oldest(page.Rows)
	}
	r.w.pulse.Count("rows", len(list.Rows))
	r.w.pulse.Count("candidates", len(ms))
	e := pipeline.Entry{
		Event: pipeline.EventPoll, At: now, Query: r.q.ID(), From: int64(r.bottom), To: int64(r.top), RowsEstimate: len(list.Rows),
		Claim: claim, Note: fmt.Sprintf("page %d, %d new", index, len(ms)),
	}
	return page, r.w.entry(ctx, e, "poll:"+claim)
}

func (r *read) identity(row *keepa.DealRow) pipeline.Identity {
	return pipeline.Identity{Domain: int(r.q.Domain), ASIN: row.ASIN, PriceType: int(r.q.PriceType), CreationDate: int64(row.CreationDate)}
}

// candidate is a row as a candidate; false when it was seen in this read or
// decided before. A row without a proper ASIN is buried, because it may not
// enter a subject.
func (r *read) candidate(ctx context.Context, row *keepa.DealRow, id pipeline.Identity, known map[pipeline.Identity]pipeline.Memory, now time.Time) (bus.Message, bool, error) {
	if !pipeline.ValidASIN(row.ASIN) {
		return bus.Message{}, false, r.bury(ctx, row)
	}
	if r.seen[row.ASIN] || known[id].Outcome.Final() && known[id].CreationDate == id.CreationDate {
		return bus.Message{}, false, nil
	}
	r.seen[row.ASIN] = true
	workID := id.WorkID(pipeline.FirstGeneration)
	m, err := bus.Encode(pipeline.SubjectCandidate(id.Domain, pipeline.SourceLive, id.ASIN), pipeline.SchemaCandidate,
		"candidate:"+workID, workID, pipeline.Candidate{
			Identity: id, Queries: []string{r.q.ID()}, Source: pipeline.SourceLive, ListSeenAt: now, Row: row.Raw,
		})
	return m, err == nil, err
}

func (r *read) bury(ctx context.Context, row *keepa.DealRow) error {
	r.w.pulse.Count("dead", 1)
	key := fmt.Sprintf("row-%x", row.ASIN)
	if len(key) > 64 {
		key = key[:64]
	}
	m, err := bus.Encode(pipeline.SubjectDead(string(pipeline.StageWatermarker), key), pipeline.SchemaDead, "dead:"+key+":"+fmt.Sprint(row.CreationDate), "",
		pipeline.Dead{Reason: "bad_asin", Error: fmt.Sprintf("%q is no ASIN", row.ASIN), Body: row.Raw})
	if err != nil {
		return err
	}
	_, err = r.w.bus.Publish(ctx, m)
	return err
}

// finish ratchets after a read that went as far as it had to.
func (r *read) finish(ctx context.Context, last watermark.Page) error {
	down := r.bottom
	if last.Last() {
		down = 0 // nothing of the list lies below
	}
	var filled, gone []watermark.Gap
	now := r.w.env.Now()
	_, err := bus.Change(ctx, r.q.cell, func(s watermark.State) (watermark.State, bool, error) {
		s = s.Observe([]watermark.Mark{r.top}, r.top)
		s, filled = s.Filled(down)
		s, gone = s.Expired(now, r.w.plan.Window)
		if r.sweep && last.Last() {
			s.LastSweep, s.Sweep = now, nil
		}
		d, why := r.w.plan.Next(s, r.fresh, r.listed)
		s.ReadAt, s.NextPoll, s.IntervalS, s.Why = now, now.Add(d), int(d/time.Second), why
		if s.Gaps == nil {
			s.Gaps = []watermark.Gap{}
		}
		return s, true, nil
	})
	if err != nil {
		return err
	}
	return r.tell(ctx, filled, gone, now)
}

// tell writes what the read did to coverage.
func (r *read) tell(ctx context.Context, filled, gone []watermark.Gap, now time.Time) error {
	for _, g := range filled {
		if err := r.w.entry(ctx, r.gap(pipeline.EventGapFilled, g), "gap_filled:"+g.ID); err != nil {
			return err
		}
	}
	for _, g := range gone {
		if err := r.w.entry(ctx, r.gap(pipeline.EventGapExpired, g), "gap_expired:"+g.ID); err != nil {
			return err
		}
	}
	if !r.sweep {
		return nil
	}
	e := pipeline.Entry{
		Event: pipeline.EventSweep, At: now, Query: r.q.ID(), To: int64(r.top), RowsEstimate: r.listed,
		Note: fmt.Sprintf("%d pages, %d new", r.pages, r.fresh),
	}
	return r.w.entry(ctx, e, fmt.Sprintf("sweep:%s:%d", r.q.ID(), now.UnixMilli()))
}

func (r *read) gap(event pipeline.Event, g watermark.Gap) pipeline.Entry {
	return pipeline.Entry{Event: event, Query: r.q.ID(), From: int64(g.From), To: int64(g.To), RowsEstimate: g.RowsEstimate, Note: g.ID}
}

// cutShort keeps what a read achieved before it ended early: a sweep goes on at
// its page, an incremental read moves the mark and owes the span below.
func (r *read) cutShort(ctx context.Context, index int) error {
	ctx, cancel := r.w.graceful(ctx)
	defer cancel()
	if r.pages == 0 {
		return nil // nothing was read, nothing moved; it is still due
	}
	now := r.w.env.Now()
	g := watermark.Gap{
		ID:   fmt.Sprintf("%s-%d-%d", r.q.Name, r.state.Mark, r.bottom),
		From: r.state.Mark, To: r.bottom, Opened: now, RowsEstimate: watermark.RowsPerPage,
	}
	opened := false
	_, err := bus.Change(ctx, r.q.cell, func(s watermark.State) (watermark.State, bool, error) {
		if r.sweep {
			s.Sweep = &watermark.Progress{Page: index, Top: r.top, Begun: now}
			return s, true, nil
		}
		before := len(s.Gaps)
		s = s.Observe([]watermark.Mark{r.top}, r.top).Owe(g)
		opened = len(s.Gaps) > before
		return s, true, nil
	})
	if err != nil || !opened {
		return err
	}
	return r.w.entry(ctx, r.gap(pipeline.EventGapOpened, g), "gap_opened:"+g.ID)
}
