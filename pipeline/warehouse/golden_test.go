package warehouse_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/embedded/clickhouse/chtest"
	"ratchet/pipeline/warehouse"
)

var update = flag.Bool("update", false, "write the golden answers anew")

// seed stores the data that the golden answers are about; the ledger, the deals and the dead only with all.
func seed(t *testing.T, w *warehouse.Warehouse, all bool) {
	t.Helper()
	must(t, w.InsertVerdicts(t.Context(), seeded(), "seed"))
	if !all {
		return
	}
	replay := verdicts(30)
	for i := range replay {
		replay[i].Run, replay[i].RuleSet, replay[i].Sequence = "stricter", "r2", uint64(1000+i)
		if i%6 == 2 {
			replay[i].Outcome, replay[i].Reason, replay[i].ProfitCents = pipeline.Reject, "low_roi", nil
		}
	}
	must(t, w.InsertVerdicts(t.Context(), replay, "replay"))
	var deals []warehouse.DealRow
	for i, profit := range []int{900, 0, 500} {
		deals = append(deals, dealRow(t, uint64(i+1), noon.Add(time.Duration(i)*time.Minute), fmt.Sprintf(`{"domain":1,"asin":"B00000000%d","price_type":2,
			"title":"T%d","landed_cents":1000,"list_price_cents":5000,"one_year_average_cents":4500,"profit_cents":%d,"roi_percent":42.5,
			"decided_at":"2026-03-05T12:0%d:00Z"}`, 3*i+2, i, profit, i)))
	}
	must(t, w.InsertDeals(t.Context(), deals, "deals"))
	paid := func(seq uint64, after time.Duration, left int) warehouse.LedgerRow {
		return entry(seq, noon.Add(after), pipeline.Entry{
			Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 1, PriceKind: pipeline.KindPeek, Items: 1,
			API: &pipeline.Reading{TS: noon.UnixMilli(), Left: left, Rate: 5, TookMS: 40},
		})
	}
	span := func(seq uint64, after time.Duration, event pipeline.Event, gap string) warehouse.LedgerRow {
		return entry(seq, noon.Add(after), pipeline.Entry{Event: event, Stage: pipeline.StageWatermarker, Query: "q@1", From: 7900000, To: 7900060, RowsEstimate: 20, Note: gap})
	}
	must(t, w.InsertLedger(t.Context(), []warehouse.LedgerRow{
		paid(1, 0, 10), paid(2, 90*time.Minute, 10), paid(3, 26*time.Hour, 3),
		entry(4, noon, pipeline.Entry{Event: pipeline.EventPoll, Stage: pipeline.StageWatermarker, Tokens: 5, Items: 150, Query: "q@1", From: 7900000, To: 7900060}),
		span(5, 0, pipeline.EventGapOpened, "g1"), span(6, 3*time.Hour, pipeline.EventGapExpired, "g1"), span(7, 0, pipeline.EventGapOpened, "g2"),
	}, "ledger"))
	must(t, w.InsertDead(t.Context(), []warehouse.DeadRow{{
		Origin: origin(pipeline.StreamDead, 1, noon), Stage: "peeker", Key: "B000000001", HeaderJSON: `{}`,
		Dead: pipeline.Dead{Reason: "bad_row", Error: "no", Stream: pipeline.StreamCandidates, Sequence: 9},
	}}, "dead"))
}

// answer is what a question says about the day of the seed, as CSV.
func answer(t *testing.T, w *warehouse.Warehouse, q warehouse.Question) []byte {
	t.Helper()
	params := map[string]string{}
	for _, p := range q.Params {
		switch p.Name {
		case "since":
			params["since"] = "2026-03-05 00:00:00"
		case "other":
			params["other"] = "stricter"
		}
	}
	a, err := w.Ask(t.Context(), q.Name, params)
	must(t, err)
	var out bytes.Buffer
	must(t, a.Write(&out, "csv"))
	return out.Bytes()
}

