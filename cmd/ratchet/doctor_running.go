package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
)

// nothingRuns is the result of a check that has nothing to judge.
const nothingRuns = "nothing runs"

// runs asks what runs; nothingRuns where NATS does not answer or no pipeline has run on it.
func (c doctorCmd) runs(ctx context.Context, a *app, ask func(*bus.Bus, cli.Status) (string, error)) (string, error) {
	if !listens(ctx, c.NATSURL) {
		return nothingRuns, nil
	}
	b, err := c.connect(ctx, a)
	if err != nil {
		return "not asked: NATS does not answer", nil //nolint:nilerr // the check of NATS reports it
	}
	defer b.Close()
	s, err := cli.ReadStatus(ctx, b)
	if errors.Is(err, jetstream.ErrBucketNotFound) || err == nil && len(s.Daemons) == 0 {
		return nothingRuns, nil
	}
	if err != nil {
		return "", err
	}
	return ask(b, s)
}

// daemons judges whether each heartbeat is of a process that answers, and whether a daemon is missing.
func (c doctorCmd) daemons(ctx context.Context, a *app) (string, error) {
	return c.runs(ctx, a, func(b *bus.Bus, s cli.Status) (string, error) {
		var answer []string
		var wrong []error
		for _, h := range cli.Living(ctx, b) {
			if h.State == cli.Silent {
				wrong = append(wrong, fmt.Errorf("the %s (%s) has a heartbeat of %s and does not answer: it died, or hangs; start it again", h.Daemon, h.Instance, cli.Ago(s.At, h.At)))
				continue
			}
			answer = append(answer, h.Daemon)
		}
		for _, name := range s.Missing {
			if (name != "recorder" || c.URL != standalone.None) && !slices.Contains(answer, name) {
				wrong = append(wrong, fmt.Errorf("no %s runs; start it (`ratchet up` has all)", name))
			}
		}
		return strings.Join(answer, ", ") + " answer", errors.Join(wrong...)
	})
}

// versions judges whether all that runs is of one build, which is ours.
func (c doctorCmd) versions(ctx context.Context, a *app) (string, error) {
	return c.runs(ctx, a, func(_ *bus.Bus, s cli.Status) (string, error) {
		of := map[string][]string{}
		for _, h := range s.Daemons {
			of[h.Build] = append(of[h.Build], h.Daemon)
		}
		if len(of) == 1 && of[a.env.Version] != nil {
			return "all that runs is of this build", nil
		}
		var builds []string
		for build, daemons := range of {
			builds = append(builds, fmt.Sprintf("%s of %s", strings.Join(daemons, ", "), build))
		}
		slices.Sort(builds)
		return "", fmt.Errorf("different builds run: %s, and this command is of %s; install one everywhere and restart the others", strings.Join(builds, "; "), a.env.Version)
	})
}

// work reports when something was last decided and found.
func (c doctorCmd) work(ctx context.Context, a *app) (string, error) {
	return c.runs(ctx, a, func(b *bus.Bus, s cli.Status) (string, error) {
		decided, err := newest(ctx, b, pipeline.StreamVerdicts)
		if err != nil {
			return "", err
		}
		found, err := newest(ctx, b, pipeline.StreamDeals)
		return fmt.Sprintf("last decision %s, last deal %s", orNever(s.At, decided), orNever(s.At, found)), err
	})
}

func orNever(now, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return cli.Ago(now, at)
}

// newest is when the last message of a stream was published, pipeline time; zero if it has none.
func newest(ctx context.Context, b *bus.Bus, stream string) (time.Time, error) {
	span, err := b.Span(ctx, stream)
	if err != nil || span.Messages == 0 {
		return time.Time{}, err
	}
	fetcher, err := b.Fetcher(ctx, stream)
	if err != nil {
		return time.Time{}, err
	}
	all, err := fetcher.Read(ctx, []uint64{span.Last})
	m, is := all[span.Last]
	if err != nil || !is {
		return time.Time{}, err
	}
	if o, err := m.Stored().Origin(); err == nil {
		return o.At, nil
	}
	return m.StoredAt, nil
}

// mostOffset is how far our clock may be from Keepa's: prices and refills are counted in minutes.
const mostOffset = 30 * time.Second

// clock compares our clock with Keepa's, by the last reading that tokend received.
func (c doctorCmd) clock(ctx context.Context, a *app) (string, error) {
	return c.runs(ctx, a, func(_ *bus.Bus, s cli.Status) (string, error) {
		if s.Simulated() {
			return "simulated, as Keepa is", nil
		}
		if s.Balance == nil || s.Balance.API == nil || s.Balance.Received.IsZero() {
			return "not compared: Keepa has not answered yet", nil
		}
		return offset(time.UnixMilli(s.Balance.API.TS).Sub(s.Balance.Received))
	})
}

// offset judges how far Keepa's clock is ahead of ours.
func offset(ahead time.Duration) (string, error) {
	text := fmt.Sprintf("Keepa's clock is %s ahead of ours", ahead.Round(100*time.Millisecond))
	if ahead.Abs() > mostOffset {
		return "", fmt.Errorf("%s, want at most %s: let this machine set its clock by NTP (timedatectl set-ntp true)", text, mostOffset)
	}
	return text, nil
}

// ports judges whether `up` can listen where it would.
func (c doctorCmd) ports(ctx context.Context, _ *app) (string, error) {
	if listens(ctx, c.NATSURL) {
		return "those of what runs at " + bus.RedactURL(c.NATSURL), nil
	}
	var taken []error
	for _, p := range []struct{ flag, address string }{{"--nats", "127.0.0.1:4222"}, {"--nats-monitor", "127.0.0.1:8222"}, {"--clickhouse-addr", "127.0.0.1:8123"}} {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.address)
		if err != nil {
			taken = append(taken, fmt.Errorf("another program listens at %s; choose another with `ratchet up %s HOST:PORT`", p.address, p.flag))
			continue
		}
		_ = l.Close() // it only had to open
	}
	return "free for `ratchet up`", errors.Join(taken...)
}
