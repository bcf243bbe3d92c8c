package keepa

import (
	"math"
	"strconv"
)

// PriceType is the index of a value in every array that Keepa keeps by type: csv, stats and deal rows.
type PriceType int

// The types that decisions use. Arrays were 34 long in 2025 and 36 in 2026: never rely on the length.
const (
	Amazon                  PriceType = 0
	New                     PriceType = 1 // lowest new price, without shipping before 2026-02-16
	Used                    PriceType = 2 // lowest used price of any condition, without shipping
	Sales                   PriceType = 3 // sales rank, not money
	ListPrice               PriceType = 4
	Collectible             PriceType = 5
	Refurbished             PriceType = 6
	NewFBM                  PriceType = 7 // triple: price and shipping
	LightningDeal           PriceType = 8
	Warehouse               PriceType = 9
	NewFBA                  PriceType = 10
	CountNew                PriceType = 11
	CountUsed               PriceType = 12
	CountRefurbished        PriceType = 13
	CountCollectible        PriceType = 14
	ExtraInfoUpdates        PriceType = 15
	Rating                  PriceType = 16 // 0 to 50
	CountReviews            PriceType = 17
	BuyBox                  PriceType = 18 // triple
	UsedLikeNew             PriceType = 19 // triple; a deal row and stats hold the landed price
	UsedVeryGood            PriceType = 20 // triple
	UsedGood                PriceType = 21 // triple
	UsedAcceptable          PriceType = 22 // triple
	CollectibleLikeNew      PriceType = 23 // triple
	CollectibleVeryGood     PriceType = 24 // triple
	CollectibleGood         PriceType = 25 // triple
	CollectibleAcceptable   PriceType = 26 // triple
	RefurbishedWithShipping PriceType = 27 // triple
	EbayNew                 PriceType = 28 // triple
	EbayUsed                PriceType = 29 // triple
	TradeIn                 PriceType = 30
	Rent                    PriceType = 31
	BuyBoxUsed              PriceType = 32 // triple
	PrimeExclusive          PriceType = 33
	CountNewFBA             PriceType = 34
	CountNewFBM             PriceType = 35
)

var priceTypeNames = [...]string{
	"amazon", "new", "used", "sales_rank", "list_price", "collectible", "refurbished", "new_fbm",
	"lightning_deal", "warehouse", "new_fba", "count_new", "count_used", "count_refurbished",
	"count_collectible", "extra_info_updates", "rating", "count_reviews", "buy_box", "used_like_new",
	"used_very_good", "used_good", "used_acceptable", "collectible_like_new", "collectible_very_good",
	"collectible_good", "collectible_acceptable", "refurbished_with_shipping", "ebay_new", "ebay_used",
	"trade_in", "rent", "buy_box_used", "prime_exclusive", "count_new_fba", "count_new_fbm",
}

// PriceTypes is the number of types with a name.
const PriceTypes = len(priceTypeNames)

// String returns the type's name in snake case; a number for a type without a name.
func (t PriceType) String() string {
	if t >= 0 && int(t) < len(priceTypeNames) {
		return priceTypeNames[t]
	}
	return strconv.Itoa(int(t))
}

// Triple reports whether the type's history is (time, price, shipping) and not (time, value).
func (t PriceType) Triple() bool {
	return t == NewFBM || t >= BuyBox && t <= EbayUsed || t == BuyBoxUsed
}

// DealUsable reports whether the deal list accepts the type.
func (t PriceType) DealUsable() bool {
	switch t {
	case Amazon, New, Used, Sales, Collectible, Refurbished, NewFBM, LightningDeal, Warehouse, NewFBA,
		BuyBox, UsedLikeNew, UsedVeryGood, UsedGood, UsedAcceptable, BuyBoxUsed, PrimeExclusive:
		return true
	}
	return false
}

// Presence is the state of one value in Keepa's arrays.
type Presence int

// A value is present, is known to be missing (-1: no offer), or is not given at all (-2, null, a short array).
const (
	NoData Presence = iota
	NoOffer
	Present
)

// Values is one number per PriceType, of any length. Read it through its methods.
type Values []int

// noData replaces a null in an array: Keepa itself uses it for "no data".
const noData = -2

// Presence reports whether the value is present, known to be missing, or not given.
func (v Values) Presence(t PriceType) Presence {
	switch {
	case t < 0 || int(t) >= len(v) || v[t] <= noData && t != ExtraInfoUpdates:
		return NoData
	case v[t] == -1:
		return NoOffer
	default:
		return Present
	}
}

// At returns the value of a type; false when it is absent.
func (v Values) At(t PriceType) (int, bool) {
	if v.Presence(t) != Present {
		return 0, false
	}
	return v[t], true
}

// Price returns the value of a type as money, above zero; Keepa writes 0 for an unknown list price.
func (v Values) Price(t PriceType) (int64, bool) {
	n, ok := v.At(t)
	return int64(n), ok && n > 0 && n < mostCents
}

// mostCents is one more than the largest amount or count: Keepa's have 32 bits, and it uses the largest for "no value".
const mostCents = math.MaxInt32
