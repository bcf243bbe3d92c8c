package backtest

import (
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
)

// Book is one product with its history.
type Book struct {
	Product *keepa.Product
	History target.History
	Fees    target.Fees // the fees of the purchases of this book
}

// Read returns the book of an answer. The answer's FBA fee, if it has one, replaces the given one.
func Read(p *keepa.Product, fees target.Fees, creditCents int64) (*Book, error) {
	h, err := target.Read(p, creditCents)
	return &Book{Product: p, History: h, Fees: fees.Of(p)}, err
}

// Copy is a used copy for sale. Money is cents with shipping.
type Copy struct {
	LandedCents   int64
	NextBestCents int64 // the next-best used offer; 0 when unknown
}

// Judgement is an estimator's estimate of a copy. Money is cents.
type Judgement struct {
	Known               bool // false: there is no estimate, and nothing else is set
	Accepted            bool
	SalePrice           int64
	Low, High           int64 // a tenth of the sales bring less, a tenth more
	ExpectedProfitCents int64
	LossChance          float64 // 0 to 1; negative: no estimate
	SaleChance6m        float64 // the same
	MonthsToSell        float64 // 0 or less: no estimate
	NEff                float64
}

// Judge decides on a copy of a book from the book's history up to the instant.
type Judge func(b *Book, at time.Time, c Copy) Judgement

// Asking is the estimator that takes asking prices for sale prices: the mean used price of the last 90 and 180 days.
func Asking(leastProfitCents int64) Judge {
	return func(b *Book, at time.Time, c Copy) Judgement {
		to := keepa.FromTime(at)
		short, _, ok := b.History.Mean(to-quarter, to)
		long, _, known := b.History.Mean(to-2*quarter, to)
		if !known {
			return Judgement{}
		}
		if !ok {
			short = long
		}
		price := int64((short+long)/2) + b.History.Credit(to)
		profit := b.Fees.Profit(price, c.LandedCents)
		return Judgement{
			Known: true, Accepted: profit >= leastProfitCents, SalePrice: price, Low: price, High: price,
			ExpectedProfitCents: profit, LossChance: -1, SaleChance6m: -1,
		}
	}
}

const (
	day     = keepa.Minute(24 * 60)
	quarter = 90 * day
	// apart is the least time between two answers for the earlier decision to be scored against the later history.
	apart = 21 * day
)
