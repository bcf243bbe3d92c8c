package notifier

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// Config is the notifier's configuration. It is read from the environment once, at its start.
type Config struct {
	NATS bus.Config `env:", prefix=NATS_"`
	Settings
}

// Settings are what is sent, where and when.
type Settings struct {
	// Targets are the addresses to notify, one a line; docs/notify.md has their forms. They hold secrets.
	Targets process.Secret `env:"NOTIFY_TARGETS"`
	// MinProfit is the minimum expected profit of a deal that is notified, in the marketplace's currency, like 12.50;
	// unset: any.
	MinProfit string `env:"NOTIFY_MIN_PROFIT"`
	// MaxLossChance is the highest chance of a loss, like 30% or 0.3; unset: any.
	MaxLossChance string `env:"NOTIFY_MAX_LOSS_CHANCE"`
	// Quiet are hours of the machine's local time (TZ names another) in which nothing is sent, like 22:00-07:00; what
	// they held comes as one message at their end.
	Quiet string `env:"NOTIFY_QUIET"`
	// Digest is `each` for a message a deal, or `hourly`, `daily` (at 08:00) or `daily@18:30` for one with all deals
	// since the last.
	Digest string `env:"NOTIFY_DIGEST, default=each"`
	// Since is how far back the first start of a target goes, like 24h; later starts resume. By default
	// only what is found from then on is notified.
	Since time.Duration `env:"NOTIFY_SINCE, default=0s"`
}

// Validate names every variable that is wrong.
func (c Config) Validate() error { return errors.Join(c.NATS.Validate(), c.Settings.Validate()) }

// Validate names every variable that is wrong, and repeats no address.
func (s Settings) Validate() error {
	_, targets := ParseTargets(s.Targets)
	_, choice := s.choice()
	_, policy := s.policy(time.UTC)
	faults := []error{targets, choice, policy}
	if s.Since < 0 {
		faults = append(faults, fmt.Errorf("NOTIFY_SINCE: want a positive duration like 24h, got %s", s.Since))
	}
	return errors.Join(faults...)
}

// choice is which deals are notified.
func (s Settings) choice() (c cli.Choice, err error) {
	if s.MinProfit != "" {
		var amount cli.Amount
		if err := amount.UnmarshalText([]byte(strings.TrimSpace(s.MinProfit))); err != nil {
			return c, fmt.Errorf("NOTIFY_MIN_PROFIT: %w", err)
		}
		c.MinProfit = amount.Units
	}
	if s.MaxLossChance != "" {
		var odds cli.Odds
		if err := odds.UnmarshalText([]byte(strings.TrimSpace(s.MaxLossChance))); err != nil {
			return c, fmt.Errorf("NOTIFY_MAX_LOSS_CHANCE: %w", err)
		}
		c.MaxLossChance = odds.Share
	}
	return c, nil
}

// policy is when they are notified.
func (s Settings) policy(zone *time.Location) (p notify.Policy, err error) {
	p.Zone = zone
	if p.Quiet, err = notify.ParseQuiet(s.Quiet); err != nil {
		return p, fmt.Errorf("NOTIFY_QUIET: %w", err)
	}
	if p.Digest, err = notify.ParseDigest(s.Digest); err != nil {
		return p, fmt.Errorf("NOTIFY_DIGEST: %w", err)
	}
	return p, nil
}
