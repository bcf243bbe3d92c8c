package watermarker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/text/foreign"
)

// offer publishes the rows that were neither decided nor offered before, and returns them once the stream has them.
func (t *turn) offer(ctx context.Context, e watermark.Offer) (watermark.Event, error) {
	page := t.takePage(e.Call)
	if err := t.deadLetterRows(ctx, page, e.Call); err != nil {
		return nil, err
	}
	ids := make([]pipeline.Identity, len(e.Rows))
	for i, row := range e.Rows {
		ids[i] = t.list.identity(row.Row)
	}
	known, err := t.w.known(ctx, ids)
	if err != nil {
		return nil, err
	}
	wants, err := t.want(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := map[watermark.Row]*keepa.DealRow{}
	for i := range page.Rows {
		rows[rowOf(&page.Rows[i])] = &page.Rows[i]
	}
	var ms []bus.Message
	var out []watermark.Row
	for i, row := range e.Rows {
		if known[ids[i]] {
			continue
		}
		m, err := candidate(rows[row.Row], ids[i], wants[ids[i]], row.Source, e.At)
		if err != nil {
			return nil, err
		}
		ms, out = append(ms, m), append(out, row.Row)
		t.spans.Create(m.WorkID, row.ASIN, string(row.Source))
	}
	defer t.spans.End()
	if err := t.w.bus.PublishAll(ctx, ms); err != nil {
		return nil, err
	}
	t.w.status.Count("rows", len(page.Rows))
	t.w.status.Count("candidates", len(out))
	return watermark.Offered{Rows: out}, nil
}

// known returns the identities that were decided, or were offered and wait.
func (w *watermarker) known(ctx context.Context, ids []pipeline.Identity) (map[pipeline.Identity]bool, error) {
	known := map[pipeline.Identity]bool{}
	decided, err := seen.Read(ctx, w.bus, ids)
	if err != nil {
		return nil, err
	}
	var open []pipeline.Identity
	for _, id := range ids {
		if m, ok := decided[id]; ok && m.Outcome.Final() {
			known[id] = true
		} else {
			open = append(open, id)
		}
	}
	offered, err := seen.Offered(ctx, w.bus, open)
	for id := range offered {
		known[id] = true
	}
	return known, err
}

func (l *list) identity(row watermark.Row) pipeline.Identity {
	return pipeline.Identity{Domain: int(l.Domain), ASIN: row.ASIN, PriceType: int(l.PriceType), CreationDate: int64(row.At)}
}

func candidate(row *keepa.DealRow, id pipeline.Identity, queries []string, source pipeline.Source, now time.Time) (bus.Message, error) {
	workID := id.WorkID(pipeline.FirstGeneration)
	return bus.Encode(pipeline.SubjectCandidate(id.Domain, source, id.ASIN), pipeline.SchemaCandidate, "candidate:"+workID, workID,
		pipeline.Candidate{Identity: id, Queries: queries, Source: source, ListSeenAt: now, Row: row.Raw})
}

// deadLetterRows writes a dead letter for each row that cannot be a candidate: one that cannot be read,
// has no valid ASIN, which may not be part of a subject, or has no date and so no identity.
func (t *turn) deadLetterRows(ctx context.Context, page *keepa.DealPage, call string) error {
	for _, row := range page.Unread {
		if err := t.deadRow(ctx, "unreadable_row", row.Err.Error(), row.Raw, call, row.Position); err != nil {
			return err
		}
	}
	for i := range page.Rows {
		row := &page.Rows[i]
		reason, why := "no_date", "creationDate is not a time"
		switch {
		case !pipeline.ValidASIN(row.ASIN):
			reason, why = "bad_asin", fmt.Sprintf("%q is not an ASIN", row.ASIN[:min(len(row.ASIN), 40)])
		case row.CreationDate > 0:
			continue
		}
		if err := t.deadRow(ctx, reason, why, row.Raw, call, page.Positions[i]); err != nil {
			return err
		}
	}
	return nil
}

// mostRow is how much of a row a dead letter contains; its page is stored whole.
const mostRow = 1 << 20

// deadRow writes the dead letter of a row, unless an earlier page has listed the same row.
func (t *turn) deadRow(ctx context.Context, reason, why string, raw []byte, call string, position int) error {
	key := rowKey(raw)
	subject := pipeline.SubjectDead(string(pipeline.StageWatermarker), key)
	if there, err := t.w.bus.Newest(ctx, pipeline.StreamDead, []string{subject}, bus.Until{}); err != nil || len(there) > 0 {
		return err
	}
	return t.dead(ctx, key, "dead:"+key, pipeline.Dead{
		Reason: reason, Error: foreign.Of(fmt.Sprintf("%s (%s)", why, responses.Place(call, position))), Header: t.header(call, position), Body: raw[:min(len(raw), mostRow)],
	})
}

// rowKey identifies a row by its bytes, so that the same row has one dead letter.
func rowKey(raw []byte) string {
	sum := sha256.Sum256(raw)
	return fmt.Sprintf("row-%x", sum[:12])
}

// header is what a dead letter needs so that its row can be offered after all.
func (t *turn) header(call string, position int) map[string][]string {
	return map[string][]string{
		pipeline.HeaderRequestID: {call}, pipeline.HeaderPosition: {strconv.Itoa(position)}, pipeline.HeaderQuery: {t.list.ID()},
		pipeline.HeaderDomain: {strconv.Itoa(int(t.list.Domain))}, pipeline.HeaderPriceType: {strconv.Itoa(int(t.list.PriceType))},
	}
}

func (t *turn) dead(ctx context.Context, key, id string, d pipeline.Dead) error {
	t.w.status.Count("dead", 1)
	m, err := bus.Encode(pipeline.SubjectDead(string(pipeline.StageWatermarker), key), pipeline.SchemaDead, id, "", d)
	if err != nil {
		return err
	}
	_, err = t.w.bus.Publish(ctx, m)
	return err
}
