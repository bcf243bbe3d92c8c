package deal

import (
	"slices"
	"testing"
	"time"

	"ratchet/pipeline/domain/keepa"
)

func ptr[T any](v T) *T { return &v }

// offered returns a product with a used price and live offers, good copies by default.
func offered(used int, offers ...keepa.Offer) *keepa.Product {
	p := &keepa.Product{OffersAsked: true, Stats: &keepa.Stats{Current: keepa.Values{-1, -1, used}}}
	for i, o := range offers {
		if o.Condition == 0 {
			o.Condition = keepa.ConditionGood
		}
		if o.LastSeen == 0 {
			o.LastSeen = before(days)
		}
		p.Offers = append(p.Offers, o)
		p.LiveOffersOrder = append(p.LiveOffersOrder, i)
	}
	return p
}

func TestTheCheapestLandedCopyComesFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		p       *keepa.Product
		landed  int64
		known   bool
		matched bool
	}{
		"stated shipping":            {offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(399)}), 2399, true, true},
		"free shipping":              {offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(0)}), 2000, true, true},
		"unknown shipping":           {offered(2000, keepa.Offer{Price: ptr(2000)}), 2399, false, true},
		"unknown shipping by Amazon": {offered(2000, keepa.Offer{Price: ptr(2000), FBA: ptr(true)}), 2000, false, true},
		"dearer but cheaper at the door": {
			offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(999)}, keepa.Offer{Price: ptr(2200), Shipping: ptr(0)}), 2200, true, true,
		},
		"below Keepa's own lowest": {offered(2000, keepa.Offer{Price: ptr(500), Shipping: ptr(0)}), 2399, false, false},
		"only new offers":          {offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(0), Condition: keepa.ConditionNew}), 2399, false, false},
		"no offer":                 {offered(2000), 2399, false, false},
		"last seen years ago":      {offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(0), LastSeen: before(800 * days)}), 2399, false, false},
	} {
		got := Defaults().Buying().Copies(c.p, ExcludesShipping, now)
		if len(got) == 0 || got[0].LandedCents != c.landed || got[0].ShippingKnown != c.known || got[0].Matched != c.matched {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	under := offered(2000, keepa.Offer{Price: ptr(500), Shipping: ptr(0)}, keepa.Offer{Price: ptr(700), Shipping: ptr(0), Condition: keepa.ConditionAcceptable})
	if got := Defaults().Buying().Copies(under, ExcludesShipping, now); len(got) != 1 || orZero(got[0].NextBestCents) != 700 {
		t.Errorf("a copy of no offer does not compete with the offers beside it: %+v", got)
	}
	if got := Defaults().Buying().Copies(offered(-1, keepa.Offer{Price: ptr(900), Shipping: ptr(0)}), ExcludesShipping, now); got != nil {
		t.Errorf("bought %+v although Keepa reports no used offer", got)
	}
}

func TestACopyOfNoOfferCompetesWithEveryPriceByConditionButItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		used         int
		basis        ShippingBasis
		conditions   keepa.Values // like new, very good, good, acceptable
		landed, next int64        // next 0: nothing competes
	}{
		"its own has the assumed shipping":          {2000, ExcludesShipping, keepa.Values{9404, -1, 2900, 2399}, 2399, 2900},
		"others stand below its own":                {2000, ExcludesShipping, keepa.Values{2394, 2394, 2399, 8183}, 2399, 2394},
		"another has its price":                     {2000, ExcludesShipping, keepa.Values{2399, 8183, 2399, -1}, 2399, 2399},
		"its own ships free":                        {2000, ExcludesShipping, keepa.Values{9404, -1, 2900, 2000}, 2399, 2900},
		"its own has a cent less of shipping":       {2000, ExcludesShipping, keepa.Values{-1, 2398, -1, 4537}, 2399, 4537},
		"its own has more shipping than assumed":    {2495, ExcludesShipping, keepa.Values{2938, -1, -1, -1}, 2938, 0},
		"another has more shipping than assumed":    {2495, ExcludesShipping, keepa.Values{2938, -1, 2938, -1}, 2938, 2938},
		"nobody asks for 8 cents of shipping":       {2972, ExcludesShipping, keepa.Values{13634, 19200, 6447, 2980}, 3371, 2980},
		"nobody asks for 15 dollars of shipping":    {1000, ExcludesShipping, keepa.Values{-1, 2500, -1, -1}, 1399, 2500},
		"a dear copy is another":                    {2000, ExcludesShipping, keepa.Values{9404, -1, -1, -1}, 2399, 9404},
		"another stands below the used price":       {3600, ExcludesShipping, keepa.Values{18106, 1998, -1, -1}, 3999, 1998},
		"no condition has a price":                  {2000, ExcludesShipping, keepa.Values{-1, -2, 0, -1}, 2399, 0},
		"the used price includes shipping":          {2399, IncludesShipping, keepa.Values{2399, 2900, -1, -1}, 2399, 2900},
		"whether it includes shipping is unknown":   {2399, ShippingUnknown, keepa.Values{2399, 2900, -1, -1}, 2798, 2900},
		"2147483647 is the same as an absent price": {2000, ExcludesShipping, keepa.Values{2147483647, 2399, -1, -1}, 2399, 0},
	} {
		p := offered(c.used)
		p.Stats.Current = slices.Concat(p.Stats.Current, make(keepa.Values, 20))
		copy(p.Stats.Current[keepa.UsedLikeNew:], c.conditions)
		got := Defaults().Buying().Copies(p, c.basis, now)
		if len(got) != 1 || got[0].LandedCents != c.landed || orZero(got[0].NextBestCents) != c.next || got[0].PriceCents+got[0].ShippingCents != c.landed {
			t.Errorf("%s: got %+v, want %d beside %d", name, got, c.landed, c.next)
		}
	}
}

