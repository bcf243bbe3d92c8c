package watermarker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
)

// answerKey is the key of a page's answers on RESPONSES.
func (l *list) answerKey(index int) string { return fmt.Sprintf("%s-%d", l.Name, index) }

// pageKey is the key of a page's dead letters.
func (l *list) pageKey(index int) string { return "page-" + l.answerKey(index) }

// indexOf returns the index of a page of this list from its answer's key.
func (l *list) indexOf(key string) (int, bool) {
	number, ours := strings.CutPrefix(key, l.Name+"-")
	index, err := strconv.Atoi(number)
	return index, ours && err == nil
}

// sequence is the sequence of a stored answer from its ID.
func sequence(id string) uint64 {
	n, _ := strconv.ParseUint(id, 10, 64) // RESPONSES assigned it
	return n
}

// buy makes the paid call under the claim, stores the answer and closes the claim.
func (t *turn) buy(ctx context.Context, index int) (watermark.Event, error) {
	w, domain := t.w, int(t.list.Domain)
	answer, err := w.keepa.Deals(ctx, t.claim, domain, t.list.Encode(index))
	bought := worker.Bought(t.claim, domain, pipeline.KindDeals, answer)
	if err != nil {
		// CallFailed logs and counts it, and the list rests with backoff: it is not also a failed step.
		err := errors.Join(worker.KeepFailed(ctx, w.bus, bought, err), worker.CallFailed(ctx, w.env, w.status, &w.breaker, t.claim, err))
		return watermark.Failed{Effect: watermark.Buy{Index: index}}, err
	}
	w.status.Paid(answer.Consumed)
	_, fits := responses.Fit(answer.Body)
	bought.Odd = !fits
	part := bought.Part(t.list.answerKey(index), "", keepa.Element{Body: answer.Body}, answer.Consumed)
	kept, err := bought.Keep(ctx, w.bus, []responses.Answer{part})
	if err := errors.Join(err, worker.End(ctx, w.env, w.status, &w.breaker, t.claim, answer)); err != nil {
		return nil, err
	}
	kept[0].Body = answer.Body // stored without what does not fit
	return watermark.Bought{Answer: t.decode(index, kept[0])}, nil
}

// replay reads the stored answers of a read under way.
func (t *turn) replay(ctx context.Context, since uint64) (watermark.Event, error) {
	var all []watermark.Answer
	err := responses.EachAfter(ctx, t.w.bus, int(t.list.Domain), pipeline.KindDeals, since, func(a responses.Answer) error {
		if index, ours := t.list.indexOf(a.Key); ours {
			all = append(all, t.decode(index, a))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("resume a read: %w", err)
	}
	return watermark.Replayed{Answers: all}, nil
}

// errNoList means that an answer contains no list, which is not the same as an empty list.
var errNoList = fmt.Errorf("%w: no list in it", worker.ErrLeftOut)

// decode reads a page, and keeps its rows until they are published.
func (t *turn) decode(index int, a responses.Answer) watermark.Answer {
	out := watermark.Answer{Page: watermark.Page{Index: index}, Call: a.RequestID, ID: a.ID, At: a.AnsweredAt}
	page, err := keepa.DecodeDealPage(a.Body)
	switch {
	case err != nil:
		out.Flaw, out.Err = watermark.Unreadable, err
		if _, cut := keepa.DecodeEnvelope(a.Body); cut == nil {
			return out
		}
		out.Flaw, out.Err = watermark.Partial, fmt.Errorf("%w: %w", worker.ErrPart, err)
	case !page.Listed():
		out.Flaw, out.Err = watermark.Partial, errNoList
	}
	out.Page = t.list.page(index, &page, a.AnsweredAt)
	t.pages[a.RequestID] = &page
	return out
}

// page returns a page as the reader's pure part uses it. A row that cannot be read takes a place on it.
func (l *list) page(index int, page *keepa.DealPage, answered time.Time) watermark.Page {
	p := watermark.Page{Index: index, Total: -1, Now: clock(page.Envelope, answered)}
	if root, ok := l.Root(); ok {
		if n, ok := page.CategoryCount(root); ok {
			p.Total = n
		}
	}
	for i := range page.Rows {
		row := &page.Rows[i]
		p.Rows = append(p.Rows, rowOf(row))
		p.Updated = max(p.Updated, watermark.Mark(row.LastUpdate))
	}
	for _, row := range page.Unread {
		p.Rows = append(p.Rows, watermark.Row{ASIN: rowKey(row.Raw)})
	}
	return p
}

// clock returns Keepa's time at an answer, or that of its arrival where the timestamp is missing or not in
// milliseconds: without a time no mark would move, and every read would be a full sweep.
func clock(e keepa.Envelope, answered time.Time) watermark.Mark {
	if now := keepa.FromTime(e.At()); now > 0 && now < keepa.LatestPrice {
		return watermark.Mark(now)
	}
	return watermark.Mark(keepa.FromTime(answered))
}

func rowOf(row *keepa.DealRow) watermark.Row {
	return watermark.Row{ASIN: row.ASIN, At: watermark.Mark(row.CreationDate)}
}

// takePage returns the rows of an answer once: they are published by one effect.
func (t *turn) takePage(call string) *keepa.DealPage {
	page := t.pages[call]
	delete(t.pages, call)
	return page
}
