package deal

import (
	"time"

	"ratchet/pipeline/keepa"
)

// The ways a list price comes about.
const (
	FromPeakMode   = "peak_mode"   // the most frequent price of the peak month
	FromPeakMedian = "peak_median" // the median of the peak month
	FromAllSales   = "all_median"  // the median of all sales: too few to know a season
)

// Listing is what the book can be listed at, and what that rests on.
type Listing struct {
	Cents    int64
	Uncapped int64  // before Amazon's price capped it
	Source   string // FromPeakMode, FromPeakMedian or FromAllSales
	Sales    int    // how many sales it rests on
	Capped   bool   // Amazon's price capped it

	// The months with the highest and lowest median price; 0 where too few sales tell a season.
	PeakMonth, TroughMonth time.Month
	TroughCents            int64 // median of the trough month; 0 where unknown
}

// ListAt is the list price that the sales support; false without a sale.
//
// The sales of all years are grouped by calendar month. The price is the most frequent one of the month
// with the highest median if it occurs more than once, else that median. Fewer sales than the seasonal
// minimum give the median of all. ceiling, where known, caps it.
func (s Settings) ListAt(sales []Sale, ceiling *int64) (Listing, bool) {
	if len(sales) == 0 {
		return Listing{}, false
	}
	l := Listing{Sales: len(sales)}
	if len(sales) < s.SeasonalMinSales {
		l.Source, l.Cents = FromAllSales, median(cents(sales))
	} else {
		l.season(sales)
	}
	l.Uncapped = l.Cents
	if ceiling != nil && l.Cents > *ceiling {
		l.Cents, l.Capped = *ceiling, true
	}
	return l, true
}

// season fills in the peak and trough months and the price of the peak. Of equal months the one with more
// sales wins, then the earlier.
func (l *Listing) season(sales []Sale) {
	var months [13][]int64
	for _, sale := range sales {
		m := sale.At.Time().Month()
		months[m] = append(months[m], sale.Cents)
	}
	var high, low int64
	for m := time.January; m <= time.December; m++ {
		if len(months[m]) == 0 {
			continue
		}
		mid := median(months[m])
		if l.PeakMonth == 0 || mid > high || mid == high && len(months[m]) > len(months[l.PeakMonth]) {
			l.PeakMonth, high = m, mid
		}
		if l.TroughMonth == 0 || mid < low || mid == low && len(months[m]) > len(months[l.TroughMonth]) {
			l.TroughMonth, low = m, mid
		}
	}
	l.TroughCents = low
	l.Source, l.Cents = FromPeakMedian, high
	if price, n := mode(months[l.PeakMonth]); n > 1 {
		l.Source, l.Cents = FromPeakMode, price
	}
}

// mode is the most frequent price and how often it occurs; of equally frequent ones the lowest.
func mode(all []int64) (price int64, times int) {
	count := map[int64]int{}
	for _, v := range all {
		count[v]++
	}
	for v, n := range count {
		if n > times || n == times && v < price {
			price, times = v, n
		}
	}
	return price, times
}

// AmazonCeiling is the most a listing can bring while Amazon sells the book itself: the configured share of
// the lowest of the given prices; nil where Amazon has none.
func (s Settings) AmazonCeiling(prices ...int64) *int64 {
	var lowest int64
	for _, p := range prices {
		if p > 0 && (lowest == 0 || p < lowest) {
			lowest = p
		}
	}
	if lowest == 0 {
		return nil
	}
	ceiling := lowest * s.AmazonCeilingPercent / 100
	return &ceiling
}

// OneYearAverage is the mean of the sales of the last 365 days; false without one.
func OneYearAverage(sales Sales, now time.Time) (int64, bool) {
	year := sales.Since(365*24*time.Hour, now)
	if len(year) == 0 {
		return 0, false
	}
	var sum int64
	for _, sale := range year {
		sum += sale.Cents
	}
	return sum / int64(len(year)), true
}

// Direction is where a value is heading.
type Direction string

// The directions.
const (
	Rising  Direction = "rising"
	Falling Direction = "falling"
	Flat    Direction = "flat"
)

// Trend is the direction of the last few distinct prices, new and used merged in time. Books that sell
// often are judged on more of them. rank is nil where unknown; false with fewer than two prices.
func Trend(h Histories, rank *int64) (Direction, bool) {
	keep := 3
	switch {
	case rank != nil && *rank <= 100_000:
		keep = 10
	case rank != nil && *rank <= 1_000_000:
		keep = 5
	}
	prices := lastDistinct(h.New, h.Used, keep)
	if len(prices) < 2 {
		return "", false
	}
	return direction(int64(prices[len(prices)-1]), int64(prices[0])), true // newest first
}

// lastDistinct merges the prices of two series from their ends and returns up to n values, newest first,
// without consecutive duplicates.
func lastDistinct(a, b keepa.Series, n int) []int {
	var values []int
	i, j := lastPrice(a, len(a)-1), lastPrice(b, len(b)-1)
	for (i >= 0 || j >= 0) && len(values) < n {
		var v int
		if j < 0 || i >= 0 && a[i].At > b[j].At {
			v, i = a[i].Value, lastPrice(a, i-1)
		} else {
			v, j = b[j].Value, lastPrice(b, j-1)
		}
		if len(values) == 0 || values[len(values)-1] != v {
			values = append(values, v)
		}
	}
	return values
}

// lastPrice is the index of the last price up to i; -1 without one.
func lastPrice(h keepa.Series, i int) int {
	for i >= 0 && h[i].Value < 1 {
		i--
	}
	return i
}

func direction(from, to int64) Direction {
	switch {
	case to > from:
		return Rising
	case to < from:
		return Falling
	}
	return Flat
}
