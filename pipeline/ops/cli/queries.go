package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/text/foreign"
)

// AwaitQueries waits until every watermarker has taken or refused a version, and returns their heartbeats.
func AwaitQueries(ctx context.Context, b *bus.Bus, version int) []pipeline.Heartbeat {
	has := func(h pipeline.Heartbeat) bool { return h.Queries != nil }
	return await(ctx, b, []string{"watermarker"}, has, func(h pipeline.Heartbeat) bool { return h.Queries.Version >= version || h.Queries.Refused != "" })
}

// WriteReaders prints which watermarkers do not use the applied queries, and why.
func WriteReaders(w io.Writer, version int, beats []pipeline.Heartbeat) {
	if len(beats) == 0 {
		fmt.Fprintln(w, "No watermarker answers; it takes these queries when it starts.")
	}
	for _, h := range beats {
		switch {
		case h.Queries.Refused != "":
			fmt.Fprintf(w, "The watermarker refuses them and reads by version %d: %s\n", h.Queries.Version, foreign.Of(h.Queries.Refused))
		case h.Queries.Version < version && h.State == Silent:
			fmt.Fprintf(w, "The watermarker %s does not answer; if it lives it may still read by version %d.\n", foreign.Of(h.Instance), h.Queries.Version)
		case h.Queries.Version < version:
			fmt.Fprintf(w, "The watermarker still reads by version %d; `ratchet status` shows when it has changed.\n", h.Queries.Version)
		}
	}
}

// Lists is the effect of a change of the queries on the lists: NAME@VERSION of each.
type Lists struct {
	Same    []string // the watermark continues
	Again   []string // read before: the watermark continues from where it was set aside
	New     []string // read as at a first start
	Removed []string // no longer read; the watermark is kept
}

// Compare returns the effect of applying other queries.
func Compare(before, after []string, marks map[string]watermark.State) Lists {
	var l Lists
	known := map[string]bool{}
	for _, m := range marks {
		known[m.Query] = true
	}
	for _, id := range after {
		switch {
		case slices.Contains(before, id):
			l.Same = append(l.Same, id)
		case known[id]:
			l.Again = append(l.Again, id)
		default:
			l.New = append(l.New, id)
		}
	}
	for _, id := range before {
		if !slices.Contains(after, id) {
			l.Removed = append(l.Removed, id)
		}
	}
	return l
}

// Write prints the lists, a line for each kind.
func (l Lists) Write(w io.Writer) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	for _, row := range []struct {
		ids  []string
		text string
	}{
		{l.Same, "read as before, from their watermarks"},
		{l.Again, "read again, from where they were set aside"},
		{l.New, "new: read from the top, as at a first start"},
		{l.Removed, "no longer read; their watermarks are kept"},
	} {
		if len(row.ids) > 0 {
			p.f("  %d\t%s:\t%s\n", len(row.ids), row.text, strings.Join(row.ids, ", "))
		}
	}
	return p.flush()
}

// WriteQueryHistory prints the versions, the newest first.
func WriteQueryHistory(w io.Writer, all []pipeline.AppliedQueries) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No queries were applied: the watermarker reads those of QUERIES, or the built-in query.")
		return err
	}
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("VERSION\tQUERIES\tAPPLIED AT (UTC)\tBY\tWHAT\t\n")
	for i, a := range slices.Backward(all) {
		live := ""
		if i == len(all)-1 {
			live = "current"
		}
		p.f("%d\t%s\t%s\t%s\t%s\t%s\n", a.Version, orDash(strings.Join(QueryIDs(a), ", ")), a.At.UTC().Format(time.DateTime), foreign.Of(a.By), whatQueries(a), live)
	}
	return p.flush()
}

// QueryIDs returns NAME@VERSION of each applied query; its name if this build cannot read it.
func QueryIDs(a pipeline.AppliedQueries) []string {
	queries, err := verdict.Queries(a)
	var ids []string
	for i, one := range a.Queries {
		if err == nil {
			ids = append(ids, queries[i].ID())
		} else {
			ids = append(ids, foreign.Of(one.Name).String())
		}
	}
	return ids
}

// whatQueries returns where queries came from.
func whatQueries(a pipeline.AppliedQueries) string {
	switch {
	case a.Reverts != nil && *a.Reverts > 0:
		return fmt.Sprintf("version %d again", *a.Reverts)
	case len(a.Queries) == 0:
		return "none: QUERIES or the built-in query"
	}
	return "files"
}

// Queries are the current queries in the status.
type Queries struct {
	Version int       `json:"version"` // 0: none applied
	IDs     []string  `json:"queries"` // NAME@VERSION
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// readQueries reads the applied queries.
func (s *Status) readQueries(ctx context.Context, b *bus.Bus) {
	var q Queries
	if kv, err := b.Store(ctx, pipeline.BucketConfig); err == nil {
		var a pipeline.AppliedQueries
		if s.decode(ctx, kv, b.Own(pipeline.KeyQueries), &a) && a.Version > 0 {
			q.Version, q.By, q.At = a.Version, a.By, a.At
			if len(a.Queries) > 0 {
				q.IDs = QueryIDs(a)
			}
		}
	}
	s.Queries = &q
}

// addQueries adds the queries of the watermarker if none are applied.
func (s *Status) addQueries() {
	if s.Queries == nil {
		return
	}
	for _, h := range s.Daemons {
		if h.Queries != nil && h.Plan == s.plan && len(s.Queries.IDs) == 0 {
			s.Queries.IDs = h.Queries.Queries
		}
	}
	if s.Queries.Version == 0 && len(s.Queries.IDs) == 0 {
		s.Queries = nil
	}
}

// writeQueries prints the current queries, those that were set aside, and watermarkers that use others.
func (s Status) writeQueries(p *lines) {
	if s.Queries == nil {
		return
	}
	q := s.Queries
	if q.Version == 0 {
		p.f("Queries: %s, as started: those of --query or QUERIES, or the built-in one.\n", strings.Join(q.IDs, ", "))
	} else {
		p.f("Queries: version %d (%s), applied %s by %s.\n", q.Version, orDash(strings.Join(q.IDs, ", ")), Ago(s.At, q.At), foreign.Of(q.By))
	}
	for _, k := range slices.Sorted(maps.Keys(s.Watermarks)) {
		if m := s.Watermarks[k]; m.Why == watermark.Retired {
			p.f("  no longer read: %s (its watermark %s is kept)\n", orDash(foreign.Of(m.Query).String()), foreign.Of(k))
		}
	}
	for _, h := range s.Daemons {
		if h.Queries != nil && h.Plan == s.plan && h.Queries.Refused == "" && h.Queries.Version != q.Version {
			p.f("  a watermarker reads by version %d (%s)\n", h.Queries.Version, strings.Join(h.Queries.Queries, ", "))
		}
	}
}
