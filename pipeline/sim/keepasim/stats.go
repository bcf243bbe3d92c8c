package keepasim

const day = 24 * 60

// stats is Keepa's statistics object without a Buy Box; boxes adds the rest.
type stats struct {
	Current         []int     `json:"current"`
	Avg             []int     `json:"avg"`
	Avg30           []int     `json:"avg30"`
	Avg90           []int     `json:"avg90"`
	Avg180          []int     `json:"avg180"`
	Avg365          []int     `json:"avg365"`
	AtIntervalStart []int     `json:"atIntervalStart"`
	Min             [][]int64 `json:"min"`
	Max             [][]int64 `json:"max"`
	MinInInterval   [][]int64 `json:"minInInterval"`
	MaxInInterval   [][]int64 `json:"maxInInterval"`
	IsLowest        []bool    `json:"isLowest"`
	IsLowest90      []bool    `json:"isLowest90"`
	OOSInInterval   []int     `json:"outOfStockPercentageInInterval"`
	OOS365          []int     `json:"outOfStockPercentage365"`
	OOS180          []int     `json:"outOfStockPercentage180"`
	OOS90           []int     `json:"outOfStockPercentage90"`
	OOS30           []int     `json:"outOfStockPercentage30"`

	OOSCountAmazon30      int      `json:"outOfStockCountAmazon30"`
	OOSCountAmazon90      int      `json:"outOfStockCountAmazon90"`
	DeltaMonthlySold      *int     `json:"deltaPercent90_monthlySold"`
	StockPerConditionFBM  []int    `json:"stockPerConditionFBM,omitempty"`
	RetrievedOfferCount   int      `json:"retrievedOfferCount"`
	TotalOfferCount       int      `json:"totalOfferCount"`
	TradeInPrice          int      `json:"tradeInPrice"`
	LastOffersUpdate      int64    `json:"lastOffersUpdate"`
	LastBuyBoxUpdate      *int64   `json:"lastBuyBoxUpdate"`
	IsAddonItem           *bool    `json:"isAddonItem,omitempty"`
	LightningDealInfo     []int64  `json:"lightningDealInfo"`
	SellerIDsLowestFBA    []string `json:"sellerIdsLowestFBA"`
	SellerIDsLowestFBM    []string `json:"sellerIdsLowestFBM"`
	OfferCountFBA         int      `json:"offerCountFBA"`
	OfferCountFBM         int      `json:"offerCountFBM"`
	Drops30               int      `json:"salesRankDrops30"`
	Drops90               int      `json:"salesRankDrops90"`
	Drops180              int      `json:"salesRankDrops180"`
	Drops365              int      `json:"salesRankDrops365"`
	BuyBoxPrice           int      `json:"buyBoxPrice"`
	BuyBoxShipping        int      `json:"buyBoxShipping"`
	BuyBoxIsUnqualified   *bool    `json:"buyBoxIsUnqualified"`
	BuyBoxIsShippable     *bool    `json:"buyBoxIsShippable"`
	BuyBoxIsPreorder      *bool    `json:"buyBoxIsPreorder"`
	BuyBoxIsFBA           *bool    `json:"buyBoxIsFBA"`
	BuyBoxIsAmazon        *bool    `json:"buyBoxIsAmazon"`
	BuyBoxIsMAP           *bool    `json:"buyBoxIsMAP"`
	BuyBoxIsUsed          *bool    `json:"buyBoxIsUsed"`
	BuyBoxIsBackorder     *bool    `json:"buyBoxIsBackorder"`
	BuyBoxIsPrimeExcl     *bool    `json:"buyBoxIsPrimeExclusive"`
	BuyBoxIsFreeShipping  *bool    `json:"buyBoxIsFreeShippingEligible"`
	BuyBoxIsPrimeEligible *bool    `json:"buyBoxIsPrimeEligible"`
	BuyBoxIsWarehouse     *bool    `json:"buyBoxIsWarehouseDeal"`
	BuyBoxCondition       *int     `json:"buyBoxCondition"`
	BuyBoxAvailability    *string  `json:"buyBoxAvailabilityMessage"`
	BuyBoxShippingCountry *string  `json:"buyBoxShippingCountry"`
	BuyBoxSellerID        *string  `json:"buyBoxSellerId"`

	*usedBox
}

