package backtest

import (
	"cmp"
	"math"
	"slices"

	"ratchet/pipeline/domain/target"
)

const (
	// enoughBooks and enoughAccepted are the least numbers for a conclusion.
	enoughBooks    = 10
	enoughAccepted = 20

	resamples = 200
	tail      = 0.05 // of a distribution, on either side of the interval
)

// Report is the result of a backtest.
type Report struct {
	TargetVersion int      `json:"target_version"`
	Enough        bool     `json:"enough"` // false: too little data for a conclusion
	Products      int      `json:"products"`
	Books         int      `json:"books"` // with at least one scored case
	Months        int      `json:"months"`
	Sales         int      `json:"sales"`
	Precision     *float64 `json:"precision_moved"` // of the sales, by the moved-falls control

	Figures
	Between  map[string][2]float64 `json:"between_5_95"` // of a bootstrap by book
	Losing90 *[2]float64           `json:"losing_share_5_95"`

	LossFifths []Fifth `json:"loss_fifths"` // month starts, by the estimated loss_chance
	SaleFifths []Fifth `json:"sale_fifths"` // the same, by sale_chance_6m; seen is a sale within half a year

	MonthsSaid *float64 `json:"months_to_sell_said"` // of the accepted: the median
	MonthsSeen *float64 `json:"months_to_sell_seen"` // of those that sold, to the next sale of any copy
	Unsold     int      `json:"accepted_unsold"`     // accepted, and no sale within a year

	Previous *Figures `json:"previous"` // the previous rule set, if there is one
	Asking   *Figures `json:"asking"`   // asking means taken for sale prices

	Apart Apart `json:"answers_apart"`
}

// Apart is the real test: decisions on an earlier answer, scored against a later one.
type Apart struct {
	Scored int `json:"scored"`
	Open   int `json:"open"` // the later answer does not show the outcome yet
	Bought
}

// Fifth is a fifth of the cases in the order of the estimate.
type Fifth struct {
	Cases int     `json:"cases"`
	Said  float64 `json:"said"` // mean
	Seen  float64 `json:"seen"` // share
}

// Make computes the report of what was walked. The order of the records does not matter.
func (s *Suite) Make(records []Record) Report {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b Record) int { return cmp.Compare(a.ASIN, b.ASIN) })
	r := Report{TargetVersion: target.Version, Products: len(records)}
	var control target.Control
	for i := range records {
		r.Sales += records[i].Sales
		r.Apart.Open += records[i].Open
		control = control.Add(records[i].Control)
		if len(records[i].cases) > 0 {
			r.Books++
		}
	}
	if p, ok := control.Precision(); ok {
		r.Precision = &p
	}
	once := make([]int, len(records))
	for i := range once {
		once[i] = 1
	}
	t := table{set: ours}
	t.fill(records)
	r.Months, r.Figures = len(t.byLoss), t.measure(once)
	r.Enough = r.Books >= enoughBooks && r.Accepted >= enoughAccepted
	r.odds(&t)
	r.Apart.Scored, r.Apart.Bought = len(t.between), bought(t.between, once)
	r.Between = t.bootstrap(records)
	r.Previous, r.Asking = s.beside(s.Previous, previous, records, once), s.beside(s.Asking, asking, records, once)
	return r
}

// beside returns the figures of another estimator on the same cases.
func (*Suite) beside(judge Judge, which set, records []Record, once []int) *Figures {
	if judge == nil {
		return nil
	}
	t := table{set: which}
	t.fill(records)
	f := t.measure(once)
	return &f
}

