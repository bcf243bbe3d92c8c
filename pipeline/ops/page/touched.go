package page

import "ratchet/pipeline/domain/visibility"

// touched wakes the pages that show deals; nil means any.
func (s *Server) touched(places []visibility.DealKey) {
	topics := []string{aboutDeals}
	for _, p := range places {
		topics = append(topics, aboutASIN(p.ASIN))
	}
	s.hub.wake(topics...)
}
