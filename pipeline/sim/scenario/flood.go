package scenario

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/sim/keepasim"
)

// flood10k lists ten thousand rows at once, of which Keepa serves 66 pages: far
// more than five tokens a minute can decide while the rows are listed.
func flood10k() Scenario {
	const rows = 10_000
	return Scenario{
		Name:  "flood-10k",
		About: "10,000 rows at once, 5 tokens a minute: the best are decided, the rest is shed with a verdict",
		Speed: 240, Limit: 21 * time.Hour, Rows: min(rows, keepa.MaxPages*keepa.RowsPerPage), World: backlog(rows),
		// A full bucket would expire refills before the start. Prices do not change here, so the rows may wait for long.
		Box:  standalone.Options{Rate: 5, Balance: 280, Settings: map[string]string{"PEEKER_PATIENCE": "12h"}},
		Bars: Bars{StallMin: 10, MayWait: true, Sheds: true, Losing: 1.0 / 3, Covered: 0.5},
	}
}

// flood fills in what was shed, and compares its value with that of what was paid for.
func (f *Figures) flood(sum *report.Report, w workSet, truth keepasim.Catalogue, books keepasim.Account) {
	var shed, paid []int64
	good, lost, profit := 0, 0, int64(0)
	for id, v := range sum.Final() {
		worth, known := w.worth[id]
		switch {
		case v.Outcome == pipeline.Shed:
			f.Shed++
			if known {
				shed = append(shed, worth)
			}
			if truth.Truth(v.ASIN) == keepasim.Good {
				lost++
			}
		case v.TokensSpent > 0:
			if known {
				paid = append(paid, worth)
			}
			if v.Outcome == pipeline.Accept && truth.Truth(v.ASIN) == keepasim.Good {
				good++
			}
			if v.Outcome == pipeline.Accept && v.ProfitCents != nil {
				profit += *v.ProfitCents
			}
		}
	}
	if f.Shed == 0 {
		return
	}
	f.Orders = ordersOf(f.MadeCents, slices.Collect(maps.Keys(w.works)), truth, books)
	f.Notes = append(f.Notes, f.Orders.String())
	f.PaidWorthCents, f.ShedWorthCents = middle(paid), middle(shed)
	f.Notes = append(f.Notes, fmt.Sprintf("shed %d, worth %d cents at the median; paid for %d, worth %d; %.2f good deals and %.2f dollars for 100 tokens, %d good ones shed",
		f.Shed, f.ShedWorthCents, len(paid), f.PaidWorthCents, 100*float64(good)/float64(max(1, f.TokensSpent)), float64(profit)/float64(max(1, f.TokensSpent)), lost))
}

func middle(all []int64) int64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}
