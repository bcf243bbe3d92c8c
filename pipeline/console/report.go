// Package console is what an operator sees: the live summary, status, reports
// from the streams, deals, and the story of one ASIN. NATS is enough for all of it,
// so it works when a daemon, Keepa or ClickHouse is down; which deals are visible
// ClickHouse says where it can (Visible).
package console

import (
	"context"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/post"
	"ratchet/pipeline/standing"
	"ratchet/pipeline/tally"
)

// dealsShown is how many deals the report lists; `ratchet deals` has them all.
const dealsShown = 15

// Report prints funnel, reasons and tokens from the streams, and the visible deals.
func Report(ctx context.Context, b *bus.Bus, v *Visible, w io.Writer) error {
	sum, err := Tally(ctx, b)
	if err != nil {
		return err
	}
	counts, _, err := v.Count(ctx)
	if err != nil {
		return err
	}
	deals, from, err := v.List(ctx, time.Time{})
	if err != nil {
		return err
	}
	if err := sum.Write(w); err != nil {
		return err
	}
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("Deals: %d found, of %d stored %d are visible (%s)\n", len(sum.Accepted()), counts.Stored, len(deals), from)
	if len(deals) > 0 {
		p.f("  ASIN\tprofit\ttitle\n")
	}
	for _, d := range deals[:min(len(deals), dealsShown)] {
		p.f("  %s\t%s\t%s\n", d.ASIN, tally.Money(d.Domain, d.ProfitCents), tally.Short(d.Title, 60))
	}
	if n := len(deals) - dealsShown; n > 0 {
		p.f("  … and %d more: ratchet deals\n", n)
	}
	return p.flush()
}

// Tally adds up the live run from the streams.
func Tally(ctx context.Context, b *bus.Bus) (*tally.Tally, error) {
	sum := tally.New()
	err := post.ScanVerdicts(ctx, b, bus.From{}, func(_ bus.Read, v standing.Verdict) error {
		if v.Run == pipeline.RunLive {
			sum.Verdict(v.WorkID, v.Verdict)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = bus.ScanJSON(ctx, b, pipeline.StreamLedger, bus.From{}, func(_ bus.Read, e pipeline.Entry) error {
		sum.Entry(e)
		return nil
	})
	return sum, err
}

// RedactURL hides a password.
func RedactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "[unreadable URL]"
	}
	return u.Redacted()
}