func TestACopyThatWasRepricedDoesNotCompeteWithItself(t *testing.T) {
	t.Parallel()
	own := keepa.Offer{Price: ptr(2300), Shipping: ptr(0)}
	other := keepa.Offer{Price: ptr(2350), Shipping: ptr(399), Condition: keepa.ConditionAcceptable}
	dear := own
	dear.Shipping = ptr(800)
	exclusive := keepa.Offer{Price: ptr(2100), Shipping: ptr(0), PrimeExclusive: true}
	for name, c := range map[string]struct {
		offers       []keepa.Offer
		counted      int // used copies, as Keepa counts them; -2 unknown
		good         int // lowest landed price of that condition; -1 none
		landed, next int64
	}{
		"alone":                             {[]keepa.Offer{own}, 1, 2300, 2799, 0},
		"alone, and nothing is counted":     {[]keepa.Offer{own}, -2, -1, 2799, 0},
		"its condition has the used price":  {[]keepa.Offer{own}, 1, 2400, 2799, 0},
		"its shipping is more than assumed": {[]keepa.Offer{dear}, 1, 3100, 3200, 0},
		"beside another":                    {[]keepa.Offer{other, own}, 2, 2300, 2799, 2749},
		"beside one that only some can buy": {[]keepa.Offer{exclusive, own}, 2, 2300, 2799, 2100},
		"Keepa counts a copy beside it":     {[]keepa.Offer{own}, 2, 2300, 2799, 2300},
		"its condition has a cheaper copy":  {[]keepa.Offer{own}, 1, 2250, 2799, 2250},
	} {
		p := offered(2400, c.offers...)
		p.Stats.Current = slices.Concat(p.Stats.Current, slices.Repeat(keepa.Values{-2}, 20))
		p.Stats.Current[keepa.CountUsed], p.Stats.Current[keepa.UsedGood] = c.counted, c.good
		got := Defaults().Buying().Copies(p, ExcludesShipping, now)
		if len(got) != 1 || got[0].LandedCents != c.landed || orZero(got[0].NextBestCents) != c.next || got[0].PriceCents+got[0].ShippingCents != c.landed {
			t.Errorf("%s: got %+v, want %d beside %d", name, got, c.landed, c.next)
		}
	}
}

func TestAnOfferThatCannotBeBoughtHasNoCopyAndNoPrice(t *testing.T) {
	t.Parallel()
	fine := keepa.Offer{Price: ptr(2500), Shipping: ptr(0)}
	for name, o := range map[string]keepa.Offer{
		"not shippable":   {Shippable: ptr(false)},
		"a pre-order":     {Preorder: true},
		"Prime-exclusive": {PrimeExclusive: true},
		"a scam":          {Scam: true},
		"two at least":    {MinOrderQuantity: 2},
	} {
		o.Price, o.Shipping = ptr(2000), ptr(0)
		if got := Defaults().Buying().Copies(offered(2000, o), ExcludesShipping, now); len(got) != 0 {
			t.Errorf("%s alone: bought %+v", name, got)
		}
		if got := Defaults().Buying().Copies(offered(2000, o, fine), ExcludesShipping, now); len(got) != 1 || got[0].LandedCents != 2500 {
			t.Errorf("%s beside another: bought %+v", name, got)
		}
	}
}

