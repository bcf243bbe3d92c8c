package keepasim

import "slices"

// usedHistory writes the used price and the used offer count. A sold offer is
// the cheapest for some hours before it vanishes, so that its price is the one
// nearest to the sale.
func (k *book) usedHistory(r *source, p plan) {
	price, count := &k.prices[pUsed], &k.prices[pCountUsed]
	level := max(1, p.used-1)
	near := func(v int, lo, hi float64) int { return int(float64(v) * r.between(lo, hi)) }
	price.add(k.start, near(p.ask, 0.98, 1.02))
	count.add(k.start, level)
	at := k.start
	sales := slices.Sorted(slices.Values(p.sales))
	drift := func(until int64) { // asking prices wander between sales
		for at += r.minutes(9*day, 40*day); at < until; at += r.minutes(9*day, 40*day) {
			price.add(at, near(p.ask, 0.98, 1.05))
		}
	}
	for _, s := range sales {
		drift(s - 3*day)
		listed := s - r.minutes(2*60, 20*60)
		count.add(s-r.minutes(2*day, 3*day), level+1)
		price.add(listed, near(p.sale, 0.985, 1.03))
		count.add(s, level)
		at = s + r.minutes(30*60, 60*60)
		price.add(at, near(p.ask, 0.98, 1.04))
	}
	for _, q := range p.quiet {
		drift(q - 3*day)
		count.add(q-2*day, level+1)
		count.add(q, level)
		at = q
	}
	drift(k.created - day)
	if k.class == NoUsedPrice {
		price.add(k.created, -1)
		count.add(k.created, 0)
		return
	}
	price.add(k.created, p.buy)
	count.add(k.created, p.used)
}

// rankHistory climbs slowly and falls only at sales and drops.
func (k *book) rankHistory(r *source, p plan) {
	var falls []int64
	for _, s := range p.sales {
		falls = append(falls, s+pick(r, []int64{0, 45, 3 * 60, 9 * 60, 20 * 60, 44 * 60}))
	}
	falls = append(falls, p.drops...)
	slices.Sort(falls)
	top := r.between(420_000, 1_300_000)
	rank := top * r.between(0.4, 0.8)
	pace := r.between(0.015, 0.04)
	h := &k.prices[pRank]
	h.add(k.start, int(rank))
	at, mean := k.start, r.between(2.0, 4.0)*day
	end := k.created
	climb := func(until int64) {
		for at += int64(mean * r.between(0.4, 1.6)); at < until; at += int64(mean * r.between(0.4, 1.6)) {
			rank += (top-rank)*pace*r.between(0.3, 1.7) + 1
			h.add(at, int(rank))
		}
	}
	for _, f := range falls {
		climb(f)
		last := rank
		rank = max(rank*r.between(0.35, 0.65), 62_000+r.between(0, 9000))
		if int(rank) >= int(last) {
			rank = last - 900 - r.between(0, 900)
		}
		h.add(f, int(rank))
		at = f
	}
	climb(end)
	inner := rank * 0.02 // the rank within the leaf category
	k.sub.add(k.start, int(inner)+1)
	for t := k.start + 20*day; t < end; t += r.minutes(15*day, 40*day) {
		k.sub.add(t, int(inner*r.between(0.7, 1.5))+1)
	}
}

// otherHistories writes everything that no class turns on.
func (k *book) otherHistories(r *source, p plan) {
	k.amazonHistory(r, p)
	k.newHistory(r, p)
	list := max(p.ask, p.sale) + r.int(500, 2500)
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

// newHistory writes new price and count. The count never falls: a new copy that
// vanished would read as a sale.
func (k *book) newHistory(r *source, p plan) {
	price, count := &k.prices[pNew], &k.prices[pCountNew]
	if p.fresh == 0 {
		price.add(k.start, -1)
		count.add(k.start, 0)
		return
	}
	level := float64(max(p.sale, p.ask)) * r.between(1.08, 1.4)
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
		k.prices[pBuyBox].addLanded(k.start, int(level*1.06), 0)
		return
	}
	k.prices[pCountNewFBM].add(k.start, p.fresh)
}
