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
	Fees    target.Fees // what the purchases of this book are charged
}

// Read makes a book of an answer. Its FBA fee takes the place of the given one, where it says one.
func Read(p *keepa.Product, fees target.Fees, creditCents int64) (*Book, error) {
	h, err := target.Read(p, creditCents)
	return &Book{Product: p, History: h, Fees: fees.Of(p)}, err
}

// Copy is a used copy on offer. Money is cents with shipping.
type Copy struct {
	LandedCents   int64
	NextBestCents int64 // the next-best used offer; 0 where none is known
}

// Judgement is what an estimator said of a copy. Money is cents.
type Judgement struct {
	Known               bool // false: it could not say anything, and nothing else is set
	Accepted            bool
	SalePrice           int64
	Low, High           int64 // a tenth of the sales bring less, a tenth more
	ExpectedProfitCents int64
	LossChance          float64 // 0 to 1; below zero: it does not say
	SaleChance6m        float64 // the same
	MonthsToSell        float64 // below or at zero: it does not say
	NEff                float64
}

// Judge decides on a copy of a book, knowing the book's history up to the instant and nothing later.
type Judge func(b *Book, at time.Time, c Copy) Judgement

// Asking is the estimator that takes what is asked for what is paid: the used price of the last 90 and 180 days.
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
	// apart is how far two answers must lie apart for the earlier decision to be scored against the later history.
	apart = 21 * day
)
