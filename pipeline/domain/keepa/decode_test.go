package keepa

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEveryCapturedDealPageDecodesWithoutLoss(t *testing.T) {
	t.Parallel()
	for name, body := range files(t, "deal/*.gz") {
		page, err := DecodeDealPage(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !page.Listed() {
			t.Errorf("%s: the list was not seen", name)
		}
		checkRows(t, name, body, page)
	}
}

// checkRows compares every row with the result of encoding/json.
func checkRows(t *testing.T, name string, body []byte, page DealPage) {
	t.Helper()
	var plain struct {
		Deals struct {
			DR []map[string]json.RawMessage `json:"dr"`
		} `json:"deals"`
	}
	if err := json.Unmarshal(body, &plain); err != nil {
		t.Fatal(err)
	}
	if got, want := len(page.Rows), len(plain.Deals.DR); got != want {
		t.Fatalf("%s: got %d rows, want %d", name, got, want)
	}
	for i, row := range page.Rows {
		want := plain.Deals.DR[i]
		same(t, name, want["asin"], row.ASIN)
		same(t, name, want["rootCat"], row.RootCategory)
		same(t, name, want["categories"], row.Categories)
		same(t, name, want["current"], []int(row.Current))
		if raw, ok := want["currentSince"]; ok {
			same(t, name, raw, []int(row.CurrentSince))
		}
		same(t, name, want["avg"], [][]int{row.Avg[0], row.Avg[1], row.Avg[2], row.Avg[3]})
		same(t, name, want["creationDate"], int64(row.CreationDate))
		same(t, name, want["lastUpdate"], int64(row.LastUpdate))
		if raw, ok := want["salesRankDrops365"]; ok && string(raw) != "-1" {
			same(t, name, raw, row.SalesRankDrops365)
		}
		again, err := DecodeDealRow(row.Raw)
		if err != nil || !reflect.DeepEqual(again, row) {
			t.Errorf("%s: row %s does not decode to itself from its raw bytes: %v", name, row.ASIN, err)
		}
		if len(row.Changed) > 0 {
			t.Errorf("%s: fields of %s changed: %v", name, row.ASIN, row.Changed)
		}
		if strings.Contains(row.Title.String(), "&amp;") {
			t.Errorf("%s: title of %s is %q", name, row.ASIN, row.Title)
		}
	}
}

// same compares a decoded field with its JSON.
func same(t *testing.T, name string, raw json.RawMessage, got any) {
	t.Helper()
	var want, have any
	b, _ := json.Marshal(got)
	if json.Unmarshal(raw, &want) != nil || json.Unmarshal(b, &have) != nil || !reflect.DeepEqual(want, have) {
		t.Errorf("%s: got %s, want %s", name, b, raw)
	}
}

func TestTheCategoryCountTellsTheSizeOfTheList(t *testing.T) {
	t.Parallel()
	page, err := DecodeDealPage([]byte(`{"deals":{"dr":[],"categoryIds":[9223372036854775807,283155],"categoryNames":["?","Books"],"categoryCount":[1,756]}}`))
	if err != nil || !page.Listed() {
		t.Fatal(err)
	}
	for id, want := range map[int64]int{283155: 756, 9223372036854775807: 1} {
		if n, ok := page.CategoryCount(id); !ok || n != want {
			t.Errorf("%d: got %d, %v, want %d", id, n, ok, want)
		}
	}
	if _, ok := page.CategoryCount(42); ok {
		t.Error("a category that is not listed has a count")
	}
	if page, err := DecodeDealPage([]byte(`{"tokensLeft":1}`)); err != nil || page.Listed() {
		t.Errorf("an answer without a list counts as one: %v", err)
	}
}

func TestACategoryWithoutACountTakesNoOthers(t *testing.T) {
	t.Parallel()
	for body, books := range map[string]int{
		`"categoryIds":[7,283155,8],"categoryCount":[null,641,3]`:         641,
		`"categoryIds":[null,283155,8],"categoryCount":[5,641,3]`:         641,
		`"categoryIds":[7,"283155",8],"categoryCount":["many","641",3.0]`: 641,
		`"categoryIds":[7,283155,8],"categoryCount":[5,null,3]`:           -1,
		`"categoryIds":[7,283155,8],"categoryCount":[5,-1,3]`:             -1,
		`"categoryIds":[7,null,8],"categoryCount":[5,641,3]`:              -1,
		`"categoryIds":[7,8,283155],"categoryCount":[5,3]`:                -1,
		`"categoryIds":null,"categoryCount":[5,3]`:                        -1,
	} {
		page, err := DecodeDealPage([]byte(`{"deals":{"dr":[],` + body + `}}`))
		n, ok := page.CategoryCount(283155)
		if err != nil || ok != (books >= 0) || ok && n != books {
			t.Errorf("%s: %d (%t), want %d; %v", body, n, ok, books, err)
		}
		if _, ok := page.CategoryCount(-2); ok {
			t.Errorf("%s: null is a category", body)
		}
	}
}

func TestEveryCapturedProductDecodesWithoutLoss(t *testing.T) {
	t.Parallel()
	for name, body := range files(t, "product/*.gz") {
		if bytes.Contains(body, []byte(`"tokensLeft"`)) {
			env, raws, err := SplitProducts(body)
			if err != nil || len(raws) == 0 || env.TokensLeft == nil {
				t.Fatalf("%s: split into %d, %v", name, len(raws), err)
			}
			for _, raw := range raws {
				checkProduct(t, name, raw.Body)
			}
			continue
		}
		checkProduct(t, name, body)
	}
}

func checkProduct(t *testing.T, name string, body []byte) {
	t.Helper()
	p, err := DecodeProduct(body)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if len(p.Changed) > 0 {
		t.Errorf("%s: fields changed: %v", name, p.Changed)
	}
	var want struct {
		CSV   [][]int `json:"csv"`
		Stats map[string]json.RawMessage
		Fees  struct{ PickAndPackFee int }       `json:"fbaFees"`
		Offer []struct{ OfferCSV []json.Number } `json:"offers"`
		Live  []int                              `json:"liveOffersOrder"`
		Pct   float64                            `json:"referralFeePercentage"`
	}
	if err := json.Unmarshal(body, &want); err != nil {
		t.Fatal(err)
	}
	for i, flat := range want.CSV {
		h, err := p.Series(PriceType(i))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := flatten(h, PriceType(i).Triple()); !reflect.DeepEqual(got, flat) && len(got)+len(flat) > 0 {
			t.Errorf("%s: csv[%d] differs: %d against %d numbers", name, i, len(got), len(flat))
		}
	}
	if p.Stats != nil {
		same(t, name, want.Stats["current"], []int(p.Stats.Current))
		same(t, name, want.Stats["avg365"], []int(p.Stats.Avg365))
	}
	if p.PickAndPackFee != nil && *p.PickAndPackFee != want.Fees.PickAndPackFee || want.Pct > 0 && p.ReferralFeePercent != want.Pct {
		t.Errorf("%s: fees differ", name)
	}
	if len(p.Offers) != len(want.Offer) || !reflect.DeepEqual(p.LiveOffersOrder, want.Live) {
		t.Errorf("%s: offers differ", name)
	}
}

func flatten(h Series, triple bool) []int {
	var flat []int
	for _, p := range h {
		flat = append(flat, int(p.At), p.Value)
		if triple {
			flat = append(flat, p.Shipping)
		}
	}
	return flat
}

func TestEveryCapturedErrorAndEnvelopeDecodes(t *testing.T) {
	t.Parallel()
	for name, body := range files(t, "errors/*.json") {
		env, err := DecodeEnvelope(body)
		if err != nil || env.TokensLeft == nil {
			t.Errorf("%s: %+v, %v", name, env, err)
		}
		if named := bytes.Contains(body, []byte(`"message"`)); named != (env.Error != nil) || named && env.Error.Message.IsZero() {
			t.Errorf("%s: error is %v", name, env.Error)
		}
	}
	for i, line := range bytes.Split(bytes.TrimSpace(files(t, "envelopes.jsonl")["envelopes.jsonl"]), []byte("\n")) {
		env, err := DecodeEnvelope(line)
		if err != nil || env.TokensLeft == nil || !env.Authoritative() {
			t.Errorf("envelope %d: %+v, %v", i, env, err)
		}
	}
}

func TestAMissingBalanceStaysUnknown(t *testing.T) {
	t.Parallel()
	for body, known := range map[string]bool{
		`{"timestamp":1,"refillRate":5}`:                     false,
		`{"timestamp":1,"refillRate":5,"tokensLeft":null}`:   false,
		`{"timestamp":1,"refillRate":5,"tokensLeft":0}`:      true,
		`{"timestamp":1,"refillRate":5,"tokensLeft":-249.0}`: true,
	} {
		env, err := DecodeEnvelope([]byte(body))
		if _, ok := env.Balance(); err != nil || ok != known {
			t.Errorf("%s: known is %v, %v", body, ok, err)
		}
	}
}

func TestAnEnvelopeOfZeroesIsNotAuthoritative(t *testing.T) {
	t.Parallel()
	env, err := DecodeEnvelope([]byte(`{"timestamp":0,"tokensLeft":0,"refillIn":0,"refillRate":0,"tokenFlowReduction":0.0,` +
		`"tokensConsumed":0,"processingTimeInMs":0,"error":{"type":"invalidParameter","message":"no","details":null}}`))
	if err != nil || env.Authoritative() || env.Error == nil {
		t.Errorf("got %+v, %v", env, err)
	}
}

func TestMissingValuesAreAbsent(t *testing.T) {
	t.Parallel()
	row, err := DecodeDealRow([]byte(`{"asin":"B000000001","title":"A &amp; B &#39;c&#39;","current":[-1,-2,null,7],"new":{"x":[1]},"categories":[9223372036854775807]}`))
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[PriceType]Presence{Amazon: NoOffer, New: NoData, Used: NoData, Sales: Present, ListPrice: NoData, -1: NoData} {
		if got := row.Current.Presence(typ); got != want {
			t.Errorf("%v: got %v, want %v", typ, got, want)
		}
	}
	if row.Title.String() != "A & B 'c'" || row.Categories[0] != 9223372036854775807 || row.SalesRankDrops365 != nil {
		t.Errorf("got %+v", row)
	}
}

func TestAnAbsurdFeeIsAbsent(t *testing.T) {
	t.Parallel()
	for fee, known := range map[string]bool{
		"1": true, "99999": true, `"550"`: true, "100000": false, "2147483647": false, "2147483648": false, "9223372036854775807": false, "-1": false, "null": false,
	} {
		p, err := DecodeProduct(fmt.Appendf(nil, `{"asin":"A","fbaFees":{"pickAndPackFee":%s},"variableClosingFee":%s}`, fee, fee))
		if err != nil || (p.PickAndPackFee != nil) != known || (p.VariableClosingFee != nil) != known {
			t.Errorf("%s: pick and pack %v, closing %v, %v", fee, p.PickAndPackFee, p.VariableClosingFee, err)
		}
	}
	if p, err := DecodeProduct([]byte(`{"asin":"A","fbaFees":{"pickAndPackFee":0},"variableClosingFee":0}`)); err != nil || p.PickAndPackFee != nil || p.VariableClosingFee == nil {
		t.Errorf("at 0: pick and pack %v, closing %v, %v", p.PickAndPackFee, p.VariableClosingFee, err)
	}
}

func TestAChangedTypeIsReportedWithItsPath(t *testing.T) {
	t.Parallel()
	for body, path := range map[string]string{
		`{"deals":{"dr":[{"asin":"A","current":"twelve"}]}}`:             "deals.dr[0].current",
		`{"deals":{"dr":[{"asin":5}]}}`:                                  "deals.dr[0].asin",
		`{"deals":{"dr":[{"asin":"A"},{"asin":"B","current":[1e400]}]}}`: "deals.dr[1].current[0]",
		`{"deals":{"dr":"none"}}`:                                        "deals.dr",
	} {
		page, err := DecodeDealPage([]byte(body))
		for _, row := range page.Unread {
			err = row.Err // a row is put aside alone
		}
		var typed *TypeError
		if !errors.As(err, &typed) || typed.Path != path {
			t.Errorf("%s: got %v, want a TypeError at %s", body, err, path)
		}
	}
}

func TestAChangedFieldThatNoDecisionNeedsIsNotedAndTheRestDecodes(t *testing.T) {
	t.Parallel()
	p, err := DecodeProduct([]byte(`{"asin":"A","brand":["x",{"y":1}],"title":7,"author":"B","csv":[[1,2]]}`))
	if err != nil || p.Author.String() != "B" || !p.HasHistory() || len(p.Changed) != 2 || p.Changed[0].Path != "brand" || p.Changed[1].Path != "title" {
		t.Errorf("product: got %v, %v", p.Changed, err)
	}
	p, err = DecodeProduct([]byte(`{"asin":"A","packageWeight":"1 kg","csv":[null,{"a":1},[3,4]],"stats":{"current":[1],"buyBoxSellerId":{},"min":7},` +
		`"offers":[{"sellerId":"S","lastSeen":9,"conditionComment":["x"],"offerCSV":[1,2,3]}],"liveOffersOrder":[0]}`))
	var paths []string
	for _, c := range p.Changed {
		paths = append(paths, c.Path)
	}
	want := []string{"packageWeight", "csv.new", "stats.buyBoxSellerId", "stats.min", "offers.conditionComment"}
	if err != nil || !reflect.DeepEqual(paths, want) {
		t.Errorf("nested: got %v, %v, want %v", paths, err, want)
	}
	if live, ok := p.LiveOffers(); !ok || len(live) != 1 || live[0].SellerID != "S" || *live[0].Price != 2 {
		t.Errorf("the offer beside the changed field is %+v", live)
	}
	var typed *TypeError
	if _, err := p.Series(New); !errors.As(err, &typed) || typed.Path != "csv.new" {
		t.Errorf("decode the changed history: %v", err)
	}
	if h, err := p.Series(Used); err != nil || len(h) != 1 {
		t.Errorf("the history beside it: %v, %v", h, err)
	}
	seller, err := DecodeSeller([]byte(`{"sellerId":"S","currentRating":"97 %","sellerName":"N"}`))
	if err != nil || len(seller.Changed) != 1 || seller.Changed[0].Path != "currentRating" || seller.Name.String() != "N" {
		t.Errorf("seller: %+v, %v", seller, err)
	}
	row, err := DecodeDealRow([]byte(`{"asin":"A","image":{"url":1},"current":[5]}`))
	if err != nil || len(row.Changed) != 1 || row.Changed[0].Path != "image" || len(row.Current) != 1 {
		t.Errorf("row: got %v, %v", row.Changed, err)
	}
}

func TestACutBodyIsAnErrorAtEveryByte(t *testing.T) {
	t.Parallel()
	body := `{"timestamp":1,"products":[{"asin":"A","csv":[[1,2],null],"stats":{"current":[1]},"offers":[{"offerCSV":[1,2,3]}]}],"tokensLeft":3}`
	for n := range len(body) {
		if _, _, err := DecodeProducts([]byte(body[:n])); err == nil {
			t.Errorf("cut after %d bytes: no error", n)
		}
	}
}

func TestUnknownShippingIsNotFree(t *testing.T) {
	t.Parallel()
	p, err := DecodeProduct([]byte(`{"asin":"A","offers":[{"offerCSV":[1,500,399,2,400,-1],"condition":4,"lastSeen":9},` +
		`{"offerCSV":[1,-2,0]},{"offerCSV":null}],"liveOffersOrder":[0,0,7]}`))
	if err != nil {
		t.Fatal(err)
	}
	live, asked := p.LiveOffers()
	if !asked || len(live) != 1 || live[0].Price == nil || *live[0].Price != 400 || live[0].Shipping != nil || !live[0].Condition.Used() {
		t.Errorf("got %+v", live)
	}
	if p.Offers[1].Price != nil || p.Offers[2].Price != nil {
		t.Error("an unknown price became a number")
	}
}

func TestKeepaTimeBeginsIn2011(t *testing.T) {
	t.Parallel()
	for m, want := range map[Minute]string{0: "2011-01-01T00:00:00Z", 7732608: "2025-09-13T20:48:00Z", -1: "2010-12-31T23:59:00Z"} {
		if got := m.Time().Format(time.RFC3339); got != want || FromTime(m.Time()) != m || FromTime(m.Time().Add(59*time.Second)) != m {
			t.Errorf("%d: got %s, want %s", m, got, want)
		}
	}
}

func TestSellersDecode(t *testing.T) {
	t.Parallel()
	_, got, err := decodeSellers([]byte(`{"tokensConsumed":1,"sellers":{"A1":{"sellerId":"A1","sellerName":"Books","currentRating":96,"currentRatingCount":5000,"csv":[[1,2]]},"A2":null}}`))
	if err != nil || len(got) != 1 || *got["A1"].Rating != 96 || *got["A1"].Ratings != 5000 || got["A1"].Name.String() != "Books" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, none, err := decodeSellers([]byte(`{"tokensConsumed":0}`)); err != nil || none == nil || len(none) != 0 {
		t.Errorf("no sellers: got %v, %v", none, err)
	}
}

func BenchmarkDecodeProduct(b *testing.B) {
	var body []byte // of about the mean size of a book
	for _, candidate := range files(b, "product/*.gz") {
		if off := func(n int) int { return max(n-200_000, 200_000-n) }; body == nil || off(len(candidate)) < off(len(body)) {
			body = candidate
		}
	}
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			p, err := DecodeProduct(body)
			if err != nil {
				b.Fatal(err)
			}
			for _, t := range []PriceType{New, Used, Sales, CountNew, CountUsed} {
				if _, err := p.Series(t); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			var p struct {
				ASIN   string  `json:"asin"`
				CSV    [][]int `json:"csv"`
				Stats  struct{ Current, Avg90, Avg365 []int }
				Offers []struct{ OfferCSV []int }
			}
			if err := json.Unmarshal(body, &p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestARowWithAFieldOfAnotherTypeIsPutAsideAndTheOthersAreRead(t *testing.T) {
	t.Parallel()
	page, err := DecodeDealPage([]byte(`{"deals":{"dr":[{"asin":"A"},{"asin":"B","current":{"x":[1]}},{"asin":7},{"asin":"D"}],"categoryIds":[1],"categoryCount":[4]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Rows) != 2 || page.Rows[1].ASIN != "D" || len(page.Unread) != 2 || string(page.Unread[1].Raw) != `{"asin":7}` {
		t.Errorf("read %+v, put aside %+v", page.Rows, page.Unread)
	}
	if n, ok := page.CategoryCount(1); !ok || n != 4 {
		t.Errorf("%d rows are counted, want 4", n)
	}
	if _, err := DecodeDealPage([]byte(`{"deals":{"dr":[{"asin":"A"},{"asin":`)); err == nil {
		t.Error("a body that was cut off is read")
	}
}
