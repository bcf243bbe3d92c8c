package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/scenario"
)

type forecastCmd struct {
	natsFlags `embed:""`
	Since     span    `help:"Measure this much of your own history, pipeline time." default:"28d" placeholder:"D"`
	Price     float64 `help:"What the next plan costs more than yours, a month, in the currency of the marketplace: the answer then includes whether it pays." placeholder:"N"`
	Rate      int     `help:"Tokens a minute of a plan to try on a simulated list, instead of your history." placeholder:"N"`
	Rows      int     `help:"Rows that the simulated list holds at any time." default:"750"`
	Good      float64 `help:"Share of its books that make a deal." default:"0.05"`
	Seed      uint64  `help:"Seed of the simulated list." default:"1"`
	JSON      bool    `help:"Print one JSON object."`
}

// simulatedRate is the plan that is simulated if there is no history and no plan is named.
const simulatedRate = 20

// Run prints what other plans would find.
func (c forecastCmd) Run(a *app) error {
	if err := c.validate(); err != nil {
		return err
	}
	if c.Rate > 0 {
		return c.simulate(a)
	}
	f, err := c.history(a)
	if errors.Is(err, cli.ErrShortHistory) {
		c.Rate = simulatedRate
		fmt.Fprintf(a.errOut, "A simulated list, because %v.\n", err)
		return c.simulate(a)
	}
	if err != nil {
		return fmt.Errorf("%w; --rate N forecasts on a simulated list instead", err)
	}
	if c.JSON {
		return json.NewEncoder(a.out).Encode(f)
	}
	return f.Write(a.out, c.Price)
}

func (c forecastCmd) validate() error {
	switch {
	case c.Rate < 0 || c.Rate > 5000:
		return process.Usagef("--rate: want 1 to 5000 tokens a minute, got %d", c.Rate)
	case c.Rows < 1 || c.Rows > 10000:
		return process.Usagef("--rows: want 1 to 10000, which is all that Keepa lists, got %d", c.Rows)
	case c.Good <= 0 || c.Good > 1:
		return process.Usagef("--good: want a share above 0 and up to 1, got %g", c.Good)
	case c.Since <= 0:
		return process.Usagef("--since: want a positive duration, got %s", c.Since)
	case c.Price < 0:
		return process.Usagef("--price: want no negative amount, got %g", c.Price)
	}
	return nil
}

// history measures the history.
func (c forecastCmd) history(a *app) (f cli.Forecast, err error) {
	err = c.with(a, func(ctx context.Context, b *bus.Bus) error {
		h, err := cli.ReadHistory(ctx, b, func(now time.Time) time.Time { return now.Add(-time.Duration(c.Since)) })
		if err != nil {
			return err
		}
		f, err = h.Forecast()
		return err
	})
	return f, err
}

// simulate runs a day on a made-up list.
func (c forecastCmd) simulate(a *app) error {
	dir, err := os.MkdirTemp("", "ratchet-forecast-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // temporary: the system's cleaner gets what is left
	f, err := scenario.Ahead(a.ctx, c.Rate, scenario.Volume{Rows: c.Rows, Good: c.Good}, scenario.Options{
		Data: dir, Seed: c.Seed, Log: a.env.Log, Version: a.env.Version, Progress: a.errOut,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.out).Encode(f)
	}
	return f.Print(a.out)
}
