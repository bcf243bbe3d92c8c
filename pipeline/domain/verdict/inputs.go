package verdict

import (
	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
)

// Kind is the type of an input in expressions.
type Kind string

// The kinds.
const (
	Integer Kind = "integer"
	Number  Kind = "number"
	Boolean Kind = "boolean"
)

// Bound is the direction in which an input before the commit may err: the commit never finds a better value for us.
type Bound string

// The bounds. A rule before the commit that is not heuristic rejects only if even the bound is too bad.
const (
	Exact   Bound = ""
	AtMost  Bound = "at most"  // the commit finds this or less
	AtLeast Bound = "at least" // the commit finds this or more
)

// Input is a value that rules can use.
type Input struct {
	Name  string
	Kind  Kind
	From  pipeline.Look // the first look that knows it
	Bound Bound         // of looks before the commit
	Says  string        // its meaning, with its unit

	// value returns the input of a view; nil when unknown.
	value func(f *facts) any
}

// facts are a view with the settings that turn it into money.
type facts struct {
	view deal.View
	s    deal.Settings
}

// Inputs returns the catalogue, in the order of the looks.
func Inputs() []Input {
	all := make([]Input, len(catalogue))
	copy(all, catalogue)
	return all
}

// copyCount is an input that every verdict of a commit keeps: it was about one copy of that many.
const copyCount = "copy_count"

