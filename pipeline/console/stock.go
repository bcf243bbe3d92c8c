package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/shed"
	"ratchet/pipeline/stock"
)

// Stock is what the keeper last wrote about the deals that we hold, and the newest
// line under which waiting work is shed.
type Stock struct {
	stock.Books
	Line *shed.Line `json:"line,omitempty"`
}

func (s *Status) readStock(ctx context.Context, b *bus.Bus) {
	if kv, err := b.Store(ctx, pipeline.BucketStock); err == nil {
		var books stock.Books
		if decode(ctx, kv, pipeline.KeyBooks, &books) {
			s.Stock = &Stock{Books: books}
		}
	}
	if kv, err := b.Store(ctx, pipeline.BucketTokens); err == nil {
		var ls shed.Lines
		if decode(ctx, kv, pipeline.KeyShed, &ls) && len(ls.Lines) > 0 {
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
		fmt.Fprintf(&out, "\nDeals: %d held, %d stale, %d expired, %d gone; %d under way, next refresh %s; %.1f refreshes an hour wanted, %.1f paid for.\n",
			n.Held, n.Stale, n.Expired, n.Gone, n.UnderWay, ahead(now, n.Next), n.Demand, n.PerHour)
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

// states are the holdings by domain, price type and ASIN, as the keeper last stored them.
func states(ctx context.Context, b *bus.Bus) (map[string]stock.Holding, error) {
	out := map[string]stock.Holding{}
	err := b.Scan(ctx, "KV_"+pipeline.BucketStock, bus.From{Newest: true, Subjects: []string{"$KV." + pipeline.BucketStock + ".*.*.*"}}, func(r bus.Read) error {
		var h stock.Holding
		if json.Unmarshal(r.Body, &h) == nil {
			out[pipeline.KeySeen(h.Identity)] = h
		}
		return nil // a key that was deleted by hand says nothing
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return out, nil // no keeper has run on this NATS yet
	}
	return out, err
}
