package keepa

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// Every decoder has a target of its own. It must not panic, and it keeps three laws: an
// error has a path, no sentinel comes out, and an unknown field changes nothing.

// strange is an unknown field.
const strange = `"a field of tomorrow":[{"x":[1,"]"]},null,-1.5e3],`

// withStrange puts the unknown field in front of an object's first one; false without an object.
func withStrange(body []byte) ([]byte, bool) {
	trimmed := bytes.TrimLeft(body, " \n\r\t")
	if len(trimmed) < 2 || trimmed[0] != '{' {
		return nil, false
	}
	rest := bytes.TrimLeft(trimmed[1:], " \n\r\t")
	if len(rest) == 0 || rest[0] != '"' {
		return nil, false
	}
	return append([]byte("{"+strange), rest...), true
}

// sameWithStrange fails unless the decoder returns the same for a body with an unknown field.
func sameWithStrange[T any](t *testing.T, body []byte, got T, decode func([]byte) (T, error), show func(T) string) {
	t.Helper()
	more, ok := withStrange(body)
	if !ok {
		return
	}
	again, err := decode(more)
	if err != nil || show(again) != show(got) {
		t.Errorf("an unknown field changes the result (%v):\n%s\n%s", err, show(got), show(again))
	}
}

// refused fails unless the error names a place.
func refused(t *testing.T, err error) {
	t.Helper()
	var typed *TypeError
	if !errors.As(err, &typed) || typed.Want == "" || typed.Got == "" {
		t.Errorf("refused without saying what was wanted: %v", err)
	}
}

func counts(t *testing.T, of ...*int) {
	t.Helper()
	for _, n := range of {
		if n != nil && *n < 0 {
			t.Errorf("a sentinel came out as a value: %d", *n)
		}
	}
}

func seeds(f *testing.F, bodies ...string) {
	for _, b := range append(bodies, "", "null", "[[[[", `{"a":"\`, `{"a":1e999}`, "\x00", `{"a":{"b":[1,2,{"c":null}]}}`) {
		f.Add([]byte(b))
	}
}

func FuzzEnvelope(f *testing.F) {
	seeds(f, `{"timestamp":1,"tokensLeft":-3,"refillIn":5,"refillRate":5,"tokenFlowReduction":0.0,"error":{"type":"a","details":null}}`,
		`{"timestamp":1757955360000,"tokensLeft":null,"tokensConsumed":1.0,"processingTimeInMs":7}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := DecodeEnvelope(body)
		if err != nil {
			refused(t, err)
			return
		}
		if _, known := env.Balance(); known != (env.TokensLeft != nil) {
			t.Error("a balance that is not there")
		}
		env.At()
		sameWithStrange(t, body, env, DecodeEnvelope, func(e Envelope) string {
			left, known := e.Balance()
			e.TokensLeft = nil
			message := ""
			if e.Error != nil {
				message, e.Error = e.Error.Error(), nil
			}
			return fmt.Sprint(e, left, known, message)
		})
	})
}

func FuzzDealPage(f *testing.F) {
	seeds(f, `{"deals":{"dr":[{"asin":"A","current":[1,-1,null],"avg":[[1],[2],null],"image":[65],"backInStock":[true]}],"categoryIds":[9223372036854775807],"categoryCount":[1]}}`,
		`{"deals":{"dr":[]},"tokensLeft":1}`, `{"deals":null}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := DecodeDealPage(body)
		if err != nil {
			refused(t, err)
			return
		}
		for _, row := range page.Rows {
			if _, err := DecodeDealRow(row.Raw); err != nil {
				t.Errorf("row %q does not decode again: %v", row.Raw, err)
			}
		}
		sameWithStrange(t, body, page, DecodeDealPage, func(p DealPage) string { return fmt.Sprint(len(p.Rows), p.Listed(), p.categories, p.Cached) })
	})
}

func FuzzDealRow(f *testing.F) {
	seeds(f, `{"asin":"A","title":"&amp;\\","current":[1,-1,null,5],"currentSince":[0,7],"avg":[[1],[2],null,[3,-2]],"salesRankDrops365":-1,"creationDate":7732608}`,
		`{"asin":"A","image":"x.jpg","categories":[9223372036854775807],"backInStock":[true,null],"deltaPercent":[[1],[2],[3],[4],[5]]}`,
		`{"asin":"A","title":{"text":"x"},"current":[ 1 , 2 ]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		row, err := DecodeDealRow(body)
		if err != nil {
			refused(t, err)
			return
		}
		counts(t, row.SalesRankDrops30, row.SalesRankDrops90, row.SalesRankDrops180, row.SalesRankDrops365)
		for typ := PriceType(-1); typ < 40; typ++ {
			if n, ok := row.Current.At(typ); ok && n < 0 && typ != ExtraInfoUpdates {
				t.Errorf("current %v is %d", typ, n)
			}
			if n, ok := row.Avg[NinetyDays].Price(typ); ok && n <= 0 {
				t.Errorf("the average price of %v is %d", typ, n)
			}
		}
		sameWithStrange(t, body, row, DecodeDealRow, func(r DealRow) string {
			r.Raw = nil
			drops := [4]string{}
			for i, p := range []*int{r.SalesRankDrops30, r.SalesRankDrops90, r.SalesRankDrops180, r.SalesRankDrops365} {
				if p != nil {
					drops[i] = fmt.Sprint(*p)
				}
			}
			r.SalesRankDrops30, r.SalesRankDrops90, r.SalesRankDrops180, r.SalesRankDrops365 = nil, nil, nil, nil
			return fmt.Sprint(r, drops)
		})
	})
}

