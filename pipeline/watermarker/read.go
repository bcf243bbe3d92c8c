package watermarker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/answers"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/purse"
	"ratchet/pipeline/token"
	"ratchet/pipeline/watermark"
	"ratchet/pipeline/work"
)

// read is one movement over a list: its pages as they are bought, or found stored
// by whoever read before it died.
//
//	WATERMARKS: read begun ─▶ [ claim ─▶ page ─▶ RESPONSES ─▶ candidates ─▶ LEDGER poll ]… ─▶ LEDGER gaps, sweep ─▶ WATERMARKS: read ended
//
// Dying anywhere in the brackets loses at most a page that was bought and not yet
// stored. What comes after is repeated under the same ids.
type read struct {
	w     *watermarker
	q     query
	state watermark.State // with this read under way
	moves *watermark.Read
	seen  map[pipeline.Identity]bool // in this read: the list moves while it is read
	buys  bool                       // a page was bought
}

// begin takes up the read that is under way, or begins one.
func (w *watermarker) begin(ctx context.Context, q query, s watermark.State) (*read, error) {
	plan, err := w.means(ctx)
	if err != nil {
		return nil, err
	}
	if s.Read != nil && s.Query == q.ID() {
		r, err := w.resume(ctx, q, s, plan)
		if r != nil || err != nil {
			return r, err
		}
	}
	since, err := answers.Sequence(ctx, w.bus)
	if err != nil {
		return nil, err
	}
	now := w.env.Now()
	s, err = bus.Change(ctx, q.cell, func(s watermark.State) (watermark.State, bool, error) {
		return s.Begin(q.ID(), since, plan, now), true, nil
	})
	if err != nil {
		return nil, err
	}
	return w.over(q, s, plan), nil
}

func (w *watermarker) over(q query, s watermark.State, plan watermark.Plan) *read {
	return &read{w: w, q: q, state: s, moves: s.Reader(plan), seen: map[pipeline.Identity]bool{}}
}

// means is the plan with the income that Keepa last told.
func (w *watermarker) means(ctx context.Context) (watermark.Plan, error) {
	plan := w.plan
	income, err := w.purse.Income(ctx)
	plan.Income, plan.Price, plan.Most = float64(income), token.PricePage, keepa.MaxPages
	return plan, err
}

// resume makes the read that is under way from its stored pages, whose candidates
// may or may not be out yet. Nil when it is too old to go on: what it did not read
// is owed then.
func (w *watermarker) resume(ctx context.Context, q query, s watermark.State, plan watermark.Plan) (*read, error) {
	r := w.over(q, s, plan)
	last := s.Read.Begun
	err := answers.Beyond(ctx, w.bus, int(q.Domain), pipeline.KindDeals, s.Read.Since, func(a answers.Answer) error {
		index, ours := q.pageOf(a.Key)
		if _, more := r.moves.Next(); !ours || !more {
			return nil
		}
		list, err := keepa.DecodeDealPage(a.Body)
		if err != nil || !list.Listed() {
			return nil //nolint:nilerr // it could not be read then either, and was bought again
		}
		last = a.AnsweredAt
		return r.take(ctx, index, &list, a.RequestID)
	})
	if err != nil {
		return nil, fmt.Errorf("go on with a read: %w", err)
	}
	_, more := r.moves.Next()
	if !more || w.env.Now().Sub(last) < plan.Patience {
		return r, nil
	}
	if r.moves.Pages == 0 {
		return nil, nil
	}
	return nil, r.end(ctx)
}

// pageOf is the number of a page of this query's list from its answer's key.
func (q query) pageOf(key string) (int, bool) {
	number, ours := strings.CutPrefix(key, q.Name+"-")
	index, err := strconv.Atoi(number)
	return index, ours && err == nil
}

// run reads page after page. However it ends, what was published counts: the mark
// moves, and what was not read is owed.
func (r *read) run(ctx context.Context) error {
	for {
		index, more := r.moves.Next()
		if !more {
			return r.end(ctx)
		}
		if err := r.page(ctx, index); err != nil {
			if r.moves.Pages == 0 || r.state.Read.Cut && !r.buys {
				return err // nothing was read that is not told yet; it is still due
			}
			return errors.Join(err, r.end(ctx))
		}
		r.buys = true
	}
}

