package keepa

import "ratchet/pipeline/text/foreign"

// Seller is Keepa's record of a marketplace seller.
type Seller struct {
	ID      string
	Name    foreign.Text
	Rating  *int // percent of positive ratings, 0 to 100; nil unknown
	Ratings *int // number of ratings; nil unknown
	HasFBA  bool

	// Changed are fields of an unexpected type; they are absent.
	Changed []*TypeError
}

// DecodeSellers reads an answer about sellers, by id. A seller that Keepa does not know is
// not in the map, and an answer without sellers is an empty map, not an error.
func DecodeSellers(body []byte) (Envelope, map[string]Seller, error) {
	sellers := map[string]Seller{}
	s := scanner{b: body}
	env, err := s.envelope(func(key []byte) (bool, error) {
		if string(key) != "sellers" {
			return false, nil
		}
		return true, s.object(func(id []byte) error {
			if s.null() {
				return nil
			}
			name := string(id)
			seller, err := s.seller(name)
			sellers[name] = seller
			return err
		})
	})
	return env, sellers, err
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

// SplitSellers cuts an answer into its sellers without decoding them, by id.
func SplitSellers(body []byte) (Envelope, map[string][]byte, error) {
	all := CutSellers(body)
	raws := map[string][]byte{}
	for _, e := range all.All {
		if e.Key != "" && e.Body != nil {
			raws[e.Key] = e.Body
		}
	}
	return all.Envelope, raws, all.Part
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
	case "hasFBA":
		return s.intoBool(&v.HasFBA)
	}
	return s.skip()
}