// showProduct returns a product as its accessors show it.
func showProduct(p Product) string {
	out := fmt.Sprint(p.ASIN, p.Title, p.Domain, p.RootCategory, p.HasHistory(), p.OffersAsked, len(p.Offers), p.LiveOffersOrder, p.ReferralFeePercent, p.Changed)
	for typ := PriceType(-1); typ < 40; typ++ {
		h, err := p.Series(typ)
		out += fmt.Sprint(h, err)
	}
	live, asked := p.LiveOffers()
	return out + fmt.Sprint(len(live), asked)
}

// checkProductLaws checks a decoded product against the laws.
func checkProductLaws(t *testing.T, p Product) {
	t.Helper()
	counts(t, p.ProductType, p.Pages, p.PickAndPackFee, p.VariableClosingFee, p.PackageWeight, p.MonthlySold, p.AvailabilityAmazon)
	for typ := PriceType(-1); typ < 40; typ++ {
		h, err := p.Series(typ)
		if err != nil {
			refused(t, err)
		}
		for i := 1; i < len(h); i++ {
			if h[i].At < h[i-1].At {
				t.Errorf("the history of %v goes back in time", typ)
			}
		}
		if p.Stats != nil {
			if n, ok := p.Stats.Current.Price(typ); ok && n <= 0 {
				t.Errorf("the current price of %v is %d", typ, n)
			}
		}
	}
	for _, o := range p.Offers {
		counts(t, o.Price, o.Shipping)
	}
}

const seedProduct = `{"asin":"A","title":"&amp;","csv":[[1,2],null,[1,2,3]],"fbaFees":{"pickAndPackFee":-1},"referralFeePercent":15,` +
	`"stats":{"current":[1],"min":[null,[1,2]],"buyBoxSellerId":{"x":1}},"offers":[{"offerCSV":[1,2,-1],"conditionComment":[1]}],"liveOffersOrder":[0,0,9],"salesRanks":{"1":[1,2]}}`

func FuzzProduct(f *testing.F) {
	seeds(f, seedProduct, `{"asin":"A","csv":{"0":[1]}}`, `{"asin":"A","csv":[null,{"x":1},[3,4,1,2]],"monthlySoldHistory":[1,2],"brand":[1]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := DecodeProduct(body)
		if err != nil {
			refused(t, err)
			return
		}
		checkProductLaws(t, p)
		sameWithStrange(t, body, p, DecodeProduct, showProduct)
	})
}

func FuzzProducts(f *testing.F) {
	seeds(f, `{"products":[`+seedProduct+`,null,{"asin":null}],"tokensLeft":4}`, `{"products":null,"error":null}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		_, raws, err := SplitProducts(body)
		_, products, whole := DecodeProducts(body)
		switch {
		case err != nil:
			refused(t, err)
		case whole != nil:
			refused(t, whole)
		case len(raws) != len(products):
			t.Errorf("split into %d, decoded %d", len(raws), len(products))
		}
		for _, p := range products {
			checkProductLaws(t, p)
		}
	})
}

func FuzzSeller(f *testing.F) {
	seeds(f, `{"sellerId":"A","sellerName":"\u0041\"","currentRating":99,"currentRatingCount":-1,"isScammer":null}`, `{"currentRating":[5]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := DecodeSeller(body)
		if err != nil {
			refused(t, err)
			return
		}
		counts(t, s.Rating, s.Ratings)
		sameWithStrange(t, body, s, DecodeSeller, func(s Seller) string {
			return fmt.Sprint(s.ID, s.Name, s.Rating == nil, s.Ratings == nil, s.HasFBA, s.Scammer)
		})
	})
}

func FuzzSellers(f *testing.F) {
	seeds(f, `{"sellers":{"A":{"sellerName":"B","currentRating":99},"C":null},"tokensConsumed":1}`, `{"sellers":null}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		_, sellers, err := decodeSellers(body)
		_, raws, split := splitSellers(body)
		switch {
		case err != nil:
			refused(t, err)
		case split != nil:
			refused(t, split)
		case len(sellers) != len(raws):
			t.Errorf("decoded %d sellers, split into %d", len(sellers), len(raws))
		}
	})
}

func FuzzSelection(f *testing.F) {
	seeds(f, `{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":1}`, `{"domainId":"1","priceTypes":2}`)
	f.Add([]byte(pasted))
	f.Fuzz(func(t *testing.T, body []byte) {
		if s, _, err := ImportSelection(body); err == nil {
			if again, err := ParseSelection(s.File()); err != nil || again.Version() != s.Version() {
				t.Errorf("what it became is not read as it is: %v\n%s", err, s.File())
			}
		}
		s, err := ParseSelection(body)
		if err != nil {
			return
		}
		sent := bytes.Replace(s.Encode(0), []byte(`"page":0,`), nil, 1) // the page is not part of the query
		again, err := ParseSelection(sent)
		if err != nil || again.Version() != s.Version() {
			t.Errorf("what is sent is not what was read: %v\n%s", err, sent)
		}
	})
}
