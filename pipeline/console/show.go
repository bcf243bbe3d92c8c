package console

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"ratchet/pipeline/foreign"
	"ratchet/pipeline/tally"
)

// dealColumns are the columns of a deal as csv, in their order.
var dealColumns = []struct {
	name  string
	value func(Deal) string
}{
	{"asin", func(d Deal) string { return d.ASIN }},
	{"url", func(d Deal) string { return d.URL }},
	{"title", func(d Deal) string { return d.Title.String() }},
	{"condition", func(d Deal) string { return d.Condition }},
	{"landed_cents", func(d Deal) string { return number(d.LandedCents) }},
	{"sale_price_cents", func(d Deal) string { return number(d.SaleCents) }},
	{"sale_price_low_cents", func(d Deal) string { return number(d.SaleLow) }},
	{"sale_price_high_cents", func(d Deal) string { return number(d.SaleHigh) }},
	{"profit_cents", func(d Deal) string { return number(d.ProfitCents) }},
	{"profit_low_cents", func(d Deal) string { return number(d.ProfitLow) }},
	{"profit_high_cents", func(d Deal) string { return number(d.ProfitHigh) }},
	{"loss_chance", func(d Deal) string { return decimal(d.LossChance) }},
	{"months_to_sell", func(d Deal) string { return decimal(d.MonthsToSell) }},
	{"roi_percent", func(d Deal) string { return decimal(d.ROIPercent) }},
	{"all_in_cost_cents", func(d Deal) string { return number(d.AllInCents) }},
	{"amazon_fees_cents", func(d Deal) string { return number(d.AmazonFees) }},
	{"next_best_cents", func(d Deal) string { return number(d.NextBest) }},
	{"lowest_new_cents", func(d Deal) string { return number(d.LowestNew) }},
	{"used_buy_box_cents", func(d Deal) string { return number(d.UsedBuyBox) }},
	{"rank", func(d Deal) string { return number(d.Rank) }},
	{"seller_name", func(d Deal) string { return d.SellerName.String() }},
	{"seller_rating", func(d Deal) string { return number(d.SellerRating) }},
	{"seller_rating_count", func(d Deal) string { return number(d.SellerRatings) }},
	{"seller_quality", func(d Deal) string { return decimal(d.SellerQuality) }},
	{"sale_count", func(d Deal) string { return number(d.SaleCount) }},
	{"sales_in_year", func(d Deal) string { return number(d.SalesInYear) }},
	{"n_eff", func(d Deal) string { return decimal(d.NEff) }},
	{"rule_set", func(d Deal) string { return d.RuleSet }},
	{"tokens", func(d Deal) string { return strconv.Itoa(d.Tokens) }},
	{"response_ids", func(d Deal) string { return strings.Join(d.ResponseIDs, " ") }},
	{"decided_at", func(d Deal) string { return d.DecidedAt.Format(time.RFC3339) }},
	{"stale_because", func(d Deal) string { return d.Stale }},
}

// WriteDeals prints deals as table, json or csv.
func WriteDeals(w io.Writer, deals []Deal, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if deals == nil {
			deals = []Deal{}
		}
		return e.Encode(deals)
	case "csv":
		return writeCSV(w, deals, true)
	}
	if len(deals) == 0 {
		_, err := fmt.Fprintln(w, "No deals yet. `ratchet status` shows what is being worked on.")
		return err
	}
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("%s\n", strings.Join(tableHead, "\t"))
	for _, d := range deals {
		p.f("%s\n", strings.Join(tableRow(d), "\t"))
	}
	return p.flush()
}

func writeCSV(w io.Writer, deals []Deal, head bool) error {
	var rows [][]string
	if head {
		var names []string
		for _, c := range dealColumns {
			names = append(names, c.name)
		}
		rows = append(rows, names)
	}
	for _, d := range deals {
		var row []string
		for _, c := range dealColumns {
			row = append(row, foreign.Cell(c.value(d)))
		}
		rows = append(rows, row)
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// tableHead is the head of the table; under it stands what a person acts on.
var tableHead = []string{"PROFIT", "FROM..TO", "LOSS", "MONTHS", "BUY", "SELL", "COND", "SALES", "LINK", "TITLE", "STALE"}

func tableRow(d Deal) []string {
	return []string{
		d.money(d.ProfitCents), d.money(d.ProfitLow) + ".." + d.money(d.ProfitHigh), chance(d.LossChance), orDash(decimal(d.MonthsToSell)),
		d.money(d.LandedCents), d.money(d.SaleCents), orDash(d.Condition), orDash(number(d.SaleCount)), d.URL, d.Title.Short(50).String(), d.Stale,
	}
}

// money is an amount of the deal in its marketplace's currency.
func (d Deal) money(units *int64) string { return tally.Money(d.Domain, units) }

// chance is a chance in percent.
func chance(p *float64) string {
	if p == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100**p)
}

// tableWidths are the columns' widths where rows come one by one.
var tableWidths = []int{9, 18, 5, 6, 9, 9, 10, 5, 37, 50}

// stream prints deals one by one, as they come.
type stream struct {
	w      io.Writer
	format string
	begun  bool
}

// show prints one deal: a table's row, a csv's row, or a JSON object on a line.
func (s *stream) show(d Deal) error {
	head := !s.begun
	s.begun = true
	switch s.format {
	case "json":
		return json.NewEncoder(s.w).Encode(d)
	case "csv":
		return writeCSV(s.w, []Deal{d}, head)
	}
	text := ""
	if head {
		text = padded(tableHead)
	}
	_, err := io.WriteString(s.w, text+padded(tableRow(d)))
	return err
}

func padded(cells []string) string {
	var b strings.Builder
	for i, c := range cells {
		if i < len(tableWidths) {
			c = fmt.Sprintf("%-*s ", tableWidths[i], c)
		}
		b.WriteString(c)
	}
	return b.String() + "\n"
}

func decimal(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

// number is an integer as csv has it; empty where it is unknown.
func number[T int | int64](n *T) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}
