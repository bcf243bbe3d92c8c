// Package console is what an operator sees: the live summary, status, reports
// from the streams, deals, and the story of one ASIN. It reads NATS alone, so it
// works when a daemon, Keepa or ClickHouse is down.
package console

import (
	"context"
	"io"
	"net/url"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/tally"
)

// Report prints funnel, reasons, tokens and deals from the streams.
func Report(ctx context.Context, b *bus.Bus, w io.Writer) error {
	sum, err := Tally(ctx, b)
	if err != nil {
		return err
	}
	return sum.Write(w)
}

// Tally adds up the live run from the streams.
func Tally(ctx context.Context, b *bus.Bus) (*tally.Tally, error) {
	sum := tally.New()
	err := bus.ScanJSON(ctx, b, pipeline.StreamVerdicts, bus.From{}, func(r bus.Read, v pipeline.Verdict) error {
		if r.Header.Get(pipeline.HeaderRunID) == pipeline.RunLive {
			sum.Verdict(r.Header.Get(pipeline.HeaderWorkID), v)
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
