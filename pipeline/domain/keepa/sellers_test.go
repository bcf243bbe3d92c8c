package keepa

// decodeSellers reads an answer about sellers, by id. A seller that Keepa does not know is
// not in the map, and an answer without sellers is an empty map, not an error.
func decodeSellers(body []byte) (Envelope, map[string]Seller, error) {
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

// splitSellers cuts an answer into its sellers without decoding them, by id.
func splitSellers(body []byte) (Envelope, map[string][]byte, error) {
	all := CutSellers(body)
	raws := map[string][]byte{}
	for _, e := range all.All {
		if e.Key != "" && e.Body != nil {
			raws[e.Key] = e.Body
		}
	}
	return all.Envelope, raws, all.Part
}
