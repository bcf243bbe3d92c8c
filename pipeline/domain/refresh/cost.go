package refresh

// Cost is the mean price of a refresh in tokens: that of a peek where it confirms the deal, and that of a commit as
// well where only another commit can decide. 0 is unknown.
type Cost float64

// newestPart is the weight of the newest refresh in the mean: about the last fifty count.
const newestPart = 0.02

// mostCost is more than any refresh costs.
const mostCost = 1000

// Tokens returns the price to plan with: at least that of a peek.
func (c Cost) Tokens() float64 { return max(1, float64(c)) }

// After returns the mean after another refresh.
func (c Cost) After(tokens int) Cost {
	return Cost(c.Tokens() + newestPart*(float64(tokens)-c.Tokens()))
}

// At returns the plan with as many refreshes as the share pays for at that cost.
func (p Plan) At(c Cost) Plan {
	p.PerHour /= c.Tokens()
	return p
}
