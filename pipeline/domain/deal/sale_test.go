package deal

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline/domain/keepa"
)

// now is the instant of most tests, and at a number of minutes before it.
var now = time.Date(2025, 9, 16, 12, 0, 0, 0, time.UTC)

func before(minutes int) keepa.Minute { return keepa.FromTime(now) - keepa.Minute(minutes) }

// line is a series of (minutes before now, value) pairs, oldest first.
func line(pairs ...int) keepa.Series {
	var h keepa.Series
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, keepa.Point{At: before(pairs[i]), Value: pairs[i+1], Shipping: -1})
	}
	return h
}

const (
	hour = 60
	days = 24 * 60
)

func TestASaleIsAFallThatStaysAndARankThatJumps(t *testing.T) {
	t.Parallel()
	fall := 10 * days // the fall of every case
	count := line(20*days, 5, fall, 4)
	used := line(30*days, 2000, fall, 2500) // the price changes in the minute of the fall
	jump := func(after int) keepa.Series { return line(20*days, 1000, fall-after, 899) }
	for name, c := range map[string]struct {
		rank, used, count keepa.Series
		want              []int64 // without credit
	}{
		"the rank falls below nine tenths in the hour of the fall": {jump(hour), used, count, []int64{2000}},
		"the rank falls to nine tenths, not below":                 {line(20*days, 1000, fall, 900), used, count, nil},
		"the rank jumps six hours before":                          {jump(-6 * hour), used, count, []int64{2000}},
		"the rank jumps six hours and a minute before":             {jump(-6*hour - 1), used, count, nil},
		"the rank jumps a day after":                               {jump(24 * hour), used, count, []int64{2000}},
		"the rank jumps a day and a minute after":                  {jump(24*hour + 1), used, count, nil},
		"ranks that Keepa does not know are passed over":           {line(20*days, 1000, 15*days, -1, fall, 800), used, count, []int64{2000}},
		"the rank slips a little at every point":                   {line(20*days, 1000, fall+9, 910, fall, 830), used, count, nil},
		"the count is back within a day":                           {jump(hour), used, line(20*days, 5, fall, 4, fall-24*hour, 5), nil},
		"the count is back a day and a minute later":               {jump(hour), used, line(20*days, 5, fall, 4, fall-24*hour-1, 5), []int64{2000}},
		"the count is higher than before within a day":             {jump(hour), used, line(20*days, 5, fall, 3, fall-hour, 6), nil},
		"the count rises within a day but not to where it was":     {jump(hour), used, line(20*days, 5, fall, 3, fall-hour, 4), []int64{2000}},
		"no offer at all counts as none":                           {jump(hour), used, line(20*days, 1, fall, -1), []int64{2000}},
		"nothing was on sale before":                               {jump(hour), line(30*days, -1, fall, 2500), count, nil},
		"the used price begins with the fall":                      {jump(hour), line(fall, 2500), count, nil},
		"two falls, one jump":                                      {jump(hour), used, line(20*days, 5, fall, 4, fall-hour, 3), []int64{2000}},
		"two falls, two jumps, the second in both windows": {
			line(20*days, 1000, fall-hour, 800, fall-2*hour, 700), used, line(20*days, 5, fall, 4, fall-hour, 3), []int64{2000},
		},
		"two falls with a jump each": {
			line(20*days, 1000, fall, 800, 8*days+1, 1000, 8*days, 700), used, line(20*days, 5, fall, 4, 8*days, 3), []int64{2000, 2500},
		},
		"a fall without a price leaves its jump to the next": {
			jump(2 * hour), line(30*days, -1, fall-hour, 2200), line(20*days, 5, fall, 4, fall-hour-1, 3), []int64{2200},
		},
		"a fall of less than a day ago is pending": {line(20*days, 1000, 23*hour, 800), used, line(20*days, 5, 24*hour-1, 4), nil},
		"a fall of a day ago is a sale":            {line(20*days, 1000, 23*hour, 800), used, line(20*days, 5, 24*hour, 4), []int64{2500}},
	} {
		got := InferSales(Histories{Rank: c.rank, Used: c.used, CountUsed: c.count, Known: true}, Credit{Cents: 399}, now)
		if len(got.All) != len(c.want) {
			t.Errorf("%s: got %+v, want %v", name, got, c.want)
			continue
		}
		for i, cents := range c.want {
			if got.All[i].Cents != cents+399 {
				t.Errorf("%s: sale %d at %d, want %d + 399", name, i, got.All[i].Cents, cents)
			}
		}
	}
}

func TestFallsAreDistinguished(t *testing.T) {
	t.Parallel()
	h := Histories{
		Rank: line(20*days, 1000, 10*days, 500), Used: line(30*days, 2000),
		CountUsed: line(20*days, 5, 15*days, 4, 15*days-hour, 5, 10*days, 4, 5*hour, 3), Known: true,
	}
	got := InferSales(h, Credit{Cents: 399}, now)
	if got.Falls != 3 || got.Undone != 1 || got.Pending != 1 || len(got.All) != 1 {
		t.Errorf("got %+v, want 3 falls, 1 undone, 1 pending, 1 sale", got)
	}
}

func TestTheShipCreditEndsWhereUsedIncludesShipping(t *testing.T) {
	t.Parallel()
	old, young := newIncludesShipping-1, newIncludesShipping
	for finding, want := range map[ShippingBasis][2]int64{
		IncludesShipping: {399, 0}, ExcludesShipping: {399, 399}, ShippingUnknown: {399, 399},
	} {
		c := Credit{Cents: 399, Basis: finding}
		if got := [2]int64{c.At(old), c.At(young)}; got != want {
			t.Errorf("%s: credit before and after %v, want %v", finding, got, want)
		}
	}
}

