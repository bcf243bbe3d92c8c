package deal

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"ratchet/pipeline/domain/keepa"
)

func TestAMarketHasEveryPriceWithShipping(t *testing.T) {
	t.Parallel()
	cut := newIncludesShipping
	at := (cut + 30*day).Time()
	p, err := keepa.DecodeProduct(fmt.Appendf(nil, `{"asin":"B000000001","csv":[[%d,5000],[%d,4000,%d,-1,%d,6000],[%d,1000,%d,900]%s,[%d,3000,250,%d,3100,-1]]}`,
		cut-100*day, cut-50*day, cut-10*day, cut+10*day, cut-50*day, cut+10*day,
		`,"words",null,null,null,null,null,null,null,null,null,null,null,null,null,null`, cut-50*day, cut-40*day))
	if err != nil {
		t.Fatal(err)
	}
	values := func(h keepa.Series) (out []int) {
		for _, p := range h {
			out = append(out, int((p.At-cut)/day), p.Value)
		}
		return out
	}
	for _, c := range []struct {
		finding ShippingBasis
		used    []int
	}{
		{ExcludesShipping, []int{-50, 1399, 10, 1299}},
		{IncludesShipping, []int{-50, 1399, 0, 1000, 10, 900}}, // it ends while a price is in force
	} {
		m := Defaults().Market(&p, c.finding, at)
		if got := values(m.Used); !slices.Equal(got, c.used) {
			t.Errorf("%s: used is %v, want %v", c.finding, got, c.used)
		}
		for name, h := range map[string][2][]int{
			"new": {values(m.New), {-50, 4399, -10, -1, 0, -1, 10, 6000}}, "amazon": {values(m.Amazon), {-100, 5000}},
			"buy box": {values(m.BuyBox), {-50, 3250, -40, 3100}}, "rank": {values(m.Rank), nil},
		} {
			if !slices.Equal(h[0], h[1]) {
				t.Errorf("%s: %s is %v, want %v", c.finding, name, h[0], h[1])
			}
		}
		if !slices.Equal(m.Unread, []string{"sales_rank"}) {
			t.Errorf("unread are %v", m.Unread)
		}
	}
}

// The density adds up to the share between two prices.
func TestTheDensityAddsUp(t *testing.T) {
	t.Parallel()
	e := evidence(Sales{All: []Sale{{At: before(30 * days), Cents: 2000}, {At: before(90 * days), Cents: 3500}}}, line(100*days, 2600), Credit{}, now)
	ceiling := int64(3200)
	d, ok := e.Distribution(&Copy{Matched: true, Condition: keepa.ConditionGood}, &ceiling)
	sum := 0.0
	for cents := 1000; cents < 5000; cents++ {
		sum += d.Density(float64(cents) + 0.5)
	}
	if want := d.Below(5000) - d.Below(1000); !ok || math.Abs(sum-want) > 1e-6 {
		t.Errorf("the density adds up to %f, want %f", sum, want)
	}
	if none, ok := evidence(Sales{}, nil, Credit{}, now).Distribution(nil, nil); ok || none.Density(100) != 0 || d.Density(-1) != 0 {
		t.Error("a distribution of nothing")
	}
}
