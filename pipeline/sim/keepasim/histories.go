package keepasim

import (
	"cmp"
	"math"
	"slices"
)

// fall is an improvement of the rank, to a share of the rank before.
type fall struct {
	at    int64
	share float64
}

// falls returns the improvements that the script demands. When a copy sells, the rank
// jumps some hours before its offer vanishes or after it, depending on Keepa's visits.
func (k *book) falls(r *source, s *script) []fall {
	var falls []fall
	together := k.coincided
	for _, c := range k.sold {
		together = append(together, c.at)
	}
	for _, at := range together {
		falls = append(falls, fall{at + pick(r, []int64{-5 * 60, -60, 0, 45, 3 * 60, 9 * 60, 20 * 60}), jumpShare(r)})
	}
	for i, what := range s.slots {
		at := s.within(r, i)
		switch what {
		case jump:
			falls = append(falls, fall{at, jumpShare(r)})
		case dip:
			falls = append(falls, fall{at, r.between(0.92, 0.99)})
		case quiet, sale, withdrawal, flickering, undercut, coincidence:
		}
	}
	slices.SortFunc(falls, func(a, b fall) int { return cmp.Compare(a.at, b.at) })
	return falls
}

// jumpShare returns how far the rank jumps at a sale, as in captured histories: to a quarter at the median.
func jumpShare(r *source) float64 { return math.Exp(r.between(math.Log(0.09), math.Log(0.75))) }

// rankHistory rises, and falls only at a sale. Before a jump the
// rank was high, so that a rarely sold book jumps from far.
func (k *book) rankHistory(r *source, s *script) {
	top := r.between(1_500_000, 3_500_000)
	pace := r.between(0.15, 0.35)
	rank := top * r.between(0.4, 0.8)
	h := &k.prices[pRank]
	h.add(k.start, int(rank))
	at, mean := k.start, r.between(2.5, 4.5)*day
	climb := func(until int64) {
		for at += int64(mean * r.between(0.4, 1.6)); at < until; at += int64(mean * r.between(0.4, 1.6)) {
			rank += max(0, top-rank)*pace*r.between(0.3, 1.7) + 1
			h.add(at, int(rank))
		}
	}
	for _, f := range k.falls(r, s) {
		climb(f.at)
		rank = max(rank*f.share, 25_000+r.between(0, 9000))
		h.add(f.at, int(rank))
		at = f.at
	}
	climb(k.created)
	inner := rank * 0.02 // the rank within the leaf category
	k.sub.add(k.start, int(inner)+1)
	for t := k.start + 20*day; t < k.created; t += r.minutes(15*day, 40*day) {
		k.sub.add(t, int(inner*r.between(0.7, 1.5))+1)
	}
}

// otherHistories writes everything that no class depends on.
func (k *book) otherHistories(r *source, p plan) {
	k.amazonHistory(r, p)
	k.newHistory(r, p)
	list := int(max(p.ask, p.level)) + r.int(500, 2500)
	k.prices[pList].add(k.start, list-list%100+95)
	k.prices[pCollectible].add(k.start, -1)
	k.prices[pExtraInfo].add(k.created, p.used+p.fresh)
	rating, reviews := r.int(34, 49), r.int(4, 400)
	k.prices[pRating].add(k.start, rating)
	k.prices[pReviews].add(k.start, reviews)
	for t := k.start + 90*day; t < k.created; t += r.minutes(60*day, 160*day) {
		reviews += r.int(1, 9)
		k.prices[pReviews].add(t, reviews)
	}
}

func (k *book) amazonHistory(r *source, p plan) {
	h := &k.prices[pAmazon]
	if p.amazon == 0 {
		h.add(k.start, -1)
		return
	}
	at := k.start
	if k.class == AmazonCaps { // Amazon came back some months ago
		h.add(at, -1)
		at = k.created - r.minutes(40*day, 300*day)
	}
	h.add(at, p.amazon)
	for at += r.minutes(10*day, 60*day); at < k.created-2*day; at += r.minutes(10*day, 60*day) {
		h.add(at, int(float64(p.amazon)*r.between(0.99, 1.015)))
	}
	h.add(max(at, k.created-day), p.amazon)
}

// newHistory writes new price and count. The count never falls: a vanished new copy would look like a sale.
func (k *book) newHistory(r *source, p plan) {
	price, count := &k.prices[pNew], &k.prices[pCountNew]
	if p.fresh == 0 {
		price.add(k.start, -1)
		count.add(k.start, 0)
		return
	}
	level := max(p.level, p.ask) * r.between(1.08, 1.4)
	price.add(k.start, int(level))
	for at := k.start + 12*day; at < k.created-day; at += r.minutes(12*day, 60*day) {
		price.add(at, int(level*r.between(0.96, 1.05)))
	}
	n := max(1, p.fresh-r.int(0, 2))
	count.add(k.start, n)
	for at := k.start + 60*day; n < p.fresh; at += r.minutes(30*day, 90*day) {
		n++
		count.add(min(at, k.created-int64(p.fresh-n)*60-60), n)
	}
	k.prices[pNewFBM].addLanded(k.start, int(level), 399)
	if p.fresh > 2 {
		k.prices[pNewFBA].add(k.start, int(level*1.06))
		k.prices[pCountNewFBA].add(k.start, 1)
		k.prices[pCountNewFBM].add(k.start, p.fresh-1)
		return
	}
	k.prices[pCountNewFBM].add(k.start, p.fresh)
}
