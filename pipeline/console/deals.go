package console

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/tally"
)

// Deal is what `ratchet deals` shows of a deal. Absent money is null.
type Deal struct {
	ASIN        string    `json:"asin"`
	Link        string    `json:"link"`
	Title       string    `json:"title"`
	LandedCents *int64    `json:"landed_cents"`
	ListCents   *int64    `json:"list_price_cents"`
	ProfitCents *int64    `json:"profit_cents"`
	ROIPercent  *float64  `json:"roi_percent"`
	SaleCount   *int      `json:"sale_count"`
	Confidence  *float64  `json:"confidence_percent"`
	DecidedAt   time.Time `json:"decided_at"`
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`   // the last look that found it to be a deal
	Stale       string    `json:"stale_because,omitempty"` // why it was not confirmed in time
}

// Deals are the newest deal of every ASIN decided since then, the most
// profitable first.
func Deals(ctx context.Context, b *bus.Bus, since time.Time) ([]Deal, error) {
	var out []Deal
	held, err := states(ctx, b)
	if err != nil {
		return nil, err
	}
	err = bus.ScanJSON(ctx, b, pipeline.StreamDeals, bus.From{Newest: true}, func(_ bus.Read, d Deal) error {
		h, known := held[d.ASIN]
		if d.DecidedAt.Before(since) || known && !h.State.Shown() {
			return nil
		}
		if known {
			d.ConfirmedAt, d.Stale = h.Confirmed, h.Why
		}
		d.Link = "https://www.amazon.com/dp/" + d.ASIN
		out = append(out, d)
		return nil
	})
	slices.SortFunc(out, func(a, b Deal) int {
		return cmp.Or(-cmp.Compare(deref(a.ProfitCents), deref(b.ProfitCents)), cmp.Compare(a.ASIN, b.ASIN))
	})
	return out, err
}

// WriteDeals prints deals as table, json or csv.
func WriteDeals(w io.Writer, deals []Deal, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if deals == nil {
			deals = []Deal{}
		}
		return e.Encode(deals)
	case "csv":
		return writeCSV(w, deals)
	default:
		return writeTable(w, deals)
	}
}

func writeTable(w io.Writer, deals []Deal) error {
	if len(deals) == 0 {
		_, err := fmt.Fprintln(w, "No deals yet. `ratchet status` shows what is being worked on.")
		return err
	}
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("PROFIT\tROI\tBUY\tSELL\tSALES\tLINK\tTITLE\tSTALE\n")
	for _, d := range deals {
		p.f("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", tally.Money(d.ProfitCents), percent(d.ROIPercent), tally.Money(d.LandedCents),
			tally.Money(d.ListCents), count(d.SaleCount), d.Link, tally.Short(d.Title, 50), d.Stale)
	}
	return p.flush()
}

func writeCSV(w io.Writer, deals []Deal) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"asin", "link", "title", "landed_cents", "list_price_cents", "profit_cents", "roi_percent", "sale_count", "decided_at", "stale_because"}}
	for _, d := range deals {
		rows = append(rows, []string{
			d.ASIN, d.Link, d.Title, cents(d.LandedCents), cents(d.ListCents), cents(d.ProfitCents),
			number(d.ROIPercent), count(d.SaleCount), d.DecidedAt.Format(time.RFC3339), d.Stale,
		})
	}
	return c.WriteAll(rows)
}

func deref(c *int64) int64 {
	if c == nil {
		return 0
	}
	return *c
}

func percent(f *float64) string {
	if f == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", *f)
}

func number(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', 1, 64)
}

func count(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func cents(c *int64) string {
	if c == nil {
		return ""
	}
	return strconv.FormatInt(*c, 10)
}
