package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/sim/keepasim"
)

const (
	// oddShare is how many of a thousand elements are odd.
	oddShare = 20
	// oddCosts is the allowed increase of the tokens per decision, in percent.
	oddCosts = 5
)

// oddFeed is a week of a living list with one odd element in fifty, compared with the same week without.
func oddFeed(limit time.Duration) Scenario {
	s := Scenario{
		Name:  "odd-feed",
		About: "a week in which 2 % of all rows, products and sellers are odd in one of the ways, beside the same week without",
		Speed: 400, Limit: limit, World: living(750),
		Box:  standalone.Options{Rate: 5, Balance: 280},
		Bars: Bars{StallMin: 10}, Idle: true,
	}
	s.Drive = s.twice
	return s
}

// twice runs the week without oddities and then with them.
func (s Scenario) twice(ctx context.Context, o Options) (Figures, error) {
	plain := o
	if o.Data != "" {
		plain.Data, o.Data = filepath.Join(o.Data, "plain"), filepath.Join(o.Data, "odd")
	}
	good, err := s.run(ctx, plain)
	if err != nil {
		return good, fmt.Errorf("the week without oddities: %w", err)
	}
	s.Box.Faults = keepasim.Faults{Odd: oddShare}
	f, err := s.run(ctx, o)
	if err != nil {
		return f, err
	}
	if most := good.TokensPerDecision * (100 + oddCosts) / 100; f.TokensPerDecision > most {
		f.Failures = append(f.Failures, fmt.Sprintf("tokens_per_decision: %.4f, want at most %.4f, which is %d %% more than without oddities",
			f.TokensPerDecision, most, oddCosts))
	}
	f.Notes = append(f.Notes, fmt.Sprintf("without oddities: %d decided, %d tokens, %.4f per decision, longest stall %.1f min, %d rows unaccounted for",
		good.Decided, good.TokensSpent, good.TokensPerDecision, good.LongestStallMin, good.RowsUnaccounted))
	f.OK = len(f.Failures) == 0
	return f, nil
}
