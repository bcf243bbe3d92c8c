package watermarker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/seen"
)

// want stores that this query lists the rows, and returns the queries that want each
// of them. With one query there is no other to distinguish, and nothing is stored.
//
// It comes before the candidates are published: the worker that decides one reads again which
// queries want it, so a row that another query listed first is decided once and names both.
func (t *turn) want(ctx context.Context, ids []pipeline.Identity) (map[pipeline.Identity][]string, error) {
	out := make(map[pipeline.Identity][]string, len(ids))
	if len(t.w.lists) < 2 {
		for _, id := range ids {
			out[id] = []string{t.list.ID()}
		}
		return out, nil
	}
	wanted, err := seen.Wanted(ctx, t.w.bus, ids)
	if err != nil {
		return nil, err
	}
	var several []pipeline.Identity
	for _, id := range ids {
		out[id] = seen.Union(wanted[id], []string{t.list.ID()})
		if !slices.Equal(out[id], wanted[id]) {
			if err := seen.Want(ctx, t.w.bus, id, t.list.ID(), t.w.env.Now()); err != nil {
				return nil, err
			}
		}
		if len(out[id]) > 1 {
			several = append(several, id)
		}
	}
	return out, t.w.updateDeals(ctx, several, out)
}

// updateDeals publishes a deal again that was decided before this query listed it and does not name it yet.
// The id contains the queries, so a repeat is dropped, and once the newest deal names all nothing is published.
func (w *watermarker) updateDeals(ctx context.Context, ids []pipeline.Identity, wants map[pipeline.Identity][]string) error {
	subjects := map[string]pipeline.Identity{}
	for _, id := range ids {
		subjects[pipeline.SubjectDeal(id.Domain, id.PriceType, id.ASIN)] = id
	}
	var ms []bus.Message
	deals, err := w.bus.Newest(ctx, pipeline.StreamDeals, slices.Sorted(maps.Keys(subjects)), bus.Until{})
	if err != nil {
		return err
	}
	for _, d := range deals {
		id := subjects[d.Subject]
		m, changed, err := withQueries(d, id, wants[id])
		if err != nil {
			return err
		}
		if changed {
			ms = append(ms, m)
		}
	}
	return w.bus.PublishAll(ctx, ms)
}

// withQueries returns a deal that names all queries that want it; false when it names them, or is about another price.
func withQueries(read bus.Read, id pipeline.Identity, wants []string) (bus.Message, bool, error) {
	var d struct {
		CreationDate int64    `json:"creation_date"`
		Queries      []string `json:"queries"`
	}
	var body map[string]json.RawMessage
	if json.Unmarshal(read.Body, &d) != nil || json.Unmarshal(read.Body, &body) != nil || d.CreationDate != id.CreationDate {
		return bus.Message{}, false, nil
	}
	all := seen.Union(d.Queries, wants)
	if slices.Equal(all, seen.Union(d.Queries, nil)) {
		return bus.Message{}, false, nil
	}
	names, err := json.Marshal(all)
	if err != nil {
		return bus.Message{}, false, err
	}
	body["queries"] = names
	work := read.Header.Get(pipeline.HeaderWorkID)
	m, err := bus.Encode(read.Subject, read.Header.Get(pipeline.HeaderSchema), fmt.Sprintf("deal:%s:for:%s", work, names), work, body)
	return m, true, err
}
