package keepa

// Stats is Keepa's own statistics over the histories. Arrays are by PriceType and
// hold landed prices for triples. Without offers the types 7, 9, 10, 15 to 27 and 32
// are absent: not requested, which is no information about the product.
type Stats struct {
	Current, Avg, Avg30, Avg90, Avg180, Avg365 Values

	OutOfStock30, OutOfStock90, OutOfStock180, OutOfStock365 Values // percent of the window without an offer

	Min, Max                     Extremes
	MinInInterval, MaxInInterval Extremes

	// Improvements of the sales rank within so many days; nil unknown.
	SalesRankDrops30, SalesRankDrops90, SalesRankDrops180, SalesRankDrops365 *int

	TotalOfferCount     *int
	RetrievedOfferCount *int // nil also in good answers: never read it as a failure
	OfferCountFBA       *int
	OfferCountFBM       *int

	LastOffersUpdate Minute // 0 unknown; shows whether the offers are fresh
	LastBuyBoxUpdate Minute // 0 unknown

	BuyBoxPrice        *int // cents; nil without one or when not requested
	BuyBoxShipping     *int
	BuyBoxSellerID     string
	BuyBoxIsAmazon     bool
	BuyBoxUsedPrice    *int
	BuyBoxUsedShipping *int
	BuyBoxUsedSellerID string
	BuyBoxUsedIsFBA    bool
}

// Extremes is a lowest or highest value by type, with the minute at which it was reached.
type Extremes []Point

func (s *scanner) stats(p **Stats) error {
	if s.null() {
		return nil
	}
	st := &Stats{}
	*p = st
	return s.object(func(key []byte) error {
		return s.tolerate("stats.", key, func() error {
			if done, err := s.statsField(st, key); done {
				return err
			}
			if done, err := s.shownStatsArray(st, key); done {
				return err
			}
			return s.shownStatsField(st, key)
		})
	})
}

// statsField decodes the statistics that decisions need.
func (s *scanner) statsField(st *Stats, key []byte) (bool, error) {
	switch string(key) {
	case "current":
		return true, s.intoValues(&st.Current)
	case "avg90":
		return true, s.intoValues(&st.Avg90)
	case "avg180":
		return true, s.intoValues(&st.Avg180)
	case "avg365":
		return true, s.intoValues(&st.Avg365)
	case "salesRankDrops30":
		return true, s.intoCount(&st.SalesRankDrops30)
	case "salesRankDrops90":
		return true, s.intoCount(&st.SalesRankDrops90)
	case "salesRankDrops180":
		return true, s.intoCount(&st.SalesRankDrops180)
	case "salesRankDrops365":
		return true, s.intoCount(&st.SalesRankDrops365)
	case "lastOffersUpdate":
		return true, s.intoMinute(&st.LastOffersUpdate)
	}
	return false, nil
}

// shownStatsArray decodes the statistics by type that are only shown.
func (s *scanner) shownStatsArray(st *Stats, key []byte) (bool, error) {
	switch string(key) {
	case "avg":
		return true, s.intoValues(&st.Avg)
	case "avg30":
		return true, s.intoValues(&st.Avg30)
	case "outOfStockPercentage30":
		return true, s.intoValues(&st.OutOfStock30)
	case "outOfStockPercentage90":
		return true, s.intoValues(&st.OutOfStock90)
	case "outOfStockPercentage180":
		return true, s.intoValues(&st.OutOfStock180)
	case "outOfStockPercentage365":
		return true, s.intoValues(&st.OutOfStock365)
	case "min":
		return true, s.extremes(&st.Min)
	case "max":
		return true, s.extremes(&st.Max)
	case "minInInterval":
		return true, s.extremes(&st.MinInInterval)
	case "maxInInterval":
		return true, s.extremes(&st.MaxInInterval)
	}
	return false, nil
}

// shownStatsField decodes the single statistics that are only shown.
func (s *scanner) shownStatsField(st *Stats, key []byte) error {
	switch string(key) {
	case "totalOfferCount":
		return s.intoCount(&st.TotalOfferCount)
	case "retrievedOfferCount":
		return s.intoCount(&st.RetrievedOfferCount)
	case "offerCountFBA":
		return s.intoCount(&st.OfferCountFBA)
	case "offerCountFBM":
		return s.intoCount(&st.OfferCountFBM)
	case "lastBuyBoxUpdate":
		return s.intoMinute(&st.LastBuyBoxUpdate)
	case "buyBoxPrice":
		return s.intoCount(&st.BuyBoxPrice)
	case "buyBoxShipping":
		return s.intoCount(&st.BuyBoxShipping)
	case "buyBoxSellerId":
		return s.intoText(&st.BuyBoxSellerID)
	case "buyBoxIsAmazon":
		return s.intoBool(&st.BuyBoxIsAmazon)
	case "buyBoxUsedPrice":
		return s.intoCount(&st.BuyBoxUsedPrice)
	case "buyBoxUsedShipping":
		return s.intoCount(&st.BuyBoxUsedShipping)
	case "buyBoxUsedSellerId":
		return s.intoText(&st.BuyBoxUsedSellerID)
	case "buyBoxUsedIsFBA":
		return s.intoBool(&st.BuyBoxUsedIsFBA)
	}
	return s.skip()
}

// extremes decodes an array of [time, value] or null.
func (s *scanner) extremes(p *Extremes) error {
	*p = nil
	return s.array(func(int) error {
		pair, err := s.int64s()
		point := Point{Value: noData, Shipping: -1}
		if len(pair) >= 2 {
			point.At, point.Value = Minute(pair[0]), int(pair[1])
		}
		*p = append(*p, point)
		return err
	})
}
