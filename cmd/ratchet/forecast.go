package main

import (
	"encoding/json"
	"os"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/scenario"
)

type forecastCmd struct {
	Rate int     `help:"Tokens a minute of the plan." required:"" placeholder:"N"`
	Rows int     `help:"Rows that the query lists at any time." default:"750"`
	Good float64 `help:"Share of the listed books that make a deal." default:"0.05"`
	Seed uint64  `help:"Seed of the simulated list." default:"1"`
	JSON bool    `help:"Print one JSON object."`
}

// Run simulates a day and says what it found.
func (c forecastCmd) Run(a *app) error {
	switch {
	case c.Rate < 1 || c.Rate > 5000:
		return process.Usagef("--rate: want 1 to 5000 tokens a minute, got %d", c.Rate)
	case c.Rows < 1 || c.Rows > 10000:
		return process.Usagef("--rows: want 1 to 10000, which is all that Keepa lists, got %d", c.Rows)
	case c.Good <= 0 || c.Good > 1:
		return process.Usagef("--good: want a share above 0 and up to 1, got %g", c.Good)
	}
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
