package keepasim

import "sort"

// point is one entry of a history: the value holds until the next point.
type point struct {
	at    int64 // Keepa minutes
	value int   // -1 without
	ship  int   // of triples; -1 unknown
}

// landed returns the value for statistics: price and shipping for triples.
func (p point) landed(triple bool) int {
	if triple && p.value >= 0 {
		return p.value + max(p.ship, 0)
	}
	return p.value
}

type series []point

// add appends a change; an unchanged value is skipped, and time always advances.
func (s *series) add(at int64, v int) { s.addLanded(at, v, 0) }

func (s *series) addLanded(at int64, v, ship int) {
	if n := len(*s); n > 0 {
		last := &(*s)[n-1]
		if last.value == v && last.ship == ship {
			return
		}
		if at <= last.at {
			last.value, last.ship = v, ship
			return
		}
	}
	*s = append(*s, point{at: at, value: v, ship: ship})
}

// upTo returns the history as known at a minute.
func (s series) upTo(at int64) series {
	return s[:sort.Search(len(s), func(i int) bool { return s[i].at > at })]
}

// since keeps the points from a minute on and the last value before it.
func (s series) since(at int64) series {
	i := sort.Search(len(s), func(i int) bool { return s[i].at > at })
	return s[max(0, i-1):]
}

func (s series) last() (point, bool) {
	if len(s) == 0 {
		return point{}, false
	}
	return s[len(s)-1], true
}

// current returns the value now: -2 without data.
func (s series) current(triple bool) int {
	p, ok := s.last()
	if !ok {
		return -2
	}
	return p.landed(triple)
}

// window walks the parts of [from, to] in which one value held.
func (s series) window(from, to int64, each func(p point, minutes int64)) {
	i := sort.Search(len(s), func(i int) bool { return s[i].at > from })
	for i = max(0, i-1); i < len(s); i++ {
		start, end := max(s[i].at, from), to
		if i+1 < len(s) {
			end = min(end, s[i+1].at)
		}
		if s[i].at >= to {
			return
		}
		if end > start {
			each(s[i], end-start)
		}
	}
}

// mean returns the time-weighted mean of the known values, rounded down; -1 without one.
func (s series) mean(from, to int64, triple bool) int {
	var sum, minutes int64
	s.window(from, to, func(p point, n int64) {
		if v := p.landed(triple); v >= 0 {
			sum += int64(v) * n
			minutes += n
		}
	})
	if minutes == 0 {
		if v := s.current(triple); v >= 0 && len(s) > 0 && s[len(s)-1].at >= to {
			return v
		}
		return -1
	}
	return int(sum / minutes)
}

// outOfStock returns the share of the window without an offer, in percent; -1 without data.
func (s series) outOfStock(from, to int64) int {
	var none, all int64
	s.window(from, to, func(p point, n int64) {
		all += n
		if p.value < 0 {
			none += n
		}
	})
	if all == 0 {
		return -1
	}
	return int(none * 100 / all)
}

// drops counts the improvements (falls) in (from, to].
func (s series) drops(from, to int64) int {
	n := 0
	for i := 1; i < len(s); i++ {
		if s[i].at > from && s[i].at <= to && s[i].value > 0 && s[i-1].value > s[i].value {
			n++
		}
	}
	return n
}

// extreme returns the lowest (sign 1) or highest (sign -1) known
// value since from, as [minute, value]; nil without one.
func (s series) extreme(from int64, sign int, triple bool) []int64 {
	var best []int64
	for _, p := range s.since(from) {
		v := p.landed(triple)
		if v >= 0 && (best == nil || int64(sign)*int64(v) < int64(sign)*best[1]) {
			best = []int64{p.at, int64(v)}
		}
	}
	return best
}

// flat returns the history as Keepa sends it.
func (s series) flat(triple bool) []int64 {
	if len(s) == 0 {
		return nil
	}
	out := make([]int64, 0, 3*len(s))
	for _, p := range s {
		out = append(out, p.at, int64(p.value))
		if triple {
			ship := int64(p.ship)
			if p.value < 0 {
				ship = -1
			}
			out = append(out, ship)
		}
	}
	return out
}
