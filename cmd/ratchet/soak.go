package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/scenario"
)

type soakCmd struct {
	Scenario   string        `arg:"" optional:"" help:"The scenario; without it, list them."`
	JSON       bool          `help:"Print the figures as one JSON object."`
	Data       string        `help:"Data directory; must be empty (default: a temporary one)." placeholder:"DIR"`
	Speed      float64       `help:"Pipeline seconds per second (default: the scenario's own)." placeholder:"N"`
	Seed       uint64        `help:"Seed of the simulated catalogue." default:"1"`
	NoPeek     bool          `help:"A commit for every candidate, to see what the peek saves."`
	Faults     int           `help:"Of the scenario cluster: how many faults, drawn by the seed (default: each once)." placeholder:"N"`
	Wait       time.Duration `help:"Of the scenario cluster: how long a freeze, a partition or an outage lasts." default:"60s" placeholder:"D"`
	Only       []string      `help:"Of the scenario cluster: only faults whose names contain one of these." placeholder:"PART"`
	NoSkip     bool          `help:"Of the scenario cluster: a fault that cannot be tried on this machine is a failure."`
	Slack      float64       `help:"Of the scenario cluster: multiplies the time limits of faults, for a busy machine." default:"1" placeholder:"N"`
	Rules      string        `help:"Decide by this rule file (default: the built-in rules)." type:"path" placeholder:"FILE"`
	Clickhouse string        `help:"embedded, none, or the URL of a server." default:"embedded"`
	CHLib      string        `name:"clickhouse-lib" help:"A libchdb.so that you installed yourself." env:"CHDB_LIB_PATH" placeholder:"FILE"`
}

var errFellShort = errors.New("a figure fell short")

// Run runs a scenario and exits 1 if a figure falls short.
func (c soakCmd) Run(a *app) error {
	if c.Scenario == "" {
		return c.list(a)
	}
	if c.Scenario == "heartbeat-week" || c.Scenario == "discovery-week" {
		return process.Usagef("%s runs on pure values alone, so it is a test: make laws", c.Scenario)
	}
	if !slices.Contains(scenario.Scenarios(), c.Scenario) {
		return process.Usagef("scenario %q is unknown; want one of %s", c.Scenario, strings.Join(scenario.Scenarios(), ", "))
	}
	if c.Speed != 0 && c.Speed < 1 {
		return process.Usagef("--speed: want at least 1, got %g", c.Speed)
	}
	if c.Faults < 0 || c.Wait < time.Second {
		return process.Usagef("--faults: want 0 or more, got %d; --wait: want at least 1s, got %s", c.Faults, c.Wait)
	}
	if _, err := loadRules(a.ctx, c.Rules); err != nil {
		return err
	}
	dir, cleanUp, err := c.directory()
	if err != nil {
		return err
	}
	defer cleanUp()
	f, err := scenario.Run(a.ctx, c.Scenario, scenario.Options{
		Data: dir, Speed: c.Speed, Seed: c.Seed, NoPeek: c.NoPeek, ClickHouse: c.Clickhouse, CHLib: c.CHLib,
		Rules: c.Rules, Log: a.env.Log, Version: a.env.Version, Progress: a.errOut,
		Faults: c.Faults, Wait: c.Wait, Only: c.Only, All: c.NoSkip, Slack: c.Slack, Keep: c.Data != "",
	})
	if err != nil {
		return err
	}
	if err := c.print(a, f); err != nil {
		return err
	}
	if !f.OK {
		return fmt.Errorf("%s: %w: %s", f.Scenario, errFellShort, strings.Join(f.Failures, "; "))
	}
	return nil
}

func (c soakCmd) list(a *app) error {
	for _, s := range scenario.All() {
		if _, err := fmt.Fprintf(a.out, "%-18s speed %-4g %s\n", s.Name, s.Speed, s.About); err != nil {
			return err
		}
	}
	return nil
}

// directory is --data, which must be empty, or a temporary one that is removed.
func (c soakCmd) directory() (string, func(), error) {
	if c.Data == "" {
		dir, err := os.MkdirTemp("", "ratchet-soak-")
		return dir, func() { _ = os.RemoveAll(dir) }, err // temporary: the system's cleaner gets what is left
	}
	entries, err := os.ReadDir(c.Data)
	if err == nil && len(entries) > 0 {
		return "", nil, process.Usagef("--data %s: not empty; a scenario starts from nothing", c.Data)
	}
	if err != nil && !os.IsNotExist(err) {
		return "", nil, process.Usagef("--data: %w", err)
	}
	return c.Data, func() {}, nil
}

func (c soakCmd) print(a *app, f scenario.Figures) error {
	if c.JSON {
		return json.NewEncoder(a.out).Encode(f)
	}
	return f.Print(a.out)
}
