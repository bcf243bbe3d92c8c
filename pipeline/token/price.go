package token

import "ratchet/pipeline"

// The worst price of one step of each kind, in tokens: what a claim reserves.
const (
	PricePage   = 5  // a page of the deal list, whatever is on it
	PricePeek   = 1  // a product without offers
	PriceCommit = 13 // two found pages of offers and a refresh
	PriceSeller = 1  // a seller that is found
)

// Price is the worst price of one step of a kind; 0 for what is free.
func Price(k pipeline.Kind) int {
	switch k {
	case pipeline.KindDeals:
		return PricePage
	case pipeline.KindPeek:
		return PricePeek
	case pipeline.KindCommit:
		return PriceCommit
	case pipeline.KindSeller:
		return PriceSeller
	case pipeline.KindToken:
		return 0
	}
	return 0
}

// StepOf is the worst price of a stage's smallest durable step.
func StepOf(s pipeline.Stage) int {
	switch s {
	case pipeline.StageWatermarker:
		return PricePage
	case pipeline.StagePeeker:
		return PricePeek
	case pipeline.StageCommitter:
		return PriceCommit
	}
	return 0
}
