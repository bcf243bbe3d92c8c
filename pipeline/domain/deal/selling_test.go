package deal

import (
	"testing"

	"ratchet/pipeline/domain/keepa"
)

func TestCostCountsShippingOnceAndTaxOnTheLandedPrice(t *testing.T) {
	t.Parallel()
	s := Defaults()
	for landed, want := range map[int64]int64{2801: 2801 + 140 + 275 + 50, 0: 325, 2000: 2000 + 100 + 325, 1990: 1990 + 100 + 325} {
		if got := s.AllInCost(landed); got != want {
			t.Errorf("landed %d: got %d, want %d", landed, got, want)
		}
	}
	s.OtherCents = 25
	if got := s.AllInCost(0); got != 350 {
		t.Errorf("with other costs: %d", got)
	}
}

func TestProfitIsTheSaleWithoutCostAndAmazonsFees(t *testing.T) {
	t.Parallel()
	s, f := Defaults(), Fees{ReferralBP: 1500, FBACents: 315, ClosingCents: 180}
	if got := s.Profit(6000, 2801, f); got != 6000-3266-900-315-180 {
		t.Errorf("profit %d", got)
	}
	even := s.Breakeven(2801, f)
	if even != 4425 || s.Profit(even, 2801, f) < -1 || s.Profit(even, 2801, f) > 1 { // (3266 + 495) / 0.85 = 4424.7
		t.Errorf("break-even %d leaves %d", even, s.Profit(even, 2801, f))
	}
}

func TestVATIsInTheSalePriceAndTheReferralFeeIsNetOfIt(t *testing.T) {
	t.Parallel()
	s, f := Defaults(), Fees{ReferralBP: 1500, FBACents: 315}
	s.VATPercent = 19
	// 1190 is 1000 and 190 of VAT; 15 % of 1000 = 150.
	if got := s.Selling().Net(1190); got != 1000 {
		t.Errorf("net %d", got)
	}
	if got := s.Profit(1190, 0, f); got != 1000-325-150-315 {
		t.Errorf("profit %d", got)
	}
	if even := s.Breakeven(1000, f); even != 2366 || s.Profit(even, 1000, f) < -1 || s.Profit(even, 1000, f) > 1 { // (1375 + 315) × 1.19 / 0.85
		t.Errorf("break-even %d leaves %d", even, s.Profit(even, 1000, f))
	}
}

func TestUnknownFeesAreDefaultsAndMarkedOneByOne(t *testing.T) {
	t.Parallel()
	const toys = 165793011
	for name, c := range map[string]struct {
		p    keepa.Product
		root int64
		want Fees
	}{
		"nothing known":      {keepa.Product{}, 0, Fees{1500, 550, 180, true, true, true}},
		"a book":             {keepa.Product{}, 283155, Fees{1500, 550, 180, true, true, true}},
		"no media":           {keepa.Product{}, toys, Fees{1500, 550, 0, true, true, false}},
		"zero and negative":  {keepa.Product{PickAndPackFee: ptr(0), ReferralFeePercent: -1}, 0, Fees{1500, 550, 180, true, true, true}},
		"implausible":        {keepa.Product{ReferralFeePercent: 1500}, 0, Fees{1500, 550, 180, true, true, true}},
		"all known":          {keepa.Product{PickAndPackFee: ptr(315), ReferralFeePercent: 15.04, VariableClosingFee: ptr(150)}, 0, Fees{1504, 315, 150, false, false, false}},
		"below Amazon's own": {keepa.Product{PickAndPackFee: ptr(1), ReferralFeePercent: 1, VariableClosingFee: ptr(0)}, toys, Fees{1400, 229, 0, false, false, false}},
		"media closes at 0":  {keepa.Product{VariableClosingFee: ptr(0)}, 283155, Fees{1500, 550, 180, true, true, true}},
		"music closes at 0":  {keepa.Product{VariableClosingFee: ptr(0)}, 5174, Fees{1500, 550, 180, true, true, true}},
		"nobody knows what":  {keepa.Product{VariableClosingFee: ptr(0)}, 0, Fees{1500, 550, 180, true, true, true}},
	} {
		got := Defaults().Selling().FeesOf(&c.p, c.root)
		if got != c.want || got.Assumed() != (got.FBAAssumed || got.ReferralAssumed || got.ClosingAssumed) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
	if least := Defaults().Selling().LeastFees(); least != (Fees{ReferralBP: 1400, FBACents: 229}) {
		t.Errorf("a row counts %+v", least)
	}
	s := Defaults()
	s.Marketplace = "de"
	if got := s.Selling().FeesOf(&keepa.Product{}, 186606); got.ClosingCents != 180 || !got.ClosingAssumed {
		t.Errorf("a German book: %+v", got)
	}
	s = Defaults()
	s.CountClosingFee = false
	if got := s.Selling().FeesOf(&keepa.Product{VariableClosingFee: ptr(180)}, 283155); got.ClosingCents != 0 || got.ClosingAssumed {
		t.Errorf("switched off: %+v", got)
	}
}

func TestAFeeForAnotherBandOfPricesIsMarked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sale, current int64
		want          bool
	}{{999, 1000, true}, {1000, 1001, false}, {4999, 5000, true}, {5000, 9000, false}, {900, 6000, true}, {2000, 3000, false}} {
		if got := OtherBand(c.sale, c.current); got != c.want {
			t.Errorf("a sale at %d, a fee for %d: %t", c.sale, c.current, got)
		}
	}
}

func TestTheLeastOfTheCeilingsCapsAndIsNamed(t *testing.T) {
	t.Parallel()
	if got, by := least(map[Ceiling]*int64{ByNew: ptr(int64(3000)), ByAmazon: nil, ByBuyBox: ptr(int64(2500)), ByNext: ptr(int64(2600))}); *got != 2500 || by != ByBuyBox {
		t.Errorf("%d by %s", *got, by)
	}
	if got, by := least(nil); got != nil || by != NoCeiling {
		t.Errorf("%v by %q of nothing", got, by)
	}
}

func TestNewLacksShippingUntilKeepaIncludesIt(t *testing.T) {
	t.Parallel()
	u, price := Defaults().Selling(), int64(2000)
	if got := u.NewLanded(&price, newIncludesShipping.Time().Add(-60e9)); *got != 2399 {
		t.Errorf("before: %d", *got)
	}
	if got := u.NewLanded(&price, newIncludesShipping.Time()); *got != 2000 {
		t.Errorf("since: %d", *got)
	}
	if u.NewLanded(nil, now) != nil {
		t.Error("a new price of nothing")
	}
}

func TestAnOldBuyBoxCapsNothing(t *testing.T) {
	t.Parallel()
	box := func(ago int) *int64 {
		body := history(21, int64(before(ago)), 2000, 399)
		p, err := keepa.DecodeProduct([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return buyBox(&p, now)
	}
	if got := box(89 * days); got == nil || *got != 2399 {
		t.Errorf("of 89 days ago: %v", got)
	}
	if got := box(90 * days); got != nil {
		t.Errorf("of 90 days ago: %d", *got)
	}
}

func TestTheDefaultsAreValidAndInvalidSettingsAreReported(t *testing.T) {
	t.Parallel()
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
	for change, want := range map[*Settings]string{
		{TaxPercent: 100, Marketplace: "com"}: "settings.tax_percent: must be from 0 to below 100",
		{Marketplace: "fr.com"}:               "settings.marketplace: must be the end of an Amazon host name: ca, co.jp, co.uk, com, com.br, com.mx, de, es, fr, in, it",
	} {
		if err := change.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
