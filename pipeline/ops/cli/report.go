// Package cli is what an operator sees: the live summary, status, reports from the streams, deals, and the story of one
// ASIN. It needs only NATS, so it works when a daemon, Keepa or ClickHouse is down. The visible deals come from
// ClickHouse if it answers (Visible).
package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
)

// dealsShown is how many deals the report lists; `ratchet deals` has them all.
const dealsShown = 15

// Report prints funnel, reasons and tokens from the streams, and the visible deals. made reports which products were
// invented around a captured row (nil if none): their deals are counted but not listed, because their prices are
// invented.
func Report(ctx context.Context, b *bus.Bus, v *Visible, made func(asin string) bool, w io.Writer) error {
	sum, err := ReadReport(ctx, b)
	if err != nil {
		return err
	}
	all, err := v.All(ctx, time.Time{})
	if err != nil {
		return err
	}
	deals := all.Visible
	if err := sum.Write(w); err != nil {
		return err
	}
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	if made != nil {
		p.f("%s", restOf(sum, made))
		deals = slices.DeleteFunc(deals, func(d Deal) bool { return made(d.ASIN) })
		p.f("Deals on captured products: %d visible (%s)\n", len(deals), all.Source)
		p.deals(deals)
		return p.flush()
	}
	p.f("Deals: %s\n", all)
	p.deals(deals)
	return p.flush()
}

// deals prints the first of the deals, and how many more there are.
func (p *lines) deals(all []Deal) {
	if len(all) > 0 {
		p.f("  ASIN\tprofit\ttitle\tnote\n")
	}
	for _, d := range all[:min(len(all), dealsShown)] {
		p.f("  %s\t%s\t%s\t%s\n", d.ASIN, d.money(d.ProfitCents), d.Title.Short(60), d.Note())
	}
	if n := len(all) - dealsShown; n > 0 {
		p.f("  … and %d more: ratchet deals\n", n)
	}
}

// restOf returns the evidence of the decisions of a run over captured answers.
func restOf(sum *report.Report, made func(asin string) bool) string {
	var row, captured, invented, accepted int
	for _, v := range sum.Final() {
		switch {
		case v.Look == pipeline.LookGlance:
			row++
		case !made(v.ASIN):
			captured++
		default:
			invented++
			if v.Outcome == pipeline.Accept {
				accepted++
			}
		}
	}
	return fmt.Sprintf("What the decisions rest on\n  a captured row alone\t%d\n  a captured product\t%d\n  a product made from a row\t%d"+
		"\tits histories and offers are invented; %d were accepted and are no deals\n\n", row, captured, invented, accepted)
}

// ReadReport returns the report of the live run from the streams.
func ReadReport(ctx context.Context, b *bus.Bus) (*report.Report, error) {
	return readSince(ctx, b, bus.From{}, time.Time{})
}

// readSince returns what the live run decided and spent since an instant, which from must include.
func readSince(ctx context.Context, b *bus.Bus, from bus.From, since time.Time) (*report.Report, error) {
	sum := report.New()
	err := messages.ScanVerdicts(ctx, b, from, func(_ bus.Read, v visibility.Verdict) error {
		if v.Run == pipeline.RunLive && !v.Verdict.DecidedAt.Before(since) {
			sum.Verdict(v.WorkID, v.Verdict)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = bus.ScanJSON(ctx, b, pipeline.StreamLedger, from, func(r bus.Read, e pipeline.Entry) error {
		if !e.At.Before(since) {
			sum.Entry(r.Header.Get(pipeline.HeaderMsgID), e)
		}
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
