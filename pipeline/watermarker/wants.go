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

// want says that this query lists the rows, and returns who wants each of them.
// With one query there is nobody to tell apart, and nothing is written.
//
// It comes before the candidates are published: whoever decides one asks again who
// wants it, so a row that another query listed first is decided once and names both.
func (r *read) want(ctx context.Context, ids []pipeline.Identity) (map[pipeline.Identity][]string, error) {
	out := make(map[pipeline.Identity][]string, len(ids))
	if len(r.w.queries) < 2 {
		for _, id := range ids {
			out[id] = []string{r.q.ID()}
		}
		return out, nil
	}
	wanted, err := seen.Wanted(ctx, r.w.bus, ids)
	if err != nil {
		return nil, err
	}
	var more []pipeline.Identity
	for _, id := range ids {
		if out[id] != nil {
			continue // a page may name a row twice
		}
		out[id] = seen.Union(wanted[id], []string{r.q.ID()})
		if !slices.Equal(out[id], wanted[id]) {
			if err := seen.Want(ctx, r.w.bus, id, r.q.ID()); err != nil {
				return nil, err
			}
		}
		if len(out[id]) > 1 {
			more = append(more, id)
		}
	}
	return out, r.name(ctx, more, out)
}

// name publishes a deal again that does not name every query that wants it yet: it
// was decided before this query listed it. The id says for whom, so a repeat is
// dropped, and once the newest deal names all of them nothing is published.
func (r *read) name(ctx context.Context, ids []pipeline.Identity, wants map[pipeline.Identity][]string) error {
	subjects := map[string]pipeline.Identity{}
	for _, id := range ids {
		subjects[pipeline.SubjectDeal(id.Domain, id.PriceType, id.ASIN)] = id
	}
	var ms []bus.Message
	deals, err := r.w.bus.Newest(ctx, pipeline.StreamDeals, slices.Sorted(maps.Keys(subjects)), bus.Until{})
	if err != nil {
		return err
	}
	for _, d := range deals {
		id := subjects[d.Subject]
		m, again, err := named(d, id, wants[id])
		if err != nil {
			return err
		}
		if again {
			ms = append(ms, m)
		}
	}
	return r.w.bus.PublishAll(ctx, ms)
}

// named is a deal with the names of all who want it; false when it has them, or is
// about another price.
func named(read bus.Read, id pipeline.Identity, wants []string) (bus.Message, bool, error) {
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
