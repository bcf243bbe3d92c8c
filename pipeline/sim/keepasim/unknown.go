package keepasim

import "strings"

// unknownProduct is an ASIN that Amazon does not know: the lookup costs a token, and the answer is empty.
type unknownProduct string

func (unknownProduct) creation() int64 { return 0 }
func (unknownProduct) found() int      { return 0 }
func (unknownProduct) surcharge() int  { return 0 }
func (unknownProduct) synthetic() bool { return false }

// typeUnknown is Keepa's product type of an unknown product.
const typeUnknown = 4

func (u unknownProduct) encode(q question) []byte {
	w := wireProduct{
		ASIN: string(u), DomainID: max(1, q.domain), ProductType: typeUnknown, RankRef: -1, Availability: -1,
		LastUpdate: q.at, LastRating: -1, Published: -1, Released: -1, Pages: -1, Items: -1, PackHeight: -1, PackLength: -1,
		PackWidth: -1, PackWeight: -1, PackQuantity: -1, ItemHeight: -1, ItemLength: -1, ItemWidth: -1, ItemWeight: -1,
	}
	if q.stats > 0 {
		var none [priceTypes]series
		s := &stats{
			RetrievedOfferCount: -2, TotalOfferCount: -2, OfferCountFBA: -2, OfferCountFBM: -2, BuyBoxPrice: -2, BuyBoxShipping: -2,
			TradeInPrice: -2, LastOffersUpdate: -1,
		}
		s.arrays(&none, func(int) bool { return false }, q.at, q.at, q.at)
		s.Drops30, s.Drops90, s.Drops180, s.Drops365 = -1, -1, -1, -1
		w.Stats = s
	}
	return mustJSON(w)
}

// wellFormed reports whether a string can be an ASIN.
func wellFormed(asin string) bool {
	return len(asin) == 10 && strings.Trim(asin, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