// usedBox is the used Buy Box, which only an answer with offers has.
type usedBox struct {
	Price     int                  `json:"buyBoxUsedPrice"`
	Shipping  int                  `json:"buyBoxUsedShipping"`
	SellerID  string               `json:"buyBoxUsedSellerId"`
	IsFBA     bool                 `json:"buyBoxUsedIsFBA"`
	Condition int                  `json:"buyBoxUsedCondition"`
	Stats     map[string]boxSeller `json:"buyBoxUsedStats"`
}

type boxSeller struct {
	PercentageWon float64 `json:"percentageWon"`
	AvgPrice      int     `json:"avgPrice"`
	AvgNew        int     `json:"avgNewOfferCount"`
	AvgUsed       int     `json:"avgUsedOfferCount"`
	IsFBA         bool    `json:"isFBA"`
	LastSeen      int64   `json:"lastSeen"`
	Condition     int     `json:"condition"`
}

// arrays computes the statistics of every history that the question may
// see. to is now; from and end are the requested interval.
func (s *stats) arrays(all *[priceTypes]series, visible func(p int) bool, from, end, to int64) {
	ints := func() []int { return make([]int, priceTypes) }
	pairs := func() [][]int64 { return make([][]int64, priceTypes) }
	s.Current, s.Avg, s.Avg30, s.Avg90, s.Avg180, s.Avg365 = ints(), ints(), ints(), ints(), ints(), ints()
	s.AtIntervalStart = ints()
	s.OOSInInterval, s.OOS365, s.OOS180, s.OOS90, s.OOS30 = ints(), ints(), ints(), ints(), ints()
	s.Min, s.Max, s.MinInInterval, s.MaxInInterval = pairs(), pairs(), pairs(), pairs()
	s.IsLowest, s.IsLowest90 = make([]bool, priceTypes), make([]bool, priceTypes)
	for p := range priceTypes {
		var h series
		if visible(p) {
			h = all[p].upTo(to)
		}
		t := isTriple(p)
		mean := func(days int64) int { return h.mean(to-days*day, to, t) }
		s.Current[p] = max(-1, h.current(t))
		s.Avg[p] = h.mean(from, end, t)
		s.Avg30[p], s.Avg90[p], s.Avg180[p], s.Avg365[p] = mean(30), mean(90), mean(180), mean(365)
		s.AtIntervalStart[p] = max(-1, h.upTo(from).current(t))
		s.Min[p], s.Max[p] = h.extreme(-1<<60, 1, t), h.extreme(-1<<60, -1, t)
		s.MinInInterval[p], s.MaxInInterval[p] = h.upTo(end).extreme(from, 1, t), h.upTo(end).extreme(from, -1, t)
		if low := h.extreme(to-90*day, 1, t); low != nil && s.Current[p] > 0 {
			s.IsLowest90[p] = int64(s.Current[p]) <= low[1]
			s.IsLowest[p] = int64(s.Current[p]) <= s.Min[p][1]
		}
		s.OOSInInterval[p], s.OOS365[p], s.OOS180[p], s.OOS90[p], s.OOS30[p] = -1, -1, -1, -1, -1
		if isPrice(p) && len(h) > 0 {
			oos := func(days int64) int { return h.outOfStock(to-days*day, to) }
			s.OOSInInterval[p] = h.outOfStock(from, end)
			s.OOS365[p], s.OOS180[p], s.OOS90[p], s.OOS30[p] = oos(365), oos(180), oos(90), oos(30)
		}
	}
	rank := all[pRank]
	s.Drops30, s.Drops90 = rank.drops(to-30*day, to), rank.drops(to-90*day, to)
	s.Drops180, s.Drops365 = rank.drops(to-180*day, to), rank.drops(to-365*day, to)
}
