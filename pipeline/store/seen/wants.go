package seen

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
)

// Wants is the value in WANTS for an ASIN and price type if there are several
// deal queries: which of them listed this price. A candidate is decided once and
// names them all, including those that listed it after it was offered or decided.
type Wants struct {
	CreationDate int64    `json:"creation_date"` // Keepa minutes
	Queries      []string `json:"queries"`       // NAME@VERSION, sorted
}

var wantsStream = pipeline.BucketStream(pipeline.BucketWants)

// Wanted returns the queries that want each identity, as far as WANTS contains them.
func Wanted(ctx context.Context, b *bus.Bus, ids []pipeline.Identity) (map[pipeline.Identity][]string, error) {
	out := map[pipeline.Identity][]string{}
	bySubject := map[string][]pipeline.Identity{}
	for _, id := range ids {
		s := pipeline.KeySubject(pipeline.BucketWants, pipeline.KeySeen(id))
		bySubject[s] = append(bySubject[s], id)
	}
	err := newest(ctx, b, wantsStream, bySubject, func(ids []pipeline.Identity, m bus.Read) {
		var w Wants
		if len(m.Body) == 0 || json.Unmarshal(m.Body, &w) != nil {
			return // deleted or unreadable
		}
		for _, id := range ids {
			if w.CreationDate == id.CreationDate {
				out[id] = w.Queries
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read which queries want %d ASINs: %w", len(ids), err)
	}
	return out, nil
}

// Want adds a query to those that want an identity. It may be
// repeated; a later price discards the queries of the earlier one, and so does
// any price those of one that lies days after now.
func Want(ctx context.Context, b *bus.Bus, id pipeline.Identity, query string, now time.Time) error {
	kv, err := b.Store(ctx, pipeline.BucketWants)
	if err != nil {
		return err
	}
	_, err = bus.ChangeOwn(ctx, bus.NewCell(kv, pipeline.KeySeen(id)), func(w Wants) (Wants, bool, error) {
		switch {
		case keepa.Minute(w.CreationDate).Follows(keepa.Minute(id.CreationDate), now):
			return w, false, nil
		case w.CreationDate != id.CreationDate:
			w = Wants{CreationDate: id.CreationDate}
		}
		all := Union(w.Queries, []string{query})
		if slices.Equal(all, w.Queries) {
			return w, false, nil
		}
		w.Queries = all
		return w, true, nil
	})
	if err != nil {
		return fmt.Errorf("want %s: %w", id.ASIN, err)
	}
	return nil
}

// Union merges two lists of queries, sorted, each query once: of two versions of one name it keeps the one in b.
func Union(a, b []string) []string {
	byName := map[string]string{}
	for _, q := range append(slices.Clone(a), b...) {
		name, _, _ := strings.Cut(q, "@")
		byName[name] = q
	}
	return slices.Sorted(maps.Values(byName))
}
