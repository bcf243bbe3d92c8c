package keepasim

import (
	"fmt"
	"strconv"
)

// wireProduct is the product object with the API's names.
type wireProduct struct {
	ASIN         string             `json:"asin"`
	DomainID     int                `json:"domainId"`
	Title        string             `json:"title"`
	Author       *string            `json:"author"`
	Binding      *string            `json:"binding"`
	Brand        *string            `json:"brand"`
	Manufacturer *string            `json:"manufacturer"`
	CSV          [][]int64          `json:"csv"`
	Stats        *stats             `json:"stats,omitempty"`
	SalesRanks   map[string][]int64 `json:"salesRanks"`
	RankRef      int64              `json:"salesRankReference"`
	RankRefHist  []int64            `json:"salesRankReferenceHistory"`
	Categories   []int64            `json:"categories"`
	CategoryTree []categoryNode     `json:"categoryTree"`
	RootCategory int64              `json:"rootCategory"`
	ProductGroup string             `json:"productGroup"`
	ProductType  int                `json:"productType"`
	Type         string             `json:"type"`
	FBAFees      fees               `json:"fbaFees"`
	Referral     int                `json:"referralFeePercent"`
	ReferralF    float64            `json:"referralFeePercentage"`
	ClosingFee   int                `json:"variableClosingFee"`
	Availability int                `json:"availabilityAmazon"`
	LastUpdate   int64              `json:"lastUpdate"`
	LastPrice    int64              `json:"lastPriceChange"`
	LastRating   int64              `json:"lastRatingUpdate"`
	LastEbay     int64              `json:"lastEbayUpdate"`
	LastStock    *int64             `json:"lastStockUpdate,omitempty"`
	Tracking     int64              `json:"trackingSince"`
	ListedSince  int64              `json:"listedSince"`
	Published    int                `json:"publicationDate"`
	Released     int                `json:"releaseDate"`
	Pages        int                `json:"numberOfPages"`
	Items        int                `json:"numberOfItems"`
	PackHeight   int                `json:"packageHeight"`
	PackLength   int                `json:"packageLength"`
	PackWidth    int                `json:"packageWidth"`
	PackWeight   int                `json:"packageWeight"`
	PackQuantity int                `json:"packageQuantity"`
	ItemHeight   int                `json:"itemHeight"`
	ItemLength   int                `json:"itemLength"`
	ItemWidth    int                `json:"itemWidth"`
	ItemWeight   int                `json:"itemWeight"`
	EANs         []string           `json:"eanList"`
	UPCs         []string           `json:"upcList"`
	GTINs        []string           `json:"gtinList"`
	Images       []map[string]any   `json:"images"`
	ImagesCSV    string             `json:"imagesCSV"`
	Languages    [][]string         `json:"languages"`
	Contributors [][]string         `json:"contributors"`
	Description  *string            `json:"description"`
	Features     []string           `json:"features"`
	Offers       []wireOffer        `json:"offers,omitempty"`
	LiveOrder    []int              `json:"liveOffersOrder"`
	OffersOK     bool               `json:"offersSuccessful"`
	Eligible     []int              `json:"buyBoxEligibleOfferCounts"`
	BoxSellers   []string           `json:"buyBoxSellerIdHistory"`
	BoxUsed      []string           `json:"buyBoxUsedHistory,omitempty"`
	MonthlySold  *int               `json:"monthlySold,omitempty"`
	bookFlags
}

// bookFlags are fields that are equal for all our books.
type bookFlags struct {
	Color       *string  `json:"color"`
	Coupon      []int    `json:"coupon"`
	EbayIDs     []int    `json:"ebayListingIds"`
	Edition     *string  `json:"edition"`
	Format      *string  `json:"format"`
	Bought      []string `json:"frequentlyBoughtTogether"`
	G           int      `json:"g"`
	HasReviews  bool     `json:"hasReviews"`
	IsAdult     bool     `json:"isAdultProduct"`
	IsB2B       bool     `json:"isB2B"`
	IsSuper     bool     `json:"isEligibleForSuperSaverShipping"`
	IsTradeIn   bool     `json:"isEligibleForTradeIn"`
	IsHeat      bool     `json:"isHeatSensitive"`
	IsRedirect  bool     `json:"isRedirectASIN"`
	IsSNS       bool     `json:"isSNS"`
	ItemKeyword string   `json:"itemTypeKeyword"`
	Launchpad   bool     `json:"launchpad"`
	Model       *string  `json:"model"`
	NewIsMAP    bool     `json:"newPriceIsMAP"`
	ParentASIN  *string  `json:"parentAsin"`
	PartNumber  *string  `json:"partNumber"`
	Promotions  []string `json:"promotions"`
	DisplayRank string   `json:"salesRankDisplayGroup"`
	Size        *string  `json:"size"`
	Slug        string   `json:"urlSlug"`
	VariationsC *string  `json:"variationCSV"`
	Variations  []string `json:"variations"`
	Display     string   `json:"websiteDisplayGroup"`
	DisplayName string   `json:"websiteDisplayGroupName"`
}

