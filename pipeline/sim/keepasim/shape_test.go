package keepasim

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestADealPageLooksLikeARealOne(t *testing.T) {
	t.Parallel()
	real := captured(t, "deal", "sweep-*-p0.json.gz")
	ours := newBench(t, Options{}).deals(0, 4)
	sameShape(t, "envelope", real, ours.body)
	realDeals := real["deals"].(map[string]any)
	sameShape(t, "deals", realDeals, ours.body["deals"].(map[string]any))
	row := realDeals["dr"].([]any)[0].(map[string]any)
	for _, r := range rowsOf(ours) {
		sameShape(t, "row", row, r, "warehouseConditionComment")
	}
}

func TestAProductWithoutOffersLooksLikeARealOne(t *testing.T) {
	t.Parallel()
	env := captured(t, "product", "20260510-B0F7*")
	real := env["products"].([]any)[0].(map[string]any)
	b := newBench(t, Options{})
	ours := b.ask("/product", "asin", rowsOf(b.deals(0, 1))[0]["asin"].(string), "stats", "365")
	sameShape(t, "envelope", env, ours.body)
	p := productsOf(ours)[0]
	sameShape(t, "product", real, p, // those of other kinds of goods, and those of used books
		"simulated", "includedComponents", "lastSoldUpdate", "monthlySold", "monthlySoldHistory",
		"contributors", "gtinList", "imagesCSV", "isB2B", "newPriceIsMAP", "variableClosingFee", "variationCSV")
	sameShape(t, "stats", real["stats"].(map[string]any), p["stats"].(map[string]any))
	realArrays, ourArrays := real["stats"].(map[string]any), p["stats"].(map[string]any)
	for _, k := range []string{"current", "avg90", "min", "isLowest", "outOfStockPercentage90"} {
		if a, b := len(realArrays[k].([]any)), len(ourArrays[k].([]any)); a != b {
			t.Errorf("stats.%s: %d long, really %d", k, b, a)
		}
	}
}

func TestAProductWithOffersLooksLikeARealOne(t *testing.T) {
	t.Parallel()
	real := captured(t, "product", "2025-11-used-book-*")
	b := newBench(t, Options{})
	world := b.sim.o.Catalogue.(*Backlog)
	good := ""
	for _, a := range world.ASINs() {
		if world.Truth(a) == Good {
			good = a
		}
	}
	p := productsOf(b.ask("/product", "asin", good, "stats", "365", "offers", "20", "history", "0"))[0]
	sameShape(t, "product", real, p, "simulated", "lastStockUpdate", "buyBoxUsedHistory", "variationCSV")
	sameShape(t, "stats", real["stats"].(map[string]any), p["stats"].(map[string]any),
		"buyBoxUsedPrice", "buyBoxUsedShipping", "buyBoxUsedSellerId", "buyBoxUsedIsFBA", "buyBoxUsedCondition",
		"buyBoxStats", "buyBoxIsPrimePantry", "buyBoxMaxOrderQuantity", "buyBoxMinOrderQuantity", "stockPerConditionFBM")
	sameShape(t, "offer", real["offers"].([]any)[0].(map[string]any), p["offers"].([]any)[0].(map[string]any),
		"conditionComment", "minOrderQty", "stockCSV", "couponHistory",
		"isScam") // Keepa removed it in February 2026
	if p["csv"] != nil {
		t.Error("history=0 keeps the csv")
	}
}

func TestAnUnknownProductLooksLikeARealOne(t *testing.T) {
	t.Parallel()
	env := captured(t, "product", "us-B08N5WRWNW-envelope-unknown*")
	real := env["products"].([]any)[0].(map[string]any)
	got := newBench(t, Options{}).ask("/product", "asin", "B000000000", "stats", "365")
	if got.num("tokensConsumed") != int(env["tokensConsumed"].(float64)) {
		t.Errorf("costs %d tokens", got.num("tokensConsumed"))
	}
	p := productsOf(got)[0]
	for k, v := range real {
		ours, ok := p[k]
		if a, b := fmt.Sprint(v), fmt.Sprint(ours); k != "stats" && k != "csv" && k != "asin" && ok && v != nil && kind(v) != "number" && a != b {
			t.Errorf("%q is %s, really %s", k, b, a)
		}
	}
	if p["productType"] != real["productType"] || p["csv"] != nil {
		t.Errorf("product type %v, csv %v", p["productType"], p["csv"])
	}
	for k, v := range real["stats"].(map[string]any) {
		if list, ok := v.([]any); ok && kind(list[0]) != "array" && fmt.Sprint(list[:30]) != fmt.Sprint(p["stats"].(map[string]any)[k].([]any)[:30]) {
			t.Errorf("stats.%s is %v, really %v", k, p["stats"].(map[string]any)[k], v)
		}
	}
}

func TestErrorsAreTheCapturedOnes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, c := range []struct {
		file, path string
		status     int
		params     []string
	}{
		{"200-token-status.json", "/token", 200, nil},
		{"200-offers-below-20.json", "/product", 200, []string{"asin", "0000000000", "offers", "10"}},
		{"400-deal-bad-dateRange.json", "/deal", 400, []string{"selection", `{"domainId":1,"priceTypes":[2],"dateRange":30}`}},
		{"400-deal-bad-field.json", "/deal", 400, []string{"selection", `{"domainId":1,"priceTypes":2,"dateRange":3}`}},
		{"400-deal-missing-query.json", "/deal", 400, nil},
	} {
		real := captured(t, "errors", c.file)
		b := newBench(t, Options{})
		got := b.ask(c.path, c.params...)
		if got.status != c.status {
			t.Errorf("%s: status %d, want %d", c.file, got.status, c.status)
		}
		sameShape(t, c.file, real, got.body)
		a, _ := json.Marshal(real["error"])
		o, _ := json.Marshal(got.body["error"])
		if string(a) != string(o) {
			t.Errorf("%s: error %s, really %s", c.file, o, a)
		}
		if n := b.sim.Account(); n.Consumed() != 0 || n.Balance != 300 {
			t.Errorf("%s: cost %d tokens", c.file, n.Consumed())
		}
	}
	b := newBench(t, Options{Balance: -249})
	got := b.deals(0, 1)
	if got.status != 429 || got.num("tokensLeft") != -249 {
		t.Errorf("in debt: status %d: %s", got.status, got.raw)
	}
	sameShape(t, "429", captured(t, "errors", "429-negative-balance.json"), got.body)
}

func TestABadKeyHasAllTokenFieldsZero(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Key: "right"})
	got := b.ask("/token")
	if got.status != 400 || got.num("refillRate") != 0 || got.num("tokensLeft") != 0 || got.num("refillIn") != 0 || got.body["error"] == nil {
		t.Errorf("status %d: %s", got.status, got.raw)
	}
	if got := b.ask("/token", "key", "right"); got.status != 200 || got.num("tokensLeft") != 300 {
		t.Errorf("the right key: status %d: %s", got.status, got.raw)
	}
}
