package watermarker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/text/foreign"
	"ratchet/pipeline/worker"
)

// read is one pass over a list: its pages as they are bought, or as an earlier
// process stored them before it died.
//
//	WATERMARKS: read begun
//	  ─▶ [ claim ─▶ page ─▶ RESPONSES ─▶ candidates ─▶ LEDGER poll ]…
//	  ─▶ LEDGER gaps, sweep ─▶ WATERMARKS: read ended
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
	since, err := responses.Sequence(ctx, w.bus)
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
	income, err := w.spender.Income(ctx)
	plan.Income, plan.Price, plan.Most = float64(income), token.PricePage, keepa.MaxPages
	return plan, err
}

// resume makes the read that is under way from its stored pages, whose candidates
// may or may not be out yet. Nil when it is too old to go on: what it did not read
// is owed then.
func (w *watermarker) resume(ctx context.Context, q query, s watermark.State, plan watermark.Plan) (*read, error) {
	r := w.over(q, s, plan)
	last := s.Read.Begun
	err := responses.Beyond(ctx, w.bus, int(q.Domain), pipeline.KindDeals, s.Read.Since, func(a responses.Answer) error {
		index, ours := q.pageOf(a.Key)
		if _, more := r.moves.Next(); !ours || !more {
			return nil
		}
		list, why, odd := decodePage(a.Body)
		switch {
		case why == nil:
			last = a.AnsweredAt
			return r.take(ctx, index, &list, a.RequestID)
		case odd:
			return r.skip(ctx, index, a, why)
		}
		return nil // it came in part, or without a list: it was or is bought again
	})
	if err != nil {
		return nil, fmt.Errorf("go on with a read: %w", err)
	}
	_, more := r.moves.Next()
	if !more || plan.Continues(last, w.env.Now()) {
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
			if !r.state.Counts(r.moves, r.buys) {
				return err // it is still due
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
	spent, err := r.begin(ctx, index, claim)
	if err != nil || spent {
		return errors.Join(err, claim.Close(ctx, 0, nil))
	}
	domain := int(r.q.Domain)
	answer, err := r.w.keepa.Deals(ctx, claim, domain, r.q.Encode(index))
	bought := worker.Bought(claim, domain, pipeline.KindDeals, answer)
	if err != nil {
		return errors.Join(err, worker.KeepRefused(ctx, r.w.bus, bought, err), worker.Refused(ctx, r.w.env, r.w.pulse, &r.w.breaker, claim, err))
	}
	r.w.pulse.Paid(answer.Consumed)
	key := fmt.Sprintf("%s-%d", r.q.Name, index)
	_, fits := responses.Fit(answer.Body)
	bought.Odd = !fits
	kept, err := bought.Keep(ctx, r.w.bus, []responses.Answer{bought.Part(key, "", keepa.Element{Body: answer.Body}, answer.Consumed)})
	if err := errors.Join(err, worker.End(ctx, r.w.env, r.w.pulse, &r.w.breaker, claim, answer)); err != nil {
		return err
	}
	list, why, odd := decodePage(answer.Body)
	switch {
	case why == nil:
		return r.take(ctx, index, &list, claim.ID())
	case odd:
		return r.skip(ctx, index, kept[0], why)
	}
	// It came in part: its rows are worked on, and the page is bought again.
	if _, err := r.publish(ctx, &list, claim.ID()); err != nil {
		return err
	}
	r.w.pulse.Again(r.w.env.Log, key, why)
	return fmt.Errorf("decode page %d: %w", index, why)
}

// decodePage decodes a page. why is set where it is no whole list; odd says that the answer is complete all the same,
// so that another would say the same.
func decodePage(body []byte) (list keepa.DealPage, why error, odd bool) {
	list, err := keepa.DecodeDealPage(body)
	switch {
	case err != nil:
		_, cut := keepa.DecodeEnvelope(body)
		if cut == nil {
			return list, err, true
		}
		return list, fmt.Errorf("%w: %w", worker.ErrPart, err), false
	case !list.Listed():
		return list, errNoList, false
	}
	return list, nil, false
}

// begin says that a page of this read is about to be bought. A page that was paid for as often as work may be is
// skipped, with a dead letter.
func (r *read) begin(ctx context.Context, index int, claim *claims.Claim) (spent bool, err error) {
	domain, id := int(r.q.Domain), r.workOf(index)
	tallies, err := responses.Tallies(ctx, r.w.bus, domain, pipeline.KindDeals, []string{id})
	if err != nil {
		return false, err
	}
	if tallies[id].Waits() {
		r.w.pulse.Again(r.w.env.Log, fmt.Sprintf("page-%s-%d", r.q.Name, index), worker.ErrPrice)
		return false, fmt.Errorf("buy page %d: %w", index, worker.ErrPrice)
	}
	if !tallies[id].Spent() {
		return false, responses.Begin(ctx, r.w.bus, domain, pipeline.KindDeals, []string{id}, claim.ID())
	}
	why := fmt.Sprintf("page %d was paid for %d times and never came whole (`ratchet answer %s` prints what came)", index, pipeline.MaxPaid, id)
	key := fmt.Sprintf("page-%s-%d", r.q.Name, index)
	err = r.dead(ctx, key, "dead:"+key+":"+id, pipeline.Dead{Reason: "no_answer", Error: foreign.Of(why), Header: r.head("", 0)})
	r.moves.Skip(index, why)
	return true, err
}

// workOf names a page of this read as work.
func (r *read) workOf(index int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%d", r.state.Read.ID, index))
	return fmt.Sprintf("%x", sum[:12])
}

// skip goes on without a page that is stored and cannot be read. Its dead letter names it, and drives it again from
// the stored bytes.
func (r *read) skip(ctx context.Context, index int, a responses.Answer, why error) error {
	sequence, _ := strconv.ParseUint(a.ID, 10, 64) // ours
	key := fmt.Sprintf("page-%s-%d", r.q.Name, index)
	err := r.dead(ctx, key, "dead:"+key+":"+a.RequestID, pipeline.Dead{
		Reason: "unreadable_page", Error: foreign.Of(fmt.Sprintf("call %s, page %d (`ratchet answer %s`): %v", a.RequestID, index, a.RequestID, why)),
		Stream: pipeline.StreamResponses, Sequence: sequence, Subject: pipeline.SubjectResponse(int(r.q.Domain), pipeline.KindDeals, a.Key),
		Header: r.head(a.RequestID, index),
	})
	r.moves.Skip(index, fmt.Sprintf("page %d cannot be read", index))
	return err
}

// errNoList means that an answer held no list at all: it is not a list of no rows.
var errNoList = fmt.Errorf("%w: no list in it", worker.ErrLeftOut)

// claim waits for a page's tokens; it holds nothing meanwhile.
func (r *read) claim(ctx context.Context) (*claims.Claim, error) {
	for {
		if !r.w.inForce.has(r.q) {
			return nil, errRemoved
		}
		c, err := r.w.spender.Claim(ctx, token.PricePage, pipeline.KindDeals, 1)
		if err == nil || !errors.Is(err, claims.ErrShort) {
			return c, err
		}
		r.w.pulse.State("waiting_for_tokens")
		r.w.rest(ctx, worker.Nap(r.w.env))
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

// errRemoved means that the query was taken out of force: what its read did not reach is owed.
var errRemoved = errors.New("the query is no longer in force")

// take makes candidates of a page's rows and adds it to the read. Nothing is made
// of a page whose shape is strange.
func (r *read) take(ctx context.Context, index int, list *keepa.DealPage, claim string) error {
	page := r.q.page(index, list)
	fresh := 0
	if odd := page.Odd(); odd != "" {
		r.w.pulse.Count("list_shape_anomaly", 1)
		r.w.env.Log.Warn("list has a strange shape, nothing is concluded from it", "query", r.q.ID(), "why", odd)
		if _, err := r.putAside(ctx, list, claim); err != nil {
			return err
		}
	} else {
		var err error
		if fresh, err = r.publish(ctx, list, claim); err != nil {
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
		p.Rows = append(p.Rows, watermark.Row{ASIN: rowKey(row.Raw)}) // it takes a place on the page
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
