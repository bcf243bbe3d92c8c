package cli_test

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/text/foreign"
)

var update = flag.Bool("update", false, "write the golden files")

var at = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// someDeals are deals as they come: usual, long, with text that would be a formula, simulated, and one that says
// little.
func someDeals() []cli.Deal {
	full := cli.Deal{
		Domain: 1, ASIN: "0593655036", PriceType: 2, Title: foreign.Of("Atomic Habits: An Easy & Proven Way to Build Good Habits & Break Bad Ones"),
		URL: "https://www.amazon.com/dp/0593655036", OffersURL: "https://www.amazon.com/gp/offer-listing/0593655036/?condition=used",
		KeepaURL: "https://keepa.com/#!product/1-0593655036", LandedCents: ptr(int64(999)), Condition: "very good", SellerName: foreign.Of("Second Sale"), BuyFBA: ptr(false),
		SaleCents: ptr(int64(3910)), SaleLow: ptr(int64(3010)), SaleHigh: ptr(int64(4800)), ProfitCents: ptr(int64(1520)), LossChance: ptr(0.214),
		MonthsToSell: ptr(2.14), Rank: ptr(int64(45321)), DecidedAt: at.Add(-3 * time.Hour), AmazonFees: ptr(int64(1091)), AllInCents: ptr(int64(1299)),
		ROIPercent: ptr(117.0),
	}
	other := full
	other.ASIN, other.Title, other.SellerName = "193288436X", foreign.Of("=HYPERLINK(\"http://evil.example\";\"a cheap book\")\x1b[31m"), foreign.Of("@evil, with a very long name indeed")
	other.ProfitCents, other.Condition, other.Rank, other.LossChance = ptr(int64(500)), "good", ptr(int64(1_234_567)), ptr(0.4)
	other.DecidedAt, other.BuyFBA, other.Stale = at.Add(-72*time.Hour), ptr(true), "stale_waiting"
	other.URL, other.OffersURL, other.KeepaURL = "https://www.amazon.com/dp/193288436X", "", ""
	wide := full
	wide.ASIN, wide.Title, wide.ProfitCents, wide.Condition, wide.DecidedAt = "B0CS6RL7D6", foreign.Of("日本語の本はここにあります、長い題名の本です"), ptr(int64(12345)), "like new", at.Add(-10*time.Minute)
	wide.URL = "https://www.amazon.com/dp/B0CS6RL7D6"
	made := full
	made.ASIN, made.Simulated, made.URL, made.KeepaURL, made.OffersURL, made.ProfitCents = "0006120725", true, "", "", "", ptr(int64(-300))
	bare := cli.Deal{Domain: 1, ASIN: "0000000000", DecidedAt: at.Add(-time.Minute)}
	return []cli.Deal{full, other, wide, made, bare}
}

func TestDealsFitTheTerminal(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]cli.Show{
		"deals-80": {Width: 80}, "deals-140": {Width: 140}, "deals-pipe": {},
		"deals-80-columns": {Width: 80, Fields: []string{"profit", "title", "link", "offers"}},
	} {
		s.Now = at
		var out bytes.Buffer
		if err := cli.WriteDeals(&out, someDeals(), s); err != nil {
			t.Fatal(err)
		}
		if s.Width > 0 {
			for line := range strings.Lines(out.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > s.Width {
					t.Errorf("%s: %d columns: %s", name, n, line)
				}
			}
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s passes a seller's control sequence on", name)
		}
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || string(want) != out.String() {
			t.Errorf("%s is not as %s (%v):\n%s", name, file, err, out.String())
		}
	}
}

func TestATableIsNeverWiderThanTheTerminalAndLosesNoColumn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		width := rapid.IntRange(70, 200).Draw(r, "width") // the widest single cell is an address
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(cli.Fields()), 1, 12, rapid.ID).Draw(r, "columns")
		var out bytes.Buffer
		if err := cli.WriteDeals(&out, someDeals(), cli.Show{Width: width, Fields: names, Now: at}); err != nil {
			r.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > width {
				r.Fatalf("wider than %d: %s", width, line)
			}
		}
		for _, name := range names {
			if head := strings.ToUpper(strings.ReplaceAll(name, "_", " ")); !strings.Contains(out.String(), head) {
				r.Fatalf("%s is lost:\n%s", head, out.String())
			}
		}
		if !strings.Contains(out.String(), "simulated") {
			r.Fatalf("the simulated deal is not marked:\n%s", out.String())
		}
	})
}

