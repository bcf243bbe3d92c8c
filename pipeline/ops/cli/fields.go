package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/text/foreign"
)

// field is one thing that is shown of a deal, as the column of a table and of a csv.
type field struct {
	name  string
	least int // the narrowest useful width, if it may be cut; 0 if not
	usual int // the usual width, for rows that are printed one by one
	right bool
	table func(d Deal, now time.Time) string
	csv   func(d Deal) string // nil if not in a csv
}

// tableFields are the default of a table, csvFields of a csv. A csv has amounts in the marketplace's currency, times in
// UTC, and ASINs and ISBNs as text.
var (
	tableFields = []string{"profit", "loss", "buy", "range", "months", "condition", "rank", "age", "fba", "asin", "seller", "link", "title"}
	csvFields   = []string{
		"asin", "isbn13", "title", "profit", "profit_low", "profit_high", "loss", "buy", "price", "shipping", "condition", "sell", "sell_low", "sell_high",
		"currency", "months", "roi", "value", "rank", "found", "fba", "seller", "seller_rating", "seller_ratings", "cost", "tax", "prep", "inbound", "other", "vat",
		"fees", "referral_fee", "fba_fee", "closing_fee", "fees_assumed", "next_best", "lowest_new", "used_buy_box", "sales", "sales_in_year", "n_eff",
		"link", "offers", "keepa", "note", "tokens", "rule_set", "work_id", "response_ids",
	}
)

// Fields returns the names of all fields.
func Fields() []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.name)
	}
	return out
}

// InCSV reports whether a field can be a column of a csv.
func InCSV(name string) bool {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	return i >= 0 && fields[i].csv != nil
}

// WithNote returns names with the note if a deal has one, whichever fields the user chose.
func WithNote(names []string, deals []Deal) []string {
	if !slices.Contains(names, "note") && slices.ContainsFunc(deals, func(d Deal) bool { return d.Note() != "" }) {
		return noted(names)
	}
	return names
}

// fieldsOf returns the fields of these names, with the note if a deal has one.
func fieldsOf(names []string, deals []Deal) []field {
	var out []field
	for _, name := range WithNote(names, deals) {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.name == name }); i >= 0 {
			out = append(out, fields[i])
		}
	}
	return out
}

// noted returns names with the note, before the columns that may be cut.
func noted(names []string) []string {
	at := slices.IndexFunc(names, func(name string) bool { return name == "seller" || name == "title" })
	if at < 0 {
		at = len(names)
	}
	return slices.Insert(slices.Clone(names), at, "note")
}

// text returns a field with foreign text.
func text(name string, least, usual int, of func(Deal) foreign.Text) field {
	return field{
		name: name, least: least, usual: usual,
		table: func(d Deal, _ time.Time) string { return orDash(of(d).String()) },
		csv:   func(d Deal) string { return of(d).CSV() },
	}
}

// idCell quotes an ASIN or an ISBN for a spreadsheet, which would read it as a number and drop leading zeros.
func idCell(id string) string {
	if id == "" {
		return ""
	}
	return `="` + strings.ReplaceAll(id, `"`, "") + `"`
}

// ours returns a field with our text.
func ours(name string, usual int, of func(Deal) string) field {
	return field{name: name, usual: usual, table: func(d Deal, _ time.Time) string { return orDash(of(d)) }, csv: func(d Deal) string { return foreign.Cell(of(d)) }}
}

// amount returns a field of money.
func amount(name string, of func(Deal) *int64) field {
	return field{
		name: name, usual: 8, right: true,
		table: func(d Deal, _ time.Time) string { return d.money(of(d)) },
		csv: func(d Deal) string {
			if cents := of(d); cents != nil {
				return keepa.Domain(d.Domain).Currency().Amount(*cents)
			}
			return ""
		},
	}
}

// count returns a field with an integer.
func count[T int | int64](name string, usual int, of func(Deal) *T) field {
	return field{
		name: name, usual: usual, right: true,
		table: func(d Deal, _ time.Time) string { return orDash(number(of(d))) },
		csv:   func(d Deal) string { return number(of(d)) },
	}
}

// share returns a field with a decimal number, and that many decimals in a table.
func share(name string, decimals int, of func(Deal) *float64) field {
	return field{
		name: name, usual: 6, right: true,
		table: func(d Deal, _ time.Time) string {
			if f := of(d); f != nil {
				return strconv.FormatFloat(*f, 'f', decimals, 64)
			}
			return "–"
		},
		csv: func(d Deal) string { return decimal(of(d)) },
	}
}

func yesNo(name string, of func(Deal) *bool) field {
	return field{
		name: name, usual: 3,
		table: func(d Deal, _ time.Time) string { return orDash(truth(of(d))) },
		csv:   func(d Deal) string { return truth(of(d)) },
	}
}

func truth(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "yes"
	}
	return "no"
}

// id returns a field with an ASIN or an ISBN.
func id(name string, of func(Deal) string) field {
	return field{
		name: name, usual: 10,
		table: func(d Deal, _ time.Time) string { return orDash(of(d)) },
		csv:   func(d Deal) string { return idCell(of(d)) },
	}
}

