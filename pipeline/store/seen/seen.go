// Package seen remembers what was decided about an ASIN, so that
// a row that is listed a thousand times costs one decision.
package seen

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
)

var stream = pipeline.BucketStream(pipeline.BucketSeen)

// Read returns what is stored of each identity that is unchanged: a
// price that has moved since has another creation date and is not remembered.
func Read(ctx context.Context, b *bus.Bus, ids []pipeline.Identity) (map[pipeline.Identity]pipeline.Seen, error) {
	return read(ctx, b, ids, func(id pipeline.Identity, m pipeline.Seen) bool { return m.CreationDate == id.CreationDate })
}

func read(ctx context.Context, b *bus.Bus, ids []pipeline.Identity, wanted func(pipeline.Identity, pipeline.Seen) bool) (map[pipeline.Identity]pipeline.Seen, error) {
	out := map[pipeline.Identity]pipeline.Seen{}
	if len(ids) == 0 {
		return out, nil
	}
	bySubject := map[string][]pipeline.Identity{}
	for _, id := range ids {
		s := pipeline.KeySubject(pipeline.BucketSeen, pipeline.KeySeen(id))
		bySubject[s] = append(bySubject[s], id)
	}
	err := newest(ctx, b, stream, bySubject, func(ids []pipeline.Identity, m bus.Read) { keep(out, ids, m, wanted) })
	if err != nil {
		return nil, fmt.Errorf("recall %d ASINs: %w", len(ids), err)
	}
	return out, nil
}

// Last returns the last decision about each identity's ASIN and price type, of whichever price it was.
func Last(ctx context.Context, b *bus.Bus, ids []pipeline.Identity) (map[pipeline.Identity]pipeline.Seen, error) {
	return read(ctx, b, ids, func(pipeline.Identity, pipeline.Seen) bool { return true })
}

// Offered returns those identities whose first look was offered and is still stored:
// they wait or are being decided. It does not depend on the dedup window of the stream.
func Offered(ctx context.Context, b *bus.Bus, ids []pipeline.Identity) (map[pipeline.Identity]bool, error) {
	out := map[pipeline.Identity]bool{}
	bySubject := map[string][]pipeline.Identity{}
	for _, id := range ids {
		for _, source := range []pipeline.Source{pipeline.SourceLive, pipeline.SourceGap, pipeline.SourceBackfill} {
			s := pipeline.SubjectCandidate(id.Domain, source, id.ASIN)
			bySubject[s] = append(bySubject[s], id)
		}
	}
	err := newest(ctx, b, pipeline.StreamCandidates, bySubject, func(ids []pipeline.Identity, m bus.Read) {
		for _, id := range ids {
			if m.Header.Get(pipeline.HeaderWorkID) == id.WorkID(pipeline.FirstGeneration) {
				out[id] = true
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("find %d candidates: %w", len(ids), err)
	}
	return out, nil
}

// newest passes the newest message of each subject to f.
func newest(ctx context.Context, b *bus.Bus, stream string, of map[string][]pipeline.Identity, f func([]pipeline.Identity, bus.Read)) error {
	stored, err := b.Newest(ctx, stream, slices.Sorted(maps.Keys(of)), bus.Until{})
	if err != nil {
		return err
	}
	for _, m := range stored {
		f(of[m.Subject], m)
	}
	return nil
}

func keep(out map[pipeline.Identity]pipeline.Seen, ids []pipeline.Identity, m bus.Read, wanted func(pipeline.Identity, pipeline.Seen) bool) {
	var v pipeline.Seen
	if len(m.Body) == 0 || json.Unmarshal(m.Body, &v) != nil {
		return // deleted or unreadable: not remembered, so it is decided again
	}
	for _, id := range ids {
		if wanted(id, v) {
			out[id] = v
		}
	}
}

// Store stores a decision, after its verdict was stored: a crash in between decides again from stored answers,
// and the repeat is dropped. A decision about a later price is never replaced by one about an earlier price.
func Store(ctx context.Context, b *bus.Bus, id pipeline.Identity, m pipeline.Seen) error {
	kv, err := b.Store(ctx, pipeline.BucketSeen)
	if err != nil {
		return err
	}
	// An unreadable value, or one about a price that begins days after its decision, is replaced by the new decision.
	_, err = bus.ChangeOwn(ctx, bus.NewCell(kv, pipeline.KeySeen(id)), func(old pipeline.Seen) (pipeline.Seen, bool, error) {
		if keepa.Minute(old.CreationDate).Follows(keepa.Minute(m.CreationDate), old.DecidedAt) || old == m {
			return old, false, nil
		}
		return m, true, nil
	})
	if err != nil {
		return fmt.Errorf("remember %s: %w", id.ASIN, err)
	}
	return nil
}
