package token

import "ratchet/pipeline"

// Affordable returns how many of waiting items a stage could pay for now with all tokens that no other
// stage holds. It is 0 while nothing may be spent; in recharge, tokens that were granted before count.
func (b Balance) Affordable(stage pipeline.Stage, waiting int) int {
	if b.Wish == Paused || b.Wish == Nospend {
		return 0
	}
	mine := b.Stages[stage]
	tokens := mine.Credit + mine.Open
	if b.State == string(Burst) {
		free := b.Est
		for _, s := range b.Stages {
			free -= s.Credit + s.Open
		}
		tokens += max(0, free)
	}
	price := mine.Price
	if price <= 0 {
		price = float64(max(1, Price(KindOf(stage))))
	}
	return max(0, min(waiting, int(float64(tokens)/price)))
}
