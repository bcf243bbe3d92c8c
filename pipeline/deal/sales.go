package deal

import (
	"slices"
	"sort"
	"time"

	"ratchet/pipeline/keepa"
)

// Histories are the series that sales are inferred from.
type Histories struct {
	Rank, New, Used, CountNew, CountUsed keepa.Series
	// Known is false when the answer came without histories: nothing can be inferred, and nothing can be
	// concluded from that.
	Known bool
}

// Sale is a sale that the histories imply: an offer vanished and the sales rank improved soon after.
type Sale struct {
	At    keepa.Minute
	Cents int64
	Used  bool // the offer that vanished was a used one
}

// Sales are the inferred sales, oldest first.
type Sales struct {
	Kept     []Sale // outliers removed
	Outliers int    // how many were removed
	Triggers int    // offers that vanished, sold or not
}

// InferSales reads sales out of the histories, over the window that ends now.
//
// Every fall of the used or new offer count is a trigger. It counts as a sale if the rank improves within
// the confirmation time, both ends included (a slow book gets both changes in one visit), or if the first
// rank after it, not later than the late limit, is better than the last one before. Its price is the price
// of that kind nearest in time. Prices beyond the outlier fences are dropped.
func (s Settings) InferSales(h Histories, now time.Time) Sales {
	return s.inferSales(h, new(Memory), now)
}

func (s Settings) inferSales(h Histories, mem *Memory, now time.Time) Sales {
	to := keepa.FromTime(now)
	from := to.Add(-time.Duration(s.SaleWindowDays) * 24 * time.Hour)
	ranks := mem.ranks.positive(h.Rank)
	if len(ranks) == 0 {
		return Sales{}
	}
	mem.better = improvements(mem.better[:0], ranks)
	better := mem.better
	used, fresh := mem.used.positive(h.Used), mem.fresh.positive(h.New)
	if len(fresh) == 0 {
		fresh = used
	}
	var found Sales
	collect := func(counts, prices keepa.Series, isUsed bool) {
		for _, at := range falls(counts, from, to) {
			found.Triggers++
			if !s.confirmed(at, better, ranks) {
				continue
			}
			if cents, ok := nearest(prices, at); ok {
				found.Kept = append(found.Kept, Sale{At: at, Cents: cents, Used: isUsed})
			}
		}
	}
	collect(h.CountUsed, used, true)
	collect(h.CountNew, fresh, false)
	slices.SortStableFunc(found.Kept, func(a, b Sale) int { return int(a.At - b.At) })
	all := len(found.Kept)
	found.Kept = s.withoutOutliers(found.Kept)
	found.Outliers = all - len(found.Kept)
	return found
}

// Confidence is kept sales per trigger, in percent; false without a trigger.
func (s Sales) Confidence() (float64, bool) {
	return percent(int64(len(s.Kept)), int64(s.Triggers))
}

// Since are the sales not older than the duration.
func (s Sales) Since(d time.Duration, now time.Time) []Sale {
	from := keepa.FromTime(now).Add(-d)
	i := sort.Search(len(s.Kept), func(i int) bool { return s.Kept[i].At >= from })
	return s.Kept[i:]
}

// falls are the minutes in the window at which a count went down. No offer (-1) counts as zero.
func falls(counts keepa.Series, from, to keepa.Minute) []keepa.Minute {
	var at []keepa.Minute
	for i := 1; i < len(counts); i++ {
		if p := counts[i]; p.At >= from && p.At <= to && max(p.Value, 0) < max(counts[i-1].Value, 0) {
			at = append(at, p.At)
		}
	}
	return at
}

// improvements appends the minutes at which the rank became better (smaller).
func improvements(at []keepa.Minute, ranks keepa.Series) []keepa.Minute {
	for i := 1; i < len(ranks); i++ {
		if ranks[i].Value < ranks[i-1].Value {
			at = append(at, ranks[i].At)
		}
	}
	return at
}

func (s Settings) confirmed(at keepa.Minute, better []keepa.Minute, ranks keepa.Series) bool {
	i := sort.Search(len(better), func(i int) bool { return better[i] >= at })
	if i < len(better) && better[i] <= at+keepa.Minute(s.ConfirmHours*60) {
		return true
	}
	before, ok := ranks.At(at)
	if !ok {
		return false
	}
	after := ranks.Search(at + 1)
	return after < len(ranks) && ranks[after].At <= at+keepa.Minute(s.LateConfirmDays*24*60) &&
		ranks[after].Value < before.Value
}

// nearest is the price closest in time; of two equally close ones the earlier.
func nearest(prices keepa.Series, at keepa.Minute) (int64, bool) {
	if len(prices) == 0 {
		return 0, false
	}
	i := prices.Search(at)
	if i == len(prices) || i > 0 && at-prices[i-1].At <= prices[i].At-at {
		i--
	}
	return int64(prices[i].Value), true
}

// withoutOutliers keeps the prices within the outlier factor times the interquartile range of the quartiles.
func (s Settings) withoutOutliers(sales []Sale) []Sale {
	if len(sales) < 2 {
		return sales
	}
	sorted := cents(sales)
	slices.Sort(sorted)
	q1, q3 := quantile(sorted, 0.25), quantile(sorted, 0.75)
	low, high := q1-s.OutlierFactor*(q3-q1), q3+s.OutlierFactor*(q3-q1)
	kept := make([]Sale, 0, len(sales))
	for _, sale := range sales {
		if v := float64(sale.Cents); v >= low && v <= high {
			kept = append(kept, sale)
		}
	}
	return kept
}

// quantile interpolates linearly between the closest ranks of a sorted, non-empty slice.
func quantile(sorted []int64, q float64) float64 {
	pos := q * float64(len(sorted)-1)
	i := int(pos)
	if i+1 >= len(sorted) {
		return float64(sorted[len(sorted)-1])
	}
	return float64(sorted[i]) + (pos-float64(i))*float64(sorted[i+1]-sorted[i])
}

func cents(sales []Sale) []int64 {
	all := make([]int64, len(sales))
	for i, sale := range sales {
		all[i] = sale.Cents
	}
	return all
}

// median is the middle of the prices, the mean of the two middle ones where their number is even.
func median(all []int64) int64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}
