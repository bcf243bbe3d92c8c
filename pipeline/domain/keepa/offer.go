package keepa

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ratchet/pipeline/text/foreign"
)

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

// Used reports whether the condition is one of the four used ones.
func (c Condition) Used() bool { return c >= ConditionLikeNew && c <= ConditionAcceptable }

// ConditionOf returns the used condition of that name, as String returns it; ConditionUnknown for anything else.
func ConditionOf(name string) Condition {
	for c := ConditionLikeNew; c.Used(); c++ {
		if c.String() == name {
			return c
		}
	}
	return ConditionUnknown
}

// String returns the name of the condition.
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
	Comment   foreign.Text
	LastSeen  Minute // 0 unknown

	// ChangedAt is when the price below began; Price and Shipping are cents and nil
	// when unknown. Shipping 0 is free; unknown shipping is nil, never free.
	ChangedAt Minute
	Price     *int
	Shipping  *int

	FBA       *bool // nil unknown, as for Shippable
	Shippable *bool

	Prime, Amazon, Warehouse, Preorder, PrimeExclusive bool
	Scam                                               bool // as Keepa marked it until February 2026
	MinOrderQuantity                                   int  // 0 unknown

	// Unread marks an offer whose required fields could not be read: it keeps its index and is never live.
	Unread bool
}

// LiveOffers returns the offers that are on sale: those that liveOffersOrder names (once each), or without it, or if
// it names none of the answer's, those seen at the last offers update. Where that is unknown it counts as the newest
// sighting of any offer. False when the answer has no offers field.
func (p *Product) LiveOffers() ([]Offer, bool) {
	if !p.OffersAsked {
		return nil, false
	}
	named := func(i int) bool { return i >= 0 && i < len(p.Offers) }
	if p.LiveOffersOrder != nil && (len(p.LiveOffersOrder) == 0 || slices.ContainsFunc(p.LiveOffersOrder, named)) {
		seen := make(map[int]bool, len(p.LiveOffersOrder))
		live := make([]Offer, 0, len(p.LiveOffersOrder))
		for _, i := range p.LiveOffersOrder {
			if named(i) && !seen[i] && p.Offers[i].usable() {
				seen[i] = true
				live = append(live, p.Offers[i])
			}
		}
		return live, true
	}
	updated := p.offersUpdated()
	var live []Offer
	for _, o := range p.Offers {
		if o.usable() && o.LastSeen >= updated-offerSlack {
			live = append(live, o)
		}
	}
	return live, true
}

// offersUpdated returns when Keepa last visited the offers, at least the newest sighting of one.
func (p *Product) offersUpdated() Minute {
	if p.Stats != nil && p.Stats.LastOffersUpdate > 0 {
		return p.Stats.LastOffersUpdate
	}
	var newest Minute
	for _, o := range p.Offers {
		if o.usable() {
			newest = max(newest, o.LastSeen)
		}
	}
	return newest
}

// usable reports whether the offer can be live at all: one without a last sighting cannot.
func (o Offer) usable() bool { return !o.Unread && o.LastSeen > 0 }

// offerSlack is how many minutes the offers of one update may lie apart.
const offerSlack = 60

func (s *scanner) offers(p *Product) error {
	p.Offers = nil
	if s.null() {
		return nil
	}
	err := s.array(func(n int) error {
		var o Offer
		start := s.i
		err := s.object(func(key []byte) error { return s.offerField(&o, key) })
		if typed, ok := errors.AsType[*TypeError](err); ok && !typed.hard() {
			// A field of its price has an unexpected shape: the offer is left out, the others are not.
			s.i, o = start, Offer{Unread: true}
			s.changed = append(s.changed, within(fmt.Sprintf("offers[%d]", n), typed).(*TypeError)) //nolint:errorlint,forcetypeassert // typed
			err = s.skip()
		}
		p.Offers = append(p.Offers, o)
		return err
	})
	p.OffersAsked = err == nil
	return err
}

// offerField decodes an offer's price and whether it can be bought; the rest is left to tolerance.
func (s *scanner) offerField(o *Offer, key []byte) error {
	switch string(key) {
	case "condition":
		if s.peek() == '"' {
			return s.fail("a number")
		}
		var n int
		err := s.intoInt(&n)
		o.Condition = Condition(n)
		return err
	case "offerCSV":
		return s.lastOfferPrice(o)
	}
	return s.tolerate("offers.", key, func() error { return s.shownOfferField(o, key) })
}

// shownOfferField decodes what an offer does not require.
func (s *scanner) shownOfferField(o *Offer, key []byte) error {
	switch string(key) {
	case "sellerId":
		return s.sellerID(&o.SellerID)
	case "lastSeen":
		return s.intoMinute(&o.LastSeen)
	case "isFBA":
		return s.intoTruth(&o.FBA)
	case "offerId":
		return s.intoInt(&o.ID)
	case "conditionComment":
		err := s.intoForeign(&o.Comment)
		return err
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
	case "isScam":
		return s.intoBool(&o.Scam)
	case "isPreorder":
		return s.intoBool(&o.Preorder)
	case "minOrderQty":
		return s.intoInt(&o.MinOrderQuantity)
	}
	return s.skip()
}

// sellerID decodes a seller's id; one that no request to Keepa could use is unknown.
func (s *scanner) sellerID(p *string) error {
	var id string
	if err := s.intoText(&id); err != nil {
		return err
	}
	if strings.ContainsFunc(id, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) || len(id) > 20 {
		id = ""
	}
	*p = id
	return nil
}

// lastOfferPrice keeps the last triple of an offer's history: its current price. If the history ends
// with an incomplete triple, the current price is unknown.
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
	if n := len(numbers); n > 0 && n%3 == 0 {
		o.ChangedAt = Minute(numbers[n-3])
		o.Price, o.Shipping = absentBelowZero(numbers[n-2]), absentBelowZero(numbers[n-1])
	}
	return err
}

func absentBelowZero(n int64) *int {
	if n < 0 || n >= mostCents {
		return nil
	}
	v := int(n)
	return &v
}
