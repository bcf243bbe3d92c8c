package keepa

// Condition is Keepa's number of an offer's condition.
type Condition int

// The conditions; 7 to 10 are collectible.
const (
	ConditionUnknown Condition = iota
	ConditionNew
	ConditionLikeNew
	ConditionVeryGood
	ConditionGood
	ConditionAcceptable
	ConditionRefurbished
)

// Used says whether the condition is one of the four used ones.
func (c Condition) Used() bool { return c >= ConditionLikeNew && c <= ConditionAcceptable }

// ConditionOf is the used condition of that name, as String writes it; ConditionUnknown for anything else.
func ConditionOf(name string) Condition {
	for c := ConditionLikeNew; c.Used(); c++ {
		if c.String() == name {
			return c
		}
	}
	return ConditionUnknown
}

// String is the condition in words.
func (c Condition) String() string {
	switch c {
	case ConditionNew:
		return "new"
	case ConditionLikeNew:
		return "like new"
	case ConditionVeryGood:
		return "very good"
	case ConditionGood:
		return "good"
	case ConditionAcceptable:
		return "acceptable"
	case ConditionRefurbished:
		return "refurbished"
	}
	if c >= 7 && c <= 10 {
		return "collectible"
	}
	return "unknown"
}

// Offer is one seller's offer of a product.
type Offer struct {
	ID        int
	SellerID  string
	Condition Condition
	Comment   string
	LastSeen  Minute // 0 unknown

	// ChangedAt is when the price below began; Price and Shipping are cents and nil where unknown.
	// Shipping 0 is free; unknown shipping is nil, never free.
	ChangedAt Minute
	Price     *int
	Shipping  *int

	FBA       *bool // nil unknown, as for Shippable
	Shippable *bool

	Prime, Amazon, Warehouse, Preorder, PrimeExclusive bool
	MinOrderQuantity                                   int // 0 unknown
}

// LiveOffers are the offers that are on sale: those that liveOffersOrder names (once each), or without it
// those seen at the last offers update. False when the answer holds no offers at all.
func (p *Product) LiveOffers() ([]Offer, bool) {
	if !p.OffersAsked {
		return nil, false
	}
	if p.LiveOffersOrder != nil {
		seen := make(map[int]bool, len(p.LiveOffersOrder))
		live := make([]Offer, 0, len(p.LiveOffersOrder))
		for _, i := range p.LiveOffersOrder {
			if i >= 0 && i < len(p.Offers) && !seen[i] {
				seen[i] = true
				live = append(live, p.Offers[i])
			}
		}
		return live, true
	}
	var live []Offer
	for _, o := range p.Offers {
		if p.Stats == nil || o.LastSeen >= p.Stats.LastOffersUpdate-offerSlack {
			live = append(live, o)
		}
	}
	return live, true
}

// offerSlack is how many minutes the offers of one update may lie apart.
const offerSlack = 60

func (s *scanner) offers(p *Product) error {
	p.Offers = nil
	if s.null() {
		return nil
	}
	p.OffersAsked = true
	return s.array(func(int) error {
		var o Offer
		err := s.object(func(key []byte) error { return s.offerField(&o, key) })
		p.Offers = append(p.Offers, o)
		return err
	})
}

// offerField decodes what tells an offer's price and whether it can be bought; the rest is left to tolerance.
func (s *scanner) offerField(o *Offer, key []byte) error {
	switch string(key) {
	case "sellerId":
		return s.intoText(&o.SellerID)
	case "condition":
		var n int
		err := s.intoInt(&n)
		o.Condition = Condition(n)
		return err
	case "lastSeen":
		return s.intoMinute(&o.LastSeen)
	case "offerCSV":
		return s.lastOfferPrice(o)
	case "isFBA":
		return s.intoTruth(&o.FBA)
	}
	return s.tolerate("offers.", key, func() error { return s.shownOfferField(o, key) })
}

// shownOfferField decodes what an offer only shows.
func (s *scanner) shownOfferField(o *Offer, key []byte) error {
	switch string(key) {
	case "offerId":
		return s.intoInt(&o.ID)
	case "conditionComment":
		return s.intoText(&o.Comment)
	case "isPrime":
		return s.intoBool(&o.Prime)
	case "isAmazon":
		return s.intoBool(&o.Amazon)
	case "isWarehouseDeal":
		return s.intoBool(&o.Warehouse)
	case "isShippable":
		return s.intoTruth(&o.Shippable)
	case "isPrimeExcl":
		return s.intoBool(&o.PrimeExclusive)
	case "isPreorder":
		return s.intoBool(&o.Preorder)
	case "minOrderQty":
		return s.intoInt(&o.MinOrderQuantity)
	}
	return s.skip()
}

// lastOfferPrice keeps the last complete triple of an offer's history: what the offer costs now.
func (s *scanner) lastOfferPrice(o *Offer) error {
	o.Price, o.Shipping = nil, nil
	if s.null() {
		return nil
	}
	if s.peek() != '[' {
		return s.fail("an array")
	}
	raw, err := s.raw()
	if err != nil {
		return err
	}
	numbers, err := decodeNumbers(raw)
	if n := len(numbers) / 3 * 3; n > 0 {
		o.ChangedAt = Minute(numbers[n-3])
		o.Price, o.Shipping = absentBelowZero(numbers[n-2]), absentBelowZero(numbers[n-1])
	}
	return err
}

func absentBelowZero(n int64) *int {
	if n < 0 {
		return nil
	}
	v := int(n)
	return &v
}
