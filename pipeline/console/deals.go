package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
)

// Deal is what `ratchet deals` shows of a deal: what to do, what it earns, and what
// that rests on. The names are those of the message; absent is null.
type Deal struct {
	Domain        int             `json:"domain"`
	ASIN          string          `json:"asin"`
	PriceType     int             `json:"price_type"`
	CreationDate  int64           `json:"creation_date"` // Keepa minutes: when the used price began
	URL           string          `json:"url"`
	KeepaURL      string          `json:"keepa_url"`
	Title         string          `json:"title"`
	LandedCents   *int64          `json:"landed_cents"`
	ShippingKnown *bool           `json:"shipping_known"`
	Condition     string          `json:"condition"`
	SellerName    string          `json:"seller_name"`
	SellerQuality *float64        `json:"seller_quality"`
	ListCents     *int64          `json:"list_price_cents"`
	ListSource    string          `json:"list_price_source"`
	ProfitCents   *int64          `json:"profit_cents"`
	ROIPercent    *float64        `json:"roi_percent"`
	MinimumCents  *int64          `json:"minimum_price_cents"`
	Rank          *int64          `json:"rank"`
	SellingPeriod string          `json:"selling_period"`
	DecidedAt     time.Time       `json:"decided_at"`
	Source        pipeline.Source `json:"source"`
	ExpectedCents *int64          `json:"expected_value_cents"`

	// What it rests on.
	SaleCount   *int     `json:"sale_count"` // sales that the histories imply
	SalesInYear *int     `json:"sales_in_year"`
	Triggers    *int     `json:"trigger_count"`
	Confidence  *float64 `json:"confidence_percent"`
	RuleSet     string   `json:"rule_set"`
	Tokens      int      `json:"tokens"`       // what all looks of it cost
	ResponseIDs []string `json:"response_ids"` // the stored answers: nats stream get RESPONSES ID
	WorkID      string   `json:"work_id"`

	// What became of it since.
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`   // the last look that found it to be a deal
	Stale       string    `json:"stale_because,omitempty"` // why it was not confirmed in time
}

// Deals are the visible deals decided since then, the most profitable first: the
// newest of every ASIN that no later look rejected.
func Deals(ctx context.Context, b *bus.Bus, since time.Time) ([]Deal, error) {
	var all []Deal
	err := b.Scan(ctx, pipeline.StreamDeals, bus.From{Newest: true}, func(r bus.Read) error {
		d, err := readDeal(r)
		if err == nil && !d.DecidedAt.Before(since) {
			all = append(all, d)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	hidden, err := rejectedSince(ctx, b, all)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(all, func(d Deal) bool { return hidden[d.place()] != "" })
	held, err := states(ctx, b)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if h, known := held[pipeline.KeySeen(out[i].identity())]; known && h.State.Shown() {
			out[i].ConfirmedAt, out[i].Stale = h.Confirmed, h.Why
		}
	}
	slices.SortFunc(out, func(a, b Deal) int {
		return cmp.Or(-cmp.Compare(deref(a.ProfitCents), deref(b.ProfitCents)), cmp.Compare(a.ASIN, b.ASIN))
	})
	return out, nil
}

// readDeal decodes a message of DEALS.
func readDeal(r bus.Read) (Deal, error) {
	var d Deal
	if err := json.Unmarshal(r.Body, &d); err != nil {
		return d, fmt.Errorf("decode %s #%d: %w", pipeline.StreamDeals, r.Sequence, err)
	}
	return d, nil
}

// place is what a deal is about, whatever its price.
type place struct {
	domain, priceType int
	asin              string
}

func (d Deal) place() place { return place{d.Domain, d.PriceType, d.ASIN} }

// identity is the price that the deal is about: a refresh finds the same one again,
// a new price is another.
func (d Deal) identity() pipeline.Identity {
	return pipeline.Identity{Domain: d.Domain, ASIN: d.ASIN, PriceType: d.PriceType, CreationDate: d.CreationDate}
}

func deref(c *int64) int64 {
	if c == nil {
		return 0
	}
	return *c
}
