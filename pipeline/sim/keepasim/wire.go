package keepasim

import (
	"encoding/json"
	"sync"
	"time"
)

// The indexes of the price types that the simulator fills.
const (
	pAmazon = iota
	pNew
	pUsed
	pRank
	pList
	pCollectible
	pRefurbished
	pNewFBM
	pLightning
	pWarehouse
	pNewFBA
	pCountNew
	pCountUsed
	pCountRefurbished
	pCountCollectible
	pExtraInfo
	pRating
	pReviews
	pBuyBox
	pUsedLikeNew
	pUsedVeryGood
	pUsedGood
	pUsedAcceptable
	pBuyBoxUsed    = 32
	pCountNewFBA   = 34
	pCountNewFBM   = 35
	priceTypes     = 36
	booksRoot      = 283155
	unknownRoot    = 9223372036854775807
	minuteOffset   = 21564000
	pageRows       = 150
	maxRows        = 10000
	maxIDs         = 100
	minOffers      = 20
	maxOffers      = 100
	offersPerPage  = 10
	tokensPerPage  = 6
	tokensDealPage = 5
)

// minute returns t in minutes since 2011, rounded down.
func minute(t time.Time) int64 { return t.Unix()/60 - minuteOffset }

// isTriple reports whether a history holds price and shipping.
func isTriple(p int) bool { return p == 7 || p >= 18 && p <= 29 || p == 32 }

// isPrice reports whether a type is money.
func isPrice(p int) bool {
	switch p {
	case pRank, 11, 12, 13, 14, pExtraInfo, pRating, pReviews, 34, 35:
		return false
	}
	return true
}

// needsOffers reports whether a type is only known with offers (or an option).
func needsOffers(p int) bool {
	return p == 7 || p == 9 || p == 10 || p >= 15 && p <= 27 || p == 31 || p == 32
}

// row is one entry of the deal list.
type row struct {
	ASIN             string   `json:"asin"`
	Avg              [4][]int `json:"avg"`
	BackInStock      []bool   `json:"backInStock"`
	Categories       []int64  `json:"categories"`
	CreationDate     int64    `json:"creationDate"`
	Current          []int    `json:"current"`
	CurrentSince     []int64  `json:"currentSince"`
	DateInterval     int      `json:"dateIntervalIndex"`
	Delta            [4][]int `json:"delta"`
	DeltaLast        []int    `json:"deltaLast"`
	DeltaPercent     [4][]int `json:"deltaPercent"`
	Image            []int    `json:"image"`
	LastUpdate       int64    `json:"lastUpdate"`
	LightningEnd     int64    `json:"lightningEnd"`
	LightningStart   int64    `json:"lightningStart"`
	RootCat          int64    `json:"rootCat"`
	Drops180         int      `json:"salesRankDrops180"`
	Drops30          int      `json:"salesRankDrops30"`
	Drops365         int      `json:"salesRankDrops365"`
	Drops90          int      `json:"salesRankDrops90"`
	Title            string   `json:"title"`
	WarehouseCond    int      `json:"warehouseCondition"`
	WarehouseComment *string  `json:"warehouseConditionComment,omitempty"`

	once sync.Once
	raw  []byte
}

// body returns the row as JSON, encoded once.
func (r *row) body() []byte {
	r.once.Do(func() {
		if r.raw == nil {
			r.raw = mustJSON(r)
		}
	})
	return r.raw
}

// shifted returns the row with its dates off by that many minutes.
func (r *row) shifted(off int64) *row {
	var next row
	if err := json.Unmarshal(r.body(), &next); err != nil {
		panic("keepasim: decode: " + err.Error()) // our own encoding
	}
	next.CreationDate, next.LastUpdate = next.CreationDate+off, next.LastUpdate+off
	return &next
}

// value returns v[i], or -2 if the array is too short.
func value(v []int, i int) int {
	if i < len(v) {
		return v[i]
	}
	return -2
}

// mustJSON encodes our own types, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("keepasim: encode: " + err.Error())
	}
	return b
}

// envelope are the seven token fields of every answer.
type envelope struct {
	Timestamp          int64   `json:"timestamp"`
	TokensLeft         *int    `json:"tokensLeft,omitempty"`
	RefillIn           int64   `json:"refillIn"`
	RefillRate         int     `json:"refillRate"`
	TokenFlowReduction float64 `json:"tokenFlowReduction"`
	TokensConsumed     int     `json:"tokensConsumed"`
	ProcessingTime     int64   `json:"processingTimeInMs"`
}

// apiError is Keepa's description of a rejected request.
type apiError struct {
	Type    string  `json:"type"`
	Message string  `json:"message"`
	Details *string `json:"details"`
	status  int
}

func invalid(status int, message string, details *string) *apiError {
	return &apiError{Type: "invalidParameter", Message: message, Details: details, status: status}
}
