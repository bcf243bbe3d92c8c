package deal

import (
	"testing"

	"ratchet/pipeline/domain/keepa"
)

func TestAnEndedPriceIsNotAPrice(t *testing.T) {
	t.Parallel()
	values := make(keepa.Values, keepa.PriceTypes)
	for i := range values {
		values[i] = -1
	}
	values[keepa.New] = 1500
	gone := values
	for name, c := range map[string]struct {
		current int
		want    keepa.Presence
	}{"for sale": {1200, keepa.Present}, "gone": {-1, keepa.NoOffer}} {
		values = append(keepa.Values(nil), gone...)
		values[keepa.Used] = c.current
		p := keepa.Product{Stats: &keepa.Stats{Current: values}}
		if cents, presence := currentPrice(&p, keepa.Used); presence != c.want || (cents > 0) != (c.want == keepa.Present) {
			t.Errorf("%s: %d, %v", name, cents, presence)
		}
		if _, known := usedPrice(&p); known != (c.want == keepa.Present) {
			t.Errorf("%s: the used price is known %t", name, known)
		}
	}
}

func TestWhatEndedSinceItsRowIsNoLongerForSale(t *testing.T) {
	t.Parallel()
	row := View{HasUsed: ptr(true), Used: ptr(int64(1300)), Amazon: ptr(int64(2500)), New: ptr(int64(2000)), Rank: ptr(int64(9000))}
	for current, kept := range map[int]bool{-1: false, -2: true} { // no offer, and not known
		p := keepa.Product{Stats: &keepa.Stats{Current: keepa.Values{current, current, current, current}}}
		v, err := Defaults().OfProduct(row, &p, now)
		if err != nil || *v.HasUsed != kept {
			t.Fatalf("at %d a used copy is for sale: %t, %v", current, *v.HasUsed, err)
		}
		for name, cents := range map[string]*int64{"used": v.Used, "amazon": v.Amazon, "new": v.New, "rank": v.Rank} {
			if (cents != nil) != kept {
				t.Errorf("at %d the row's value of %s stands: %t", current, name, cents != nil)
			}
		}
	}
}
