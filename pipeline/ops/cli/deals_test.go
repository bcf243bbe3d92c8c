package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// judged publishes a verdict about a deal.
func judged(t *testing.T, d *desk.Desk, asin, run string, look pipeline.Look, o pipeline.Outcome) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceRefresh, pipeline.RefreshGeneration(d.Env.Now()))
	v := pipeline.Verdict{Identity: w.Survivor.Identity, Look: look, Outcome: o, Reason: "test", DecidedAt: d.Env.Now()}
	if _, err := d.Bus.Publish(t.Context(), messages.Verdict(run, w.ID+run+string(look)+string(o), "", v)); err != nil {
		t.Fatal(err)
	}
}

// shown are the ASINs of the visible deals, sorted.
func shown(t *testing.T, d *desk.Desk) []string {
	t.Helper()
	deals, _, err := cli.NewVisible(d.Bus, "").List(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var asins []string
	for _, deal := range deals {
		asins = append(asins, deal.ASIN)
	}
	slices.Sort(asins)
	return asins
}

func TestADealThatALaterLookRejectedIsHidden(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	good := d.ASINs(keepasim.Good)[:5]
	for _, asin := range good {
		d.Accepted(t, asin)
		judged(t, d, asin, pipeline.RunLive, pipeline.LookCommit, pipeline.Accept)
	}
	judged(t, d, good[0], pipeline.RunLive, pipeline.LookPeek, pipeline.Reject)
	judged(t, d, good[1], "a-replay", pipeline.LookPeek, pipeline.Reject)       // hides nothing
	judged(t, d, good[2], pipeline.RunLive, pipeline.LookGlance, pipeline.Shed) // has no effect
	judged(t, d, good[3], pipeline.RunLive, pipeline.LookPeek, pipeline.Reject)
	judged(t, d, good[3], pipeline.RunLive, pipeline.LookPeek, pipeline.Confirm)
	judged(t, d, good[4], pipeline.RunLive, pipeline.LookGlance, pipeline.Reject)
	judged(t, d, good[4], "a-replay", pipeline.LookGlance, pipeline.Reject) // stands in front of the live one
	if got := shown(t, d); !slices.Equal(got, good[1:4]) {
		t.Errorf("shown are %v, want %v", got, good[1:4])
	}
}

// leads reports whether a text has a link to a page about a product.
func leads(text string) bool {
	return strings.Contains(text, "amazon.com") || strings.Contains(text, "keepa.com")
}

func TestADealShowsItsEvidenceInEveryFormat(t *testing.T) {
	t.Parallel()
	d, asins := worked(t, keepasim.Good)
	asin := asins[keepasim.Good]
	deals, _, err := cli.NewVisible(d.Bus, "").List(t.Context(), time.Time{})
	if err != nil || len(deals) != 1 {
		t.Fatalf("%d deals, %v", len(deals), err)
	}
	deal := deals[0]
	if deal.ASIN != asin || deal.RuleSet != desk.BuiltIn(t).Version() || deal.Tokens != d.Spent(t) || len(deal.ResponseIDs) < 2 ||
		deal.SaleCount == nil || *deal.SaleCount == 0 || deal.NEff == nil || deal.LossChance == nil || len(deal.LastSales) == 0 || deal.WorkID == "" || deal.Source != pipeline.SourceLive ||
		deal.URL != "" || !deal.Simulated || deal.ExpectedCents == nil {
		t.Errorf("got %+v, %d tokens spent", deal, d.Spent(t))
	}
	for format, check := range map[string]func(string) bool{
		"table": func(s string) bool {
			return strings.Contains(s, "MONTHS") && strings.Contains(s, "simulated") && !strings.Contains(s, "amazon.com")
		},
		"json": func(s string) bool {
			var again []cli.Deal
			return json.Unmarshal([]byte(s), &again) == nil && len(again) == 1 && again[0].RuleSet == deal.RuleSet && slices.Equal(again[0].ResponseIDs, deal.ResponseIDs) &&
				again[0].Simulated && !leads(s)
		},
		"csv": func(s string) bool {
			rows, err := csv.NewReader(strings.NewReader(s)).ReadAll()
			return err == nil && len(rows) == 2 && slices.Contains(rows[0], "rule_set") && slices.Contains(rows[1], strings.Join(deal.ResponseIDs, " ")) &&
				slices.Contains(rows[1], "simulated") && !leads(s)
		},
	} {
		var out bytes.Buffer
		if err := cli.WriteDeals(&out, deals, cli.Show{Format: format}); err != nil || !check(out.String()) {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
	story, err := cli.Why(t.Context(), d.Bus, asin)
	var why bytes.Buffer
	if err == nil {
		err = story.Write(&why)
	}
	if err != nil || !strings.Contains(why.String(), "as a sum (simulated: nobody sells this)") || leads(why.String()) {
		t.Errorf("why of a simulated deal: %v\n%s", err, &why)
	}
	for format, want := range map[string]string{"json": "[]\n", "table": "No deals yet"} {
		var out bytes.Buffer
		if err := cli.WriteDeals(&out, nil, cli.Show{Format: format}); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s without deals: %q, %v", format, out.String(), err)
		}
	}
}
