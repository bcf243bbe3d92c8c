package keepa

import (
	"fmt"
	"testing"
)

func TestTheCurrentPriceOfAnOfferIsReadOrUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		offer string
		price int // 0 unknown
	}{
		"whole triples":     {`"condition":2,"offerCSV":[7554000,2100,0,7560000,9000,399]`, 9000},
		"an odd tail":       {`"condition":2,"offerCSV":[7554000,2100,0,7560000,9000]`, 0},
		"empty":             {`"condition":2,"offerCSV":[]`, 0},
		"beyond 32 bits":    {`"condition":2,"offerCSV":[7554000,9223372036854775807,399]`, 0},
		"no value of Keepa": {`"condition":2,"offerCSV":[7554000,2147483647,399]`, 0},
		"condition as text": {`"condition":"2","offerCSV":[7554000,2100,0]`, 0},
	} {
		p, err := DecodeProduct(fmt.Appendf(nil, `{"asin":"A","offers":[{"lastSeen":7560000,"sellerId":"S",%s}],"liveOffersOrder":[0]}`, c.offer))
		if err != nil || len(p.Offers) != 1 {
			t.Errorf("%s: %v, %+v", name, err, p.Offers)
			continue
		}
		got := 0
		if live, _ := p.LiveOffers(); len(live) == 1 && live[0].Price != nil {
			got = *live[0].Price
		}
		if got != c.price {
			t.Errorf("%s: price %d, want %d", name, got, c.price)
		}
	}
}

func TestAScamIsReadWhereKeepaMarksItAndCostsTheAnswerNothing(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{`true`: true, `1`: true, `"true"`: true, `false`: false, `null`: false, `{"x":1}`: false, `"maybe"`: false} {
		p, err := DecodeProduct(fmt.Appendf(nil, `{"asin":"A","offers":[{"isScam":%s,"lastSeen":7560000,"condition":4,"offerCSV":[7554000,2100,0]}],"liveOffersOrder":[0]}`, value))
		live, _ := p.LiveOffers()
		if err != nil || len(live) != 1 || live[0].Price == nil || live[0].Scam != want {
			t.Errorf("an offer whose isScam is %s: %+v, %v", value, live, err)
		}
		s, err := DecodeSeller(fmt.Appendf(nil, `{"isScammer":%s,"currentRating":97}`, value))
		if err != nil || s.Rating == nil || s.Scammer != want {
			t.Errorf("a seller whose isScammer is %s: %+v, %v", value, s, err)
		}
	}
	if s, err := DecodeSeller([]byte(`{}`)); err != nil || s.Scammer {
		t.Errorf("a seller that nothing marks: %+v, %v", s, err)
	}
}

func TestOffersAreLiveThatKeepaSawAtItsLastVisit(t *testing.T) {
	t.Parallel()
	const offers = `"offers":[{"condition":4,"offerCSV":[7000000,1000,0],"lastSeen":7100000},{"condition":4,"offerCSV":[7000000,2000,0],"lastSeen":7560000},` +
		`{"condition":4,"offerCSV":[7000000,3000,0],"lastSeen":7559970},{"condition":4,"offerCSV":[7000000,4000,0],"lastSeen":0}]`
	for name, c := range map[string]struct {
		rest string
		want int
	}{
		"the order names them":       {`"liveOffersOrder":[1]`, 1},
		"the order is empty":         {`"liveOffersOrder":[]`, 0},
		"the order names none":       {`"liveOffersOrder":[99,-1]`, 2},
		"the order names one at all": {`"liveOffersOrder":[99,0]`, 1},
		"the last visit is known":    {`"stats":{"lastOffersUpdate":7560010}`, 2},
		"the last visit is unknown":  {`"liveOffersOrder":null,"stats":{"lastOffersUpdate":-1}`, 2},
		"the statistics are missing": {`"stats":null`, 2},
	} {
		p, err := DecodeProduct([]byte(`{"asin":"A",` + offers + `,` + c.rest + `}`))
		if live, asked := p.LiveOffers(); err != nil || !asked || len(live) != c.want {
			t.Errorf("%s: %d live, want %d; %v", name, len(live), c.want, err)
		}
	}
}

func TestAnOddStatisticCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{`"avg180":"n/a"`, `"salesRankDrops30":12.5`, `"avg365":{"a":1}`, `"lastOffersUpdate":"soon"`} {
		p, err := DecodeProduct([]byte(`{"asin":"A","stats":{` + odd + `,"avg90":[1,2,3],"current":[-1,-1,2000],"salesRankDrops365":12}}`))
		if err != nil || p.Stats == nil || p.Stats.SalesRankDrops365 == nil || len(p.Changed) != 1 {
			t.Errorf("%s: %v, %+v, changed %v", odd, err, p.Stats, p.Changed)
			continue
		}
		if cents, ok := p.Stats.Current.Price(Used); !ok || cents != 2000 {
			t.Errorf("%s: the current price is lost", odd)
		}
	}
}

func TestAValueOfMoreThan32BitsIsNoPrice(t *testing.T) {
	t.Parallel()
	p, err := DecodeProduct([]byte(`{"asin":"A","csv":[null,null,[7000000,1000,7000100,9000000000000,7000200,1100]],"stats":{"current":[-1,-1,2147483647]}}`))
	if err != nil {
		t.Fatal(err)
	}
	h, err := p.Series(Used)
	if _, ok := p.Stats.Current.Price(Used); err != nil || len(h) != 2 || ok {
		t.Errorf("%v, %v, a current price: %t", h, err, ok)
	}
}
