package deal

import (
	"slices"

	"ratchet/pipeline/keepa"
)

// Memory is where one product's histories are read. They are by far the most that a
// decision looks at, and nothing that it concludes points into them, so the next
// product can be read into the same memory. It serves one goroutine.
type Memory struct {
	series             [5]keepa.Series
	ranks, used, fresh kept
	better             []keepa.Minute
}

// histories decodes the five series of a product. They are overwritten by the next.
func (m *Memory) histories(p *keepa.Product) (Histories, error) {
	for i, t := range []keepa.PriceType{keepa.Sales, keepa.New, keepa.Used, keepa.CountNew, keepa.CountUsed} {
		series, err := p.SeriesInto(m.series[i], t)
		if err != nil {
			return Histories{}, err
		}
		if series == nil {
			series = m.series[i][:0] // keeps the memory
		}
		m.series[i] = series
	}
	return Histories{
		Rank: m.series[0], New: m.series[1], Used: m.series[2], CountNew: m.series[3], CountUsed: m.series[4], Known: p.HasHistory(),
	}, nil
}

// kept is memory for the part of a series that counts.
type kept struct{ points keepa.Series }

// positive are the points with a value above zero; the series itself where all have.
func (k *kept) positive(h keepa.Series) keepa.Series {
	if !slices.ContainsFunc(h, func(p keepa.Point) bool { return p.Value < 1 }) {
		return h
	}
	k.points = slices.Grow(k.points[:0], len(h))
	for _, p := range h {
		if p.Value > 0 {
			k.points = append(k.points, p)
		}
	}
	return k.points
}
