package scenario

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/sim/keepasim"
)

// Volume is the content of a query's list.
type Volume struct {
	Rows int     // listed at any time
	Good float64 // share of them that make a deal
}

// Forecast is the result of a plan on a day of a living list.
type Forecast struct {
	Rate         int      `json:"rate"` // tokens a minute
	Hours        float64  `json:"hours"`
	Rows         int      `json:"rows"`
	Listed       int      `json:"listed"` // prices that became candidates
	Decided      int      `json:"decided"`
	Waiting      int      `json:"waiting"` // at the end of the day
	Deals        int      `json:"deals"`
	Tokens       int      `json:"tokens"`
	Income       int      `json:"income"`
	PerDecision  float64  `json:"tokens_per_decision"`
	PerDeal      float64  `json:"tokens_per_deal"`
	ListShare    float64  `json:"list_share"` // of the income
	UsedShare    float64  `json:"used_share"` // of the income; the rest could buy more looks
	RejectedMost []string `json:"rejected_most"`
}

// forecastHours of pipeline time, in about forecastTakes of machine time.
const (
	forecastHours = 24 * time.Hour
	forecastTakes = 40 * time.Second
)

// Ahead runs a day of the whole pipeline on a simulated Keepa with this plan and this volume, as
// fast as the machine allows. The day begins with an empty balance and an unread list.
func Ahead(ctx context.Context, rate int, v Volume, o Options) (Forecast, error) {
	o.Speed = float64(forecastHours) / float64(forecastTakes)
	world := keepasim.Living(o.Seed, keepasim.LivingOptions{Rows: v.Rows, Good: v.Good})
	s := Scenario{Name: "forecast", Box: standalone.Options{Rate: rate, Balance: 0, ClickHouse: standalone.None}}
	o.ClickHouse = standalone.None
	box, err := standalone.Start(ctx, s.options(world, o))
	if err != nil {
		return Forecast{}, err
	}
	defer box.Stop(context.WithoutCancel(ctx))
	report := time.NewTicker(5 * time.Second)
	defer report.Stop()
	for over := box.Env.After(forecastHours); over != nil; {
		select {
		case <-ctx.Done():
			return Forecast{}, ctx.Err()
		case err := <-box.Failed():
			return Forecast{}, err
		case <-report.C:
			fmt.Fprintf(o.Progress, "%4.1f of %.0f h\n", box.Env.Now().Sub(box.T0).Hours(), forecastHours.Hours())
		case <-over:
			over = nil
		}
	}
	box.StopStages()
	return ahead(ctx, box, rate, v)
}

func ahead(ctx context.Context, box *standalone.Box, rate int, v Volume) (Forecast, error) {
	sum, err := cli.ReadReport(ctx, box.Bus)
	if err != nil {
		return Forecast{}, err
	}
	w, err := works(ctx, box.Bus, sum)
	if err != nil {
		return Forecast{}, err
	}
	books := box.Sim.Account()
	f := Forecast{
		Rate: rate, Hours: box.Env.Now().Sub(box.T0).Hours(), Rows: v.Rows, Listed: len(w.listed), Decided: sum.Decided(),
		Deals: len(sum.Found()), Tokens: books.Consumed(), Income: books.Gross(),
	}
	f.Waiting = f.Listed - f.Decided
	f.PerDecision = float64(f.Tokens) / float64(max(1, f.Decided))
	f.PerDeal = float64(f.Tokens) / float64(max(1, f.Deals))
	f.ListShare = float64(books.Tokens[keepasim.KindDeal]) / float64(max(1, f.Income))
	f.UsedShare = float64(f.Tokens) / float64(max(1, f.Income))
	for _, r := range sum.Reasons() {
		if r.Outcome == pipeline.Reject && len(f.RejectedMost) < 5 {
			f.RejectedMost = append(f.RejectedMost, fmt.Sprintf("%s %s %d", r.Look, r.Reason, r.Count))
		}
	}
	return f, nil
}

// Print writes the forecast for people.
func (f Forecast) Print(w io.Writer) error {
	verdict := "the plan keeps up"
	if f.Waiting > f.Listed/20 {
		verdict = fmt.Sprintf("%d are left waiting: a larger plan would find more", f.Waiting)
	}
	_, err := fmt.Fprintf(w, `%d tokens a minute, a list of %d rows, one day
  listed      %d prices, of which %d were decided; %s
  deals       %d
  tokens      %d of an income of %d (%.0f %%): %.2f per decision, %.0f per deal, %.0f %% of the income for the list
  rejected    %s
Simulated: the list, its churn and the share of good books are made; prices, limits and times are Keepa's.
`, f.Rate, f.Rows, f.Listed, f.Decided, verdict, f.Deals, f.Tokens, f.Income, 100*f.UsedShare, f.PerDecision, f.PerDeal, 100*f.ListShare, strings.Join(f.RejectedMost, ", "))
	return err
}
