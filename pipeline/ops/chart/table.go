package chart

import (
	"time"

	"ratchet/pipeline/domain/keepa"
)

// Row is what a picture shows at an instant, as text. Nil is absent.
type Row struct {
	At                        time.Time
	Used, New, Amazon, BuyBox *int64 // with shipping, in the smallest unit of the currency
	Rank                      *int64
	Sales                     int    // since the row before it in time
	Sold                      *int64 // the price of the last of them
}

// Table is the picture of a range as rows, the newest first: one a day for 90 days, a week for a year, and 30 days for
// all time.
func Table(p Product, r Range) []Row {
	from, until := p.window(r)
	every := keepa.Minute(24 * 60)
	switch r {
	case Quarter:
	case Year:
		every *= 7
	case All:
		every *= 30
	}
	var out []Row
	for at := until; at > from; at -= every {
		out = append(out, p.row(max(at-every, from), at))
	}
	return out
}

func (p Product) row(since, at keepa.Minute) Row {
	m := p.Market
	row := Row{
		At: at.Time(), Used: last(m.Used, at), New: last(m.New, at), Amazon: last(m.Amazon, at),
		BuyBox: last(m.BuyBox, at), Rank: last(m.Rank, at),
	}
	sales := p.sales(since+1, at)
	if row.Sales = len(sales); row.Sales > 0 {
		row.Sold = &sales[row.Sales-1].Cents
	}
	return row
}
