package backtest_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline/domain/backtest"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
	"ratchet/test/captured/decoded"
)

// known are the captured books for which economics.md gives
// figures, except the bestseller. There may be other captures.
var known = []string{"0135048761", "1580626130", "1593694512", "193288436X", "1954966032", "B0CS6RL7D6", "1496849574"}

// good is the condition that the walk-forward assumes for a copy.
const good = 1.00

// textbook is the reference as an estimator under test.
func textbook(b *backtest.Book, at time.Time, c backtest.Copy) backtest.Judgement {
	e := Of(&b.History, keepa.FromTime(at), Copy{
		Condition: good, LandedCents: c.LandedCents, NextBestCents: c.NextBestCents,
	}, b.Fees)
	return backtest.Judgement{
		Known: e.Known, Accepted: e.Accepted(), SalePrice: int64(math.Round(e.Price)), ExpectedProfitCents: int64(math.Round(e.Profit)),
		LossChance: e.Loss, NEff: e.NEff, SaleChance6m: e.Chance, MonthsToSell: e.Months,
	}
}

// walked returns the captured books; for a book with several answers the newest.
func walked(t *testing.T, s *backtest.Suite) []backtest.Record {
	t.Helper()
	newest := map[string]*backtest.Book{}
	decoded.Products(t, func(_ string, p keepa.Product) {
		b, err := backtest.Read(&p, target.DefaultFees(), target.CreditCents)
		if err != nil {
			t.Fatal(err)
		}
		was := newest[p.ASIN]
		if slices.Contains(known, p.ASIN) && (was == nil || was.History.End <= b.History.End) {
			newest[p.ASIN] = b
		}
	})
	var records []backtest.Record
	for _, b := range newest {
		records = append(records, s.Walk(b))
	}
	return records
}

// The figures of economics.md, section 4, for the method of section 3, recomputed by the harness.
func TestTheHarnessReproducesTheFiguresOfTheEconomics(t *testing.T) {
	t.Parallel()
	s := backtest.Suite{Ours: textbook, Asking: backtest.Asking(300)}
	r := s.Make(walked(t, &s))
	out, _ := json.Marshal(r)
	t.Logf("%s", out)
	for name, c := range map[string]struct{ got, want, within float64 }{
		"months": {float64(r.Months), 266, 0}, "auc": {*r.AUC, 0.87, 0.005}, "gap": {*r.LossGap, 0.09, 0.005},
		"accepted": {float64(r.Accepted), 30, 0}, "made": {float64(r.Made), 40500, 50},
		"ratio_p50": {*r.RatioP50, 0.79, 0.005}, "ratio_p90": {*r.RatioP90, 1.41, 0.02}, "mean_abs_ln": {*r.MeanAbsLn, 0.40, 0.005},
		"no_sale_95": {*r.NoSale95, 0.05, 0.02},
		"drops":      {float64(r.Drops), 92, 0}, "drops_accepted": {float64(r.DropsAccepted), 4, 0},
		"drops_made": {float64(r.DropsMade), 10400, 50}, "drops_auc": {*r.DropsAUC, 0.70, 0.02},
	} {
		if math.Abs(c.got-c.want) > c.within {
			t.Errorf("%s: %.3f, want %.3f within %.3f", name, c.got, c.want, c.within)
		}
	}
	if r.Enough {
		t.Error("five books were called enough")
	}
}