// odds fills in the estimated and the seen chances.
func (r *Report) odds(t *table) {
	r.LossFifths = fifths(t.byLoss, func(r *row) float64 { return float64(r.loss) }, func(r *row) bool { return r.lost() })
	r.SaleFifths = fifths(t.byLoss, func(r *row) float64 { return float64(r.chance) }, func(r *row) bool { return r.sold6 })
	var sayings, sights []float64
	losing := 0
	for i := range t.byLoss {
		switch c := &t.byLoss[i]; {
		case !c.accepted:
			continue
		case c.scored.months == 0:
			r.Unsold++
		default:
			sights = append(sights, float64(c.scored.months))
		}
		if m := float64(t.byLoss[i].said.months); m > 0 {
			sayings = append(sayings, m)
		}
		if t.byLoss[i].lost() {
			losing++
		}
	}
	r.MonthsSaid, r.MonthsSeen = middle(sayings), middle(sights)
	if r.Accepted > 0 {
		r.Losing90 = &[2]float64{atLeast(losing, r.Accepted), 1 - atLeast(r.Accepted-losing, r.Accepted)}
	}
}

func middle(v []float64) *float64 {
	if len(v) == 0 {
		return nil
	}
	slices.Sort(v)
	m := (v[len(v)/2] + v[(len(v)-1)/2]) / 2
	return &m
}

func fifths(rows []row, said func(*row) float64, seen func(*row) bool) []Fifth {
	var known []*row
	for i := range rows {
		if rows[i].known && said(&rows[i]) >= 0 {
			known = append(known, &rows[i])
		}
	}
	slices.SortStableFunc(known, func(a, b *row) int { return cmp.Compare(said(a), said(b)) })
	var out []Fifth
	for n := range 5 {
		part := known[n*len(known)/5 : (n+1)*len(known)/5]
		if len(part) == 0 {
			continue
		}
		sum, hits := 0.0, 0
		for _, r := range part {
			sum += said(r)
			if seen(r) {
				hits++
			}
		}
		cases := float64(len(part))
		out = append(out, Fifth{Cases: len(part), Said: sum / cases, Seen: float64(hits) / cases})
	}
	return out
}

// atLeast returns the smallest chance under which as many hits or more in
// n would still occur one time in twenty: the exact binomial bound.
func atLeast(hits, n int) float64 {
	if hits == 0 {
		return 0
	}
	low, high := 0.0, 1.0
	for range 50 {
		if p := (low + high) / 2; chanceOf(hits, n, p) < tail {
			low = p
		} else {
			high = p
		}
	}
	return low
}

// chanceOf returns the chance of as many hits or more in n, each with chance p.
func chanceOf(hits, n int, p float64) float64 {
	lnFactorial := func(k int) float64 { v, _ := math.Lgamma(float64(k + 1)); return v }
	sum := 0.0
	for k := hits; k <= n; k++ {
		sum += math.Exp(lnFactorial(n) - lnFactorial(k) - lnFactorial(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	}
	return sum
}

// bootstrap draws the books again, with replacement, and returns the middle 90 % of every figure.
func (t *table) bootstrap(records []Record) map[string][2]float64 {
	var with []int
	for i := range records {
		if len(records[i].cases) > 0 {
			with = append(with, i)
		}
	}
	found := map[string][]float64{}
	times, draw := make([]int, len(records)), draws(target.Version)
	for range resamples {
		clear(times)
		for range with {
			times[with[draw(len(with))]]++
		}
		f := t.measure(times)
		for name, v := range map[string]*float64{
			"ratio_p10": f.RatioP10, "ratio_p50": f.RatioP50, "ratio_p90": f.RatioP90, "mean_abs_ln": f.MeanAbsLn,
			"no_sale_95": f.NoSale95, "loss_gap": f.LossGap, "auc": f.AUC, "made_per_buy_cents": f.MadePerBuy,
			"losing_share": f.LosingShare, "drops_accepted_share": f.DropsAcceptedShare, "drops_losing_share": f.DropsLosingShare,
		} {
			if v != nil {
				found[name] = append(found[name], *v)
			}
		}
	}
	out := map[string][2]float64{}
	for name, v := range found {
		slices.Sort(v)
		last := float64(len(v) - 1)
		out[name] = [2]float64{v[int(math.Round(tail*last))], v[int(math.Round((1-tail)*last))]}
	}
	return out
}

// draws returns a generator of numbers below n, the same for the same seed: splitmix64.
func draws(seed uint64) func(n int) int {
	return func(n int) int {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return int((z ^ z>>31) % uint64(n))
	}
}
