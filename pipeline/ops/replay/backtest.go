package replay

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/backtest"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
	"ratchet/pipeline/domain/verdict"
)

// Backtest is how stored products are scored.
type Backtest struct {
	Rules    *verdict.Judge
	Previous *verdict.Judge // another rule set to compare with; nil without

	// Most limits the number of products; of more, the same sample is scored every time. 0: all.
	Most    int
	Without []string // ASINs to leave out
}

// Scored holds the results of a backtest, and the number of products that it could not use.
type Scored struct {
	backtest.Report
	Stored     int `json:"stored_products"`
	Unreadable int `json:"unreadable"` // products that do not decode, or whose answer is no longer stored
	NoHistory  int `json:"no_history"` // products of which no answer has histories
}

// Run scores the stored products, one at a time per core, and keeps only the predictions.
func (t Backtest) Run(ctx context.Context, held []StoredProduct, progress func(Step)) (Scored, error) {
	held = slices.DeleteFunc(slices.Clone(held), func(h StoredProduct) bool { return slices.Contains(t.Without, h.ASIN) })
	s := Scored{Stored: len(held)}
	held = sample(held, t.Most)
	var mu sync.Mutex
	var records []backtest.Record
	seen, decided := 0, 0
	workers, ctx := errgroup.WithContext(ctx)
	next := make(chan StoredProduct)
	workers.Go(func() error {
		defer close(next)
		for _, h := range held {
			if err := send(ctx, next, h); err != nil {
				return err
			}
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		suite := t.suite()
		workers.Go(func() error {
			for h := range next {
				r, err := t.score(ctx, suite, h)
				var never *Unreadable
				mu.Lock()
				switch seen++; {
				case err == nil:
					records = append(records, r)
					decided += r.Cases()
				case errors.Is(err, errNoHistory):
					s.NoHistory++
				case errors.As(err, &never):
					s.Unreadable++
				default:
					mu.Unlock()
					return err
				}
				progress(Step{Seen: seen, Total: len(held), Decided: decided})
				mu.Unlock()
			}
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return s, err
	}
	s.Report = t.suite().Make(records)
	return s, nil
}

// sample returns so many of the products, chosen by a hash of their names.
func sample(held []StoredProduct, most int) []StoredProduct {
	if most <= 0 || len(held) <= most {
		return held
	}
	hash := func(h StoredProduct) uint64 {
		f := fnv.New64a()
		_, _ = f.Write([]byte(h.ASIN)) // it never fails
		return f.Sum64()
	}
	slices.SortFunc(held, func(a, b StoredProduct) int { return cmp.Compare(hash(a), hash(b)) })
	return held[:most]
}

// errNoHistory is the error of a product whose answers have no histories.
var errNoHistory = errors.New("no answer has histories")

// score walks one product, by its newest answer with histories; the oldest such answer is decided too.
func (t Backtest) score(ctx context.Context, suite *backtest.Suite, h StoredProduct) (backtest.Record, error) {
	newest, n, err := t.first(ctx, h, len(h.Answers)-1, -1)
	if err != nil {
		return backtest.Record{}, err
	}
	r := suite.Walk(newest)
	if n == 0 {
		return r, nil
	}
	oldest, m, err := t.first(ctx, h, 0, 1)
	if err == nil && m < n {
		suite.Apart(&r, oldest, newest, t.offered(oldest))
	}
	return r, err
}

// first returns the first readable answer with histories from an index on, and its index.
func (t Backtest) first(ctx context.Context, h StoredProduct, from, step int) (*backtest.Book, int, error) {
	found := errNoHistory
	for n := from; n >= 0 && n < len(h.Answers); n += step {
		b, err := t.read(ctx, h.Answers[n])
		var never *Unreadable
		switch {
		case err == nil:
			return b, n, nil
		case errors.As(err, &never):
			found = err
		case !errors.Is(err, errNoHistory):
			return nil, 0, err
		}
	}
	return nil, 0, found
}

func (t Backtest) read(ctx context.Context, answer func(context.Context) (keepa.Product, error)) (*backtest.Book, error) {
	p, err := answer(ctx)
	if err != nil {
		return nil, err
	}
	if !p.HasHistory() {
		return nil, errNoHistory
	}
	s := t.Rules.Settings()
	b, err := backtest.Read(&p, feesOf(s), s.ShippingCents)
	if err != nil {
		return nil, &Unreadable{err}
	}
	return b, nil
}

// offered returns the cheapest copy of an answer.
func (t Backtest) offered(b *backtest.Book) backtest.Copy {
	buying, now := t.Rules.Settings().Buying(), b.History.End.Time()
	copies := buying.Copies(b.Product, buying.ShippingIn(b.Product, now), now)
	if len(copies) == 0 {
		return backtest.Copy{}
	}
	c := backtest.Copy{LandedCents: copies[0].LandedCents}
	if copies[0].NextBestCents != nil {
		c.NextBestCents = *copies[0].NextBestCents
	}
	return c
}

// feesOf converts the user's fees.
func feesOf(s deal.Settings) target.Fees {
	f := target.Fees{
		ReferralBP: int64(math.Round(s.ReferralPercent * 100)), TaxBP: int64(math.Round(s.TaxPercent * 100)), VATBP: int64(math.Round(s.VATPercent * 100)),
		FBACents: s.FBAFeeCents, PrepCents: s.PrepCents, InboundCents: s.InboundCents, Other: s.OtherCents,
	}
	if s.CountClosingFee {
		f.ClosingCents = s.ClosingFeeCents
	}
	return f
}

func (t Backtest) suite() *backtest.Suite {
	least, ok := t.Rules.Threshold("min_profit_cents")
	if !ok {
		least = 0
	}
	s := &backtest.Suite{Ours: judgeOf(t.Rules), Asking: backtest.Asking(int64(least))}
	if t.Previous != nil {
		s.Previous = judgeOf(t.Previous)
	}
	return s
}

// judgeOf makes an estimator of a rule set. A copy's past condition and seller are unknown: it counts as
// good, which sells like the median copy, from a seller that no rule rejects.
func judgeOf(rules *verdict.Judge) backtest.Judge {
	rules = rules.Alone()
	var of *backtest.Book
	var walk func(time.Time, deal.Copy) verdict.Finding
	return func(b *backtest.Book, at time.Time, c backtest.Copy) backtest.Judgement {
		if of != b {
			var err error
			if walk, err = rules.Walker(*b.Product); err != nil {
				walk = nil
			}
			of = b
		}
		if walk == nil {
			return backtest.Judgement{}
		}
		return judgement(walk(at, copyOf(b, at, c)))
	}
}

// copyOf converts a copy.
func copyOf(b *backtest.Book, at time.Time, c backtest.Copy) deal.Copy {
	shipping := min(b.History.Credit(keepa.FromTime(at)), c.LandedCents)
	out := deal.Copy{
		PriceCents: c.LandedCents - shipping, ShippingCents: shipping, LandedCents: c.LandedCents,
		ShippingKnown: true, Matched: true, Condition: keepa.ConditionGood, SeenAt: keepa.FromTime(at),
	}
	if c.NextBestCents > 0 {
		out.NextBestCents = &c.NextBestCents
	}
	return out
}

func judgement(f verdict.Finding) backtest.Judgement {
	e := f.Estimate
	if e == nil {
		return backtest.Judgement{}
	}
	return backtest.Judgement{
		Known: true, Accepted: f.Outcome == pipeline.Accept, SalePrice: e.SaleCents, Low: e.LowCents, High: e.HighCents,
		ExpectedProfitCents: e.ProfitCents, LossChance: e.LossChance, SaleChance6m: e.SaleChance6M, MonthsToSell: e.MonthsToSell,
		NEff: e.NEffective,
	}
}
