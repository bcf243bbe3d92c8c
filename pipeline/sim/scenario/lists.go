package scenario

import (
	"context"
	"time"

	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/sim/keepasim"
)

// What discovery must reach on the measured list: a row with a new price is found within two polling
// intervals, one that came with an old date within a sweep interval and the poll after it.
var discovers = Bars{StallMin: 10, ListShare: 0.15, FoundPolls: 2, FoundOldHours: 12.5}

// churnWeek is a week of the measured list on the real daemons.
func churnWeek() Scenario {
	return Scenario{
		Name:  "churn-week",
		About: "a week of the measured churn on 750 rows, 5 tokens a minute; 17 minutes",
		Speed: 600, Limit: 7 * 24 * time.Hour, World: living(750),
		Box:  standalone.Options{Rate: 5, Balance: 280},
		Bars: discovers, Idle: true,
	}
}

// listOutage13h lets the list fail for longer than its rows certainly stay.
func listOutage13h() Scenario {
	return Scenario{
		Name:  "list-outage-13h",
		About: "the deal list answers 503 for 13 hours: one gap, which expires with what was missed",
		Speed: 120, Limit: 20 * time.Hour, World: living(750),
		Box: standalone.Options{Rate: 5, Balance: 280, Faults: keepasim.Faults{Rules: []keepasim.Rule{
			keepasim.ListOutage(3*time.Hour, 16*time.Hour),
		}}},
		Bars: Bars{ListShare: 0.15, Outages: 1}, Idle: true,
	}
}

// orderChaos serves the list in one wrong order after another.
func orderChaos() Scenario {
	const day = 24 * time.Hour
	s := Scenario{
		Name:  "order-chaos",
		About: "the list reversed, by percentage, in another order for each page, with pages that drift, rows twice, pages that fail; Keepa's clock is a day ahead",
		Speed: 120, Limit: 8 * time.Hour, World: living(750),
		Box:  standalone.Options{Rate: 5, Balance: 280, Faults: keepasim.Faults{Skew: day}},
		Bars: Bars{StallMin: 10, ListShare: 0.15}, Idle: true,
	}
	for i, f := range []struct {
		name  string
		fault keepasim.Faults
	}{
		{"pages drift by up to 20 rows", keepasim.Faults{Drift: 20}},
		{"reversed", keepasim.Faults{Order: keepasim.OrderReverse}},
		{"by percentage, rows twice", keepasim.Faults{Order: keepasim.OrderPercent, Duplicates: 5}},
		{"another order for each page", keepasim.Faults{Order: keepasim.OrderRandom}},
		{"one page in four fails", keepasim.Faults{Rules: flaky}},
		{"as asked", keepasim.Faults{}},
	} {
		s.Steps = append(s.Steps, Step{At: time.Duration(i+1) * time.Hour, Name: f.name, Do: func(_ context.Context, r *Rig) error {
			f.fault.Skew = day
			r.Sim.Change(func(was *keepasim.Faults) { *was = f.fault })
			return nil
		}})
	}
	return s
}

// flaky are failing answers of the list.
var flaky = []keepasim.Rule{
	{Kind: keepasim.KindDeal, Probability: 0.15, Do: keepasim.Refuse}, {Kind: keepasim.KindDeal, Probability: 0.1, Do: keepasim.Fail, Status: 502},
}
