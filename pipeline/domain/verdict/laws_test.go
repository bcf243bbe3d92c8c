package verdict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

var now = time.Date(2025, 9, 16, 12, 0, 0, 0, time.UTC)

// drawn is a random product with offers, encoded as by Keepa and decoded again, and its row.
type drawn struct {
	used, amazon int
	body         string
}

// drawSeries draws a flat history of pairs whose values are mostly within the range, sometimes -1.
func drawSeries(t *rapid.T, name string, low, high int) string {
	n := rapid.SampledFrom([]int{0, 1, 8, 12, 20, 30}).Draw(t, name+" points")
	at := int64(keepa.FromTime(now)) - int64(rapid.IntRange(100, 1100).Draw(t, name+" days"))*1440
	var parts []string
	for range n {
		at += int64(rapid.IntRange(1, 60*24*40).Draw(t, name+" step"))
		v := rapid.IntRange(low, high).Draw(t, name)
		if rapid.IntRange(0, 15).Draw(t, name+" missing") == 15 {
			v = -1
		}
		parts = append(parts, strconv.FormatInt(at, 10), strconv.Itoa(v))
	}
	if n == 0 {
		return "null"
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// drawSelling draws the histories of a book with some sales: the count falls, mostly for
// good, the rank jumps near most falls, and the used price changes when a copy is sold.
func drawSelling(t *rapid.T, level int) (used, ranks, counts string) {
	at := int64(keepa.FromTime(now)) - int64(rapid.IntRange(500, 1000).Draw(t, "history days"))*1440
	var u, r, c []string
	put := func(to *[]string, at int64, v int) {
		*to = append(*to, strconv.FormatInt(at, 10), strconv.Itoa(v))
	}
	n, rank := 5, 800_000
	put(&u, at, level)
	put(&r, at, rank)
	put(&c, at, n)
	for at += 1440; at < int64(keepa.FromTime(now))-4*1440; at += int64(rapid.IntRange(4, 70).Draw(t, "between sales")) * 1440 {
		put(&u, at, max(1, level*rapid.IntRange(70, 125).Draw(t, "asked")/100))
		put(&r, at-500, rank)
		put(&c, at+1500, n-1)
		if rapid.IntRange(0, 5).Draw(t, "no jump") > 0 {
			put(&r, at+1500+int64(rapid.IntRange(-360, 1440).Draw(t, "jump after")), rank/2)
		}
		put(&r, at+3*1440, rank)
		if rapid.IntRange(0, 4).Draw(t, "flicker") == 4 {
			put(&c, at+1500+int64(rapid.IntRange(1, 1440).Draw(t, "back after")), n)
		} else {
			put(&c, at+4*1440, n)
		}
	}
	join := func(parts []string) string { return "[" + strings.Join(parts, ",") + "]" }
	return join(u), join(r), join(c)
}

// drawConditions draws the lowest landed price of each used condition.
func drawConditions(t *rapid.T, used int) string {
	s := ""
	for range 4 {
		price := -1
		if rapid.Bool().Draw(t, "in this condition") {
			price = max(used, 1) + rapid.SampledFrom([]int{-300, 0, 8, 398, 399, 443, 3000, 6000}).Draw(t, "above used")
		}
		s += "," + strconv.Itoa(price)
	}
	return s
}

func drawProduct(t *rapid.T) drawn {
	maybe := func(name string, low, high int) int {
		if rapid.IntRange(0, 9).Draw(t, name+" absent") == 9 {
			return rapid.SampledFrom([]int{-1, -2, 0}).Draw(t, name)
		}
		return rapid.IntRange(low, high).Draw(t, name)
	}
	d := drawn{used: maybe("used", 500, 5000), amazon: -1}
	if rapid.IntRange(0, 3).Draw(t, "amazon sells") == 3 {
		d.amazon = maybe("amazon", 2500, 20000)
	}
	current := fmt.Sprintf("[%d,%d,%d,%d,-1,-1,-1,-1,-1,-1,-1,-1,%d,-1,-1,-1,-1,-1,-1%s]", d.amazon, maybe("new", 2500, 20000), d.used, maybe("rank", 1000, 3_000_000),
		rapid.SampledFrom([]int{-2, 1, 2, 4}).Draw(t, "used copies"), drawConditions(t, d.used))
	average := fmt.Sprintf("[%d,1,%d]", maybe("amazon average", 3000, 20000), maybe("used average", 500, 20000))
	used, ranks, counts := drawSeries(t, "used history", 1500, 20000), drawSeries(t, "ranks", 1000, 3_000_000), drawSeries(t, "used count", 0, 9)
	if rapid.IntRange(0, 3).Draw(t, "sells") > 0 {
		used, ranks, counts = drawSelling(t, rapid.IntRange(3000, 15000).Draw(t, "level"))
	}
	box := "null"
	if rapid.IntRange(0, 3).Draw(t, "buy box") == 3 {
		box = fmt.Sprintf("[%d,%d,%d]", int64(keepa.FromTime(now))-int64(rapid.IntRange(1, 200).Draw(t, "buy box days"))*1440, maybe("buy box", 2500, 20000), maybe("its shipping", 0, 600))
	}
	csv := []string{
		"null", drawSeries(t, "new history", 1000, 20000), used, ranks,
		"null", "null", "null", "null", "null", "null", "null", drawSeries(t, "new count", 0, 9), counts,
		"null", "null", "null", "null", "null", box,
	}
	history := "[" + strings.Join(csv, ",") + "]"
	if rapid.IntRange(0, 12).Draw(t, "no history") == 12 {
		history = "null"
	}
	var offers, live []string
	for i := range rapid.IntRange(0, 4).Draw(t, "offers") {
		price := max(d.used, 1) + rapid.IntRange(-300, 3000).Draw(t, "price")
		if i == 0 {
			price = max(d.used, 1)
		}
		odd := rapid.SampledFrom([]string{"", "", "", "", `"isShippable":false,`, `"isPreorder":true,`, `"isPrimeExcl":true,`, `"isScam":true,`, `"minOrderQty":2,`}).Draw(t, "odd")
		offers = append(offers, fmt.Sprintf(`{%s"sellerId":"S%d","condition":%d,"lastSeen":%d,"isFBA":%v,"offerCSV":[%d,%d,%d]}`, odd,
			i, rapid.IntRange(1, 6).Draw(t, "condition"), keepa.FromTime(now)-60, rapid.Bool().Draw(t, "fba"),
			keepa.FromTime(now)-900, price, rapid.SampledFrom([]int{-1, 0, 399, 3000}).Draw(t, "shipping")))
		live = append(live, strconv.Itoa(i))
	}
	d.body = fmt.Sprintf(`{"asin":"B00000000X","domainId":1,"productType":%d,"csv":%s,"fbaFees":{"pickAndPackFee":%d},"referralFeePercentage":%d,`+
		`"stats":{"current":%s,"avg90":%s,"avg180":%s,"avg365":%s,"salesRankDrops365":%d},"offers":[%s],"liveOffersOrder":[%s]}`,
		rapid.SampledFrom([]int{0, 0, 0, 0, 5}).Draw(t, "type"), history, maybe("fba fee", 100, 900), maybe("referral", 8, 20),
		current, average, average, average, rapid.SampledFrom([]int{-1, 0, 1, 3, 5, 9}).Draw(t, "drops"), strings.Join(offers, ","), strings.Join(live, ","))
	return d
}

func decodeDrawn(t rapid.TB, body string) keepa.Product {
	p, err := keepa.DecodeProduct([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// withoutOffers returns the product as a peek sees it.
func withoutOffers(p keepa.Product) keepa.Product {
	p.Offers, p.OffersAsked, p.LiveOffersOrder = nil, false, nil
	return p
}

// many checks a property often enough that some of the products are deals: about one in fifty is.
func many(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	for range 20 {
		rapid.Check(t, property)
	}
}

func TestWhatTheCommitAcceptsGlanceAndPeekAccept(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	accepted := 0
	many(t, func(t *rapid.T) {
		p := decodeDrawn(t, drawProduct(t).body)
		row := rowOf(p)
		glance, peek, commit := j.Glance(row, now), j.Peek(row, withoutOffers(p), now), j.Commit(row, p, nil, now)
		for look, f := range map[string]Finding{"glance": glance, "peek": peek, "commit": commit} {
			if f.Reason == "" || f.Outcome == "" || f.Tier == "" || (f.Outcome == pipeline.Reject) != (f.RuleID != "") {
				t.Fatalf("%s: incomplete finding %+v", look, f)
			}
		}
		checkBounds(t, j, row, p)
		if commit.Outcome != pipeline.Accept {
			return
		}
		accepted++
		if glance.Outcome != pipeline.Survive && !glance.Heuristic || peek.Outcome != pipeline.Survive && !peek.Heuristic {
			t.Fatalf("accepted with %d cents, but glance %s and peek %s\n%v\n%v", commit.ProfitCents, glance.Reason, peek.Reason, glance.Inputs, peek.Inputs)
		}
		if commit.Deal == nil || commit.Deal.ProfitCents != commit.ProfitCents || commit.ProfitCents < 300 || commit.Deal.LossChance > 0.4 {
			t.Fatalf("an invalid deal: %+v", commit.Deal)
		}
	})
	if accepted == 0 {
		t.Error("no product was accepted: the law was not tested")
	}
	t.Logf("%d random products were accepted", accepted)
}

// checkBounds checks that the peek's values are bounds of the commit's, and
// that values which do not depend on the copy are equal at both.
func checkBounds(t rapid.TB, j *Judge, row keepa.DealRow, p keepa.Product) {
	alone := withoutOffers(p)
	peek, err := j.peeked(&row, &alone, now)
	if err != nil || peek.view.Outcome == nil {
		return
	}
	views, err := j.copies(&row, &p, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if v.Outcome == nil {
			continue
		}
		bound, found := peek.view.Outcome, v.Outcome
		if found.ProfitCents > bound.ProfitCents || found.ProfitLow > bound.ProfitLow || found.ProfitHigh > bound.ProfitHigh ||
			found.LossChance < bound.LossChance || found.SaleCents > bound.SaleCents {
			t.Fatalf("the commit finds better than the peek's bound:\n%+v\n%+v", *bound, *found)
		}
		most, _ := roi(peek).(float64)
		// Below -100 % Amazon's fees take more than the sale price, and the return rises with the cost.
		if got, ok := roi(&facts{view: v, s: peek.s}).(float64); ok && got >= -100 && got > most {
			t.Fatalf("the commit finds a return of %f %%, and the peek's bound is %f %%", got, most)
		}
		if found.NEffective != bound.NEffective || found.SaleChance6M != bound.SaleChance6M || found.MonthsToSell != bound.MonthsToSell {
			t.Fatalf("peek and commit differ in what no copy changes:\n%+v\n%+v", *bound, *found)
		}
	}
}

// cheaperBy returns the product with every used price of today reduced by that many cents; its history is unchanged.
func cheaperBy(p keepa.Product, cut int) keepa.Product {
	stats := *p.Stats
	stats.Current = slices.Clone(stats.Current)
	for _, kind := range []keepa.PriceType{keepa.Used, keepa.UsedLikeNew, keepa.UsedVeryGood, keepa.UsedGood, keepa.UsedAcceptable} {
		if n, ok := stats.Current.Price(kind); ok {
			stats.Current[kind] = max(1, int(n)-cut)
		}
	}
	p.Stats = &stats
	p.Offers = slices.Clone(p.Offers)
	for i := range p.Offers {
		if price := p.Offers[i].Price; price != nil && p.Offers[i].Condition.Used() {
			lower := max(1, *price-cut)
			p.Offers[i].Price = &lower
		}
	}
	return p
}

// checkMonotone checks that a lower buy price never turns a finding of any look into a reject, and
// never makes the profit smaller. Heuristic rules are judged too, by the judge that has them on.
func checkMonotone(t rapid.TB, name string, j *Judge, p keepa.Product, cut int, now time.Time) (deals int) {
	if used, ok := p.Stats.Current.Price(keepa.Used); !ok || int(used) <= cut {
		return 0
	}
	lower := cheaperBy(p, cut)
	before := []Finding{j.Glance(rowOf(p), now), j.Peek(rowOf(p), withoutOffers(p), now), j.Commit(rowOf(p), p, nil, now)}
	after := []Finding{j.Glance(rowOf(lower), now), j.Peek(rowOf(lower), withoutOffers(lower), now), j.Commit(rowOf(lower), lower, nil, now)}
	for i, look := range looks {
		if before[i].Outcome == pipeline.Reject {
			continue
		}
		if after[i].Outcome == pipeline.Reject || before[i].ProfitKnown && after[i].ProfitCents < before[i].ProfitCents ||
			before[i].ExpectedKnown && after[i].ExpectedValueCents < before[i].ExpectedValueCents {
			t.Fatalf("%s, %d cents less: the %s returns %s, profit from %d to %d, expected from %d to %d", name, cut, look, after[i].Reason,
				before[i].ProfitCents, after[i].ProfitCents, before[i].ExpectedValueCents, after[i].ExpectedValueCents)
		}
	}
	if before[2].Outcome == pipeline.Accept {
		return 1
	}
	return 0
}

// copyCheaperBy returns the product with the offer of one seller reduced by that many
// cents; if the used price follows, it is at most that of the offer.
func copyCheaperBy(p keepa.Product, seller string, cut int, follows bool) keepa.Product {
	stats := *p.Stats
	stats.Current = slices.Clone(stats.Current)
	p.Offers = slices.Clone(p.Offers)
	for i, o := range p.Offers {
		if o.SellerID != seller || o.Price == nil {
			continue
		}
		lower := max(1, *o.Price-cut)
		p.Offers[i].Price = &lower
		if used, ok := stats.Current.Price(keepa.Used); follows && ok && int64(lower) < used {
			stats.Current[keepa.Used] = lower
		}
	}
	p.Stats = &stats
	return p
}

func TestALowerPriceOfTheBoughtCopyAloneNeverTurnsADealIntoAReject(t *testing.T) {
	t.Parallel()
	j, deals := defaultJudge(t), 0
	many(t, func(t *rapid.T) {
		p := decodeDrawn(t, drawProduct(t).body)
		before := j.Commit(rowOf(p), p, nil, now)
		if before.Deal == nil || before.Deal.SellerID == "" {
			return
		}
		deals++
		lower := copyCheaperBy(p, before.Deal.SellerID, rapid.IntRange(1, 400).Draw(t, "cut"), true)
		after := j.Commit(rowOf(lower), lower, nil, now)
		if after.Outcome != pipeline.Accept || after.ProfitCents < before.ProfitCents {
			t.Fatalf("the copy of %s is cheaper, and it is %s (%s), profit from %d to %d", before.Deal.SellerID, after.Outcome, after.Reason,
				before.ProfitCents, after.ProfitCents)
		}
	})
	if deals == 0 {
		t.Error("no product was a deal: the law was not tested")
	}
}

// A used price that lags behind its offer makes the offer one of nobody: the copy then counts as the worst one, with
// default shipping. Where that is what it is, and where no other copy can be bought, nothing else changes.
func TestALowerPriceOfTheOnlyCopyNeverTurnsADealIntoARejectWhereTheUsedPriceLags(t *testing.T) {
	t.Parallel()
	j, deals := defaultJudge(t), 0
	many(t, func(t *rapid.T) {
		p := decodeDrawn(t, drawProduct(t).body)
		if len(p.Offers) == 0 {
			return
		}
		own := p.Offers[0]
		own.Condition, own.Shipping, own.FBA, own.Shippable = keepa.ConditionAcceptable, nil, nil, nil
		own.Preorder, own.PrimeExclusive, own.MinOrderQuantity = false, false, 0
		p.Offers, p.LiveOffersOrder = []keepa.Offer{own}, []int{0}
		for i, kind := range []keepa.PriceType{keepa.UsedLikeNew, keepa.UsedVeryGood, keepa.UsedGood, keepa.UsedAcceptable, keepa.CountUsed} {
			if at := int(kind); at < len(p.Stats.Current) {
				p.Stats.Current[at] = []int{-1, -1, -1, p.Stats.Current[keepa.Used] + 399, 1}[i]
			}
		}
		before := j.Commit(rowOf(p), p, nil, now)
		if before.Outcome != pipeline.Accept {
			return
		}
		deals++
		lower := copyCheaperBy(p, own.SellerID, rapid.IntRange(1, 400).Draw(t, "cut"), false)
		after := j.Commit(rowOf(lower), lower, nil, now)
		if after.Outcome != pipeline.Accept || after.ProfitCents < before.ProfitCents {
			t.Fatalf("the only copy is cheaper, and it is %s (%s), profit from %d to %d", after.Outcome, after.Reason, before.ProfitCents, after.ProfitCents)
		}
	})
	if deals == 0 {
		t.Error("no product was a deal: the law was not tested")
	}
	t.Logf("%d deals", deals)
}

// withThumbs returns the judge with every heuristic rule switched on.
func withThumbs(j *Judge) *Judge {
	for _, r := range j.Rules() {
		if r.Heuristic {
			j = j.Switched(r.ID, true)
		}
	}
	return j
}

func TestALowerBuyPriceNeverTurnsADealIntoAReject(t *testing.T) {
	t.Parallel()
	deals := 0
	for _, j := range []*Judge{defaultJudge(t), withThumbs(defaultJudge(t))} {
		many(t, func(t *rapid.T) {
			p := decodeDrawn(t, drawProduct(t).body)
			deals += checkMonotone(t, "a random product", j, p, rapid.IntRange(1, 400).Draw(t, "cut"), now)
		})
	}
	if deals == 0 {
		t.Error("no product was a deal: the law was not tested")
	}
}

func TestTheLawsHoldForCapturedProductsAtAnyPrice(t *testing.T) {
	t.Parallel()
	deals, tried := 0, 0
	names, products := capturedProducts(t)
	for _, j := range []*Judge{defaultJudge(t), withThumbs(defaultJudge(t))} {
		for i, p := range products {
			if p.Stats == nil {
				continue
			}
			at := p.LastUpdate.Time()
			// The same book at other used prices: some of them are deals at any price of today.
			for price := 300; price < 12_000; price += 700 {
				if _, ok := p.Stats.Current.Price(keepa.Used); !ok {
					continue
				}
				now, _ := p.Stats.Current.Price(keepa.Used)
				other := cheaperBy(p, int(now)-price)
				tried++
				deals += checkMonotone(t, names[i], j, other, 250, at)
				if f := j.Commit(rowOf(other), other, nil, at); f.Outcome == pipeline.Accept {
					checkSuperset(t, names[i], j.Glance(rowOf(other), at), j.Peek(rowOf(other), withoutOffers(other), at), f)
				}
			}
		}
	}
	if deals == 0 {
		t.Error("no captured product was a deal at any price: the law was not tested")
	}
	t.Logf("%d prices of %d captured products, %d of them deals", tried, len(products), deals)
}

func TestTheSameInputsGiveTheSameFinding(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	rapid.Check(t, func(t *rapid.T) {
		p := decodeDrawn(t, drawProduct(t).body)
		a, b := j.Commit(rowOf(p), p, nil, now), j.Commit(rowOf(p), p, nil, now)
		if fmt.Sprintf("%+v", a.Inputs) != fmt.Sprintf("%+v", b.Inputs) || a.Reason != b.Reason || a.ExpectedValueCents != b.ExpectedValueCents {
			t.Fatalf("two findings:\n%+v\n%+v", a, b)
		}
	})
}