// rowsOfCSV are the rows by their head's names.
func rowsOfCSV(t *testing.T, s cli.Show) []map[string]string {
	t.Helper()
	var out bytes.Buffer
	s.Format, s.Now = "csv", at
	if err := cli.WriteDeals(&out, someDeals(), s); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]string
	for _, r := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = r[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func TestACSVOpensRightInASpreadsheet(t *testing.T) {
	t.Parallel()
	rows := rowsOfCSV(t, cli.Show{By: "profit"})
	first, second, evil, last := rows[0], rows[1], rows[2], rows[3]
	for name, want := range map[string]string{
		"asin": `="0593655036"`, "isbn13": `="9780593655030"`, "profit": "15.20", "buy": "9.99", "sell_low": "30.10", "fees": "10.91", "cost": "12.99",
		"loss": "0.214", "currency": "USD", "found": "2026-03-02 06:00:00", "fba": "no", "note": "", "link": "https://www.amazon.com/dp/0593655036", "prep": "",
	} {
		if second[name] != want {
			t.Errorf("%s is %q, want %q", name, second[name], want)
		}
	}
	if first["asin"] != `="B0CS6RL7D6"` || first["isbn13"] != "" || first["profit"] != "123.45" {
		t.Errorf("an ASIN that is not an ISBN: %v", first)
	}
	if !strings.HasPrefix(evil["title"], "'=HYPERLINK") || !strings.HasPrefix(evil["seller"], "'@evil") {
		t.Errorf("a formula of a seller's stays one: %q, %q", evil["title"], evil["seller"])
	}
	if last["note"] != "simulated" || last["link"] != "" || last["profit"] != "-3.00" {
		t.Errorf("a simulated deal: %v", last)
	}
	if rows = rowsOfCSV(t, cli.Show{Fields: []string{"asin", "profit"}}); len(rows[0]) != 3 || rows[3]["note"] != "simulated" {
		t.Errorf("with two columns: %v; want them and the note", rows)
	}
}

func TestEveryAmountOfACSVIsInItsColumn(t *testing.T) {
	t.Parallel()
	d := cli.Deal{Domain: 1, ASIN: "0593655036", DecidedAt: at}
	amounts := map[string]**int64{
		"profit": &d.ProfitCents, "profit_low": &d.ProfitLow, "profit_high": &d.ProfitHigh, "buy": &d.LandedCents, "price": &d.PriceCents,
		"shipping": &d.ShippingCents, "sell": &d.SaleCents, "sell_low": &d.SaleLow, "sell_high": &d.SaleHigh, "value": &d.ExpectedCents, "cost": &d.AllInCents,
		"tax": &d.TaxCents, "prep": &d.PrepCents, "inbound": &d.InboundCents, "other": &d.OtherCents, "vat": &d.VATCents, "fees": &d.AmazonFees,
		"referral_fee": &d.ReferralCents, "fba_fee": &d.FBACents, "closing_fee": &d.ClosingCents, "next_best": &d.NextBest, "lowest_new": &d.LowestNew,
		"used_buy_box": &d.UsedBuyBox,
	}
	for i, name := range slices.Sorted(maps.Keys(amounts)) {
		*amounts[name] = ptr(int64(100*i + 7))
	}
	var out bytes.Buffer
	if err := cli.WriteDeals(&out, []cli.Deal{d}, cli.Show{Format: "csv"}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	is := map[string]string{}
	for i, name := range rows[0] {
		is[name] = rows[1][i]
	}
	for i, name := range slices.Sorted(maps.Keys(amounts)) {
		if want := fmt.Sprintf("%d.07", i); is[name] != want {
			t.Errorf("%s is %q, want %s", name, is[name], want)
		}
	}
}

func TestDealsAreChosenAndSorted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		show cli.Show
		want string
	}{
		{"all, by profit, unknown last", cli.Show{}, "B0CS6RL7D6 0593655036 193288436X 0006120725 0000000000"},
		{"at least $5", cli.Show{Choice: cli.Choice{MinProfit: ptr(5.0)}}, "B0CS6RL7D6 0593655036 193288436X"},
		{"at least $5.01", cli.Show{Choice: cli.Choice{MinProfit: ptr(5.01)}}, "B0CS6RL7D6 0593655036"},
		{"even at a loss", cli.Show{Choice: cli.Choice{MinProfit: ptr(-3.0)}}, "B0CS6RL7D6 0593655036 193288436X 0006120725"},
		{"at most 30 %", cli.Show{Choice: cli.Choice{MaxLossChance: ptr(0.3)}}, "B0CS6RL7D6 0593655036 0006120725"},
		{"very good or better", cli.Show{Choice: cli.Choice{Condition: "very good"}}, "B0CS6RL7D6 0593655036 0006120725"},
		{"like new", cli.Show{Choice: cli.Choice{Condition: "like new"}}, "B0CS6RL7D6"},
		{"a rank", cli.Show{Choice: cli.Choice{MaxRank: 45321}}, "B0CS6RL7D6 0593655036 0006120725"},
		{"the newest first", cli.Show{By: "age"}, "0000000000 B0CS6RL7D6 0006120725 0593655036 193288436X"},
		{"the likeliest to sell at a profit", cli.Show{By: "loss", Choice: cli.Choice{MaxLossChance: ptr(1.0)}}, "0006120725 0593655036 B0CS6RL7D6 193288436X"},
	} {
		var asins []string
		for _, r := range rowsOfCSV(t, c.show) {
			asins = append(asins, strings.Trim(r["asin"], `="`))
		}
		if got := strings.Join(asins, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for _, name := range cli.Orders() {
		deals := someDeals()
		slices.Reverse(deals)
		var a, b bytes.Buffer
		s := cli.Show{By: cli.By(name), Format: "json"}
		if cli.WriteDeals(&a, deals, s) != nil || cli.WriteDeals(&b, someDeals(), s) != nil || a.String() != b.String() {
			t.Errorf("by %s the order depends on how they came", name)
		}
	}
	var out bytes.Buffer
	if err := cli.WriteDeals(&out, someDeals(), cli.Show{Choice: cli.Choice{MinProfit: ptr(1000.0)}}); err != nil || !strings.Contains(out.String(), "None of the 5") {
		t.Errorf("nothing is within the limits: %q, %v", out.String(), err)
	}
}
