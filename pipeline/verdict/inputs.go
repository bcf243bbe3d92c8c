package verdict

import (
	"ratchet/pipeline"
	"ratchet/pipeline/deal"
)

// Kind is the type of an input, as expressions see it.
type Kind string

// The kinds.
const (
	Integer Kind = "integer"
	Number  Kind = "number"
	Boolean Kind = "boolean"
)

// Input is something that rules can use.
type Input struct {
	Name string
	Kind Kind
	From pipeline.Look // the first look that knows it
	Says string

	// value is the input of a view; nil where unknown.
	value func(f *facts) any
}

// facts are a view with the settings that turn it into money.
type facts struct {
	view deal.View
	s    deal.Settings
}

// Inputs is the catalogue, in the order of the looks.
func Inputs() []Input {
	all := make([]Input, len(catalogue))
	copy(all, catalogue)
	return all
}

var catalogue = []Input{
	{"has_used", Boolean, pipeline.LookGlance, "a used offer is on sale", func(f *facts) any { return opt(f.view.HasUsed) }},
	{"used_cents", Integer, pipeline.LookGlance, "lowest used price without shipping", func(f *facts) any { return opt(f.view.Used) }},
	{"amazon_cents", Integer, pipeline.LookGlance, "Amazon's own price", func(f *facts) any { return opt(f.view.Amazon) }},
	{"new_cents", Integer, pipeline.LookGlance, "lowest new price", func(f *facts) any { return opt(f.view.New) }},
	{"rank", Integer, pipeline.LookGlance, "sales rank", func(f *facts) any { return opt(f.view.Rank) }},
	{"rank_drops_30", Integer, pipeline.LookGlance, "rank improvements in 30 days", func(f *facts) any { return opt(f.view.Drops.D30) }},
	{"rank_drops_90", Integer, pipeline.LookGlance, "rank improvements in 90 days", func(f *facts) any { return opt(f.view.Drops.D90) }},
	{"rank_drops_180", Integer, pipeline.LookGlance, "rank improvements in 180 days", func(f *facts) any { return opt(f.view.Drops.D180) }},
	{"rank_drops_365", Integer, pipeline.LookGlance, "rank improvements in 365 days", func(f *facts) any { return opt(f.view.Drops.D365) }},
	{"count_new", Integer, pipeline.LookGlance, "new offers", func(f *facts) any { return opt(f.view.CountNew) }},
	{"count_used", Integer, pipeline.LookGlance, "used offers", func(f *facts) any { return opt(f.view.CountUsed) }},
	{"used_avg90_cents", Integer, pipeline.LookGlance, "used price, mean of 90 days", func(f *facts) any { return opt(f.view.UsedAvg90) }},
	{"amazon_ceiling_cents", Integer, pipeline.LookGlance, "the most a listing can bring beside Amazon", func(f *facts) any { return opt(f.view.AmazonCeiling) }},
	{"profit_at_amazon_ceiling_cents", Integer, pipeline.LookGlance, "profit of a sale at that ceiling, at the least cost", profitAtAmazonCeiling},
	{"profit_at_hard_ceiling_cents", Integer, pipeline.LookGlance, "profit of a sale at the hard ceiling, at the least cost", profitAtHardCeiling},
	{"likely_profit_cents", Integer, pipeline.LookGlance, "profit to expect, with default shipping", func(f *facts) any { return opt(f.view.LikelyProfit) }},

	{"product_type", Integer, pipeline.LookPeek, "0 for what can be sold", func(f *facts) any { return opt(f.view.ProductType) }},
	{"used_avg365_cents", Integer, pipeline.LookPeek, "used price, mean of 365 days", func(f *facts) any { return opt(f.view.UsedAvg365) }},
	{"has_history", Boolean, pipeline.LookPeek, "the answer came with histories", func(f *facts) any { return f.view.Evidence != nil }},
	{"trigger_count", Integer, pipeline.LookPeek, "offers that vanished, sold or not", evidence(func(e *deal.Evidence) any { return int64(e.Sales.Triggers) })},
	{"sale_count", Integer, pipeline.LookPeek, "sales that the histories imply", evidence(func(e *deal.Evidence) any { return int64(len(e.Sales.Kept)) })},
	{"sales_in_year", Integer, pipeline.LookPeek, "such sales in the last 365 days", evidence(func(e *deal.Evidence) any { return int64(e.SalesInYear) })},
	{"confidence_percent", Number, pipeline.LookPeek, "sales per vanished offer", evidence(confidence)},
	{"one_year_average_cents", Integer, pipeline.LookPeek, "mean price of the last year's sales", evidence(func(e *deal.Evidence) any { return opt(e.OneYear) })},
	{"list_price_cents", Integer, pipeline.LookPeek, "what the book can be listed at", evidence(listPrice)},
	{"suspicious_ratio", Boolean, pipeline.LookPeek, "the list price is suspiciously many times the used price", evidence(func(e *deal.Evidence) any { return e.SuspectRatio })},
	{"fees_assumed", Boolean, pipeline.LookPeek, "a default stands in for a fee", func(f *facts) any { return f.view.Fees.Assumed }},
	{"best_profit_cents", Integer, pipeline.LookPeek, "profit at the list price with free shipping", bestProfit},
	{"best_roi_percent", Number, pipeline.LookPeek, "return on the cost with free shipping", bestROI},

	{"landed_cents", Integer, pipeline.LookCommit, "price of the offer to buy, with shipping", purchase(func(c *deal.Purchase) any { return c.LandedCents })},
	{"shipping_known", Boolean, pipeline.LookCommit, "the seller states his shipping", purchase(func(c *deal.Purchase) any { return c.ShippingKnown })},
	{"offer_matched", Boolean, pipeline.LookCommit, "a live offer carries the price", purchase(func(c *deal.Purchase) any { return c.Matched })},
	{"profit_cents", Integer, pipeline.LookCommit, "profit at the list price", func(f *facts) any { return opt(f.view.Profit(f.s)) }},
	{"roi_percent", Number, pipeline.LookCommit, "return on the cost", realROI},
}