var catalogue = []Input{
	{"has_used", Boolean, pipeline.LookGlance, Exact, "a used offer is on sale", func(f *facts) any { return opt(f.view.HasUsed) }},
	{"used_cents", Integer, pipeline.LookGlance, Exact, "lowest used price, in cents without shipping", func(f *facts) any { return opt(f.view.Used) }},
	{"amazon_cents", Integer, pipeline.LookGlance, Exact, "Amazon's own price, in cents", func(f *facts) any { return opt(f.view.Amazon) }},
	{"new_cents", Integer, pipeline.LookGlance, Exact, "lowest new price, in cents", func(f *facts) any { return opt(f.view.New) }},
	{"lowest_new_cents", Integer, pipeline.LookGlance, Exact, "lowest new price at the door, in cents with shipping", func(f *facts) any { return opt(f.view.NewLanded) }},
	{"rank", Integer, pipeline.LookGlance, Exact, "sales rank", func(f *facts) any { return opt(f.view.Rank) }},
	{"rank_avg_30", Integer, pipeline.LookGlance, Exact, "sales rank, mean of 30 days", func(f *facts) any { return opt(f.view.RankAvg.D30) }},
	{"rank_avg_90", Integer, pipeline.LookGlance, Exact, "sales rank, mean of 90 days", func(f *facts) any { return opt(f.view.RankAvg.D90) }},
	{"rank_drops_30", Integer, pipeline.LookGlance, Exact, "improvements of the rank in 30 days", func(f *facts) any { return opt(f.view.Drops.D30) }},
	{"rank_drops_90", Integer, pipeline.LookGlance, Exact, "improvements of the rank in 90 days", func(f *facts) any { return opt(f.view.Drops.D90) }},
	{"rank_drops_180", Integer, pipeline.LookGlance, Exact, "improvements of the rank in 180 days", func(f *facts) any { return opt(f.view.Drops.D180) }},
	{"rank_drops_365", Integer, pipeline.LookGlance, Exact, "improvements of the rank in 365 days", func(f *facts) any { return opt(f.view.Drops.D365) }},
	{"root_category", Integer, pipeline.LookGlance, Exact, "Keepa's number of the root category; books are 283155", func(f *facts) any { return opt(f.view.RootCategory) }},
	{"count_new", Integer, pipeline.LookGlance, Exact, "new offers", func(f *facts) any { return opt(f.view.CountNew) }},
	{"count_used", Integer, pipeline.LookGlance, Exact, "used offers", func(f *facts) any { return opt(f.view.CountUsed) }},
	{"used_avg90_cents", Integer, pipeline.LookGlance, Exact, "used price, mean of 90 days in cents", func(f *facts) any { return opt(f.view.UsedAvg90) }},
	{"profit_at_new_cents", Integer, pipeline.LookGlance, AtMost, "profit in cents of a sale at the lowest new landed price, at the least cost", profitAtNew},
	{"profit_at_amazon_cents", Integer, pipeline.LookGlance, AtMost, "profit in cents of a sale at Amazon's price, at the least cost", profitAtAmazon},
	{"likely_profit_cents", Integer, pipeline.LookGlance, Exact, "profit in cents estimated from averages; a guess, for heuristic rules", func(f *facts) any { return opt(f.view.ProfitCents()) }},

	{"product_type", Integer, pipeline.LookPeek, Exact, "0 for what can be sold", func(f *facts) any { return opt(f.view.ProductType) }},
	{"rank_avg_180", Integer, pipeline.LookPeek, Exact, "sales rank, mean of 180 days", func(f *facts) any { return opt(f.view.RankAvg.D180) }},
	{"rank_avg_365", Integer, pipeline.LookPeek, Exact, "sales rank, mean of 365 days", func(f *facts) any { return opt(f.view.RankAvg.D365) }},
	{"used_avg365_cents", Integer, pipeline.LookPeek, Exact, "used price, mean of 365 days in cents", func(f *facts) any { return opt(f.view.UsedAvg365) }},
	{"amazon_in_stock_90_percent", Integer, pipeline.LookPeek, Exact, "percent of the last 90 days in which Amazon had it in stock", func(f *facts) any { return opt(f.view.AmazonInStock) }},
	{"monthly_sold", Integer, pipeline.LookPeek, Exact, "units sold a month by Amazon's own coarse count", func(f *facts) any { return opt(f.view.MonthlySold) }},
	{"has_history", Boolean, pipeline.LookPeek, Exact, "the answer came with histories", func(f *facts) any { return f.view.Evidence != nil }},
	{"fall_count", Integer, pipeline.LookPeek, Exact, "how often the used count fell, sold or not", evidence(func(e *deal.Evidence) any { return int64(e.Falls) })},
	{"sale_count", Integer, pipeline.LookPeek, Exact, "sales that the histories imply, of all years", evidence(func(e *deal.Evidence) any { return int64(e.SaleCount) })},
	{"sales_in_year", Integer, pipeline.LookPeek, Exact, "such sales in the last 365 days", evidence(func(e *deal.Evidence) any { return int64(e.SalesInYear) })},
	{"sale_days_180", Integer, pipeline.LookPeek, Exact, "days of the last 180 with such a sale (the eScore of other tools)", evidence(func(e *deal.Evidence) any { return int64(e.SaleDays180) })},
	{"n_eff", Number, pipeline.LookPeek, Exact, "the known sales weighted by age: each counts 1 when new and half after 180 days", evidence(nEff)},
	{"sale_price_cents", Integer, pipeline.LookPeek, AtMost, "the middle of what the copy may sell for, in cents", outcome(func(o *deal.Outcome) any { return o.SaleCents })},
	{"sale_price_low_cents", Integer, pipeline.LookPeek, AtMost, "the sale price in cents that one in ten falls short of", outcome(func(o *deal.Outcome) any { return o.LowCents })},
	{"sale_price_high_cents", Integer, pipeline.LookPeek, AtMost, "the sale price in cents that one in ten exceeds", outcome(func(o *deal.Outcome) any { return o.HighCents })},
	{"expected_profit_cents", Integer, pipeline.LookPeek, AtMost, "profit in cents at the middle sale price", outcome(func(o *deal.Outcome) any { return o.ProfitCents })},
	{"profit_low_cents", Integer, pipeline.LookPeek, AtMost, "profit in cents at the low sale price", outcome(func(o *deal.Outcome) any { return o.ProfitLow })},
	{"profit_high_cents", Integer, pipeline.LookPeek, AtMost, "profit in cents at the high sale price", outcome(func(o *deal.Outcome) any { return o.ProfitHigh })},
	{"loss_chance", Number, pipeline.LookPeek, AtLeast, "chance from 0 to 1 that it sells below break-even", outcome(func(o *deal.Outcome) any { return o.LossChance })},
	{"roi_percent", Number, pipeline.LookPeek, AtMost, "expected profit in percent of the all-in cost", roi},
	{"sale_chance_6m", Number, pipeline.LookPeek, Exact, "chance from 0 to 1 that ours sells within six months", evidence(func(e *deal.Evidence) any { return e.SaleChance6M() })},
	{"months_to_sell", Number, pipeline.LookPeek, Exact, "months that ours waits for its sale on average", evidence(func(e *deal.Evidence) any { return e.MonthsToSell() })},
	{"fees_assumed", Boolean, pipeline.LookPeek, Exact, "a default replaces a fee that Keepa does not know", func(f *facts) any { return f.view.Fees.Assumed() }},

	{"has_offer", Boolean, pipeline.LookCommit, Exact, "a used copy can be bought", func(f *facts) any { return f.view.Copy != nil }},
	{copyCount, Integer, pipeline.LookCommit, Exact, "how many copies can be bought", func(f *facts) any { return int64(f.view.Copies) }},
	{"landed_cents", Integer, pipeline.LookCommit, Exact, "price of the copy at the door, in cents with shipping", bought(func(c *deal.Copy) any { return c.LandedCents })},
	{"shipping_known", Boolean, pipeline.LookCommit, Exact, "the seller states the shipping", bought(func(c *deal.Copy) any { return c.ShippingKnown })},
	{"offer_matched", Boolean, pipeline.LookCommit, Exact, "a live offer carries the price", bought(func(c *deal.Copy) any { return c.Matched })},
	{"condition", Integer, pipeline.LookCommit, Exact, "condition of the copy: 2 like new, 3 very good, 4 good, 5 acceptable", bought(conditionOf)},
	{"buy_fba", Boolean, pipeline.LookCommit, Exact, "Amazon ships the copy for its seller", bought(func(c *deal.Copy) any { return opt(c.FBA) })},
	{"seller_rating", Integer, pipeline.LookCommit, Exact, "percent of the seller's ratings that are positive", func(f *facts) any { return rating(f).percent }},
	{"seller_rating_count", Integer, pipeline.LookCommit, Exact, "how many ratings the seller has", func(f *facts) any { return rating(f).count }},
	{"next_best_cents", Integer, pipeline.LookCommit, Exact, "landed price in cents of the cheapest other used offer in this condition or a better one", bought(func(c *deal.Copy) any { return opt(c.NextBestCents) })},
	{"used_buy_box_cents", Integer, pipeline.LookCommit, Exact, "the used Buy Box at the door, in cents", func(f *facts) any { return opt(f.view.UsedBuyBox) }},
	{"offers_age_hours", Integer, pipeline.LookCommit, Exact, "hours since Keepa last visited the offers", func(f *facts) any { return opt(f.view.OffersAgeHours) }},
	{"offers_ok", Boolean, pipeline.LookCommit, Exact, "Keepa says that this visit succeeded", func(f *facts) any { return opt(f.view.OffersOK) }},
}

