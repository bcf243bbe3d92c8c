package keepa

import "ratchet/pipeline/text/foreign"

// Product is the result of a product request. The histories stay encoded until Series
// or Ranks decodes one; see the package comment about the bytes behind it.
type Product struct {
	ASIN         string
	Domain       Domain
	Title        foreign.Text // html entities resolved
	ParentASIN   string
	Author       foreign.Text
	Brand        foreign.Text
	Manufacturer foreign.Text
	Binding      foreign.Text
	Format       foreign.Text
	ProductGroup foreign.Text
	Edition      foreign.Text

	RootCategory int64
	Categories   []int64
	CategoryTree []Category
	EANs         []string

	// ProductType is 0 for what can be sold; 1 download, 2 eBook, 3 unaccessible, 4 invalid, 5 parent. Nil unknown.
	ProductType  *int
	RedirectASIN bool
	Adult        bool
	Simulated    bool // made or served by the simulated Keepa; the real one never sets it

	PublicationDate int // YYYY[MM[DD]]; 0 or less unknown
	ReleaseDate     int // the same
	Pages           *int
	ListedSince     Minute // may lie before 2011; 0 unknown
	TrackingSince   Minute // 0 unknown

	LastUpdate      Minute // 0 unknown, as for the three below
	LastPriceChange Minute
	LastRating      Minute
	LastStock       Minute

	PickAndPackFee       *int    // cents; nil unknown
	ReferralFeePercent   float64 // 0 unknown
	VariableClosingFee   *int    // cents, media only; nil unknown
	PackageWeight        *int    // grams; nil unknown, as for the dimensions in millimetres
	PackageLength        *int
	PackageWidth         *int
	PackageHeight        *int
	ItemWeight           *int
	MonthlySold          *int // nil unknown
	AvailabilityAmazon   *int // 0 in stock, 1 preorder, 2 unknown, 3 back order, 4 delayed; nil no offer or unknown
	SalesRankReference   int64
	BuyBoxEligibleOffers Values

	Stats *Stats // nil when not requested

	Offers           []Offer // nil when not requested
	OffersAsked      bool    // the answer has an offers field: the request was for offers
	OffersSuccessful bool    // set even when the refresh failed: judge freshness by Stats.LastOffersUpdate
	LiveOffersOrder  []int   // indices into Offers; may repeat; nil when absent

	// Changed are fields that no decision needs and that have an unexpected type; they are absent.
	Changed []*TypeError

	csv [][]byte
}

// Category is one step from the root of the category tree to the product.
type Category struct {
	ID   int64
	Name foreign.Text
}

// RawProduct is one product of an answer, still encoded.
type RawProduct struct {
	ASIN string
	Body []byte // the product's JSON object, a part of the answer
}

// SplitProducts cuts an answer into its products without decoding
// them. Products that are null or have no ASIN are left out.
func SplitProducts(body []byte) (Envelope, []RawProduct, error) {
	all := CutProducts(body)
	var products []RawProduct
	for _, e := range all.All {
		if e.Key != "" && e.Body != nil {
			products = append(products, RawProduct{ASIN: e.Key, Body: e.Body})
		}
	}
	return all.Envelope, products, all.Part
}

// DecodeProducts reads every product of an answer.
func DecodeProducts(body []byte) (Envelope, []Product, error) {
	env, raws, err := SplitProducts(body)
	if err != nil {
		return env, nil, err
	}
	products := make([]Product, 0, len(raws))
	for _, raw := range raws {
		p, err := DecodeProduct(raw.Body)
		if err != nil {
			return env, products, within("products."+raw.ASIN, err)
		}
		products = append(products, p)
	}
	return env, products, nil
}

// DecodeProduct reads one product object.
func DecodeProduct(body []byte) (Product, error) {
	var p Product
	if len(body) > mostProduct {
		return p, &TypeError{Want: wantSmaller, Got: "more"}
	}
	s := scanner{b: body}
	if s.peek() != '{' {
		return p, s.fail("an object")
	}
	if err := s.object(func(key []byte) error { return s.productField(&p, key) }); err != nil {
		return p, err
	}
	p.Changed = s.changed
	if p.ASIN == "" {
		return p, &TypeError{Path: "asin", Want: "a string", Got: "nothing"}
	}
	return p, s.end()
}

// productField decodes a field that decisions need, or leaves it to tolerance.
func (s *scanner) productField(p *Product, key []byte) error {
	switch string(key) {
	case "asin":
		return s.intoText(&p.ASIN)
	case "csv":
		return s.histories(&p.csv)
	}
	return s.tolerate("", key, func() error { return s.defaultProductField(p, key) })
}

// defaultProductField decodes a field that decisions use if it is present:
// each has a default, or another field with the same content.
func (s *scanner) defaultProductField(p *Product, key []byte) error {
	switch string(key) {
	case "stats":
		return s.stats(&p.Stats)
	case "offers":
		return s.offers(p)
	case "liveOffersOrder":
		return s.intoInts(&p.LiveOffersOrder)
	case "offersSuccessful":
		return s.intoBool(&p.OffersSuccessful)
	}
	if done, err := s.feeField(p, key); done {
		return err
	}
	if done, err := s.identityField(p, key); done {
		return err
	}
	if done, err := s.measureField(p, key); done {
		return err
	}
	return s.skip()
}

