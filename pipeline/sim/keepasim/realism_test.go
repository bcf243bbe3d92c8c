package keepasim

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	fixtures "ratchet/test/captured"
)

// history is the input of the statistics.
type history struct{ count, used, rank series }

// manner is how histories behave: how often the used count falls, the outcome of the falls, how far ranks jump.
type manner struct {
	years     float64
	falls     int
	undone    int       // falls that the count took back within a day
	confirmed int       // other falls with a jump of the rank near them
	moved     int       // the same falls with a jump near another time: how many are confirmed by chance
	repriced  int       // confirmed falls in whose very minute the used price changed
	jumps     []float64 // rank after a jump as a share of the rank before
}

func (m *manner) add(h history) {
	if len(h.count) < 2 || len(h.rank) < 2 {
		return
	}
	m.years += float64(h.count[len(h.count)-1].at-h.count[0].at) / (365 * day)
	jumps := m.jumpsOf(h.rank)
	spent, spentMoved := int64(-1), int64(-1)
	for i := 1; i < len(h.count); i++ {
		at, before := h.count[i].at, max(h.count[i-1].value, 0)
		if max(h.count[i].value, 0) >= before {
			continue
		}
		m.falls++
		if back(h.count[i+1:], at, before) {
			m.undone++
			continue
		}
		if j, ok := near(jumps, at); ok && j != spent {
			spent = j
			m.confirmed++
			if slices.ContainsFunc(h.used, func(p point) bool { return p.at == at }) {
				m.repriced++
			}
		}
		shift := (7 + int64(m.falls)*5%15) * day
		if m.falls%2 == 0 {
			shift = -shift
		}
		if j, ok := near(jumps, at+shift); ok && j != spentMoved {
			spentMoved = j
			m.moved++
		}
	}
}

// jumpsOf returns the minutes at which the rank falls below nine tenths of the rank before.
func (m *manner) jumpsOf(rank series) []int64 {
	var at []int64
	before := 0
	for _, p := range rank {
		if p.value <= 0 {
			continue
		}
		if before > 0 && p.value*10 < before*9 {
			at = append(at, p.at)
			m.jumps = append(m.jumps, float64(p.value)/float64(before))
		}
		before = p.value
	}
	return at
}

func back(after series, at int64, before int) bool {
	for _, p := range after {
		if p.at > at+day {
			return false
		}
		if p.value >= before {
			return true
		}
	}
	return false
}

func near(jumps []int64, at int64) (int64, bool) {
	i, _ := slices.BinarySearch(jumps, at-6*60)
	if i == len(jumps) || jumps[i] > at+day {
		return 0, false
	}
	return jumps[i], true
}

// statistics returns the manner as comparable numbers.
func (m *manner) statistics() map[string]float64 {
	slices.Sort(m.jumps)
	quantile := func(q float64) float64 { return m.jumps[int(q*float64(len(m.jumps)-1))] }
	falls := float64(m.falls)
	return map[string]float64{
		"falls a year": falls / m.years, "share undone": float64(m.undone) / falls,
		"share confirmed": float64(m.confirmed) / falls, "share confirmed when moved": float64(m.moved) / falls,
		"share with the price changed at a sale": float64(m.repriced) / float64(m.confirmed),
		"jumps a year":                           float64(len(m.jumps)) / m.years,
		"jump p10":                               quantile(0.1), "jump p50": quantile(0.5), "jump p90": quantile(0.9),
	}
}

