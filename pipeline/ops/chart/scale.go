package chart

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// scale maps values to positions: from low at begin to high at end.
type scale struct {
	low, high  float64
	begin, end float64
	log        bool // the logarithm of the value is what is even; low and high are above 0
}

// at is the position of a value, at the edge for one outside.
func (s scale) at(v float64) float64 {
	part := (v - s.low) / (s.high - s.low)
	if s.log {
		part = math.Log(v/s.low) / math.Log(s.high/s.low)
	}
	if math.IsNaN(part) {
		part = 0
	}
	return s.begin + min(max(part, 0), 1)*(s.end-s.begin)
}

// tick is a round value on an axis.
type tick struct {
	value float64
	label string
}

// rounded is the least of 1, 2 and 5 times a power of ten that is v or more.
func rounded(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// moneyTicks are about n round amounts from low to high, in the smallest unit of the currency.
func moneyTicks(c keepa.Currency, low, high float64, n int) []tick {
	unit := math.Pow10(c.Decimals)
	step := rounded((high - low) / unit / float64(max(n, 1)))
	var out []tick
	for k := math.Ceil(low / unit / step); k*step*unit <= high && len(out) < 50; k++ {
		out = append(out, tick{k * step * unit, amount(c, k*step*unit, step < 1)})
	}
	return out
}

// amount is money on an axis: without decimals unless they are asked for.
func amount(c keepa.Currency, units float64, decimals bool) string {
	if decimals {
		return c.Format(int64(math.Round(units)))
	}
	sign, whole := "", math.Round(units/math.Pow10(c.Decimals))
	if whole < 0 {
		sign, whole = "-", -whole
	}
	return sign + c.Symbol + brief(whole)
}

// brief is a number of an axis: 1,500 is 1.5k.
func brief(v float64) string {
	for _, u := range []struct {
		of   float64
		mark string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if v >= u.of {
			if u.of == 1e4 {
				u.of = 1e3
			}
			return strconv.FormatFloat(math.Round(10*v/u.of)/10, 'f', -1, 64) + u.mark
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// logTicks are round values from low to high, n at most where that leaves two: powers of ten, with 2 and 5 between them
// where there is room.
func logTicks(low, high float64, n int) []tick {
	var best []tick
	for _, multiples := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		var out []tick
		for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high && len(out) < 50; power *= 10 {
			for _, m := range multiples {
				if v := m * power; v >= low*(1-1e-9) && v <= high*(1+1e-9) {
					out = append(out, tick{v, brief(v)})
				}
			}
		}
		if best == nil || len(out) > 1 {
			best = out
		}
		if len(best) <= n {
			return best
		}
	}
	return every(best, (len(best)+n-1)/n)
}

// every keeps one of n ticks, from the last one back.
func every(ticks []tick, n int) []tick {
	var out []tick
	for i, t := range ticks {
		if (len(ticks)-1-i)%max(n, 1) == 0 {
			out = append(out, t)
		}
	}
	return out
}

// timeTicks are at most n round dates (or hours, in short spans), in UTC. Values are seconds.
func timeTicks(from, until time.Time, n int) []tick {
	from, until = from.UTC(), until.UTC()
	for _, c := range calendar {
		if ticks := c.ticks(from, until, n); ticks != nil {
			return ticks
		}
	}
	return nil
}

// pace is a way to divide time: the first mark at or before an instant, the next one, and how a mark is written.
type pace struct {
	first  func(time.Time) time.Time
	next   func(time.Time) time.Time
	layout string
}

// calendar are the ways to divide time, the finest first.
var calendar = func() []pace {
	var all []pace
	for _, d := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		all = append(all, pace{
			func(t time.Time) time.Time { return t.Truncate(24 * time.Hour) },
			func(t time.Time) time.Time { return t.Add(d) }, "15:04",
		})
	}
	for _, d := range []int{1, 2, 7, 14} {
		all = append(all, pace{monday, func(t time.Time) time.Time { return t.AddDate(0, 0, d) }, "2 Jan"})
	}
	for _, m := range []int{1, 2, 3, 6} {
		all = append(all, pace{newYear, func(t time.Time) time.Time { return t.AddDate(0, m, 0) }, "Jan 06"})
	}
	for _, y := range []int{1, 2, 5, 10, 50} {
		all = append(all, pace{
			func(t time.Time) time.Time { return newYear(t).AddDate(-t.Year()%y, 0, 0) },
			func(t time.Time) time.Time { return t.AddDate(y, 0, 0) }, "2006",
		})
	}
	return all
}()

func monday(t time.Time) time.Time {
	return t.Truncate(24*time.Hour).AddDate(0, 0, -(int(t.Weekday())+6)%7)
}

func newYear(t time.Time) time.Time { return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC) }

// ticks are the marks of a span; nil where there would be more than n.
func (c pace) ticks(from, until time.Time, n int) []tick {
	out := []tick{}
	for t := c.first(from); !t.After(until); t = c.next(t) {
		if t.Before(from) {
			continue
		}
		if len(out) == n {
			return nil
		}
		out = append(out, tick{float64(t.Unix()), t.Format(c.layout)})
	}
	return out
}

// day is a date in UTC for people.
func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// grouped is a whole number with its thousands apart.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is a count of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", grouped(n), many)
}
