package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline/bus"
	"ratchet/pipeline/console"
	"ratchet/pipeline/daemon"
)

// notifyPatience is how long `deals --notify` without --follow tries to reach a
// webhook that does not take a deal.
const notifyPatience = time.Minute

type dealsCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	Since         span   `help:"Only deals decided within this much pipeline time (24h, 7d …); a confirmation decides nothing anew." placeholder:"D"`
	Follow        bool   `help:"Go on and print every new deal, until Ctrl-C."`
	Format        string `help:"table, json (with --follow an object a line) or csv." enum:"table,json,csv" default:"table"`
	Notify        string `help:"Post each deal once to this webhook; with --follow each new one as it is found." placeholder:"URL" xor:"notify"`
	NotifyFile    string `help:"The same, to the webhook whose address is in this file: an address that holds a secret is no argument." placeholder:"FILE" xor:"notify"`
}

// Run prints the deals and tells the webhook.
func (c dealsCmd) Run(a *app) error {
	if c.Since < 0 {
		return daemon.Usagef("--since: want a positive duration, got %s", c.Since)
	}
	if err := c.check(); err != nil {
		return err
	}
	if err := c.webhook(a); err != nil {
		return err
	}
	b, err := c.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	since, err := c.from(a.ctx, b)
	if err != nil {
		return err
	}
	var teller *console.Notifier
	if c.Notify != "" {
		if teller, err = console.NewNotifier(a.ctx, b, a.env, c.Notify); err != nil {
			return err
		}
	}
	work, ctx := errgroup.WithContext(a.ctx)
	work.Go(func() error { return c.print(ctx, a, b, since) })
	if teller != nil {
		work.Go(func() error { return teller.Run(ctx, since, c.Follow, notifyPatience) })
	}
	err = work.Wait()
	if teller != nil {
		fmt.Fprintf(a.errOut, "posted %d deals to %s\n", teller.Told, teller.Host())
	}
	if !c.Follow {
		return a.whole(err)
	}
	return err
}

// webhook reads the address of the webhook, where one is asked for, and checks it.
func (c *dealsCmd) webhook(a *app) error {
	if c.NotifyFile != "" {
		body, err := daemon.ReadFile(a.ctx, c.NotifyFile)
		if err != nil {
			return daemon.Usagef("--notify-file: %w", err)
		}
		c.Notify = strings.TrimSpace(string(body))
	} else if c.Notify == "" {
		return nil
	}
	_, err := console.Webhook(c.Notify)
	return err
}

// from is the instant before which nothing is shown; zero for everything.
func (c dealsCmd) from(ctx context.Context, b *bus.Bus) (time.Time, error) {
	if c.Since == 0 {
		return time.Time{}, nil
	}
	s, err := console.Look(ctx, b)
	return s.At.Add(-time.Duration(c.Since)), err
}

func (c dealsCmd) print(ctx context.Context, a *app, b *bus.Bus, since time.Time) error {
	visible := console.NewVisible(b, c.URL)
	defer visible.Close()
	// Only what is not as usual is said, and beside the deals, which may be read by a program.
	say := func(from console.Source) {
		if from.Because != "" {
			fmt.Fprintf(a.errOut, "deals come %s\n", from)
		}
	}
	if c.Follow {
		return visible.Follow(ctx, since, c.Format, a.out, say)
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	deals, from, err := visible.List(ctx, since)
	if err != nil {
		return err
	}
	say(from)
	return console.WriteDeals(a.out, deals, c.Format)
}