var fields = []field{
	id("asin", func(d Deal) string { return d.ASIN }),
	id("isbn13", func(d Deal) string { return deal.ISBN13(d.ASIN) }),
	text("title", 10, 40, func(d Deal) foreign.Text { return d.Title }),
	amount("profit", func(d Deal) *int64 { return d.ProfitCents }),
	amount("profit_low", func(d Deal) *int64 { return d.ProfitLow }),
	amount("profit_high", func(d Deal) *int64 { return d.ProfitHigh }),
	{
		name: "loss", usual: 5, right: true,
		table: func(d Deal, _ time.Time) string { return chance(d.LossChance) },
		csv:   func(d Deal) string { return decimal(d.LossChance) },
	},
	amount("buy", func(d Deal) *int64 { return d.LandedCents }),
	amount("price", func(d Deal) *int64 { return d.PriceCents }),
	amount("shipping", func(d Deal) *int64 { return d.ShippingCents }),
	ours("condition", 10, Deal.condition),
	amount("sell", func(d Deal) *int64 { return d.SaleCents }),
	{name: "range", usual: 9, right: true, table: func(d Deal, _ time.Time) string { return d.saleRange() }},
	amount("sell_low", func(d Deal) *int64 { return d.SaleLow }),
	amount("sell_high", func(d Deal) *int64 { return d.SaleHigh }),
	ours("currency", 3, func(d Deal) string { return keepa.Domain(d.Domain).Currency().Code }),
	share("months", 1, func(d Deal) *float64 { return d.MonthsToSell }),
	share("roi", 0, func(d Deal) *float64 { return d.ROIPercent }),
	amount("value", func(d Deal) *int64 { return d.ExpectedCents }),
	{
		name: "rank", usual: 9, right: true,
		table: func(d Deal, _ time.Time) string { return orDash(grouped(number(d.Rank))) },
		csv:   func(d Deal) string { return number(d.Rank) },
	},
	{
		name: "age", usual: 4, right: true,
		table: func(d Deal, now time.Time) string { return age(now.Sub(d.foundAt())) },
	},
	ours("found", 19, func(d Deal) string { return d.foundAt().UTC().Format(time.DateTime) }),
	yesNo("fba", func(d Deal) *bool { return d.BuyFBA }),
	text("seller", 8, 16, func(d Deal) foreign.Text {
		if d.SellerName.IsZero() {
			return foreign.Of(d.SellerID)
		}
		return d.SellerName
	}),
	ours("seller_id", 14, func(d Deal) string { return d.SellerID }),
	count("seller_rating", 3, func(d Deal) *int64 { return d.SellerRating }),
	count("seller_ratings", 6, func(d Deal) *int64 { return d.SellerRatings }),
	amount("cost", func(d Deal) *int64 { return d.AllInCents }),
	amount("tax", func(d Deal) *int64 { return d.TaxCents }),
	amount("prep", func(d Deal) *int64 { return d.PrepCents }),
	amount("inbound", func(d Deal) *int64 { return d.InboundCents }),
	amount("other", func(d Deal) *int64 { return d.OtherCents }),
	amount("vat", func(d Deal) *int64 { return d.VATCents }),
	amount("fees", func(d Deal) *int64 { return d.AmazonFees }),
	amount("referral_fee", func(d Deal) *int64 { return d.ReferralCents }),
	amount("fba_fee", func(d Deal) *int64 { return d.FBACents }),
	amount("closing_fee", func(d Deal) *int64 { return d.ClosingCents }),
	yesNo("fees_assumed", func(d Deal) *bool { return d.FeesAssumed }),
	amount("next_best", func(d Deal) *int64 { return d.NextBest }),
	amount("lowest_new", func(d Deal) *int64 { return d.LowestNew }),
	amount("used_buy_box", func(d Deal) *int64 { return d.UsedBuyBox }),
	count("sales", 5, func(d Deal) *int { return d.SaleCount }),
	count("sales_in_year", 5, func(d Deal) *int { return d.SalesInYear }),
	share("n_eff", 1, func(d Deal) *float64 { return d.NEff }),
	ours("link", 36, func(d Deal) string { return d.URL }),
	ours("offers", 64, func(d Deal) string { return d.OffersURL }),
	ours("keepa", 42, func(d Deal) string { return d.KeepaURL }),
	{name: "note", usual: 9, table: func(d Deal, _ time.Time) string { return d.Note() }, csv: func(d Deal) string { return foreign.Cell(d.Note()) }},
	count("tokens", 3, func(d Deal) *int { return &d.Tokens }),
	ours("rule_set", 12, func(d Deal) string { return d.RuleSet }),
	ours("work_id", 24, func(d Deal) string { return d.WorkID }),
	ours("response_ids", 20, func(d Deal) string { return strings.Join(d.ResponseIDs, " ") }),
}

// money formats an amount in the currency of the deal's marketplace.
func (d Deal) money(units *int64) string { return keepa.Domain(d.Domain).Money(units) }

// saleRange returns the range of eight of ten sale prices, in whole units.
func (d Deal) saleRange() string {
	if d.SaleLow == nil || d.SaleHigh == nil {
		return "–"
	}
	return fmt.Sprintf("%s%.0f–%.0f", keepa.Domain(d.Domain).Currency().Symbol, d.units(*d.SaleLow), d.units(*d.SaleHigh))
}

// age formats a duration for people, in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// chance formats a chance in percent.
func chance(p *float64) string {
	if p == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100**p)
}

// decimal formats a number for a csv; empty if unknown.
func decimal(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

// number formats an integer for a csv; empty if unknown.
func number[T int | int64](n *T) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

// grouped returns digits in groups of three.
func grouped(digits string) string {
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
