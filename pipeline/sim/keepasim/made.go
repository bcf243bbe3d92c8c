package keepasim

import "math/rand/v2"

// madeProduct is a product made from a captured row: its current values, recent
// averages and rank drops are the row's, everything else is invented.
type madeProduct struct {
	*book
	row *row
}

func (p *madeProduct) synthetic() bool { return true }

// makeProduct invents the history behind a row. Values are chosen so
// that the averages over 2, 7, 31 and 90 days equal the row's.
func makeProduct(src *row) *madeProduct {
	r := newSource(11, "made/"+src.ASIN)
	k := &book{id: src.ASIN, root: src.RootCat, created: src.CreationDate, late: map[int]point{}, bargain: -1, fba: r.int(320, 540)}
	k.start = src.LastUpdate - int64(r.int(800, 1300))*day
	k.counted = &[4]int{src.Drops30, src.Drops90, src.Drops180, src.Drops365}
	k.describe(r)
	k.title, k.cats = src.Title, src.Categories
	if len(k.cats) == 0 {
		k.cats = []int64{src.RootCat}
	}
	for p := range min(priceTypes, len(src.Current)) {
		k.prices[p] = fromRow(src, p, k.start)
	}
	k.soldBefore(r, src)
	k.offersFromRow(r, src)
	return &madeProduct{book: k, row: src}
}

// fromRow solves for the steps of one history, oldest first:
//
//	90 d        31 d     7 d   2 d  since  now
//	 ├─ v90 ─────┼─ v31 ──┼─ v7 ─┼─ v2 ─┼─ current
func fromRow(src *row, p int, start int64) series {
	cur := value(src.Current, p)
	if cur < 0 && value(src.Avg[3], p) < 0 {
		if cur == -1 {
			return series{{at: start, value: -1}}
		}
		return nil
	}
	now := src.LastUpdate
	since := now
	if p < len(src.CurrentSince) && src.CurrentSince[p] > 0 {
		since = min(src.CurrentSince[p], now)
	}
	var h series
	spans := [4]int64{2 * day, 7 * day, 31 * day, 90 * day}
	level := [4]int{}
	for i := range spans {
		level[i] = stepValue(src, p, i, spans, level, since, now, cur)
	}
	h.add(start, level[3])
	for i := 3; i >= 0; i-- {
		if at := now - spans[i]; at < since {
			h.add(at, level[i])
		}
	}
	if since <= start {
		return series{{at: start, value: cur}}
	}
	h.add(since, cur)
	return h
}

// stepValue returns the value between two windows that gives the
// longer one's average; the average itself if that is impossible.
func stepValue(src *row, p, i int, spans [4]int64, level [4]int, since, now int64, cur int) int {
	avg := value(src.Avg[i], p)
	if avg < 0 {
		return max(cur, -1)
	}
	sum := int64(avg) * spans[i]
	left := spans[i]
	held := min(now-since, left)
	if cur >= 0 {
		sum -= int64(cur) * held
	}
	left -= held
	for j := range i {
		from := int64(0)
		if j > 0 {
			from = spans[j-1]
		}
		part := max(0, spans[j]-max(from, now-since))
		sum -= int64(max(level[j], 0)) * part
		left -= part
	}
	if left <= 0 || sum < 0 {
		return avg
	}
	return int(sum / left)
}

// soldBefore gives the book as many rank drops as the row counts and a sale for some of them.
func (k *book) soldBefore(r *source, src *row) {
	last := src.LastUpdate
	var rank, count, used series
	level := max(1, value(src.Avg[3], pCountUsed))
	price := max(value(src.Avg[3], pUsed), value(src.Current, pUsed), 1)
	base := max(value(src.Avg[3], pRank), 1000)
	rank.add(k.start, base)
	count.add(k.start, level+1)
	used.add(k.start, price)
	times := dropTimes(r, src, last, k.start)
	for _, at := range times {
		rank.add(at-6*day, base+base/5)
		rank.add(at, base-base/6)
		if r.chance(0.6) {
			count.add(at-5*day, level+1)
			count.add(at-r.minutes(0, 20*60), level)
			used.add(at-2*day, int(float64(price)*r.between(0.85, 1.05)))
		}
	}
	k.prices[pRank] = splice(rank, k.prices[pRank], last-90*day)
	k.prices[pCountUsed] = splice(count, k.prices[pCountUsed], last-90*day)
	k.prices[pUsed] = splice(used, k.prices[pUsed], last-90*day)
}

// dropTimes returns instants older than 90 days that agree with the
// row's counts of drops in 180 and 365 days, and some older ones.
func dropTimes(r *source, src *row, now, start int64) []int64 {
	var at []int64
	place := func(n int, from, to int64) { // ages in days
		for i := range max(0, n) {
			step := (to - from) * day / int64(n)
			at = append(at, now-to*day+int64(i)*step+r.minutes(step/3, max(step/2, step/3)))
		}
	}
	perYear := max(src.Drops365, 0)
	place(min(perYear, 12), 366, (now-start)/day-30)
	place(min(max(src.Drops365-src.Drops180, 0), 20), 181, 364)
	place(min(max(src.Drops180-src.Drops90, 0), 12), 91, 179)
	return at
}

// splice joins the old history up to a minute and the new one from there on.
func splice(old, recent series, at int64) series {
	out := append(series(nil), old.upTo(at)...)
	for i, p := range recent.since(at) {
		if i == 0 {
			p.at = max(p.at, at)
		}
		out.addLanded(p.at, p.value, p.ship)
	}
	return out
}

// offersFromRow adds offers at the row's prices: one for each used
// condition that has one, and the cheapest at the used price.
func (k *book) offersFromRow(r *source, src *row) {
	zipf := rand.NewZipf(r.Rand, 1.25, 6, sellerCount-1)
	base := value(src.Current, pUsed)
	n := max(value(src.Current, pCountUsed), 0)
	shipping := 399
	if l := cheapestLanded(src); l >= base && base > 0 {
		shipping = l - base
	}
	for i := range min(n, 20) {
		o := offer{condition: r.int(3, 5), price: base, shipping: shipping}
		if i > 0 {
			o.price, o.shipping = int(float64(base+shipping)*r.between(1.05, 1.6)), 399
		}
		if base > 0 {
			k.list(r, zipf, o)
		}
	}
	if p := value(src.Current, pNew); p > 0 {
		k.list(r, zipf, offer{condition: 1, price: p, shipping: 399})
	}
	for i := range k.offers {
		k.live = append(k.live, i)
	}
}

func cheapestLanded(src *row) int {
	best := -1
	for p := pUsedLikeNew; p <= pUsedAcceptable; p++ {
		if v := value(src.Current, p); v > 0 && (best < 0 || v < best) {
			best = v
		}
	}
	return best
}