// opt turns a pointer into a value or nil.
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

func purchase(value func(*deal.Purchase) any) func(*facts) any {
	return func(f *facts) any {
		if f.view.Purchase == nil {
			return nil
		}
		return value(f.view.Purchase)
	}
}

func profitAtAmazonCeiling(f *facts) any { return opt(f.view.ProfitAt(f.s, f.view.AmazonCeiling)) }
func profitAtHardCeiling(f *facts) any   { return opt(f.view.ProfitAt(f.s, &f.s.HardCeilingCents)) }

func listPrice(e *deal.Evidence) any {
	if e.Listing == nil {
		return nil
	}
	return e.Listing.Cents
}

func confidence(e *deal.Evidence) any {
	if c, ok := e.Sales.Confidence(); ok {
		return c
	}
	return nil
}

func bestProfit(f *facts) any {
	if e := f.view.Evidence; e != nil && e.Listing != nil {
		return opt(f.view.ProfitAt(f.s, &e.Listing.Cents))
	}
	return nil
}

func bestROI(f *facts) any {
	profit, ok := bestProfit(f).(int64)
	if !ok {
		return nil
	}
	return ratio(profit, f.s.AllInCost(*f.view.Used))
}

func realROI(f *facts) any {
	profit := f.view.Profit(f.s)
	if profit == nil {
		return nil
	}
	return ratio(*profit, f.s.AllInCost(f.view.Purchase.LandedCents))
}

// ratio is part of whole in percent; nil where the whole is not positive.
func ratio(part, whole int64) any {
	if whole <= 0 {
		return nil
	}
	return float64(part) * 100 / float64(whole)
}