func TestEveryQuestionHasItsGoldenAnswerAlsoWhenEverythingIsInsertedAgain(t *testing.T) {
	t.Parallel()
	w := open(t)
	seed(t, w, true)
	for _, q := range warehouse.Questions() {
		file := filepath.Join("testdata", "answers", q.Name+".csv")
		got := answer(t, w, q)
		if *update {
			must(t, os.WriteFile(file, got, 0o600))
			continue
		}
		golden, err := os.ReadFile(file)
		must(t, err)
		if !bytes.Equal(got, golden) {
			t.Errorf("%s:\ngot\n%swant\n%s", q.Name, got, golden)
		}
	}
	// Other tokens: what is inserted again is not dropped on its way in.
	must(t, w.InsertVerdicts(t.Context(), seeded()[7:71], "again"))
	for _, q := range warehouse.Questions() {
		golden, err := os.ReadFile(filepath.Join("testdata", "answers", q.Name+".csv"))
		must(t, err)
		if got := answer(t, w, q); !bytes.Equal(got, golden) {
			t.Errorf("%s after a repeat:\ngot\n%swant\n%s", q.Name, got, golden)
		}
	}
}

// seeded are the live verdicts of the seed.
func seeded() []warehouse.VerdictRow {
	rows := verdicts(90)
	for i := range rows {
		rows[i].RuleID = rows[i].Reason
		if rows[i].Look == pipeline.LookCommit {
			value := int64(100 * i)
			rows[i].ExpectedValueCents = &value
		}
	}
	return rows
}

func TestADatabaseOfAnyEarlierBuildIsBroughtUpWithItsRows(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("one database for each migration")
	}
	// The rows of the verdicts are there from the first migration on; every sum over them must find them.
	whole := open(t)
	seed(t, whole, false)
	for n := 1; n < warehouse.Migrations(); n++ {
		w, err := warehouse.Open(t.Context(), chtest.Database(t))
		must(t, err)
		must(t, w.MigrateTo(t.Context(), n))
		seed(t, w, false)
		must(t, w.Migrate(t.Context()))
		want(t, w, "SELECT count(), sum(tokens) FROM verdicts FINAL", "90,210")
		for _, q := range warehouse.Questions() {
			if !strings.Contains("categories funnel lag runs unknown", q.Name) {
				continue // these five read every sum over verdicts
			}
			if got, should := answer(t, w, q), answer(t, whole, q); !bytes.Equal(got, should) {
				t.Errorf("%s, upgraded from migration %d:\ngot\n%swant\n%s", q.Name, n, got, should)
			}
		}
		must(t, w.Close())
	}
}

func TestTheSumsByDayEqualTheSameQuestionAskedOfTheRows(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(300)
	must(t, w.InsertVerdicts(t.Context(), rows[150:], "late first"))
	must(t, w.InsertVerdicts(t.Context(), rows, "all"))
	must(t, w.InsertVerdicts(t.Context(), rows[31:222], "cut elsewhere"))
	for name, pair := range map[string][2]string{
		"days": {
			"SELECT toDate(at) AS d, look, outcome, reason, rule_set, tokens, count() FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
			"SELECT day, look, outcome, reason, rule_set, tokens, groupBitmapMerge(ids) FROM verdict_days GROUP BY ALL ORDER BY ALL",
		},
		"categories": {
			"SELECT toDate(at) AS d, root_category, outcome, reason, tokens, count() FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
			"SELECT day, root_category, outcome, reason, tokens, groupBitmapMerge(ids) FROM category_days GROUP BY ALL ORDER BY ALL",
		},
		"waits": {
			"SELECT look, source, count() FROM verdicts FINAL WHERE listed_at IS NOT NULL GROUP BY ALL ORDER BY ALL",
			"SELECT look, source, groupBitmapMerge(ids) FROM wait_days GROUP BY ALL ORDER BY ALL",
		},
		"unknown": {
			"SELECT look, rule_id, arrayJoin(unknown) AS i, outcome, count() FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
			"SELECT look, rule_id, input, outcome, groupBitmapMerge(ids) FROM unknown_days GROUP BY ALL ORDER BY ALL",
		},
	} {
		if a, b := ask(t, w, pair[0]), ask(t, w, pair[1]); a != b || a == "" {
			t.Errorf("%s: rows\n%s\nsums\n%s", name, a, b)
		}
	}
}
