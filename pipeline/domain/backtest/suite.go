package backtest

import (
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
)

// Suite holds the estimators that are scored side by side. Previous and Asking may be nil.
type Suite struct {
	Ours, Previous, Asking Judge
}

// set is the index of an estimator in a Suite.
type set int

const (
	ours set = iota
	previous
	asking
	sets
)

// kind is the occasion of a case.
type kind uint8

const (
	month   kind = iota // a copy at a month start
	ahead               // an estimate at a month start, against the sales of the next twelve months
	drop                // a copy at a price drop
	between             // a copy at the time of an earlier answer, against the later one
)

// said is a compact estimate: there are millions.
type said struct {
	known, accepted      bool
	price, predicted     int32 // cents
	loss, chance, months float32
}

// scored is one case.
type scored struct {
	kind          kind
	sold6         bool
	made          int32   // cents; unset for ahead
	months        float32 // until the sale; 0 without one
	median, above int32   // for ahead: the median and the maximum of the next sales, cents
	said          [sets]said
}

func (s *scored) lost() bool { return s.made < 0 }

// Record is the result for one book.
type Record struct {
	ASIN    string
	Sales   int
	Control target.Control
	Open    int // decisions on an earlier answer whose outcome the later one does not show yet
	cases   []scored
}

// Cases returns the number of cases in the record.
func (r *Record) Cases() int { return len(r.cases) }

// Walk decides on a book at every occasion of its history.
func (s *Suite) Walk(b *Book) Record {
	sales := b.History.Sales()
	r := Record{ASIN: b.Product.ASIN, Sales: len(sales), Control: b.History.Control()}
	for _, m := range b.History.Months(sales) {
		words := s.say(b, m.Purchase)
		if m.Offered {
			r.cases = append(r.cases, score(month, b, m.Purchase, m.Outcome, words))
		}
		if m.Next != nil {
			r.cases = append(r.cases, scored{
				kind: ahead, median: int32(target.Middle(m.Next)), above: int32(m.Next[len(m.Next)-1]), said: words,
			})
		}
	}
	for _, d := range b.History.Drops(sales) {
		r.cases = append(r.cases, score(drop, b, d.Purchase, d.Outcome, s.say(b, d.Purchase)))
	}
	return r
}

// Apart adds the decision on a copy at the time of an earlier answer of the same product, scored against the later one.
func (s *Suite) Apart(r *Record, earlier, later *Book, c Copy) {
	at := earlier.History.End
	if later.History.End < at+apart || c.LandedCents <= 0 {
		return
	}
	bought := target.Purchase{At: at, LandedCents: c.LandedCents, NextBestCents: c.NextBestCents}
	then := bought
	if then.NextBestCents == 0 {
		then.NextBestCents = then.LandedCents // the price then was at least one's own
	}
	outcome := later.History.Outcome(then, later.History.Sales())
	if !outcome.Known() {
		r.Open++
		return
	}
	r.cases = append(r.cases, score(between, earlier, bought, outcome, s.say(earlier, bought)))
}

func score(k kind, b *Book, p target.Purchase, o target.Outcome, words [sets]said) scored {
	return scored{
		kind: k, sold6: o.SoldIn6Months(), months: float32(o.After) / float32(monthLong), said: words,
		made: int32(b.Fees.Profit(o.Cents, p.LandedCents)),
	}
}

// monthLong is the mean length of a month.
const monthLong = keepa.Minute(43_830)

func (s *Suite) say(b *Book, p target.Purchase) [sets]said {
	var words [sets]said
	for i, judge := range []Judge{ours: s.Ours, previous: s.Previous, asking: s.Asking} {
		if judge == nil {
			continue
		}
		j := judge(b, p.At.Time(), Copy{LandedCents: p.LandedCents, NextBestCents: p.NextBestCents})
		if j.Known {
			words[i] = said{
				known: true, accepted: j.Accepted, price: int32(j.SalePrice), predicted: int32(j.ExpectedProfitCents),
				loss: float32(j.LossChance), chance: float32(j.SaleChance6m), months: float32(j.MonthsToSell),
			}
		}
	}
	return words
}
