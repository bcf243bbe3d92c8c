package backtest

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
)

// bet is a copy at a month start with an estimate.
func bet(accepted bool, loss float32, made int32) scored {
	c := scored{kind: month, made: made}
	c.said[ours] = said{known: true, accepted: accepted, loss: loss, predicted: 500}
	return c
}

// guess is an estimate and the sales that followed.
func guess(price, median, above int32) scored {
	c := scored{kind: ahead, median: median, above: above}
	c.said[ours] = said{known: true, price: price}
	return c
}

func is(t *testing.T, name string, got *float64, want float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > 1e-6 {
		t.Errorf("%s: %v, want %v", name, number(got), want)
	}
}

func number(v *float64) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(*v)
}

func TestTheFiguresMatchTheirNames(t *testing.T) {
	t.Parallel()
	var s Suite
	r := s.Make([]Record{
		{ASIN: "A", Sales: 3, cases: []scored{
			guess(1000, 1000, 1000), guess(1000, 2000, 2000), guess(1000, 500, 949),
			bet(true, 0.25, 700), bet(true, 0.5, -300), bet(false, 0.75, -200), bet(false, 0.5, 100),
		}},
		{ASIN: "B", cases: []scored{guess(3000, 1000, 3000)}},
		{ASIN: "C"},
	})
	if r.Products != 3 || r.Books != 2 || r.Months != 4 || r.Sales != 3 || r.Accepted != 2 || r.Predicted != 1000 || r.Made != 400 {
		t.Errorf("%+v", r)
	}
	// Book B's one ratio weighs as much as the three of A: 0.5, 1, 2 a sixth each, 3 a half.
	is(t, "p10", r.RatioP10, 0.5)
	is(t, "p50", r.RatioP50, 2)
	is(t, "p90", r.RatioP90, 3)
	is(t, "mean |ln|", r.MeanAbsLn, (2*math.Log(2)/3+math.Log(3))/2)
	is(t, "no sale at 95 %", r.NoSale95, 1.0/6) // 949 < 950
	is(t, "gap", r.LossGap, 0)                  // 0.5 estimated, 2 of 4 lost
	is(t, "auc", r.AUC, (2+1+0.5)/4)            // of four pairs of a loss and a gain one is tied
	is(t, "losing", r.LosingShare, 0.5)
	is(t, "a buy", r.MadePerBuy, 200)
	if r.Enough {
		t.Error("two books are enough")
	}
	// One loss or more in two occurs one time in twenty at 1 - sqrt(0.95).
	is(t, "binomial bound", &r.Losing90[0], 1-math.Sqrt(0.95))
	is(t, "binomial bound", &r.Losing90[1], math.Sqrt(0.95))
}

func TestAShareWithoutCasesIsNull(t *testing.T) {
	t.Parallel()
	s := Suite{Asking: Asking(300)}
	body, err := json.Marshal(s.Make([]Record{{ASIN: "A", cases: []scored{bet(false, 0.9, -100)}}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"losing_share":null`, `"drops_losing_share":null`, `"drops_accepted_share":null`, `"ratio_p50":null`, `"auc":null`,
		`"precision_moved":null`, `"accepted":0`, `"made_cents":0`, `"enough":false`, `"target_version":1`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	if strings.Contains(string(body), "NaN") {
		t.Errorf("an invalid number: %s", body)
	}
}

func TestTenBooksAndTwentyAcceptedAreEnough(t *testing.T) {
	t.Parallel()
	var s Suite
	records := make([]Record, 10)
	for i := range records {
		records[i] = Record{ASIN: string(rune('A' + i)), cases: []scored{bet(true, 0.2, 100), bet(true, 0.3, int32(50-20*i))}}
	}
	r := s.Make(records)
	if !r.Enough {
		t.Errorf("%d books and %d accepted are not enough", r.Books, r.Accepted)
	}
	again, _ := json.Marshal(s.Make(append(records[5:10:10], records[:5]...)))
	if once, _ := json.Marshal(r); string(once) != string(again) {
		t.Errorf("another order of the books, another report:\n%s\n%s", once, again)
	}
	if b := r.Between["losing_share"]; b[0] >= *r.LosingShare || b[1] <= *r.LosingShare {
		t.Errorf("losing %v is not inside %v", *r.LosingShare, b)
	}
	if records[9].cases = nil; s.Make(records).Enough {
		t.Error("nine books are enough")
	}
}

func TestAnEarlierAnswerIsScoredAgainstALaterOne(t *testing.T) {
	t.Parallel()
	const day = 24 * 60
	p := func(minute, value int) keepa.Point {
		return keepa.Point{At: keepa.Minute(minute), Value: value, Shipping: -1}
	}
	whole := target.History{
		Used: keepa.Series{p(0, 2000), p(10*day, 5000)}, Count: keepa.Series{p(0, 5), p(140*day, 4)},
		Rank: keepa.Series{p(0, 100_000), p(140*day+60, 50_000)}, End: 150 * day, CreditCents: 399, LaterCreditCents: 399,
	}
	later := &Book{Product: &keepa.Product{ASIN: "A"}, History: whole, Fees: target.DefaultFees()}
	var saw keepa.Minute
	s := Suite{Ours: func(b *Book, at time.Time, _ Copy) Judgement {
		saw = max(saw, b.History.End, keepa.FromTime(at))
		return Judgement{Known: true, Accepted: true, ExpectedProfitCents: 900}
	}}
	for name, c := range map[string]struct {
		end          keepa.Minute
		scored, open int
	}{"a hundred days apart": {50 * day, 1, 0}, "three weeks and a day before the end, without a sale": {128 * day, 0, 1}, "too near": {130 * day, 0, 0}} {
		earlier := &Book{Product: later.Product, History: whole.Cut(c.end), Fees: later.Fees}
		r, at := Record{ASIN: "A"}, c.end
		s.Apart(&r, earlier, later, Copy{LandedCents: 2000})
		got := s.Make([]Record{r}).Apart
		if got.Scored != c.scored || got.Open != c.open {
			t.Errorf("%s: %+v", name, got)
		}
		if c.scored == 1 && (got.Made != target.DefaultFees().Profit(5399, 2000) || got.Accepted != 1) {
			t.Errorf("%s: %+v", name, got)
		}
		if saw > at {
			t.Errorf("%s: the decision saw what came later", name)
		}
		saw = 0
	}
}
