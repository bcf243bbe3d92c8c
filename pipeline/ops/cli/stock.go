package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
)

// DealCounts is how many deals are visible, why the others are not, and the source of these counts.
type DealCounts struct {
	visibility.Counts
	Source
}

// Count adds the counts of the deals. If they are unavailable, the status is shown without them.
func (s *Status) Count(ctx context.Context, v *Visible) {
	if counts, from, err := v.Count(ctx); err == nil {
		s.Deals = &DealCounts{Counts: counts, Source: from}
	}
}

// sentence returns the counts for people; empty before the first count.
func (s *DealCounts) sentence() string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("\nDeals: %s\n", s)
}

// String returns the counts in one line.
func (s *DealCounts) String() string {
	hidden := fmt.Sprintf("%d expired and %d invalid", s.Expired, s.Invalid)
	if s.SetAside > 0 {
		hidden = fmt.Sprintf("%d expired, %d invalid and %d that you bought or ignored", s.Expired, s.Invalid, s.SetAside)
	}
	return fmt.Sprintf("%d found, %d stored, %d visible, %d of them stale; %s are hidden (%s).", s.Found, s.Stored, s.Visible, s.Stale, hidden, s.Source)
}

// Stock is the state of the refresher, and the newest line below which waiting work is shed. Its sums count the
// refresher's work list as of its last step; DealCounts counts the visible deals.
type Stock struct {
	refresh.Checkpoint
	Line *shedding.Line `json:"line,omitempty"`
}

func (s *Status) readStock(ctx context.Context, b *bus.Bus) {
	if kv, err := b.Store(ctx, pipeline.BucketStock); err == nil {
		var c refresh.Checkpoint
		if s.decode(ctx, kv, pipeline.KeyCheckpoint, &c) {
			s.Stock = &Stock{Checkpoint: c}
		}
	}
	if kv, err := b.Store(ctx, pipeline.BucketTokens); err == nil {
		var ls shedding.Lines
		if s.decode(ctx, kv, pipeline.KeyShed, &ls) && len(ls.Lines) > 0 {
			if s.Stock == nil {
				s.Stock = &Stock{}
			}
			s.Stock.Line = &ls.Lines[len(ls.Lines)-1]
		}
	}
}

// worth formats a value in the currency of the lists; in its smallest unit if they have several.
func (s Status) worth(units int64) string {
	in := map[string]string{}
	for key, m := range s.Watermarks {
		if c := keepa.Domain(pipeline.DomainOf(key)).Currency(); m.Why != watermark.Retired {
			in[c.Code] = c.Format(units)
		}
	}
	if len(in) != 1 {
		return fmt.Sprintf("%d of the smallest unit of money", units)
	}
	return slices.Collect(maps.Values(in))[0]
}

// sentence returns the stock for people; empty if absent. worth formats a value.
func (s *Stock) sentence(now time.Time, worth func(int64) string) string {
	if s == nil {
		return ""
	}
	var out strings.Builder
	if n := s.Summary; n.Held+n.Stale+n.Expired+n.Gone > 0 {
		fmt.Fprintf(&out, "\nRefresh: %d deals, %d of them late; %d under way, next %s; %.1f an hour wanted, %.1f affordable.\n",
			n.Held+n.Stale, n.Stale, n.UnderWay, ahead(now, n.Next), n.Demand, n.PerHour)
		if n.Broken > 0 {
			fmt.Fprintf(&out, "%d were decided without an input; %d of them are no longer repaired.\n", n.Broken, n.GaveUp)
		}
		if s.Stalled != "" {
			fmt.Fprintf(&out, "Looks have been stalled since %s (%s): nothing expires meanwhile.\n", Ago(now, s.Since), s.Stalled)
		}
	}
	if l := s.Line; l != nil {
		what := "rows"
		if l.Spares != "" {
			what = "new rows"
		}
		fmt.Fprintf(&out, "\nShedding: a line was drawn %s at %s; %d %s waited, %d can be decided within %s.\n",
			Ago(now, l.At), worth(l.BelowCents), l.Waiting, what, l.Decidable, time.Duration(l.PatienceS)*time.Second)
	}
	return out.String()
}
