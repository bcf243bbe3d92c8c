package token

// The worst price of one step of each kind, in tokens: what a claim reserves.
const (
	PricePage   = 5  // a page of the deal list, whatever is on it
	PricePeek   = 1  // a product without offers
	PriceCommit = 13 // two found pages of offers and a refresh
	PriceSeller = 1  // a seller that is found
)
