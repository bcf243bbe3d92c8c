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
