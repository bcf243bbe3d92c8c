package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
)

// Standing is how many deals are visible, why the others are not, and who says so.
type Standing struct {
	visibility.Counts
	Source
}

// Count adds how the deals stand. Where nobody can tell, the status says nothing of
// them: it shows what it can.
func (s *Status) Count(ctx context.Context, v *Visible) {
	if counts, from, err := v.Count(ctx); err == nil {
		s.Deals = &Standing{Counts: counts, Source: from}
	}
}

// sentence is the counts for people; empty while nobody counted.
func (s *Standing) sentence() string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("\nDeals: %s\n", s)
}

// String is the counts in one line.
func (s *Standing) String() string {
	hidden := fmt.Sprintf("%d expired and %d invalid", s.Expired, s.Invalid)
	if s.SetAside > 0 {
		hidden = fmt.Sprintf("%d expired, %d invalid and %d that you bought or ignored", s.Expired, s.Invalid, s.SetAside)
	}
	return fmt.Sprintf("%d found, %d stored, %d visible, %d of them stale; %s are hidden (%s).", s.Found, s.Stored, s.Visible, s.Stale, hidden, s.Source)
}

// Stock is what the keeper last wrote about the deals that it has looked at again, and
// the newest line under which waiting work is shed. Its sums are the keeper's work
// list as of its last step; how many deals are visible is Standing's to say.
type Stock struct {
	refresh.Books
	Line *shedding.Line `json:"line,omitempty"`
}

func (s *Status) readStock(ctx context.Context, b *bus.Bus) {
	if kv, err := b.Store(ctx, pipeline.BucketStock); err == nil {
		var books refresh.Books
		if s.decode(ctx, kv, pipeline.KeyBooks, &books) {
			s.Stock = &Stock{Books: books}
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

// sentence is the stock for people; empty while there is none.
func (s *Stock) sentence(now time.Time) string {
	if s == nil {
		return ""
	}
	var out strings.Builder
	if n := s.Summary; n.Held+n.Stale+n.Expired+n.Gone > 0 {
		fmt.Fprintf(&out, "\nRefresh: the keeper looks after %d deals, %d of them late; %d under way, next %s; %.1f an hour wanted, %.1f paid for.\n",
			n.Held+n.Stale, n.Stale, n.UnderWay, ahead(now, n.Next), n.Demand, n.PerHour)
		if n.Broken > 0 {
			fmt.Fprintf(&out, "%d were made without an input, %d of them are not repaired any more.\n", n.Broken, n.GaveUp)
		}
		if s.Stalled != "" {
			fmt.Fprintf(&out, "Looks stand still since %s (%s): nothing expires meanwhile.\n", ago(now, s.Since), s.Stalled)
		}
	}
	if l := s.Line; l != nil {
		fmt.Fprintf(&out, "\nShedding: a line was drawn %s at %d cents; %d waited, %d can be decided within %s.\n",
			ago(now, l.At), l.BelowCents, l.Waiting, l.Decidable, time.Duration(l.PatienceS)*time.Second)
	}
	return out.String()
}