// TestHistoriesBehaveAsCapturedOnes compares the living world with the captured used books
// that have ten falls or more a year over at least a year. Bestsellers and books without
// demand are left out, as are the classes in which by definition nothing happens.
func TestHistoriesBehaveAsCapturedOnes(t *testing.T) {
	t.Parallel()
	var real, ours manner
	for asin, h := range capturedHistories(t) {
		var m manner
		m.add(h)
		if perYear := float64(m.falls) / m.years; m.years > 1 && perYear > 10 && perYear < 150 && m.confirmed > 1 && asin[0] != 'B' {
			real.add(h)
		}
	}
	w := Living(1, LivingOptions{Rows: 200})
	for _, r := range w.list(t0) {
		p, _ := w.find(r.ASIN, t0)
		if k := p.(*book); k.class != NoRankDrop && k.class != NoRecentSale {
			ours.add(history{k.prices[pCountUsed], k.prices[pUsed], k.prices[pRank]})
		}
	}
	got, want := ours.statistics(), real.statistics()
	for name, factor := range map[string]float64{
		"falls a year": 2, "share undone": 1.5, "share confirmed": 1.5, "share confirmed when moved": 2,
		"share with the price changed at a sale": 1.3, "jumps a year": 2, "jump p10": 1.5, "jump p50": 1.5, "jump p90": 1.5,
	} {
		t.Logf("%-40s %.3f, captured %.3f", name, got[name], want[name])
		if got[name] > want[name]*factor || got[name] < want[name]/factor {
			t.Errorf("%s: %.3f, captured %.3f, want within a factor of %.1f", name, got[name], want[name], factor)
		}
	}
}

// capturedHistories returns the histories of the captured products, by ASIN.
func capturedHistories(t *testing.T) map[string]history {
	t.Helper()
	type product struct {
		ASIN string    `json:"asin"`
		CSV  [][]int64 `json:"csv"`
	}
	out := map[string]history{}
	fixtures.Files(t, "product/*.gz", func(name string, body []byte) {
		var env struct {
			product
			Products []product `json:"products"`
		}
		if err := json.Unmarshal(body, &env); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, p := range append(env.Products, env.product) {
			if len(p.CSV) <= pCountUsed {
				continue
			}
			read := func(i int) (h series) {
				for pair := range slices.Chunk(p.CSV[i], 2) {
					h = append(h, point{at: pair[0], value: int(pair[1])})
				}
				return h
			}
			out[p.ASIN] = history{read(pCountUsed), read(pUsed), read(pRank)}
		}
	})
	if len(out) == 0 {
		t.Fatal(fmt.Errorf("no captured product has histories"))
	}
	return out
}

// TestOffersAgreeWithTheHistories: the ends of the histories agree with the offers.
func TestOffersAgreeWithTheHistories(t *testing.T) {
	t.Parallel()
	w := Living(3, LivingOptions{Rows: 200})
	seen := 0
	for _, r := range w.list(t0) {
		p, _ := w.find(r.ASIN, t0)
		k := p.(*book)
		least, count := -1, 0
		landed := map[int]int{}
		for _, i := range k.live {
			o := k.offers[i]
			if o.condition < 2 {
				if v, ok := landed[pBuyBox]; !ok || o.landed() < v {
					landed[pBuyBox] = o.landed()
				}
				continue
			}
			count++
			if least < 0 || o.price < least {
				least = o.price
			}
			for _, t := range []int{pUsedLikeNew + o.condition - 2, pBuyBoxUsed} {
				if v, ok := landed[t]; !ok || o.landed() < v {
					landed[t] = o.landed()
				}
			}
		}
		if got := k.prices[pCountUsed].current(false); got != count {
			t.Errorf("%s of %s: %d used copies, %d offers", k.id, k.class, got, count)
		}
		if got := k.prices[pUsed].current(false); got != least {
			t.Errorf("%s of %s: used price %d, cheapest offer %d", k.id, k.class, got, least)
		}
		for _, p := range append([]int{pBuyBox}, landedTypes[:]...) {
			want, ok := landed[p]
			if !ok {
				want = -1
			}
			if got := k.prices[p].current(true); got != want && k.class != LandedPrice {
				t.Errorf("%s of %s: type %d at %d, the offers say %d", k.id, k.class, p, got, want)
			}
		}
		seen += len(landed)
	}
	if seen < 200 {
		t.Errorf("only %d landed prices were compared", seen)
	}
}