type categoryNode struct {
	ID   int64  `json:"catId"`
	Name string `json:"name"`
}

type fees struct {
	LastUpdate int64 `json:"lastUpdate"`
	PickPack   int   `json:"pickAndPackFee"`
}

type wireOffer struct {
	OfferID    int     `json:"offerId"`
	LastSeen   int64   `json:"lastSeen"`
	SellerID   string  `json:"sellerId"`
	Condition  int     `json:"condition"`
	Comment    *string `json:"conditionComment,omitempty"`
	CSV        []int64 `json:"offerCSV"`
	IsPrime    bool    `json:"isPrime"`
	IsMAP      bool    `json:"isMAP"`
	IsShip     bool    `json:"isShippable"`
	IsPre      bool    `json:"isPreorder"`
	IsWare     bool    `json:"isWarehouseDeal"`
	IsAddon    bool    `json:"isAddonItem"`
	FromChina  bool    `json:"shipsFromChina"`
	IsAmazon   bool    `json:"isAmazon"`
	IsFBA      bool    `json:"isFBA"`
	IsPrimeX   bool    `json:"isPrimeExcl"`
	MinOrder   int     `json:"minOrderQty"`
	Coupons    []int64 `json:"couponHistory,omitempty"`
	StockCSV   []int64 `json:"stockCSV,omitempty"`
	StockCheck int64   `json:"lastStockUpdate"`
}

func (k *book) creation() int64 { return k.created }
func (k *book) found() int      { return len(k.live) }
func (k *book) surcharge() int  { return k.extra }
func (k *book) synthetic() bool { return false }

// encode returns the product object for the question.
func (k *book) encode(q question) []byte {
	seen := func(p int) bool {
		switch {
		case q.offers > 0 || !needsOffers(p):
			return true
		case p == pRating || p == pReviews:
			return q.rating
		case p == pBuyBox:
			return q.buybox
		}
		return false
	}
	all := k.prices
	if q.offers > 0 && !q.stale {
		for t, p := range k.late {
			h := append(series(nil), all[t]...)
			h.addLanded(p.at, p.value, p.ship)
			all[t] = h
		}
	}
	w := k.product(q)
	if q.history {
		k.csv(&w, &all, seen, q)
	}
	if q.stats > 0 {
		w.Stats = k.statistics(&all, seen, q)
	}
	if q.offers > 0 {
		k.wireOffers(&w, q)
	}
	return mustJSON(w)
}

func (k *book) csv(w *wireProduct, all *[priceTypes]series, seen func(int) bool, q question) {
	w.CSV = make([][]int64, priceTypes)
	clip := func(h series) series {
		h = h.upTo(q.at)
		if q.days > 0 {
			h = h.since(q.at - int64(q.days)*day)
		}
		return h
	}
	for p := range priceTypes {
		if seen(p) {
			w.CSV[p] = clip(all[p]).flat(isTriple(p))
		}
	}
	w.SalesRanks = map[string][]int64{
		strconv.FormatInt(k.root, 10):    clip(all[pRank]).flat(false),
		strconv.FormatInt(k.cats[0], 10): clip(k.sub).flat(false),
	}
	w.RankRefHist = []int64{k.start, k.root}
}

func (k *book) statistics(all *[priceTypes]series, seen func(int) bool, q question) *stats {
	from, end := q.at-int64(q.stats)*day, q.at
	if !q.statsFrom.IsZero() {
		from, end = minute(q.statsFrom), minute(q.statsTo)
	}
	s := &stats{
		RetrievedOfferCount: -2, OfferCountFBA: -2, OfferCountFBM: -2, BuyBoxPrice: -2, BuyBoxShipping: -2, TradeInPrice: -2,
		TotalOfferCount: len(k.live), LastOffersUpdate: k.created, OOSCountAmazon30: 1, OOSCountAmazon90: 1,
	}
	s.arrays(all, seen, from, end, q.at)
	if n := k.counted; n != nil {
		s.Drops30, s.Drops90, s.Drops180, s.Drops365 = n[0], n[1], n[2], n[3]
	}
	if q.buybox && q.offers == 0 {
		s.BuyBoxPrice, s.BuyBoxShipping = all[pBuyBox].current(true), 0
	}
	if q.offers > 0 {
		k.offerStats(s, q)
	}
	return s
}

// offerStats fills in what only offers show.
func (k *book) offerStats(s *stats, q question) {
	s.RetrievedOfferCount, s.TradeInPrice, s.BuyBoxPrice, s.BuyBoxShipping = len(k.live), -1, -1, -1
	s.LastOffersUpdate, s.LastBuyBoxUpdate = q.offersAt, &q.offersAt
	s.OfferCountFBA, s.OfferCountFBM = 0, 0
	for _, i := range k.live {
		if o := k.offers[i]; o.fba {
			s.OfferCountFBA++
		} else {
			s.OfferCountFBM++
		}
	}
	no := false
	s.IsAddonItem, s.BuyBoxIsUnqualified = &no, &no
	if len(k.live) == 0 || k.offers[k.live[0]].condition < 2 {
		return
	}
	o := k.offers[k.live[0]]
	s.usedBox = &usedBox{
		Price: o.price, Shipping: max(o.shipping, 0), SellerID: o.seller, IsFBA: o.fba, Condition: o.condition,
		Stats: map[string]boxSeller{o.seller: {
			PercentageWon: 62.5, AvgPrice: o.landed(), AvgNew: -1, AvgUsed: k.prices[pCountUsed].current(false),
			IsFBA: o.fba, LastSeen: q.offersAt, Condition: o.condition,
		}},
	}
}

