package keepa

import "slices"

// Repriced returns the product with the current values that a later row of the deal list has. Histories and averages
// stay as they were.
func (p Product) Repriced(row *DealRow) Product {
	var s Stats
	if p.Stats != nil {
		s = *p.Stats
	}
	s.Current = slices.Clone(s.Current)
	for i, v := range row.Current {
		if t := PriceType(i); row.Current.Presence(t) == NoData {
			continue
		}
		for len(s.Current) <= i {
			s.Current = append(s.Current, noData)
		}
		s.Current[i] = v
	}
	for _, d := range []struct{ was, is **int }{
		{&s.SalesRankDrops30, &row.SalesRankDrops30},
		{&s.SalesRankDrops90, &row.SalesRankDrops90},
		{&s.SalesRankDrops180, &row.SalesRankDrops180},
		{&s.SalesRankDrops365, &row.SalesRankDrops365},
	} {
		if *d.is != nil {
			*d.was = *d.is
		}
	}
	p.Stats = &s
	return p
}
