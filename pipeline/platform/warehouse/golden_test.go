package warehouse_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/text/foreign"
)

var update = flag.Bool("update", false, "rewrite the golden answers")

// seed stores the data of the golden answers.
func seed(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	seedVerdicts(t, w)
	seedDeals(t, w)
	seedLedger(t, w)
	seedDead(t, w)
}

func seedVerdicts(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	must(t, w.InsertVerdicts(t.Context(), seeded(), "seed"))
	replay := verdicts(30)
	for i := range replay {
		replay[i].Run, replay[i].RuleSet, replay[i].Sequence = "stricter", "r2", uint64(1000+i)
		if i%6 == 2 {
			replay[i].Outcome, replay[i].Reason, replay[i].ProfitCents = pipeline.Reject, "low_roi", nil
		}
	}
	must(t, w.InsertVerdicts(t.Context(), replay, "replay"))
}

func seedDeals(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	var deals []warehouse.DealRow
	for i, profit := range []int{900, 0, 500} {
		deals = append(deals, dealRow(t, uint64(i+1), noon.Add(time.Duration(i)*time.Minute), fmt.Sprintf(`{"domain":1,"asin":"B00000000%d","price_type":2,
			"title":"T%d","landed_cents":1000,"sale_price_cents":5000,"profit_cents":%d,"roi_percent":42.5,
			"decided_at":"2026-03-05T12:0%d:00Z"}`, 3*i+2, i, profit, i)))
	}
	for i := range deals {
		deals[i].MsgID = "deal:" + deals[i].WorkID
	}
	must(t, w.InsertDeals(t.Context(), deals, "deals"))
}

func seedLedger(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	paid := func(seq uint64, after time.Duration, left int) warehouse.LedgerRow {
		claim := fmt.Sprintf("peeker-1.%d", seq)
		return published(claim, entry(seq, noon.Add(after), pipeline.Entry{
			Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 1, PriceKind: pipeline.KindPeek, Items: 1, Claim: claim,
			API: &pipeline.Reading{TS: noon.UnixMilli(), Left: left, Rate: 5, TookMS: 40},
		}))
	}
	span := func(seq uint64, after time.Duration, event pipeline.Event, gap string) warehouse.LedgerRow {
		return published(string(event)+":"+gap, entry(seq, noon.Add(after),
			pipeline.Entry{Event: event, Stage: pipeline.StageWatermarker, Query: "q@1", From: 7900000, To: 7900060, RowsEstimate: 20, Note: gap}))
	}
	must(t, w.InsertLedger(t.Context(), []warehouse.LedgerRow{
		paid(1, 0, 10), paid(2, 90*time.Minute, 10), paid(3, 26*time.Hour, 3),
		// As the watermarker records a page: its rows are the estimate, and the call has the cost.
		published("w.1", entry(8, noon, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StageWatermarker, Tokens: 5, PriceKind: pipeline.KindDeals, Items: 1, Claim: "w.1"})),
		published("poll:w.1", entry(4, noon, pipeline.Entry{Event: pipeline.EventPoll, Stage: pipeline.StageWatermarker, RowsEstimate: 150, Query: "q@1", From: 7900000, To: 7900060, Claim: "w.1"})),
		// A claim that was released without a call.
		published("c.1", entry(9, noon, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StageCommitter, PriceKind: pipeline.KindCommit, Items: 1, Claim: "c.1"})),
		span(5, 0, pipeline.EventGapOpened, "g1"), span(6, 3*time.Hour, pipeline.EventGapExpired, "g1"), span(7, 0, pipeline.EventGapOpened, "g2"),
	}, "ledger"))
}

func seedDead(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	letter := warehouse.DeadRow{
		Origin: origin(pipeline.StreamDead, 1, noon), Stage: "peeker", Key: "B000000001", HeaderJSON: `{}`,
		Dead: pipeline.Dead{Reason: "bad_row", Error: foreign.Of("no"), Stream: pipeline.StreamCandidates, Sequence: 9},
	}
	letter.MsgID = "dead:peeker:CANDIDATES-9"
	must(t, w.InsertDead(t.Context(), []warehouse.DeadRow{letter}, "dead"))
}

// published returns an entry with the ID of its message.
func published(id string, r warehouse.LedgerRow) warehouse.LedgerRow {
	r.MsgID = id
	return r
}

// answer returns a question's answer for the day of the seed, as CSV.
func answer(t *testing.T, w *warehouse.Warehouse, q warehouse.Question) []byte {
	t.Helper()
	params := map[string]string{}
	for _, p := range q.Params {
		switch p.Name {
		case "since":
			params["since"] = "2026-03-05 00:00:00"
		case "until":
			params["until"] = "2026-03-07 00:00:00"
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
	seed(t, w)
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
	// Other tokens, so that the repeats are not dropped at once.
	must(t, w.InsertVerdicts(t.Context(), seeded()[7:71], "again"))
	for _, q := range warehouse.Questions() {
		golden, err := os.ReadFile(filepath.Join("testdata", "answers", q.Name+".csv"))
		must(t, err)
		if got := answer(t, w, q); !bytes.Equal(got, golden) {
			t.Errorf("%s after a repeat:\ngot\n%swant\n%s", q.Name, got, golden)
		}
	}
}

func TestVerdictsOfTheRefresherAreNotDecisionsAboutCandidates(t *testing.T) {
	t.Parallel()
	w := open(t)
	seed(t, w)
	asked := []string{"funnel", "categories", "gaps", "lag", "reasons", "rejections", "slowest"}
	before := map[string]string{}
	for _, q := range warehouse.Questions() {
		if slices.Contains(asked, q.Name) {
			before[q.Name] = string(answer(t, w, q))
		}
	}
	// On the first day, which is counted by hours, and on the second, which is counted as a whole.
	states := verdicts(6)
	for i := range states {
		r := &states[i]
		r.Origin = origin(pipeline.StreamVerdicts, uint64(500+i), noon.Add(time.Duration(i)*12*time.Hour))
		r.DecidedAt, r.Look, r.Source = r.StoredAt, pipeline.LookList, pipeline.SourceRefresh
		r.Outcome, r.Reason = pipeline.Fail, []string{"stale_waiting", "repair_gave_up"}[i%2]
		if i%3 == 0 {
			r.Outcome, r.Reason = pipeline.Reject, "expired_look_failed"
		}
	}
	must(t, w.InsertVerdicts(t.Context(), states, "states"))
	for _, q := range warehouse.Questions() {
		if was, asked := before[q.Name]; asked {
			if is := string(answer(t, w, q)); is != was {
				t.Errorf("%s:\ngot\n%swant\n%s", q.Name, is, was)
			}
		}
	}
}

func TestAReasonHasItsShareOfAllThatItsLookDecided(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(90) // each look decides 30
	for i := range rows {
		switch {
		case i%3 != 0: // not the glance
		case i < 45:
			rows[i].Outcome, rows[i].Reason = pipeline.Survive, "ok"
		case i < 54:
			rows[i].Reason = "no_used_price"
		}
	}
	must(t, w.InsertVerdicts(t.Context(), rows, "mixed"))
	q, err := warehouse.Find("reasons")
	must(t, err)
	const want = `look,reason,heuristic,rejected,percent,of_look_percent,tokens,newest
peek,no_sale,false,30,66.7,100,30,2026-03-05
glance,no_rank,false,12,26.7,40,0,2026-03-05
glance,no_used_price,false,3,6.7,10,0,2026-03-05
`
	if got := string(answer(t, w, q)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// seeded returns the live verdicts of the seed.
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
