package deal

import (
	"slices"

	"ratchet/pipeline/domain/keepa"
)

// Scratch is the scratch buffer into which one product's histories are decoded. They are by far the largest input of a
// decision, and no result points into them, so the buffer is reused for the next product. It serves one goroutine.
type Scratch struct {
	series [3]keepa.Series
	jumps  []keepa.Minute
	found  []Sale
}

// histories decodes the series of a product. The next call overwrites them.
func (m *Scratch) histories(p *keepa.Product) (Histories, error) {
	for i, t := range []keepa.PriceType{keepa.Sales, keepa.Used, keepa.CountUsed} {
		series, err := p.SeriesInto(m.series[i], t)
		if err != nil {
			return Histories{}, err
		}
		if series == nil {
			series = m.series[i][:0] // keeps the memory
		}
		if t != keepa.Sales { // a price or a count that is unknown for a while says nothing: the one before holds
			series = slices.DeleteFunc(series, func(p keepa.Point) bool { return p.Value < -1 })
		}
		m.series[i] = series
	}
	return Histories{Rank: m.series[0], Used: m.series[1], CountUsed: m.series[2], Known: p.HasHistory()}, nil
}
