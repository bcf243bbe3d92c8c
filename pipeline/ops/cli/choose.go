package cli

import (
	"cmp"
	"slices"
	"strings"

	"ratchet/pipeline/domain/keepa"
)

// Choice is which deals are shown. The zero value selects all. A limit leaves out deals whose number is unknown.
type Choice struct {
	MinProfit     *float64 // in the marketplace's currency, as people write it: 3.5 is $3.50
	MaxLossChance *float64 // 0 to 1
	Condition     string   // this one or a better one: "good" also shows "very good" and "like new"
	MaxRank       int64    // 0: any
}

// Conditions returns the conditions of a copy to buy, the best first.
func Conditions() []string {
	var out []string
	for c := keepa.ConditionLikeNew; c.Used(); c++ {
		out = append(out, c.String())
	}
	return out
}

// Admits reports whether a deal is shown.
func (c Choice) Admits(d *Deal) bool {
	switch {
	case c.MinProfit != nil && (d.ProfitCents == nil || *d.ProfitCents < keepa.Domain(d.Domain).Currency().Units(*c.MinProfit)),
		c.MaxLossChance != nil && (d.LossChance == nil || *d.LossChance > *c.MaxLossChance),
		c.MaxRank > 0 && (d.Rank == nil || *d.Rank > c.MaxRank):
		return false
	}
	return c.Condition == "" || atLeast(d.Condition, c.Condition)
}

// atLeast reports whether a used condition is known and at least as good as another.
func atLeast(condition, least string) bool {
	is := slices.Index(Conditions(), condition)
	return is >= 0 && is <= slices.Index(Conditions(), least)
}

// units returns an amount as people write it: 12.5 for 1250 cents.
func (d Deal) units(cents int64) float64 {
	f := float64(cents)
	for range keepa.Domain(d.Domain).Currency().Decimals {
		f /= 10
	}
	return f
}

// By is an order of deals: the best for the buyer first, unknown last.
type By string

// orders maps an order to its sort key, smallest first; nil if the deal has no such number.
var orders = map[By]func(Deal) *float64{
	"profit": func(d Deal) *float64 { return negative(float(d.ProfitCents)) },
	"loss":   func(d Deal) *float64 { return d.LossChance },
	"value":  func(d Deal) *float64 { return negative(float(d.ExpectedCents)) },
	"roi":    func(d Deal) *float64 { return negative(d.ROIPercent) },
	"months": func(d Deal) *float64 { return d.MonthsToSell },
	"rank":   func(d Deal) *float64 { return float(d.Rank) },
	"buy":    func(d Deal) *float64 { return float(d.LandedCents) },
	"age": func(d Deal) *float64 {
		at := -float64(d.foundAt().UnixMilli())
		return &at
	},
}

// sql is the order for a question about visible_deals, the same as that of sort.
func (by By) sql() string {
	return map[By]string{
		"profit": "profit_cents DESC", "loss": "loss_chance", "value": "expected_value_cents DESC", "roi": "roi_percent DESC",
		"months": "months_to_sell", "rank": "rank", "buy": "landed_cents",
		"age": "greatest(last_confirmed_at, ifNull(decided_at, toDateTime64(0, 3, 'UTC'))) DESC",
	}[cmp.Or(by, "profit")] + " NULLS LAST, asin, domain, price_type"
}

// Orders returns the names of the orders.
func Orders() []string {
	return []string{"profit", "loss", "value", "roi", "months", "rank", "buy", "age"}
}

func float(n *int64) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

func negative(f *float64) *float64 {
	if f == nil {
		return nil
	}
	n := -*f
	return &n
}

// sort sorts deals; "" is by profit.
func (by By) sort(deals []Deal) { copy(deals, by.sorted(pointers(deals))) }

// sorted are deals in the order. Each key is computed once, and pointers are moved: a deal is large.
func (by By) sorted(deals []*Deal) []Deal {
	key := orders[cmp.Or(by, "profit")]
	type keyed struct {
		*Deal
		key *float64
	}
	all := make([]keyed, len(deals))
	for i, d := range deals {
		all[i] = keyed{d, key(*d)}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(absentLast(a.key, b.key), strings.Compare(a.ASIN, b.ASIN), a.place().Compare(b.place()))
	})
	out := make([]Deal, len(all))
	for i, d := range all {
		out[i] = *d.Deal
	}
	return out
}

func pointers(deals []Deal) []*Deal {
	out := make([]*Deal, len(deals))
	for i := range deals {
		out[i] = &deals[i]
	}
	return out
}

func absentLast(a, b *float64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*a, *b)
}

// Choose returns the deals that a choice admits, in an order.
func Choose(deals []Deal, c Choice, by By) []Deal {
	return by.sorted(slices.DeleteFunc(pointers(deals), func(d *Deal) bool { return !c.Admits(d) }))
}