// A price of 2000 until Keepa's change and of 3000 from it on, with a sale twenty days before it and one after it.
func TestAPriceThatIncludesShippingGetsNoCreditAsASaleOrAsAnAskingPrice(t *testing.T) {
	t.Parallel()
	cut := int(keepa.FromTime(now) - newIncludesShipping) // in minutes before now, as line takes them
	later := newIncludesShipping.Time().Add(40 * 24 * time.Hour)
	h := Histories{
		Used: line(cut+40*days, 2000, cut, 3000), CountUsed: line(cut+40*days, 5, cut+20*days, 4, cut-20*days, 3),
		Rank: line(cut+40*days, 1000, cut+20*days, 500, cut, 1000, cut-20*days, 500), Known: true,
	}
	for finding, want := range map[ShippingBasis][2]int64{
		IncludesShipping: {2399, 3000}, ExcludesShipping: {2399, 3399}, ShippingUnknown: {2399, 3399},
	} {
		c := Credit{Cents: 399, Basis: finding}
		sold := InferSales(h, c, later).All
		if len(sold) != 2 || sold[0].Cents != want[0] || sold[1].Cents != want[1] {
			t.Errorf("%s: sold for %+v, want %v", finding, sold, want)
		}
		if asked, ok := asking(h.Used, c, later); !ok || asked != float64(want[0]+want[1])/2 { // for 40 days each
			t.Errorf("%s: %v is asked, want the mean of %v", finding, asked, want)
		}
	}
}

// drawHistories draws a book's histories with falls, flicker and jumps at odd times.
func drawHistories(t *rapid.T) Histories {
	h := Histories{Known: true}
	at := before(rapid.IntRange(100, 900).Draw(t, "days") * days)
	n := 4
	add := func(s *keepa.Series, v int) { *s = append(*s, keepa.Point{At: at, Value: v, Shipping: -1}) }
	for range rapid.IntRange(0, 60).Draw(t, "events") {
		at += keepa.Minute(rapid.SampledFrom([]int{1, 30, 300, 400, 1439, 1440, 1441, 9 * days, 40 * days}).Draw(t, "step"))
		switch rapid.IntRange(0, 4).Draw(t, "what") {
		case 4: // a sale, unless what follows undoes it
			add(&h.Used, 3000)
			add(&h.Rank, 900_000)
			add(&h.CountUsed, 5)
			at += days + 1
			add(&h.CountUsed, 4)
			add(&h.Rank, 400_000)
			n = 4
		case 0:
			n = max(-1, n+rapid.IntRange(-2, 2).Draw(t, "count"))
			add(&h.CountUsed, n)
		case 1, 2:
			add(&h.Rank, rapid.SampledFrom([]int{-1, 300_000, 449_999, 450_000, 500_000, 900_000}).Draw(t, "rank"))
		default:
			add(&h.Used, rapid.SampledFrom([]int{-1, 1500, 2000, 9000}).Draw(t, "used"))
		}
	}
	return h
}

func TestWhatIsSettledStaysSettled(t *testing.T) {
	t.Parallel()
	sales := 0
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistories(t)
		cut := now.Add(-time.Duration(rapid.IntRange(0, 400*days).Draw(t, "cut")) * time.Minute)
		early, late := InferSales(h, Credit{Cents: 399}, cut), InferSales(h, Credit{Cents: 399}, now)
		var settled []Sale
		for _, s := range late.All {
			if s.At+flicker <= keepa.FromTime(cut) {
				settled = append(settled, s)
			}
		}
		sales += len(settled)
		if len(settled) != len(early.All) {
			t.Fatalf("%d sales were settled, later there are %d of that time", len(early.All), len(settled))
		}
		for i := range settled {
			if settled[i] != early.All[i] {
				t.Fatalf("sale %d was %+v, later it is %+v", i, early.All[i], settled[i])
			}
		}
	})
	if sales == 0 {
		t.Error("no sale was drawn")
	}
}

func TestAFallAfterTheInstantIsNotASale(t *testing.T) {
	t.Parallel()
	h := Histories{Known: true, Rank: line(20*days, 1000, -3*days, 700), Used: line(30*days, 2000), CountUsed: line(20*days, 5, -3*days, 4, -5*days, 4)}
	if got := InferSales(h, Credit{}, now); len(got.All) != 0 || got.Falls != 0 {
		t.Errorf("%d falls and %d sales in the future", got.Falls, len(got.All))
	}
	if got := InferSales(h, Credit{}, now.AddDate(0, 0, 10)); len(got.All) != 1 {
		t.Errorf("%d sales when they are past", len(got.All))
	}
}

func TestAGapInTheCountIsNotASale(t *testing.T) {
	t.Parallel()
	at := func(n int) int { return int(before(n)) }
	for count, want := range map[string]int{"null": 0, "-2": 0, "-1": 1} {
		body := fmt.Sprintf(`{"asin":"A","csv":[null,null,[%d,2000],[%d,1000,%d,500],null,null,null,null,null,null,null,null,[%d,5,%d,%s,%d,5]]}`,
			at(40*days), at(40*days), at(20*days), at(30*days), at(20*days), count, at(10*days))
		p, err := keepa.DecodeProduct([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		h, err := new(Scratch).histories(&p)
		if got := len(InferSales(h, Credit{}, now).All); err != nil || got != want {
			t.Errorf("a count of %s between two of 5 makes %d sales, want %d; %v", count, got, want, err)
		}
	}
}
