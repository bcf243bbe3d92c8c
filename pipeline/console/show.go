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

	"ratchet/pipeline/tally"
)

// dealColumns are the columns of a deal as csv, in their order.
var dealColumns = []struct {
	name  string
	value func(Deal) string
}{
	{"asin", func(d Deal) string { return d.ASIN }},
	{"url", func(d Deal) string { return d.URL }},
	{"title", func(d Deal) string { return d.Title }},
	{"condition", func(d Deal) string { return d.Condition }},
	{"landed_cents", func(d Deal) string { return number(d.LandedCents) }},
	{"list_price_cents", func(d Deal) string { return number(d.ListCents) }},
	{"profit_cents", func(d Deal) string { return number(d.ProfitCents) }},
	{"roi_percent", func(d Deal) string { return decimal(d.ROIPercent) }},
	{"minimum_price_cents", func(d Deal) string { return number(d.MinimumCents) }},
	{"rank", func(d Deal) string { return number(d.Rank) }},
	{"seller_name", func(d Deal) string { return d.SellerName }},
	{"seller_quality", func(d Deal) string { return decimal(d.SellerQuality) }},
	{"sale_count", func(d Deal) string { return number(d.SaleCount) }},
	{"sales_in_year", func(d Deal) string { return number(d.SalesInYear) }},
	{"trigger_count", func(d Deal) string { return number(d.Triggers) }},
	{"confidence_percent", func(d Deal) string { return decimal(d.Confidence) }},
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
			row = append(row, c.value(d))
		}
		rows = append(rows, row)
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// tableHead is the head of the table; under it stands what a person acts on.
var tableHead = []string{"PROFIT", "ROI", "BUY", "SELL", "SALES", "TRUST", "TOKENS", "LINK", "TITLE", "STALE"}

func tableRow(d Deal) []string {
	return []string{
		tally.Money(d.ProfitCents), percent(d.ROIPercent), tally.Money(d.LandedCents), tally.Money(d.ListCents),
		orDash(number(d.SaleCount)), percent(d.Confidence), strconv.Itoa(d.Tokens), d.URL, tally.Short(d.Title, 50), d.Stale,
	}
}

// tableWidths are the columns' widths where rows come one by one.
var tableWidths = []int{9, 7, 9, 9, 6, 7, 7, 37, 50}

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

func percent(f *float64) string {
	if f == nil {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", *f)
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
