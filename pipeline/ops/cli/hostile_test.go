package cli_test

import (
	"bytes"
	"encoding/csv"
	"regexp"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// ofOurs is an ASIN or an ISBN as a cell, whose zeros a spreadsheet keeps.
var ofOurs = regexp.MustCompile(`^="[0-9A-Z]{10,13}"$`)

// forged publishes a version of a book's deal with a hostile title and links of its own, as a message from before text
// was cleaned.
func forged(t *testing.T, d *desk.Desk, asin, title string) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	m, err := bus.Encode(pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), pipeline.SchemaDeal, "forged:"+asin, asin+"forged", map[string]any{
		"domain": 1, "asin": asin, "price_type": w.Survivor.PriceType, "creation_date": w.Survivor.CreationDate, "decided_at": d.Env.Now(),
		"title": title, "seller_name": title, "condition": title, "categories": []string{title}, "profit_cents": 500, "found_at": d.Env.Now(), "simulated": false, // that has links
		"url": "https://evil.example/dp/" + asin, "keepa_url": "javascript:alert(1)",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bus.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestAHostileTitleAndAForgedLinkReachNoTerminalOrSpreadsheet(t *testing.T) {
	t.Parallel()
	const title = "=HYPERLINK(\"https://evil.example\")\x1b[2J\u202e <!channel> @everyone [x](https://evil.example) `"
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	d.Accepted(t, asin)
	forged(t, d, asin, title)

	v := cli.NewVisible(d.Bus, "")
	defer v.Close()
	deals, _, err := v.List(t.Context(), time.Time{})
	if err != nil || len(deals) != 1 {
		t.Fatalf("%d deals, %v", len(deals), err)
	}
	for _, format := range []string{"table", "csv", "json"} {
		var out bytes.Buffer
		if err := cli.WriteDeals(&out, deals, cli.Show{Format: format}); err != nil {
			t.Fatal(err)
		}
		harmless(t, format, out.String())
		if format != "csv" {
			continue
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range rows[1] {
			if strings.HasPrefix(cell, "=") && !ofOurs.MatchString(cell) {
				t.Errorf("the cell %q is a formula", cell)
			}
		}
	}
}

// harmless wants the link that we make, no other, and nothing that a terminal obeys.
func harmless(t *testing.T, where, text string) {
	t.Helper()
	if !strings.Contains(text, "https://www.amazon.com/dp/") || strings.Contains(text, "evil.example/dp") || strings.Contains(text, "javascript:") {
		t.Errorf("%s does not show the link that we make: %s", where, text)
	}
	if strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, `\u001b`) || strings.Contains(text, `\u202e`) {
		t.Errorf("%s shows what a terminal obeys: %q", where, text)
	}
}
