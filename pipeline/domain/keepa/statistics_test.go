package keepa

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"
)

// Decisions use Keepa's statistics unchanged. Computing them again from the histories that came with them
// shows that both are interpreted as Keepa means them: which arrays are pairs and which triples, the meaning
// of -1, that a triple's statistics are landed prices, where a window begins. The arithmetic is that of
// Keepa's own client library: a mean over time, a value holding until the next change.

// meanSince returns the time-weighted mean of the offers in a window; false without any.
func meanSince(h Series, from, to Minute) (int, bool) {
	var sum, span int64
	for i, p := range h {
		end := to
		if i+1 < len(h) {
			end = min(to, h[i+1].At)
		}
		value, offered := p.Landed()
		if begin := max(from, p.At); offered && end > begin {
			sum += int64(value) * int64(end-begin)
			span += int64(end - begin)
		}
	}
	if span == 0 {
		return 0, false
	}
	return int(sum / span), true
}

// absentSince returns the share of a window, from the first change on, without an offer, in percent.
func absentSince(h Series, from, to Minute) (int, bool) {
	if len(h) == 0 {
		return 0, false
	}
	from = max(from, h[0].At)
	var gone int64
	for i, p := range h {
		end := to
		if i+1 < len(h) {
			end = min(to, h[i+1].At)
		}
		if begin := max(from, p.At); !p.Known() && end > begin {
			gone += int64(end - begin)
		}
	}
	if to <= from {
		return 0, false
	}
	return int((gone*100 + int64(to-from)/2) / int64(to-from)), true
}

// dropsSince counts the improvements of a rank in a window.
func dropsSince(h Series, from Minute) int {
	n := 0
	for i := 1; i < len(h); i++ {
		if h[i].At >= from && h[i].Known() && h[i-1].Known() && h[i].Value < h[i-1].Value {
			n++
		}
	}
	return n
}

// agreement counts how often two readings of the same thing agree: exactly, and nearly (2 % of a mean, 2 points of a
// share, a fifth of a count).
type agreement struct{ exact, near, of int }

func (a *agreement) add(got, want, tolerance int) {
	a.of++
	if got == want {
		a.exact++
	}
	if diff := max(got-want, want-got); diff <= tolerance {
		a.near++
	}
}

// isMoney reports whether a type is a price: only those can be out of stock.
func isMoney(t PriceType) bool {
	switch t {
	case Sales, CountNew, CountUsed, CountRefurbished, CountCollectible, ExtraInfoUpdates, Rating, CountReviews, CountNewFBA, CountNewFBM:
		return false
	}
	return true
}

func TestKeepasStatisticsComeOutOfItsHistories(t *testing.T) {
	t.Parallel()
	all := map[string]*agreement{}
	at := func(name string) *agreement {
		if all[name] == nil {
			all[name] = &agreement{}
		}
		return all[name]
	}
	products := 0
	for name, body := range files(t, "product/*.gz") {
		if bytes.Contains(body, []byte(`"tokensLeft"`)) {
			if _, raws, err := SplitProducts(body); err == nil && len(raws) > 0 {
				body = raws[0].Body
			}
		}
		p, err := DecodeProduct(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Stats == nil || !p.HasHistory() {
			continue
		}
		products++
		compare(t, &p, at)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a := all[name]
		t.Logf("%-32s %4d of %4d exact (%.1f %%), %4d near (%.1f %%)", name, a.exact, a.of,
			100*float64(a.exact)/float64(a.of), a.near, 100*float64(a.near)/float64(a.of))
	}
	t.Logf("%d products with history", products)
	// Keepa damps spikes over long windows and counts rank drops on finer data, so only clear cases must reach a bar.
	for name, least := range map[string]float64{"current": 0.95, "avg30": 0.8, "outOfStock90": 0.8} {
		if a := at(name); a.of > 50 && float64(a.near) < least*float64(a.of) {
			t.Errorf("%s: %d of %d agree, fewer than %.0f %%", name, a.near, a.of, 100*least)
		}
	}
}

// compare compares a product's statistics with its histories.
func compare(t *testing.T, p *Product, at func(string) *agreement) {
	t.Helper()
	now, st := p.LastUpdate, p.Stats
	ago := func(days int) Minute { return now.Add(-time.Duration(days) * 24 * time.Hour) }
	for typ := range PriceType(36) {
		h, err := p.Series(typ)
		if err != nil {
			t.Fatal(err)
		}
		if last, ok := h.Last(); ok {
			value, offered := last.Landed()
			if want, known := st.Current.At(typ); known || st.Current.Presence(typ) == NoOffer {
				if !offered {
					value = -1
				}
				if !known {
					want = -1
				}
				at("current").add(value, want, 0)
			}
		}
		for name, window := range map[string]struct {
			values Values
			days   int
		}{"avg30": {st.Avg30, 30}, "avg90": {st.Avg90, 90}, "avg180": {st.Avg180, 180}, "avg365": {st.Avg365, 365}} {
			want, known := window.values.At(typ)
			got, offered := meanSince(h, ago(window.days), now)
			if known && offered && want > 0 {
				at(name).add(got, want, want/50)
			}
		}
		for name, window := range map[string]struct {
			values Values
			days   int
		}{"outOfStock30": {st.OutOfStock30, 30}, "outOfStock90": {st.OutOfStock90, 90}, "outOfStock365": {st.OutOfStock365, 365}} {
			want, known := window.values.At(typ)
			if got, ok := absentSince(h, ago(window.days), now); known && ok && isMoney(typ) {
				at(name).add(got, want, 2)
			}
		}
	}
	ranks, err := p.Series(Sales)
	if err != nil {
		t.Fatal(err)
	}
	for name, window := range map[string]struct {
		want *int
		days int
	}{"salesRankDrops30": {st.SalesRankDrops30, 30}, "salesRankDrops90": {st.SalesRankDrops90, 90}, "salesRankDrops365": {st.SalesRankDrops365, 365}} {
		if window.want != nil && len(ranks) > 0 {
			at(name).add(dropsSince(ranks, ago(window.days)), *window.want, *window.want/5)
		}
	}
}
