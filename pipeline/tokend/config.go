package tokend

import (
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/gateway"
)

// Config configures tokend. It is read from the environment once, at start.
type Config struct {
	NATS  bus.Config     `env:", prefix=NATS_"`
	Keepa gateway.Config `env:", prefix=KEEPA_"`

	// Floor is the balance below which nothing is issued, in tokens.
	Floor int `env:"TOKEND_FLOOR, default=0"`
	// WeightWatermarker is the weight of discovery in the division of the income.
	WeightWatermarker int `env:"TOKEND_WEIGHT_WATERMARKER, default=10"`
	// WeightPeeker is the weight of the peeks.
	WeightPeeker int `env:"TOKEND_WEIGHT_PEEKER, default=30"`
	// WeightCommitter is the weight of the commits.
	WeightCommitter int `env:"TOKEND_WEIGHT_COMMITTER, default=60"`
	// ListShare bounds the share of the income that discovery may spend, in percent.
	ListShare int `env:"TOKEND_LIST_SHARE, default=15"`
}

// Validate reports a variable that is wrong, by name.
func (c Config) Validate() error {
	for name, w := range map[string]int{
		"TOKEND_WEIGHT_WATERMARKER": c.WeightWatermarker, "TOKEND_WEIGHT_PEEKER": c.WeightPeeker, "TOKEND_WEIGHT_COMMITTER": c.WeightCommitter,
	} {
		if w < 1 || w > 1000 {
			return fmt.Errorf("%s: want 1 to 1000, got %d", name, w)
		}
	}
	if c.ListShare < 1 || c.ListShare > 100 {
		return fmt.Errorf("TOKEND_LIST_SHARE: want 1 to 100 percent, got %d", c.ListShare)
	}
	if err := c.NATS.Validate(); err != nil {
		return err
	}
	return c.Keepa.Validate()
}

// shares returns the configured division of the income.
func (c Config) shares() token.Shares {
	s := token.DefaultShares()
	s.Weight = map[pipeline.Stage]int{
		pipeline.StageWatermarker: c.WeightWatermarker, pipeline.StagePeeker: c.WeightPeeker, pipeline.StageCommitter: c.WeightCommitter,
	}
	s.ListPart = c.ListShare
	return s
}