// opt returns the pointer's value, or nil.
func opt[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func evidence(value func(*deal.Evidence) any) func(*facts) any {
	return func(f *facts) any {
		if f.view.Evidence == nil {
			return nil
		}
		return value(f.view.Evidence)
	}
}

func outcome(value func(*deal.Outcome) any) func(*facts) any {
	return func(f *facts) any {
		if f.view.Outcome == nil {
			return nil
		}
		return value(f.view.Outcome)
	}
}

func bought(value func(*deal.Copy) any) func(*facts) any {
	return func(f *facts) any {
		if f.view.Copy == nil {
			return nil
		}
		return value(f.view.Copy)
	}
}

// nEff is unknown when there is no evidence for a price.
func nEff(e *deal.Evidence) any {
	if !e.Known() {
		return nil
	}
	return e.NEff
}

func conditionOf(c *deal.Copy) any {
	if !c.Matched {
		return nil
	}
	return int64(c.Condition)
}

func profitAtNew(f *facts) any    { return opt(f.view.ProfitAt(f.s, f.view.NewLanded)) }
func profitAtAmazon(f *facts) any { return opt(f.view.ProfitAt(f.s, f.view.Amazon)) }

// ratings are what is known of a seller; nil unknown.
type ratings struct{ percent, count any }

func rating(f *facts) ratings {
	s := f.view.Seller
	switch {
	case s == nil:
		return ratings{}
	case s.Ratings != nil && *s.Ratings == 0: // a share of nothing
		return ratings{count: int64(0)}
	}
	return ratings{wide(s.Rating), wide(s.Ratings)}
}

func wide(n *int) any {
	if n == nil {
		return nil
	}
	return int64(*n)
}

// roi returns the return on the cost of the copy; before the commit, on the least that it can cost.
func roi(f *facts) any {
	o := f.view.Outcome
	switch {
	case o == nil:
		return nil
	case f.view.Copy != nil:
		return ratio(o.ProfitCents, f.s.AllInCost(f.view.Copy.LandedCents))
	}
	return ratio(o.ProfitCents, f.s.AllInCost(*f.view.Used))
}

// ratio returns part of whole in percent; nil if whole is not positive.
func ratio(part, whole int64) any {
	if whole <= 0 {
		return nil
	}
	return float64(part) * 100 / float64(whole)
}
