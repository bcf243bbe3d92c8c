package keepa

import (
	"strconv"
	"strings"
	"testing"
)

func TestAnAnswerWhoseElementsCanAllBeSeparatedIsComplete(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"products":[{"asin":"B000000001"},{"asin":"B000000002"}]}`: true,
		`{"products":[{"asin":"B000000001"},{"asin":"B00000000`:      false,
		`{"products":{"asin":"B000000001"}}`:                         false,
		`{"products":[{"asin":"B000000001"},{"title":"no name"}]}`:   false,
		`{"products":[{"asin":"B000000001"},7]}`:                     false,
	} {
		if got := CutProducts([]byte(body)).Separated(); got != want {
			t.Errorf("%s: whole %t", body, got)
		}
	}
}

func TestAnAnswerIsReadUpToTheMostElements(t *testing.T) {
	t.Parallel()
	for n, fits := range map[int]bool{mostElements: true, mostElements + 1: false} {
		list := func(one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
		products := CutProducts([]byte(`{"products":[` + list("{}") + `],"tokensLeft":7}`))
		sellers := CutSellers([]byte(`{"sellers":{` + list(`"A":{}`) + `}}`))
		page, err := DecodeDealPage([]byte(`{"deals":{"dr":[` + list(`{"asin":"B000000001"}`) + `]}}`))
		byKey, byKeyErr := DecodeDealPage([]byte(`{"deals":{"dr":{` + list(`"A":{}`) + `}}}`))
		for what, c := range map[string]struct {
			read int
			err  error
		}{
			"products": {len(products.All), products.Part}, "sellers": {len(sellers.All), sellers.Part},
			"rows": {len(page.Rows), err}, "rows by key": {len(byKey.Unread), byKeyErr},
		} {
			if c.read != mostElements || (c.err == nil) != fits {
				t.Errorf("%d %s: %d are read, %v", n, what, c.read, c.err)
			}
		}
	}
}

func TestAProductWithMoreOfAnythingThanKeepaSendsIsUnreadable(t *testing.T) {
	t.Parallel()
	const most = mostElements
	if !strings.Contains(wantFewer, strconv.Itoa(most)) || !strings.Contains(wantSmaller, strconv.Itoa(mostProduct)) {
		t.Errorf("%q, %q do not name %d and %d", wantFewer, wantSmaller, most, mostProduct)
	}
	list := func(one string, n int) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	for field, fits := range map[string]bool{
		`"offers":` + list("{}", most): true, `"offers":` + list("{}", most+1): false,
		`"liveOffersOrder":` + list("1", most): true, `"liveOffersOrder":` + list("1", most+1): false,
		`"categories":` + list("1", most): true, `"categories":` + list("1", most+1): false, `"categories":` + list(" 1", most+1): false,
		`"eanList":` + list(`"1"`, most+1): false, `"categoryTree":` + list("{}", most+1): false, `"csv":` + list("[]", most+1): false,
		`"stats":{"min":` + list("[1,2]", most+1) + "}": false, `"stats":{"avg":` + list("1", most+1) + "}": false,
		`"csv":[` + list("1", 4*most) + "]":                true, // a history
		strings.Repeat(`"title":1,`, most-1) + `"title":1`: true, strings.Repeat(`"title":1,`, most) + `"title":1`: false,
		`"title":"` + strings.Repeat("a", mostProduct-100) + `"`: true, `"title":"` + strings.Repeat("a", mostProduct) + `"`: false,
	} {
		p, err := DecodeProduct([]byte(`{"asin":"B000000001",` + field + "}"))
		if (err == nil) != fits {
			t.Errorf("%.30s…: %v, want it to be readable: %t", field, err, fits)
		}
		if strings.Contains(field, `"csv":[[1,`) {
			if n := len(p.csv[0]); n != 8*most+1 {
				t.Errorf("%d bytes of a history are kept", n)
			}
		}
	}
	if n, err := decodeNumbers([]byte(list("1", 4*most))); err != nil || len(n) != 4*most {
		t.Errorf("%d numbers of a history, %v", len(n), err)
	}
	if n, err := decodeNumbers([]byte(list(" 1", 4*most))); err != nil || len(n) != 4*most {
		t.Errorf("%d numbers of a history with spaces, %v", len(n), err)
	}
}
