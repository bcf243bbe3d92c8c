package keepasim

// row is the book's entry in the deal list, as of its last visit.
func (k *book) row(at int64) *row {
	r := &row{
		ASIN: k.id, Title: k.title, RootCat: k.root, Categories: k.cats, CreationDate: k.created, LastUpdate: at,
		Current: make([]int, priceTypes), CurrentSince: make([]int64, priceTypes), DeltaLast: make([]int, priceTypes),
		BackInStock: make([]bool, priceTypes),
	}
	for _, c := range "51" + k.id + "L.jpg" {
		r.Image = append(r.Image, int(c))
	}
	for p := range priceTypes {
		h := k.prices[p].upTo(at)
		r.Current[p] = max(-1, h.current(isTriple(p)))
		r.CurrentSince[p] = -1
		if last, ok := h.last(); ok {
			r.CurrentSince[p] = last.at
		}
		if n := len(h); n > 1 {
			if was := h[n-2].landed(isTriple(p)); was > 0 && r.Current[p] > 0 {
				r.DeltaLast[p] = was - r.Current[p]
			}
		}
	}
	for i, days := range [4]int64{2, 7, 31, 90} {
		r.Avg[i], r.Delta[i], r.DeltaPercent[i] = make([]int, priceTypes), make([]int, priceTypes), make([]int, priceTypes)
		for p := range priceTypes {
			h := k.prices[p].upTo(at)
			avg := -2
			if len(h) > 0 {
				avg = h.mean(at-days*day, at, isTriple(p))
			}
			r.Avg[i][p] = avg
			if cur := r.Current[p]; avg > 0 && cur > 0 {
				r.Delta[i][p] = avg - cur
				r.DeltaPercent[i][p] = max(-1000, percentOf(avg-cur, avg))
			}
		}
	}
	rank := k.prices[pRank]
	r.Drops30, r.Drops90 = rank.drops(at-30*day, at), rank.drops(at-90*day, at)
	r.Drops180, r.Drops365 = rank.drops(at-180*day, at), rank.drops(at-365*day, at)
	return r
}

// percentOf is part of whole in percent, rounded half up.
func percentOf(part, whole int) int {
	n := 200*part + whole
	q := n / (2 * whole)
	if n%(2*whole) < 0 {
		q--
	}
	return q
}
