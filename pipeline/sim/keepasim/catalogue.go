package keepasim

import "time"

// Class is what is true of a product, known because we made it.
type Class string

// The classes. The first three can be decided on the row of the deal list, the
// next three on a product without offers, LandedPrice only with offers. The traps
// are in the living world alone, and look like good ones.
const (
	AmazonCaps     Class = "amazon_caps"      // Amazon's own price is below what the used book costs
	NoRankDrop     Class = "no_rank_drop"     // the rank did not improve once in a year
	NoUsedPrice    Class = "no_used_price"    // nothing used is on sale
	NoInferredSale Class = "no_inferred_sale" // no offer vanished before a rank improvement
	NoProfit       Class = "no_profit"        // it sells below what it costs
	NoRecentSale   Class = "no_recent_sale"   // the last inferred sale is more than a year old
	LandedPrice    Class = "landed_price"     // only the shipping of the live offers kills the profit
	Flicker        Class = "flicker"          // a trap: counts fall all the time, hardly ever because of a sale
	Spike          Class = "spike"            // a trap: an ordinary price beside absurd ones
	Undercut       Class = "undercut"         // a trap: the market falls, and others are as cheap
	Unbuyable      Class = "unbuyable"        // a trap: the cheap copy cannot be bought by everybody
	Good           Class = "good"             // the copy truly sells for more than it costs
	Unknown        Class = ""                 // nobody knows: captured, or not of this world
)

// Bad tells whether a product of the class must not become a deal.
func (c Class) Bad() bool { return c != Good && c != Unknown }

// Catalogue is the world behind the API: Backlog400, Living or Captured.
type Catalogue interface {
	// Truth is what is true of the product.
	Truth(asin string) Class
	// Sells is what the cheapest copy of the product truly sells on for; false where nobody knows.
	Sells(asin string, now time.Time) (Sale, bool)

	// begin tells the instant at which the bucket starts.
	begin(t0 time.Time)
	// list are the rows listed at now, in any order.
	list(now time.Time) []*row
	// find is the product as it is known at now.
	find(asin string, now time.Time) (product, bool)
	// seller is what is known of a seller, encoded; nil for nothing.
	seller(id string, now time.Time) []byte
}

// product can answer for one ASIN.
type product interface {
	// creation is the start of the current price that the list shows, in Keepa minutes.
	creation() int64
	// found is how many offers are live.
	found() int
	// surcharge is what this product costs more than its price, when offers are asked.
	surcharge() int
	// encode is the product object as the question wants it.
	encode(q question) []byte
	// synthetic tells that it was made up although the world is captured.
	synthetic() bool
}

// question is a product request, decoded.
type question struct {
	offers             int // 0 none, else 20..100
	onlyLive           bool
	history            bool
	days               int       // 0 all
	stats              int       // days; 0 none
	statsFrom, statsTo time.Time // an explicit interval
	rating, buybox     bool
	stock              bool
	update             int // hours
	hasUpdate          bool
	at                 int64 // Keepa minutes: the product is as of this minute
	offersAt           int64 // the offers are as of this minute
	stale              bool  // the refresh failed
}