func (k *book) wireOffers(w *wireProduct, q question) {
	index := map[int]int{}
	for i, o := range k.offers {
		if q.onlyLive && o.lastSeen > 0 {
			continue
		}
		index[i] = len(w.Offers)
		w.Offers = append(w.Offers, o.wire(q))
	}
	limit := q.offers / offersPerPage * offersPerPage
	for _, i := range k.live[:min(len(k.live), limit)] {
		w.LiveOrder = append(w.LiveOrder, index[i])
	}
	w.OffersOK = true
	w.Eligible = make([]int, 8)
	stock := int64(0)
	if q.stock {
		stock = q.offersAt
	}
	w.LastStock = &stock
	if used := k.live; len(used) > 0 && k.offers[used[0]].condition > 1 {
		o := k.offers[used[0]]
		w.BoxUsed = []string{strconv.FormatInt(k.created, 10), o.seller, strconv.Itoa(o.condition), strconv.Itoa(b2i(o.fba))}
	}
}

func (o offer) wire(q question) wireOffer {
	h := o.history.upTo(q.offersAt)
	if q.days > 0 {
		h = h.since(q.offersAt - int64(q.days)*day)
	}
	w := wireOffer{
		OfferID: o.id, LastSeen: o.lastSeen, SellerID: o.seller, Condition: o.condition, CSV: h.flat(false), IsPrime: o.fba,
		IsShip: !o.unshippable, IsPre: o.preorder, IsPrimeX: o.primeOnly, IsAmazon: o.amazon, IsFBA: o.fba, MinOrder: max(1, o.minOrder),
	}
	w.CSV = w.CSV[:0]
	for _, p := range h {
		w.CSV = append(w.CSV, p.at, int64(p.value), int64(p.ship))
	}
	if o.lastSeen == 0 {
		w.LastSeen = q.offersAt
	}
	if o.comment != "" {
		w.Comment = text(o.comment)
	}
	if q.stock && o.lastSeen == 0 {
		w.StockCSV, w.StockCheck = []int64{q.offersAt, int64(o.stock)}, q.offersAt
	}
	return w
}

// product returns the object without histories, statistics and offers.
func (k *book) product(q question) wireProduct {
	avail := -1
	if k.prices[pAmazon].current(false) > 0 {
		avail = 0
	}
	used, _ := k.prices[pUsed].last()
	ean := "978" + k.id[:9] + "0"
	return wireProduct{
		ASIN: k.id, DomainID: max(1, q.domain), Title: k.title, Author: &k.author, Binding: &k.binding, Brand: &k.brand, Manufacturer: &k.brand,
		RankRef: k.root, Categories: k.cats, RootCategory: k.root, ProductGroup: "Book", Type: "ABIS_BOOK",
		CategoryTree: []categoryNode{{k.root, rootNames[k.root]}, {k.cats[0], "Subjects"}},
		FBAFees:      fees{LastUpdate: k.created - 7*day, PickPack: k.fba}, Referral: 15, ReferralF: 15, ClosingFee: 180,
		Availability: avail, LastUpdate: q.at, LastPrice: used.at, LastRating: q.at, LastEbay: -7758780,
		Tracking: k.start, ListedSince: k.start - 900*day, Published: k.released, Released: -1,
		Pages: k.pages, Items: 1, PackHeight: 10 + k.pages/20, PackLength: 230, PackWidth: 155, PackWeight: k.weight, PackQuantity: 1,
		ItemHeight: 228, ItemLength: 152, ItemWidth: 8 + k.pages/20, ItemWeight: k.weight - 20,
		EANs: []string{ean}, GTINs: []string{"0" + ean}, ImagesCSV: "51" + k.id + "L.jpg",
		Images:       []map[string]any{{"m": "51" + k.id + "L.jpg", "mH": 475, "mW": 316}},
		Languages:    [][]string{{"English", "Published"}, {"English", "Original Language"}},
		Contributors: [][]string{{k.author, "author"}}, Features: []string{"Used Book in Good Condition"},
		Description: text(fmt.Sprintf("%s, %d pages, published by %s.", k.title, k.pages, k.brand)),
		Eligible:    make([]int, 8),
		bookFlags: bookFlags{
			G: k.pages, HasReviews: true, ItemKeyword: "books", DisplayRank: "book_display_on_website", Slug: "book-" + k.id,
			Display: "book_display_on_website", DisplayName: "Book",
		},
	}
}
