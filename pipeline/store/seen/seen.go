// Package seen remembers what was decided about an ASIN, so that
// a row that is listed a thousand times costs one decision.
package seen

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

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
	err := newest(ctx, b, stream, bySubject(ids), func(ids []pipeline.Identity, m bus.Read) { keep(out, ids, m, wanted) })
	if err != nil {
		return nil, fmt.Errorf("recall %d ASINs: %w", len(ids), err)
	}
	return out, nil
}

// bySubject groups identities by the subject of their key, which all prices of an ASIN have in common.
func bySubject(ids []pipeline.Identity) map[string][]pipeline.Identity {
	out := map[string][]pipeline.Identity{}
	for _, id := range ids {
		s := pipeline.KeySubject(pipeline.BucketSeen, pipeline.KeySeen(id))
		out[s] = append(out[s], id)
	}
	return out
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
	v := decode(m.Body)
	if v == (pipeline.Seen{}) {
		return
	}
	for _, id := range ids {
		if wanted(id, v) {
			out[id] = v
		}
	}
}

// Decided is a decision about an identity.
type Decided struct {
	ID pipeline.Identity
	pipeline.Seen
}

// StoreAll stores decisions, after their verdicts were stored: a crash in between decides again from stored answers,
// and the repeat is dropped. A decision about a later price is never replaced by one about an earlier price.
func StoreAll(ctx context.Context, b *bus.Bus, all []Decided) error {
	if len(all) >= bus.BatchLeast && storeBatch(ctx, b, all) == nil {
		return nil
	}
	for _, d := range all {
		if err := Store(ctx, b, d.ID, d.Seen); err != nil {
			return err
		}
	}
	return nil
}

// storeBatch stores all decisions at once; an error if a key is changed meanwhile.
func storeBatch(ctx context.Context, b *bus.Bus, all []Decided) error {
	last, err := lastOf(ctx, b, all)
	if err != nil {
		return err
	}
	next := map[string]pipeline.Seen{}
	for _, d := range all {
		key := pipeline.KeySeen(d.ID)
		old, changed := next[key]
		if !changed {
			old = decode(last[key].Body)
		}
		if replaces(old, d.Seen) {
			next[key] = d.Seen
		}
	}
	updates := make([]bus.Update, 0, len(next))
	for key, m := range next {
		body, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode a decision: %w", err)
		}
		updates = append(updates, bus.Update{Key: key, Rev: last[key].Sequence, Value: body})
	}
	if len(updates) == 0 {
		return nil
	}
	_, err = b.UpdateAll(ctx, pipeline.BucketSeen, updates)
	return err
}

// lastWithin bounds, in machine time, how long a batch is prepared before each decision is stored alone.
const lastWithin = 2 * time.Second

// lastOf returns what is stored of each decision's key.
func lastOf(ctx context.Context, b *bus.Bus, all []Decided) (map[string]bus.Read, error) {
	ids := make([]pipeline.Identity, len(all))
	for i, d := range all {
		ids[i] = d.ID
	}
	ctx, cancel := context.WithTimeout(ctx, lastWithin)
	defer cancel()
	out := map[string]bus.Read{}
	err := newest(ctx, b, stream, bySubject(ids), func(ids []pipeline.Identity, m bus.Read) { out[pipeline.KeySeen(ids[0])] = m })
	return out, err
}

// decode returns the stored value; the zero value, which is decided again, if it is deleted or unreadable.
func decode(body []byte) (v pipeline.Seen) {
	if json.Unmarshal(body, &v) != nil {
		return pipeline.Seen{}
	}
	return v
}

// Store is StoreAll of one decision.
func Store(ctx context.Context, b *bus.Bus, id pipeline.Identity, m pipeline.Seen) error {
	kv, err := b.Store(ctx, pipeline.BucketSeen)
	if err != nil {
		return err
	}
	_, err = bus.ChangeOwn(ctx, bus.NewCell(kv, pipeline.KeySeen(id)), func(old pipeline.Seen) (pipeline.Seen, bool, error) {
		return m, replaces(old, m), nil
	})
	if err != nil {
		return fmt.Errorf("remember %s: %w", id.ASIN, err)
	}
	return nil
}

// replaces reports whether a decision replaces the stored one: it is another, and about the same or a later price.
// A price that begins days after its decision is wrong, and is replaced.
func replaces(old, next pipeline.Seen) bool {
	return old != next && !keepa.Minute(old.CreationDate).Follows(keepa.Minute(next.CreationDate), old.DecidedAt)
}
