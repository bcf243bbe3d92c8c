package keepa

import "ratchet/pipeline/text/foreign"

// Seller is Keepa's record of a marketplace seller.
type Seller struct {
	ID      string
	Name    foreign.Text
	Rating  *int // percent of positive ratings, 0 to 100; nil unknown
	Ratings *int // number of ratings; nil unknown
	HasFBA  bool
	Scammer bool // as Keepa marked it until February 2026

	// Changed are fields of an unexpected type; they are absent.
	Changed []*TypeError
}

// DecodeSeller reads one seller object, as it is stored alone.
func DecodeSeller(body []byte) (Seller, error) {
	s := scanner{b: body}
	seller, err := s.seller("")
	if err != nil {
		return seller, err
	}
	return seller, s.end()
}

// seller decodes a seller. No decision requires any field, so every field of another type is tolerated.
func (s *scanner) seller(id string) (Seller, error) {
	v := Seller{ID: id}
	s.changed = nil
	err := s.object(func(key []byte) error {
		return s.tolerate("", key, func() error { return s.sellerField(&v, key) })
	})
	v.Changed, s.changed = s.changed, nil
	return v, err
}

func (s *scanner) sellerField(v *Seller, key []byte) error {
	switch string(key) {
	case "sellerId":
		return s.intoText(&v.ID)
	case "sellerName":
		return s.intoForeign(&v.Name)
	case "currentRating":
		return s.intoCount(&v.Rating)
	case "currentRatingCount":
		return s.intoCount(&v.Ratings)
	case "isScammer":
		return s.intoBool(&v.Scammer)
	case "hasFBA":
		return s.intoBool(&v.HasFBA)
	}
	return s.skip()
}