// page buys one page under a claim of its own, stores it and takes it.
func (r *read) page(ctx context.Context, index int) error {
	claim, err := r.claim(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := r.w.graceful(ctx)
	defer cancel()
	answer, err := r.w.keepa.Deals(ctx, claim, int(r.q.Domain), r.q.Encode(index))
	if err != nil {
		return errors.Join(err, work.Refused(ctx, r.w.env, r.w.pulse, &r.w.fuse, claim, err))
	}
	r.w.fuse.Worked()
	r.w.pulse.Paid(answer.Consumed)
	_, err = answers.Put(ctx, r.w.bus, []answers.Answer{{
		Domain: int(r.q.Domain), Kind: pipeline.KindDeals, Key: fmt.Sprintf("%s-%d", r.q.Name, index), Body: answer.Body,
		Request: answer.Request, RequestID: claim.ID(), Cost: answer.Consumed, AnsweredAt: answer.AnsweredAt,
	}})
	if err := errors.Join(err, claim.Close(ctx, answer.Consumed, answer.Reading)); err != nil {
		return err
	}
	list, err := keepa.DecodeDealPage(answer.Body)
	if err == nil && !list.Listed() {
		err = errNoList
	}
	if err != nil {
		// The answer is stored, but what it says cannot be read: another one may
		// differ, so it is asked for again, later and later.
		r.w.fuse.Failed(r.w.env)
		return fmt.Errorf("decode page %d: %w", index, err)
	}
	return r.take(ctx, index, &list, claim.ID())
}

// errNoList means that an answer held no list at all: it is not a list of no rows.
var errNoList = errors.New("the answer holds no list")

// claim waits for a page's tokens; it holds nothing meanwhile.
func (r *read) claim(ctx context.Context) (*purse.Claim, error) {
	for {
		c, err := r.w.purse.Claim(ctx, token.PricePage, pipeline.KindDeals, 1)
		if err == nil || !errors.Is(err, purse.ErrShort) {
			return c, err
		}
		r.w.pulse.State("waiting_for_tokens")
		r.w.rest(ctx, work.Nap(r.w.env))
		leads, _, err := r.w.lease.Hold(ctx)
		if err != nil {
			return nil, err
		}
		if !leads {
			return nil, errDeposed
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// errDeposed means that another instance leads: it goes on with this read.
var errDeposed = errors.New("another watermarker leads now")

// take makes candidates of a page's rows and adds it to the read. Nothing is made
// of a page whose shape is strange.
func (r *read) take(ctx context.Context, index int, list *keepa.DealPage, claim string) error {
	page := r.q.page(index, list)
	fresh := 0
	if odd := page.Odd(); odd != "" {
		r.w.pulse.Count("list_shape_anomaly", 1)
		r.w.env.Log.Warn("list has a strange shape, nothing is concluded from it", "query", r.q.ID(), "why", odd)
	} else {
		var err error
		if err = r.buryUnread(ctx, list.Unread); err != nil {
			return err
		}
		if fresh, err = r.publish(ctx, list.Rows); err != nil {
			return err
		}
	}
	r.moves.Take(page)
	r.w.pulse.Count("rows", len(list.Rows))
	r.w.pulse.Count("candidates", fresh)
	return r.w.entry(ctx, r.polled(page, fresh, claim), "poll:"+claim)
}

// page is an answer as the ledger of what was seen reads it.
func (q query) page(index int, list *keepa.DealPage) watermark.Page {
	p := watermark.Page{Index: index, Total: -1, Now: watermark.Mark(keepa.FromTime(list.At()))}
	if root, ok := q.Root(); ok {
		if n, ok := list.CategoryCount(root); ok {
			p.Total = n
		}
	}
	for i := range list.Rows {
		row := &list.Rows[i]
		p.Rows = append(p.Rows, watermark.Row{ASIN: row.ASIN, At: watermark.Mark(row.CreationDate)})
		p.Updated = max(p.Updated, watermark.Mark(row.LastUpdate))
	}
	for _, row := range list.Unread {
		p.Rows = append(p.Rows, watermark.Row{ASIN: unreadKey(row)}) // it takes a place on the page
	}
	return p
}

// end tells what the read did to what is owed, and then writes the state, if this
// read is still the one under way there. Dying in between tells the same again.
func (r *read) end(ctx context.Context) error {
	ctx, cancel := r.w.graceful(ctx)
	defer cancel()
	plan, err := r.w.means(ctx)
	if err != nil {
		return err
	}
	now := r.w.env.Now()
	s, err := r.w.state(ctx, r.q)
	if err != nil || !r.still(s) {
		return err
	}
	_, change := s.End(r.moves, plan, now)
	if err := r.tell(ctx, change, now); err != nil {
		return err
	}
	_, err = bus.Change(ctx, r.q.cell, func(s watermark.State) (watermark.State, bool, error) {
		if !r.still(s) {
			return s, false, nil
		}
		s, _ = s.End(r.moves, plan, now)
		if s.Gaps == nil {
			s.Gaps = []watermark.Gap{}
		}
		return s, true, nil
	})
	return err
}

// still reports whether the read under way is this one.
func (r *read) still(s watermark.State) bool { return s.Read != nil && s.Read.ID == r.state.Read.ID }