func TestTheNextBestOfferIsTheCheapestOtherInThisConditionOrABetterOne(t *testing.T) {
	t.Parallel()
	p := offered(2000,
		keepa.Offer{Price: ptr(2000), Shipping: ptr(100), Condition: keepa.ConditionGood},
		keepa.Offer{Price: ptr(2050), Shipping: ptr(100), Condition: keepa.ConditionAcceptable},
		keepa.Offer{Price: ptr(2900), Shipping: ptr(100), Condition: keepa.ConditionLikeNew},
		keepa.Offer{Price: ptr(2100), Shipping: ptr(0), Condition: keepa.ConditionGood, Shippable: ptr(false)},
		keepa.Offer{Price: ptr(2100), Shipping: ptr(0), Condition: keepa.ConditionGood, Scam: true})
	want := map[int64]int64{2100: 3000, 2150: 2100, 3000: 0} // by landed price; 0: none
	copies := Defaults().Buying().Copies(p, ExcludesShipping, now)
	if len(copies) != len(want) {
		t.Fatalf("copies %+v", copies)
	}
	for _, c := range copies {
		if got := orZero(c.NextBestCents); got != want[c.LandedCents] {
			t.Errorf("next best of the copy at %d: %d, want %d", c.LandedCents, got, want[c.LandedCents])
		}
	}
}

func TestWhetherUsedIncludesShippingIsDeterminedAtEachCommit(t *testing.T) {
	t.Parallel()
	later := newIncludesShipping.Time().Add(48 * time.Hour)
	at := keepa.FromTime(later)
	offer := func(price, shipping int) keepa.Offer {
		return keepa.Offer{Price: ptr(price), Shipping: ptr(shipping), LastSeen: at}
	}
	for name, c := range map[string]struct {
		p    *keepa.Product
		now  time.Time
		want ShippingBasis
	}{
		"it is an offer's price with shipping":        {offered(2399, offer(2000, 399)), later, IncludesShipping},
		"it is an offer's price alone":                {offered(2000, offer(2000, 399)), later, ExcludesShipping},
		"it is both, of two offers":                   {offered(2399, offer(2399, 399), offer(2000, 399)), later, IncludesShipping},
		"it is the price of an offer that ships free": {offered(2000, offer(2000, 0)), later, ExcludesShipping},
		"it is not an offer's":                        {offered(2100, offer(2000, 399)), later, ShippingUnknown},
		"before the change it never does":             {offered(2399, keepa.Offer{Price: ptr(2000), Shipping: ptr(399)}), now, ExcludesShipping},
		"an offer with unknown shipping has none":     {offered(2000, keepa.Offer{Price: ptr(2000), LastSeen: at}), later, ExcludesShipping},
	} {
		if got := Defaults().Buying().ShippingIn(c.p, c.now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	// If it includes shipping, landed prices are compared with it and no shipping is added.
	copies := Defaults().Buying().Copies(offered(2399, offer(2000, 399)), IncludesShipping, later)
	if len(copies) != 1 || !copies[0].Matched || copies[0].LandedCents != 2399 {
		t.Errorf("the offer behind the price: %+v", copies)
	}
	if copies = Defaults().Buying().Copies(offered(2399), IncludesShipping, later); len(copies) != 1 || copies[0].LandedCents != 2399 {
		t.Errorf("without an offer: %+v", copies)
	}
}

func TestSellerQualityIsTheLowerEndOfTheWilsonInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rating, count int
		want          float64
	}{{98, 1000, 0.969}, {100, 3, 0.438}, {0, 10, 0}} {
		got, ok := SellerQuality(keepa.Seller{Rating: &c.rating, Ratings: &c.count})
		if !ok || got != c.want {
			t.Errorf("%d %% of %d: got %v, want %v", c.rating, c.count, got, c.want)
		}
	}
	if _, ok := SellerQuality(keepa.Seller{Rating: ptr(98)}); ok {
		t.Error("a quality without a count")
	}
}
