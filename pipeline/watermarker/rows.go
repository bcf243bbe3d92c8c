package watermarker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/memory"
	"ratchet/pipeline/watermark"
)

// publish makes candidates of the rows that nobody decided or offered yet, returns
// when the stream has them, and counts them.
func (r *read) publish(ctx context.Context, rows []keepa.DealRow) (int, error) {
	now := r.w.env.Now()
	var fresh []*keepa.DealRow
	var ids []pipeline.Identity
	for i := range rows {
		row := &rows[i]
		id := r.identity(row)
		if r.seen[id] {
			continue
		}
		if !pipeline.ValidASIN(row.ASIN) {
			if err := r.bury(ctx, row); err != nil {
				return 0, err
			}
			continue
		}
		fresh, ids = append(fresh, row), append(ids, id)
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

// known are the identities that were decided, or offered and wait.
func (r *read) known(ctx context.Context, ids []pipeline.Identity) (map[pipeline.Identity]bool, error) {
	known := map[pipeline.Identity]bool{}
	decided, err := memory.Recall(ctx, r.w.bus, ids)
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
	offered, err := memory.Offered(ctx, r.w.bus, open)
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

// bury puts aside a row without a proper ASIN, because it may not enter a subject.
func (r *read) bury(ctx context.Context, row *keepa.DealRow) error {
	key := fmt.Sprintf("row-%x", row.ASIN)
	if len(key) > 64 {
		key = key[:64]
	}
	return r.dead(ctx, key, "dead:"+key+":"+fmt.Sprint(row.CreationDate), pipeline.Dead{
		Reason: "bad_asin", Error: fmt.Sprintf("%q is no ASIN", row.ASIN), Body: row.Raw,
	})
}

// buryUnread puts aside rows that cannot be decided on: one of them costs the others
// nothing.
func (r *read) buryUnread(ctx context.Context, rows []keepa.UnreadRow) error {
	for _, row := range rows {
		key := unreadKey(row)
		err := r.dead(ctx, key, "dead:"+key, pipeline.Dead{Reason: "unreadable_row", Error: row.Err.Error(), Body: row.Raw})
		if err != nil {
			return err
		}
	}
	return nil
}

// unreadKey names a row by what it says, so that the same row is buried once.
func unreadKey(row keepa.UnreadRow) string {
	sum := sha256.Sum256(row.Raw)
	return fmt.Sprintf("row-%x", sum[:12])
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
