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

// publish makes candidates of the rows that nobody decided or offered yet, returns
// when the stream has them, and counts them.
// What cannot be decided on is put aside.
func (r *read) publish(ctx context.Context, list *keepa.DealPage, call string) (int, error) {
	rows, err := r.putAside(ctx, list, call)
	if err != nil {
		return 0, err
	}
	now := r.w.env.Now()
	var fresh []*keepa.DealRow
	var ids []pipeline.Identity
	for _, row := range rows {
		if id := r.identity(row); !r.seen[id] {
			fresh, ids = append(fresh, row), append(ids, id)
		}
	}
	known, err := r.known(ctx, ids)
	if err != nil {
		return 0, err
	}
	wants, err := r.want(ctx, ids)
	if err != nil {
		return 0, err
	}
	var ms []bus.Message
	for i, row := range fresh {
		r.seen[ids[i]] = true
		if known[ids[i]] {
			continue
		}
		known[ids[i]] = true // a page may name a row twice
		m, err := r.candidate(row, ids[i], wants[ids[i]], now)
		if err != nil {
			return 0, err
		}
		ms = append(ms, m)
		if watermark.Mark(row.CreationDate) > r.state.Mark {
			r.moves.Fresh++
		} else {
			r.moves.Late++
		}
	}
	return len(ms), r.w.bus.PublishAll(ctx, ms)
}

// putAside buries the rows of a page that nobody can decide on, and returns the others.
func (r *read) putAside(ctx context.Context, list *keepa.DealPage, call string) ([]*keepa.DealRow, error) {
	if err := r.buryUnread(ctx, list.Unread, call); err != nil {
		return nil, err
	}
	var rows []*keepa.DealRow
	for i := range list.Rows {
		row := &list.Rows[i]
		if pipeline.ValidASIN(row.ASIN) && row.CreationDate > 0 {
			rows = append(rows, row)
			continue
		}
		if err := r.bury(ctx, row, call, list.Positions[i]); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// known are the identities that were decided, or offered and wait.
func (r *read) known(ctx context.Context, ids []pipeline.Identity) (map[pipeline.Identity]bool, error) {
	known := map[pipeline.Identity]bool{}
	decided, err := seen.Recall(ctx, r.w.bus, ids)
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
	offered, err := seen.Offered(ctx, r.w.bus, open)
	for id := range offered {
		known[id] = true
	}
	return known, err
}

func (r *read) identity(row *keepa.DealRow) pipeline.Identity {
	return pipeline.Identity{Domain: int(r.q.Domain), ASIN: row.ASIN, PriceType: int(r.q.PriceType), CreationDate: int64(row.CreationDate)}
}

// candidate is a row as a candidate; one that was owed comes by the lane of gaps,
// one from before our time by that of the backfill.
func (r *read) candidate(row *keepa.DealRow, id pipeline.Identity, queries []string, now time.Time) (bus.Message, error) {
	source := pipeline.SourceLive
	if r.state.Owes(watermark.Mark(row.CreationDate)) {
		source = pipeline.SourceGap
	} else if r.state.Before(watermark.Mark(row.CreationDate), watermark.Mark(keepa.FromTime(now)), r.w.plan) {
		source = pipeline.SourceBackfill
	}
	workID := id.WorkID(pipeline.FirstGeneration)
	return bus.Encode(pipeline.SubjectCandidate(id.Domain, source, id.ASIN), pipeline.SchemaCandidate, "candidate:"+workID, workID,
		pipeline.Candidate{Identity: id, Queries: queries, Source: source, ListSeenAt: now, Row: row.Raw})
}

// bury puts aside a row without a proper ASIN, because it may not enter a subject, or without a date, because it has
// no identity.
func (r *read) bury(ctx context.Context, row *keepa.DealRow, call string, position int) error {
	reason, why := "no_date", "creationDate is no time"
	if !pipeline.ValidASIN(row.ASIN) {
		reason, why = "bad_asin", fmt.Sprintf("%q is no ASIN", short(row.ASIN))
	}
	return r.buryRow(ctx, reason, why, row.Raw, call, position)
}

// short is a text as a letter shows it.
func short(s string) string { return s[:min(len(s), 40)] }

// buryUnread puts aside rows that cannot be decided on: one of them costs the others
// nothing.
func (r *read) buryUnread(ctx context.Context, rows []keepa.UnreadRow, call string) error {
	for _, row := range rows {
		if err := r.buryRow(ctx, "unreadable_row", row.Err.Error(), row.Raw, call, row.Position); err != nil {
			return err
		}
	}
	return nil
}

// mostRow is how much of a row a letter holds; its page is stored whole.
const mostRow = 1 << 20

// buryRow writes the letter of a row, unless an earlier page has listed the same row.
func (r *read) buryRow(ctx context.Context, reason, why string, raw []byte, call string, position int) error {
	key := rowKey(raw)
	subject := pipeline.SubjectDead(string(pipeline.StageWatermarker), key)
	if there, err := r.w.bus.Newest(ctx, pipeline.StreamDead, []string{subject}, bus.Until{}); err != nil || len(there) > 0 {
		return err
	}
	return r.dead(ctx, key, "dead:"+key, pipeline.Dead{
		Reason: reason, Error: foreign.Of(fmt.Sprintf("%s (%s)", why, responses.Place(call, position))), Header: r.head(call, position), Body: raw[:min(len(raw), mostRow)],
	})
}

// rowKey names a row by what it says, so that the same row is buried once.
func rowKey(raw []byte) string {
	sum := sha256.Sum256(raw)
	return fmt.Sprintf("row-%x", sum[:12])
}

// head is what a letter needs so that its row can be offered after all.
func (r *read) head(call string, position int) map[string][]string {
	return map[string][]string{
		pipeline.HeaderRequestID: {call}, pipeline.HeaderPosition: {strconv.Itoa(position)}, pipeline.HeaderQuery: {r.q.ID()},
		pipeline.HeaderDomain: {strconv.Itoa(int(r.q.Domain))}, pipeline.HeaderPriceType: {strconv.Itoa(int(r.q.PriceType))},
	}
}

func (r *read) dead(ctx context.Context, key, id string, d pipeline.Dead) error {
	r.w.pulse.Count("dead", 1)
	m, err := bus.Encode(pipeline.SubjectDead(string(pipeline.StageWatermarker), key), pipeline.SchemaDead, id, "", d)
	if err != nil {
		return err
	}
	_, err = r.w.bus.Publish(ctx, m)
	return err
}
