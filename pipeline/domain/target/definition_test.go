package target_test

import (
	"slices"
	"testing"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
)

// announced is when Keepa began to change what its prices include.
var announced = time.Date(2026, time.February, 16, 0, 0, 0, 0, time.UTC)

const hour = 60

// at is a point of a made history.
func at(minute keepa.Minute, value int) keepa.Point {
	return keepa.Point{At: minute, Value: value, Shipping: -1}
}

// book is a history in which the count falls at day 100 and the used price then rises from 2000 to 3000.
func book() target.History {
	return target.History{
		Used:  keepa.Series{at(0, 2000), at(100*day, 3000)},
		Count: keepa.Series{at(0, 5), at(100*day, 4)},
		Rank:  keepa.Series{at(0, 100_000), at(100*day+hour, 89_999)},
		End:   900 * day, CreditCents: 399, LaterCreditCents: 399,
	}
}

func TestASaleIsAFallThatLastsWithAJumpOfTheRank(t *testing.T) {
	t.Parallel()
	fall := keepa.Minute(100 * day)
	for name, c := range map[string]struct {
		change func(h *target.History)
		want   []target.Sale
	}{
		"price strictly before the fall, and the credit": {func(*target.History) {}, []target.Sale{{At: fall, Cents: 2399}}},
		"back within 24 h, ends included":                {func(h *target.History) { h.Count = append(h.Count, at(fall+day, 5)) }, nil},
		"back a minute later":                            {func(h *target.History) { h.Count = append(h.Count, at(fall+day+1, 5)) }, []target.Sale{{At: fall, Cents: 2399}}},
		"a jump to 0.9 is not":                           {func(h *target.History) { h.Rank[1].Value = 90_000 }, nil},
		"a jump 6 h before":                              {func(h *target.History) { h.Rank[1].At = fall - 6*hour }, []target.Sale{{At: fall, Cents: 2399}}},
		"a jump earlier than that":                       {func(h *target.History) { h.Rank[1].At = fall - 6*hour - 1 }, nil},
		"a jump 24 h after":                              {func(h *target.History) { h.Rank[1].At = fall + day }, []target.Sale{{At: fall, Cents: 2399}}},
		"a jump later than that":                         {func(h *target.History) { h.Rank[1].At = fall + day + 1 }, nil},
		"-1 counts as 0":                                 {func(h *target.History) { h.Count = keepa.Series{at(0, 1), at(fall, -1)} }, []target.Sale{{At: fall, Cents: 2399}}},
		"a jump confirms one fall, even if another follows": {func(h *target.History) {
			h.Count = append(h.Count, at(fall+hour, 3))
			h.Rank = append(h.Rank, at(fall+3*hour, 50_000))
		}, []target.Sale{{At: fall, Cents: 2399}}},
		"without a price before it no sale, and the jump stays free": {func(h *target.History) {
			h.Used = keepa.Series{at(0, -1), at(fall, 3000)}
			h.Count = append(h.Count, at(fall+hour, 3))
		}, []target.Sale{{At: fall + hour, Cents: 3399}}},
	} {
		h := book()
		c.change(&h)
		if got := h.Sales(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestAFallYoungerThanADayIsPending(t *testing.T) {
	t.Parallel()
	whole := book()
	for after, want := range map[keepa.Minute]int{day - 1: 0, day: 1} {
		h := whole.Cut(100*day + after)
		if got := len(h.SalesKnown()); got != want {
			t.Errorf("%d minutes after the fall %d sales are known, want %d", after, got, want)
		}
	}
}

func TestThePriceLacksShippingUnlessAnOfferShowsItAfterFebruary2026(t *testing.T) {
	t.Parallel()
	h := target.History{CreditCents: 399}
	since := keepa.FromTime(announced)
	if h.Credit(since-1) != 399 || h.Credit(since) != 0 {
		t.Errorf("credit %d before and %d from then on", h.Credit(since-1), h.Credit(since))
	}
	for used, want := range map[string]int64{"2399": 0, "2000": 399, "2100": 399} {
		p, err := keepa.DecodeProduct([]byte(`{"asin":"B000000001","stats":{"current":[-1,-1,` + used + `]},` +
			`"offers":[{"condition":4,"lastSeen":8000000,"offerCSV":[8000000,2000,399]}],"liveOffersOrder":[0]}`))
		if err != nil {
			t.Fatal(err)
		}
		if h, err := target.Read(&p, 399); err != nil || h.LaterCreditCents != want {
			t.Errorf("used price %s beside an offer of 2000 and 399: credit %d, want %d (%v)", used, h.LaterCreditCents, want, err)
		}
	}
}

func TestTheOutcomeIsTheNextSaleFromThreeWeeksOn(t *testing.T) {
	t.Parallel()
	h := book()
	bought := target.Purchase{At: 0, LandedCents: 1000, NextBestCents: 2000}
	for name, c := range map[string]struct {
		sales []target.Sale
		end   keepa.Minute
		want  target.Outcome
	}{
		"the first after 21 days":            {[]target.Sale{{21*day - 1, 1500}, {21 * day, 1700}}, 900 * day, target.Outcome{Cents: 1700, After: 21 * day}},
		"one's own copy is removed":          {[]target.Sale{{30 * day, 1010}, {40 * day, 1009}}, 900 * day, target.Outcome{Cents: 1009, After: 40 * day}},
		"also when it goes before that":      {[]target.Sale{{day, 1005}, {40 * day, 1005}}, 900 * day, target.Outcome{Cents: 1005, After: 40 * day}},
		"none within a year":                 {[]target.Sale{{365*day + 1, 1500}}, 365 * day, target.Outcome{Cents: 1400}},
		"the history ends before":            {nil, 365*day - 1, target.Outcome{}},
		"a sale before the history's end":    {[]target.Sale{{30 * day, 1500}}, 40 * day, target.Outcome{Cents: 1500, After: 30 * day}},
		"a cost of its own is never another": {[]target.Sale{{30 * day, 1011}}, 900 * day, target.Outcome{Cents: 1011, After: 30 * day}},
	} {
		h.End = c.end
		if got := h.Outcome(bought, c.sales); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	taxed := target.DefaultFees()
	taxed.VATBP = 1900 // 5950 are 5000 and 950 of VAT
	if got := taxed.Profit(5950, 2000); got != 1095 {
		t.Errorf("profit %d with VAT, want 1095", got)
	}
	// 5000·0.85 - 2000·1.05 - 180 - 550 - 275 - 50
	if got := target.DefaultFees().Profit(5000, 2000); got != 1095 {
		t.Errorf("profit %d, want 1095", got)
	}
}

func TestOccasionsAreOfferedAtTheMeanAndAtDrops(t *testing.T) {
	t.Parallel()
	h := target.History{
		Used:  keepa.Series{at(0, 4000), at(400*day, 2400), at(410*day, 2300), at(460*day, 4000), at(470*day, 1500)},
		Count: keepa.Series{at(0, 5)}, Rank: keepa.Series{at(0, 100_000)}, End: 600 * day, CreditCents: 399, LaterCreditCents: 399,
	}
	sales := []target.Sale{{500 * day, 4399}}
	var drops []target.Purchase
	for _, d := range h.Drops(sales) {
		drops = append(drops, d.Purchase)
	}
	// The second fall is in the same thirty days as the first; if
	// the history ends, the last lacks 120 days ahead of it.
	want := []target.Purchase{{400*day - 1, 2799, 4399}, {470*day - 1, 1899, 4399}}
	if !slices.Equal(drops, want) {
		t.Errorf("drops %v, want %v", drops, want)
	}
	h.End = 590*day - 1
	if got := len(h.Drops(sales)); got != 1 {
		t.Errorf("%d drops have 120 days ahead of them, want 1", got)
	}
	// 2012-01-01 is the first month start with a year behind it: 45 % of 4000, and 399.
	months := h.Months(sales)
	if len(months) == 0 || months[0].LandedCents != 2199 || months[0].NextBestCents != 4399 || months[0].At != 365*day {
		t.Errorf("month starts %+v", months)
	}
}
