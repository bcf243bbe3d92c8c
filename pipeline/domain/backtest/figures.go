package backtest

import (
	"cmp"
	"math"
	"slices"
)

// Figures are the quality of an estimator. Money is cents. A figure without cases is nil.
type Figures struct {
	RatioP10  *float64 `json:"ratio_p10"` // estimate to the median sale of the next twelve months, by book
	RatioP50  *float64 `json:"ratio_p50"`
	RatioP90  *float64 `json:"ratio_p90"`
	MeanAbsLn *float64 `json:"mean_abs_ln"` // of the same ratio
	NoSale95  *float64 `json:"no_sale_95"`  // share of estimates that no such sale reached 95 % of

	LossGap *float64 `json:"loss_gap"` // mean loss_chance less the share of losses, at month starts
	AUC     *float64 `json:"auc"`      // of loss_chance for a loss, at month starts; 0.5 is chance

	Bought

	Drops              int      `json:"drops"`
	DropsAUC           *float64 `json:"drops_auc"`
	DropsAccepted      int      `json:"drops_accepted"`
	DropsAcceptedShare *float64 `json:"drops_accepted_share"`
	DropsPredicted     int64    `json:"drops_predicted_cents"`
	DropsMade          int64    `json:"drops_made_cents"`
	DropsLosingShare   *float64 `json:"drops_losing_share"`
}

// Bought is the outcome of the accepted copies.
type Bought struct {
	Accepted    int      `json:"accepted"`
	Predicted   int64    `json:"predicted_cents"`
	Made        int64    `json:"made_cents"`
	MadePerBuy  *float64 `json:"made_per_buy_cents"`
	LosingShare *float64 `json:"losing_share"`
}

// table is the cases of one estimator in the orders that its figures need,
// so that a resample of the books takes one pass and no sorting.
type table struct {
	set     set
	byRatio []row // ahead
	byLoss  []row // month
	drops   []row // by loss
	between []row
	ratios  []int // how many rows of byRatio a book has
}

type row struct {
	book int
	key  float64
	*scored
	said
}

func (t *table) fill(records []Record) {
	t.ratios = make([]int, len(records))
	for book := range records {
		for i := range records[book].cases {
			c := &records[book].cases[i]
			r := row{book: book, scored: c, said: c.said[t.set]}
			if !r.known && c.kind == ahead {
				continue
			}
			r.key = float64(r.loss)
			switch c.kind {
			case ahead:
				r.key = float64(r.price) / float64(c.median)
				t.ratios[book]++
				t.byRatio = append(t.byRatio, r)
			case month:
				t.byLoss = append(t.byLoss, r)
			case drop:
				t.drops = append(t.drops, r)
			case between:
				t.between = append(t.between, r)
			}
		}
	}
	for _, rows := range [][]row{t.byRatio, t.byLoss, t.drops} {
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	}
}

// measure computes the figures with each book counted times[i] times.
func (t *table) measure(times []int) Figures {
	var f Figures
	t.ratio(&f, times)
	f.LossGap, f.AUC = odds(t.byLoss, times)
	f.Bought = bought(t.byLoss, times)
	_, f.DropsAUC = odds(t.drops, times)
	d := bought(t.drops, times)
	f.DropsAccepted, f.DropsPredicted, f.DropsMade, f.DropsLosingShare = d.Accepted, d.Predicted, d.Made, d.LosingShare
	for i := range t.drops {
		f.Drops += times[t.drops[i].book]
	}
	f.DropsAcceptedShare = share(float64(f.DropsAccepted), float64(f.Drops))
	return f
}

// share returns part/all; nil when all is 0.
func share(part, all float64) *float64 {
	if all == 0 {
		return nil
	}
	s := part / all
	return &s
}

// ratio weighs every book the same.
func (t *table) ratio(f *Figures, times []int) {
	weight := func(r *row) float64 { return float64(times[r.book]) / float64(t.ratios[r.book]) }
	all, ln, without := 0.0, 0.0, 0.0
	for i := range t.byRatio {
		r := &t.byRatio[i]
		w := weight(r)
		all += w
		ln += w * math.Abs(math.Log(r.key))
		if float64(r.above) < 0.95*float64(r.price) {
			without += w
		}
	}
	f.MeanAbsLn, f.NoSale95 = share(ln, all), share(without, all)
	sum, next := 0.0, 0
	quantiles := [...]struct {
		share float64
		at    **float64
	}{{0.1, &f.RatioP10}, {0.5, &f.RatioP50}, {0.9, &f.RatioP90}}
	for i := 0; i < len(t.byRatio) && next < len(quantiles) && all > 0; i++ {
		r := &t.byRatio[i]
		sum += weight(r)
		for next < len(quantiles) && sum >= quantiles[next].share*all-1e-9 {
			ratio := r.key
			*quantiles[next].at = &ratio
			next++
		}
	}
}

// odds compares the estimated chance of a loss with the losses seen. Rows are
// in the order of the estimate; rows without an estimate do not count.
func odds(rows []row, times []int) (gap, auc *float64) {
	said, seen, all := 0.0, 0.0, 0.0
	wins, kept := 0.0, 0.0 // pairs in the right order; rows without a loss, so far
	for i := 0; i < len(rows); {
		lost, good, k := 0.0, 0.0, i
		for ; k < len(rows) && rows[k].key == rows[i].key; k++ {
			if w := float64(times[rows[k].book]); !rows[k].known || rows[k].loss < 0 {
				continue
			} else if rows[k].lost() {
				lost += w
			} else {
				good += w
			}
		}
		wins += lost * (kept + good/2)
		kept += good
		said += rows[i].key * (lost + good)
		seen += lost
		all += lost + good
		i = k
	}
	return share(said-seen, all), share(wins, seen*kept)
}

func bought(rows []row, times []int) Bought {
	var b Bought
	losing := 0
	for i := range rows {
		r, n := &rows[i], times[rows[i].book]
		if !r.known || !r.accepted || n == 0 {
			continue
		}
		b.Accepted += n
		b.Predicted += int64(n) * int64(r.predicted)
		b.Made += int64(n) * int64(r.made)
		if r.lost() {
			losing += n
		}
	}
	b.MadePerBuy = share(float64(b.Made), float64(b.Accepted))
	b.LosingShare = share(float64(losing), float64(b.Accepted))
	return b
}
