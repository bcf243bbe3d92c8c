package keepasim

import "time"

// Class is the true class of a product, known because the simulator made it.
type Class string

// The classes. The first three can be decided on the row of the deal list, the next three on a product without
// offers, LandedPrice only with offers. The traps occur only in the living world, and look like good ones.
const (
	AmazonCaps     Class = "amazon_caps"      // Amazon's own price is below what the used book costs
	NoRankDrop     Class = "no_rank_drop"     // the rank did not improve once in a year
	NoUsedPrice    Class = "no_used_price"    // nothing used is for sale
	NoInferredSale Class = "no_inferred_sale" // no offer vanished before a rank improvement
	NoProfit       Class = "no_profit"        // it sells for less than it costs
	NoRecentSale   Class = "no_recent_sale"   // the last inferred sale is more than a year old
	LandedPrice    Class = "landed_price"     // only the shipping of the live offers removes the profit
	Flicker        Class = "flicker"          // a trap: counts fall all the time, rarely because of a sale
	Spike          Class = "spike"            // a trap: an ordinary price beside extreme ones
	Undercut       Class = "undercut"         // a trap: the market falls, and others are as cheap
	Unbuyable      Class = "unbuyable"        // a trap: the cheap copy is not for sale to every buyer
	Good           Class = "good"             // the copy actually sells for more than it costs
	Unknown        Class = ""                 // captured, or not of this world
)

// Bad reports whether a product of the class must not become a deal.
func (c Class) Bad() bool { return c != Good && c != Unknown }

// Catalogue is the world behind the API: Backlog400, Living or Captured.
type Catalogue interface {
	// Truth returns the class of the product.
	Truth(asin string) Class
	// Sells returns the actual sale of the product's cheapest copy; false when unknown.
	Sells(asin string, now time.Time) (Sale, bool)

	// begin sets the instant at which the bucket starts.
	begin(t0 time.Time)
	// list returns the rows listed at now, in any order.
	list(now time.Time) []*row
	// find returns the product at now.
	find(asin string, now time.Time) (product, bool)
}

// product can answer for one ASIN.
type product interface {
	// creation returns the start of the current price that the list shows, in Keepa minutes.
	creation() int64
	// found returns the number of live offers.
	found() int
	// surcharge returns the extra price of this product with offers, in tokens.
	surcharge() int
	// encode returns the product object for the question.
	encode(q question) []byte
	// synthetic reports that it was invented although the world is captured.
	synthetic() bool
}

// question is a product request, decoded.
type question struct {
	domain             int
	offers             int // 0 without offers, else 20..100
	onlyLive           bool
	history            bool
	days               int       // 0 all
	stats              int       // days; 0 without statistics
	statsFrom, statsTo time.Time // an explicit interval
	rating, buybox     bool
	stock              bool
	update             int // hours
	hasUpdate          bool
	at                 int64 // Keepa minutes: the product at this minute
	offersAt           int64 // the offers at this minute
	stale              bool  // the refresh failed
}