// identityField decodes the identity of the product: nothing that a decision needs.
func (s *scanner) identityField(p *Product, key []byte) (bool, error) {
	switch string(key) {
	case "domainId":
		var n int
		err := s.intoInt(&n)
		p.Domain = Domain(n)
		return true, err
	case "title":
		return true, s.intoTitle(&p.Title)
	case "parentAsin":
		return true, s.intoText(&p.ParentASIN)
	case "author":
		return true, s.intoForeign(&p.Author)
	case "brand":
		return true, s.intoForeign(&p.Brand)
	case "manufacturer":
		return true, s.intoForeign(&p.Manufacturer)
	case "binding":
		return true, s.intoForeign(&p.Binding)
	case "format":
		return true, s.intoForeign(&p.Format)
	case "productGroup":
		return true, s.intoForeign(&p.ProductGroup)
	case "edition":
		return true, s.intoForeign(&p.Edition)
	case "rootCategory":
		return true, s.intoInt64(&p.RootCategory)
	case "categories":
		return true, s.intoInt64s(&p.Categories)
	case "categoryTree":
		return true, s.categoryTree(&p.CategoryTree)
	case "eanList":
		return true, s.intoTexts(&p.EANs)
	case "isRedirectASIN":
		return true, s.intoBool(&p.RedirectASIN)
	case "simulated":
		return true, s.intoBool(&p.Simulated)
	case "isAdultProduct":
		return true, s.intoBool(&p.Adult)
	default:
		return s.dateField(p, key)
	}
}

// dateField decodes dates, and the number of pages.
func (s *scanner) dateField(p *Product, key []byte) (bool, error) {
	switch string(key) {
	case "publicationDate":
		return true, s.intoInt(&p.PublicationDate)
	case "releaseDate":
		return true, s.intoInt(&p.ReleaseDate)
	case "numberOfPages":
		return true, s.intoCount(&p.Pages)
	case "listedSince":
		return true, s.intoMinute(&p.ListedSince)
	case "trackingSince":
		return true, s.intoMinute(&p.TrackingSince)
	case "lastUpdate":
		return true, s.intoMinute(&p.LastUpdate)
	case "lastPriceChange":
		return true, s.intoMinute(&p.LastPriceChange)
	case "lastRatingUpdate":
		return true, s.intoMinute(&p.LastRating)
	case "lastStockUpdate":
		return true, s.intoMinute(&p.LastStock)
	}
	return false, nil
}

// feeField decodes whether the product can be sold and its fees.
func (s *scanner) feeField(p *Product, key []byte) (bool, error) {
	switch string(key) {
	case "fbaFees":
		return true, s.object(func(key []byte) error {
			if string(key) == "pickAndPackFee" {
				return s.tolerate("fbaFees.", key, func() error { return s.intoFeeAboveZero(&p.PickAndPackFee) })
			}
			return s.skip()
		})
	case "referralFeePercentage":
		return true, s.intoPercent(&p.ReferralFeePercent)
	case "referralFeePercent":
		// The rounded twin is used only if the exact one is missing.
		var twin float64
		err := s.intoPercent(&twin)
		if p.ReferralFeePercent == 0 {
			p.ReferralFeePercent = twin
		}
		return true, err
	case "variableClosingFee":
		return true, s.intoFee(&p.VariableClosingFee)
	case "productType":
		return true, s.intoCount(&p.ProductType)
	}
	return false, nil
}

// measureField decodes the product's size and its sales.
func (s *scanner) measureField(p *Product, key []byte) (bool, error) {
	switch string(key) {
	case "packageWeight":
		return true, s.intoCount(&p.PackageWeight)
	case "packageLength":
		return true, s.intoCount(&p.PackageLength)
	case "packageWidth":
		return true, s.intoCount(&p.PackageWidth)
	case "packageHeight":
		return true, s.intoCount(&p.PackageHeight)
	case "itemWeight":
		return true, s.intoCount(&p.ItemWeight)
	case "monthlySold":
		return true, s.intoCount(&p.MonthlySold)
	case "availabilityAmazon":
		return true, s.intoCount(&p.AvailabilityAmazon)
	case "salesRankReference":
		return true, s.intoInt64(&p.SalesRankReference)
	case "buyBoxEligibleOfferCounts":
		return true, s.intoValues(&p.BuyBoxEligibleOffers)
	}
	return false, nil
}

func (s *scanner) categoryTree(p *[]Category) error {
	*p = nil
	return s.array(func(int) error {
		var c Category
		err := s.object(func(key []byte) error {
			switch string(key) {
			case "catId":
				return s.intoInt64(&c.ID)
			case "name":
				return s.intoForeign(&c.Name)
			}
			return s.skip()
		})
		*p = append(*p, c)
		return err
	})
}

// intoInts binds whole numbers. An empty array gives an empty slice, and only an absent one gives nil.
func (s *scanner) intoInts(p *[]int) error {
	*p = nil
	if s.peek() == '[' {
		*p = []int{}
	}
	err := s.array(func(int) error {
		n, ok, err := s.integer()
		if ok {
			*p = append(*p, int(n))
		}
		return err
	})
	if err != nil {
		*p = nil // an incomplete order is absent
	}
	return err
}
