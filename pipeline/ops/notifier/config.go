package notifier

import (
	"errors"
	"fmt"
	"strconv"
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
		units, err := strconv.ParseFloat(strings.TrimLeft(s.MinProfit, "$£€¥"), 64)
		if err != nil || units < -1e9 || units > 1e9 {
			return c, fmt.Errorf("NOTIFY_MIN_PROFIT: want an amount like 12.50, got %q", s.MinProfit)
		}
		c.MinProfit = &units
	}
	if s.MaxLossChance != "" {
		number, percent := strings.CutSuffix(strings.TrimSpace(s.MaxLossChance), "%")
		share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if percent {
			share /= 100
		}
		if err != nil || !(share >= 0 && share <= 1) {
			return c, fmt.Errorf("NOTIFY_MAX_LOSS_CHANCE: want odds like 30%% or 0.3, got %q", s.MaxLossChance)
		}
		c.MaxLossChance = &share
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
