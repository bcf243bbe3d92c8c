package warehouse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/text/foreign"
)

var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// open returns a warehouse with its tables in a database of its own.
func open(t *testing.T) *warehouse.Warehouse {
	t.Helper()
	return openFor(t)
}

func openFor(t testing.TB) *warehouse.Warehouse {
	t.Helper()
	return openAt(t, chtest.Database(t))
}

// rounds returns how many rounds of a property are drawn: usually, and where RATCHET_ROUNDS is "many", as in .ci/long.
// A round is many statements.
func rounds(usual, many int) int {
	if os.Getenv("RATCHET_ROUNDS") == "many" {
		return many
	}
	return usual
}

func openAt(t testing.TB, dsn string) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func origin(stream string, seq uint64, at time.Time) warehouse.Origin {
	return warehouse.Origin{
		Stream: stream, Epoch: 1_700_000_000, Origin: pipeline.Origin{
			Sequence: seq, StoredAt: time.Now().UTC().Truncate(time.Millisecond), At: at,
			Run: pipeline.RunLive, WorkID: fmt.Sprintf("w%d", seq), Build: "test",
		},
	}
}

// verdicts returns n rows over three hours: glance rejects, peek rejects, commit accepts in turn.
func verdicts(n int) []warehouse.VerdictRow {
	cents := int64(1234)
	rows := make([]warehouse.VerdictRow, n)
	for i := range rows {
		at := noon.Add(time.Duration(i) * 3 * time.Hour / time.Duration(n))
		r := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, uint64(i+1), at), InputsJSON: `{"used_cents":null}`}
		r.Identity = pipeline.Identity{Domain: 1, ASIN: fmt.Sprintf("B%09d", i), PriceType: 2, CreationDate: 7_900_000}
		r.ListedAt, r.DecidedAt, r.Source, r.RuleSet = at.Add(-10*time.Minute), at, pipeline.SourceLive, "r1"
		r.Queries, r.RootCategory = []string{"q@1"}, 283155
		switch i % 3 {
		case 0:
			r.Look, r.Outcome, r.Reason, r.Unknown = pipeline.LookGlance, pipeline.Reject, "no_rank", []string{"rank"}
		case 1:
			r.Look, r.Outcome, r.Reason, r.Tokens = pipeline.LookPeek, pipeline.Reject, "no_sale", 1
		case 2:
			r.Look, r.Outcome, r.Reason, r.Tokens, r.ProfitCents = pipeline.LookCommit, pipeline.Accept, "ok", 6, &cents
		}
		rows[i] = r
	}
	return rows
}

func entry(seq uint64, at time.Time, e pipeline.Entry) warehouse.LedgerRow {
	e.At = at
	return warehouse.LedgerRow{Origin: origin(pipeline.StreamLedger, seq, at), Entry: e}
}

func dealRow(t *testing.T, seq uint64, at time.Time, message string) warehouse.DealRow {
	t.Helper()
	in := origin(pipeline.StreamDeals, seq, at)
	v, err := visibility.ReadVersion(pipeline.Stored{Sequence: seq, StoredAt: in.StoredAt, Body: []byte(message), Header: map[string][]string{
		pipeline.HeaderSchema: {pipeline.SchemaDeal}, pipeline.HeaderAt: {at.Format(time.RFC3339Nano)}, pipeline.HeaderWorkID: {in.WorkID}, pipeline.HeaderBuild: {in.Build},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return warehouse.DealOf(in, v, []byte(message))
}

// ask returns the answer of a query as text, a line per row.
func ask(t *testing.T, w *warehouse.Warehouse, sql string) string {
	t.Helper()
	a, err := w.SQL(t.Context(), sql, true)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var out bytes.Buffer
	if err := a.Write(&out, "csv"); err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(out.String(), "\n")
	return strings.TrimSpace(rows)
}

func want(t *testing.T, w *warehouse.Warehouse, sql, answer string) {
	t.Helper()
	if got := ask(t, w, sql); got != answer {
		t.Errorf("%s\ngot  %q\nwant %q", sql, got, answer)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMigratingTwiceAndAtOnceIsMigratingOnce(t *testing.T) {
	t.Parallel()
	dsn := chtest.Database(t)
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			w, err := warehouse.Open(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = w.Close() }()
			for range 2 {
				if err := w.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	w, err := warehouse.Open(t.Context(), dsn)
	must(t, err)
	defer func() { _ = w.Close() }()
	want(t, w, "SELECT count() = uniqExact(name) FROM schema_migrations FINAL", "1")
	must(t, exec(t.Context(), w, "INSERT INTO schema_migrations (name, checksum) VALUES ('0046_verdicts', 'other')"))
	if err := w.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "0046_verdicts") {
		t.Errorf("got %v, want a refusal that names the migration", err)
	}
}

func exec(ctx context.Context, w *warehouse.Warehouse, sql string) error {
	_, err := w.SQL(ctx, sql, false)
	return err
}

func TestRowsInsertedAgainInAnyBatchAreTheSameRowsAndTheViewsAgree(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(300)
	must(t, w.InsertVerdicts(t.Context(), rows, "a"))
	must(t, w.InsertVerdicts(t.Context(), rows, "a"))         // reported lost, but stored
	must(t, w.InsertVerdicts(t.Context(), rows[100:], "b"))   // split elsewhere
	must(t, w.InsertVerdicts(t.Context(), rows[50:250], "c")) // and again
	want(t, w, "SELECT count(), sum(tokens) FROM verdicts FINAL", "300,700")
	want(t, w, "SELECT sum(verdicts), sum(tokens) FROM verdict_counts", "300,700")
	want(t, w, "SELECT verdicts, accepted, tokens, rule_sets FROM runs", "300,100,700,r1")
	raw := `SELECT toStartOfHour(at) AS hour, look, outcome, reason, source, root_category, rule_set, count() AS n, sum(tokens) AS t
		FROM verdicts FINAL GROUP BY ALL ORDER BY ALL`
	view := `SELECT hour, look, outcome, reason, source, root_category, rule_set, sum(v.verdicts) AS n, sum(v.tokens) AS t
		FROM verdict_counts AS v GROUP BY ALL ORDER BY ALL`
	if a, b := ask(t, w, raw), ask(t, w, view); a != b || a == "" {
		t.Errorf("raw:\n%s\nview:\n%s", a, b)
	}

	entries := []warehouse.LedgerRow{
		entry(1, noon, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 7, PriceKind: pipeline.KindPeek, Items: 7, API: &pipeline.Reading{TS: noon.UnixMilli(), Left: -3, Rate: 5}}),
		entry(2, noon.Add(time.Minute), pipeline.Entry{Event: pipeline.EventDrift, Stage: "tokend", Tokens: -2}),
		entry(3, noon.Add(time.Minute), pipeline.Entry{Event: pipeline.EventClaim, Stage: pipeline.StagePeeker, Tokens: 9}),
	}
	for n := range 3 {
		must(t, w.InsertLedger(t.Context(), entries[n:], fmt.Sprint("l", n)))
		must(t, w.InsertLedger(t.Context(), entries, "l0"))
	}
	want(t, w, "SELECT count(), sum(tokens) FROM ledger FINAL", "3,14")
	want(t, w, "SELECT sum(tokens), sum(items) FROM token_counts WHERE event IN ('close', 'lost', 'drift')", "5,7")
	want(t, w, "SELECT balance, rate, stage FROM balance", "-3,5,peeker")
}

// TestABatchOverManyMonthsIsStored: verdicts are partitioned by the month of their
// pipeline time, which comes from their messages. ClickHouse rejects an insert into
// more than a hundred partitions by default, and would reject the same batch for ever.
func TestABatchOverManyMonthsIsStored(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(150)
	for i := range rows {
		rows[i].At = noon.AddDate(0, -i, 0)
	}
	must(t, w.InsertVerdicts(t.Context(), rows, "a"))
	want(t, w, "SELECT count(), uniqExact(toYYYYMM(at)) FROM verdicts FINAL", "150,150")
	want(t, w, "SELECT sum(verdicts) FROM verdict_counts", "150")
}

func TestARestartedStreamWithTheSameSequencesIsNotTheOldOne(t *testing.T) {
	t.Parallel()
	w := open(t)
	old, fresh := verdicts(3), verdicts(3)
	for i := range fresh {
		fresh[i].Epoch++
	}
	must(t, w.InsertVerdicts(t.Context(), old, "a"))
	must(t, w.InsertVerdicts(t.Context(), fresh, "b"))
	want(t, w, "SELECT count(), uniqExact(stream_seq) FROM verdicts FINAL", "6,3")
	want(t, w, "SELECT sum(verdicts) FROM verdict_counts", "6")
}

const full = `{"domain":1,"asin":"B000000002","price_type":2,"creation_date":7900000,"title":"T","landed_cents":1000,"sale_price_cents":5000,"profit_cents":900,"roi_percent":42.5,"seller_id":"S1","seller_name":"Books","categories":["Books","Law"],
	"market_cents":{"new":6000},"decided_at":"2026-03-05T12:00:00Z","shipping_known":false,"tokens":7,"something_new":{"a":1}}`

func TestAPartialRefreshChangesWhatItMeasuredAndNullsNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	refresh := `{"domain":1,"asin":"B000000002","price_type":2,"profit_cents":800,"title":null,"decided_at":"2026-03-05T13:00:00Z"}`
	rows := []warehouse.DealRow{dealRow(t, 1, noon, full), dealRow(t, 2, noon.Add(time.Hour), refresh)}
	must(t, w.InsertDeals(t.Context(), rows[1:], "b")) // the newer one is inserted first
	must(t, w.InsertDeals(t.Context(), rows[:1], "a"))
	must(t, w.InsertDeals(t.Context(), rows, "ab"))
	want(t, w, `SELECT asin, title, profit_cents, landed_cents, roi_percent, seller_name, categories, market_cents['new'], shipping_known, versions
		FROM visible_deals`, "B000000002,T,800,1000,42.5,Books,Books Law,6000,false,2")
	want(t, w, "SELECT count() FROM deal_versions FINAL", "2")
	want(t, w, "SELECT JSONExtractRaw(message, 'something_new') FROM deal_versions FINAL WHERE row_id % 4294967296 = 1", `"{""a"":1}"`)
	other := dealRow(t, 3, noon.Add(2*time.Hour), `{"domain":1,"asin":"B000000002","price_type":2,"seller_id":"S2"}`)
	must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{other}, "c"))
	want(t, w, "SELECT seller_id, seller_name IS NULL, profit_cents FROM visible_deals", "S2,1,800")
}

func TestNothingInvalidIsVisibleAndWhatIsHiddenHasAReason(t *testing.T) {
	t.Parallel()
	w := open(t)
	deals := []warehouse.DealRow{
		dealRow(t, 1, noon, `{"domain":1,"asin":"GOOD","price_type":2,"sale_price_cents":5000,"profit_cents":1}`),
		dealRow(t, 2, noon, `{"domain":1,"asin":"LOSS","price_type":2,"sale_price_cents":5000,"profit_cents":0}`),
		dealRow(t, 3, noon, `{"domain":1,"asin":"OLD","price_type":2,"list_price_cents":5000,"one_year_average_cents":4000,"profit_cents":5}`),
		dealRow(t, 4, noon, `{"domain":1,"asin":"NOTHING","price_type":2,"sale_price_cents":5000}`),
		dealRow(t, 5, noon, `{"domain":1,"asin":"GONE","price_type":2,"sale_price_cents":5000,"profit_cents":5}`),
		dealRow(t, 6, noon, `{"domain":1,"asin":"BACK","price_type":2,"sale_price_cents":5000,"profit_cents":5}`),
	}
	must(t, w.InsertDeals(t.Context(), deals, "d"))
	look := func(seq uint64, asin string, o pipeline.Outcome, reason string) warehouse.VerdictRow {
		r := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, seq, noon)}
		r.Identity = pipeline.Identity{Domain: 1, ASIN: asin, PriceType: 2}
		r.Look, r.Outcome, r.Reason = pipeline.LookPeek, o, reason
		return r
	}
	must(t, w.InsertVerdicts(t.Context(), []warehouse.VerdictRow{
		look(12, "BACK", pipeline.Accept, "ok"), look(11, "BACK", pipeline.Reject, "no_profit_left"), // newest by the stream, not by insertion
		look(9, "GONE", pipeline.Accept, "ok"), look(10, "GONE", pipeline.Reject, "price_rose"),
		look(13, "GOOD", pipeline.Shed, "shed_value"), look(14, "GOOD", pipeline.Fail, "malformed"),
	}, "v"))
	want(t, w, "SELECT asin FROM visible_deals ORDER BY asin", "BACK\nGOOD")
	want(t, w, "SELECT asin, hidden_because FROM deal_states WHERE hidden_because != '' ORDER BY asin",
		"GONE,price_rose\nLOSS,no_profit\nNOTHING,no_profit\nOLD,old_estimate")
	want(t, w, "SELECT countIf(hidden_because = '') = (SELECT count() FROM visible_deals) FROM deal_states", "1")

	// The list, the counts and the states agree.
	list, err := w.Ask(t.Context(), "deals", map[string]string{"since": "2026-01-01 00:00:00"})
	must(t, err)
	counts, err := w.Ask(t.Context(), "deal-counts", nil)
	must(t, err)
	states, err := w.Ask(t.Context(), "deal-states", nil)
	must(t, err)
	if got := fmt.Sprintln(len(list.Rows), counts.Rows[0][3], states.Rows[0][1], states.Rows[0][3]); got != "2 2 visible 2\n" {
		t.Errorf("list, visible of the counts, first of the states: %s", got)
	}
}

func TestTheQuestionDealsNamesTheSellerAsTheViewDoes(t *testing.T) {
	t.Parallel()
	w := open(t)
	says := func(seq uint64, seller string) {
		t.Helper()
		d := dealRow(t, seq, noon, `{"domain":1,"asin":"B000000001","price_type":2,"sale_price_cents":5000,"profit_cents":900`+seller+`}`)
		d.MsgID = fmt.Sprint("deal ", seq)
		must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{d}, d.MsgID))
	}
	for i, c := range []struct{ says, want string }{
		{`,"seller_id":"S1","seller_name":"Books"`, "Books"},
		{`,"seller_id":"S1"`, "Books"}, // a later look does not ask for the name again
		{``, "Books"},
		{`,"seller_id":"S2"`, "S2"},
		{`,"seller_id":"S2","seller_name":"More Books"`, "More Books"},
		{`,"seller_id":"S1"`, "Books"},
		{`,"seller_id":""`, ""},
	} {
		says(uint64(i+1), c.says)
		a, err := w.Ask(t.Context(), "deals", map[string]string{"since": "2026-01-01 00:00:00"})
		must(t, err)
		if got := fmt.Sprint(a.Rows[0][slices.Index(a.Columns, "seller")]); got != c.want {
			t.Errorf("after %d versions the seller is %q, want %q", i+1, got, c.want)
		}
		want(t, w, "SELECT coalesce(nullIf(seller_name, ''), seller_id) FROM visible_deals", c.want)
	}
}

func TestEveryMemberOfADealHasItsColumn(t *testing.T) {
	t.Parallel()
	w := open(t)
	have := map[string]bool{}
	for _, name := range strings.Fields(ask(t, w, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'deal_versions'")) {
		have[name] = true
	}
	shown := map[string]bool{}
	for _, name := range strings.Fields(ask(t, w, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'visible_deals'")) {
		shown[name] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[deal.Deal]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !have[name] || !shown[name] {
			t.Errorf("deal.Deal has %q: add a migration that gives it a column in deal_versions and in the view deals", name)
		}
	}
	filled := deal.Deal{Domain: 1, ASIN: "B000000009", PriceType: 2, ProfitCents: 1, SalePriceCents: 2, DecidedAt: noon, LastSales: []deal.Sale{{At: 7900000, Cents: 5}}}
	body, err := json.Marshal(filled)
	must(t, err)
	must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{dealRow(t, 1, noon, string(body))}, "x"))
	want(t, w, "SELECT asin, last_sales[1].at, last_sales[1].cents FROM visible_deals", "B000000009,7900000,5")
}

func TestEveryQuestionHasAHeadingAndAnAnswerWithAndWithoutRows(t *testing.T) {
	t.Parallel()
	w := open(t)
	questions := warehouse.Questions()
	if len(questions) < 8 {
		t.Fatalf("%d questions, want at least 8", len(questions))
	}
	every := func(rows bool) {
		for _, q := range questions {
			a, err := w.Ask(t.Context(), q.Name, nil)
			if err != nil {
				t.Errorf("%s: %v", q.Name, err)
				continue
			}
			if rows && len(a.Rows) == 0 {
				t.Errorf("%s: no rows from data that has an answer", q.Name)
			}
			for _, c := range a.Columns {
				if !strings.Contains(q.Heading, c) {
					t.Errorf("%s: the heading does not explain column %s", q.Name, c)
				}
			}
			for _, format := range []string{"table", "json", "csv"} {
				var out bytes.Buffer
				if err := a.Write(&out, format); err != nil {
					t.Errorf("%s as %s: %v", q.Name, format, err)
				}
				if format == "json" && !json.Valid(out.Bytes()) {
					t.Errorf("%s: not JSON: %s", q.Name, out.String())
				}
			}
		}
	}
	every(false)
	must(t, w.InsertVerdicts(t.Context(), verdicts(90), "v"))
	must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{dealRow(t, 1, noon, full)}, "d"))
	paid := func(seq uint64, after time.Duration, left int) warehouse.LedgerRow {
		return entry(seq, noon.Add(after), pipeline.Entry{
			Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 1, PriceKind: pipeline.KindPeek, Items: 1,
			API: &pipeline.Reading{TS: noon.UnixMilli(), Left: left, Rate: 5},
		})
	}
	must(t, w.InsertLedger(t.Context(), []warehouse.LedgerRow{
		paid(1, 0, 10), paid(2, 90*time.Minute, 10),
		entry(3, noon, pipeline.Entry{Event: pipeline.EventPoll, Stage: pipeline.StageWatermarker, Tokens: 5, Items: 150, Query: "q@1", From: 7900000, To: 7900060}),
		entry(4, noon, pipeline.Entry{Event: pipeline.EventGapOpened, Stage: pipeline.StageWatermarker, Query: "q@1", From: 7900000, To: 7900060, RowsEstimate: 20, Note: "g1"}),
		entry(5, noon.Add(3*time.Hour), pipeline.Entry{Event: pipeline.EventGapExpired, Stage: pipeline.StageWatermarker, Query: "q@1", From: 7900000, To: 7900060, RowsEstimate: 20, Note: "g1"}),
	}, "l"))
	must(t, w.InsertDead(t.Context(), []warehouse.DeadRow{{
		Origin: origin(pipeline.StreamDead, 1, noon), Stage: "peeker", Key: "B000000001", HeaderJSON: `{}`,
		Dead: pipeline.Dead{Reason: "bad_row", Error: foreign.Of("no"), Stream: pipeline.StreamCandidates, Sequence: 9, Body: []byte{0, 255}},
	}}, "x"))
	every(true)

	funnel, err := w.Ask(t.Context(), "funnel", map[string]string{"since": "2026-03-05 00:00:00"})
	must(t, err)
	last := funnel.Rows[len(funnel.Rows)-1]
	if fmt.Sprintln(last[0], last[1], last[4], last[7]) != "all 90 30 2\n" {
		t.Errorf("the funnel ends in %v, want 90 decided, 30 accepted, 2 tokens", last)
	}
	stalls, err := w.Ask(t.Context(), "stalls", map[string]string{"since": "-24h"})
	must(t, err)
	if got := stalls.Rows[len(stalls.Rows)-1][3]; got != 8.0 {
		t.Errorf("longest stall %v min, want 8: the candidate paid for next had been listed 8 minutes before", got)
	}
	if _, err := w.Ask(t.Context(), "funnel", map[string]string{"sinze": "x"}); err == nil || !strings.Contains(err.Error(), "since") {
		t.Errorf("got %v, want a refusal that names the parameters", err)
	}
	if _, err := w.Ask(t.Context(), "funel", nil); err == nil || !strings.Contains(err.Error(), "funnel") {
		t.Errorf("got %v, want a refusal that names the questions", err)
	}
}

func TestSinceCountsBackFromThePipelinesTime(t *testing.T) {
	t.Parallel()
	w := open(t)
	must(t, w.InsertLedger(t.Context(), []warehouse.LedgerRow{
		entry(1, noon.Add(-2*time.Hour), pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 3}),
		entry(2, noon, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StageCommitter, Tokens: 6}),
	}, "l"))
	a, err := w.Ask(t.Context(), "tokens", map[string]string{"since": "-60m"})
	must(t, err)
	if len(a.Rows) != 1 || a.Rows[0][0] != "committer" {
		t.Errorf("got %v, want the committer's row alone", a.Rows)
	}
}

func TestAReadOnlyQueryChangesNothing(t *testing.T) {
	t.Parallel()
	dsn := chtest.Database(t)
	w := openAt(t, dsn)
	file := filepath.Join(t.TempDir(), "written.csv")
	for _, changes := range []string{
		"DROP TABLE verdicts", "INSERT INTO verdicts (run) VALUES ('x')", "SET readonly = 0", "SELECT 1 SETTINGS readonly = 0", "SELECT 1; DROP TABLE verdicts",
		"OPTIMIZE TABLE verdicts", "KILL QUERY WHERE 1", "SYSTEM FLUSH LOGS", "TRUNCATE TABLE verdicts", "/* c */ DROP TABLE verdicts", "-- c\nDROP TABLE verdicts",
		"INSERT INTO FUNCTION file('" + file + "', 'CSV', 'a Int') VALUES (1)", "WITH 1 AS x INSERT INTO FUNCTION file('" + file + "', 'CSV', 'a Int') SELECT x",
		"SELECT 1 INTO OUTFILE '" + file + "'", "EXPLAIN ANALYZE INSERT INTO FUNCTION file('" + file + "', 'CSV', 'a Int') SELECT 1",
	} {
		if _, err := w.SQL(t.Context(), changes, true); err == nil {
			t.Errorf("%s was allowed", changes)
		}
		if err := os.Remove(file); err == nil {
			t.Errorf("%s wrote a file", changes)
		}
	}
	for _, reads := range []string{
		"SELECT 'INSERT', \"INSERT\" FROM (SELECT 1 AS `INSERT`) -- INSERT", "(SELECT 1 /* INSERT */)", "WITH 1 AS x SELECT x", "FROM verdicts SELECT count()",
		"SHOW TABLES", "DESCRIBE verdicts", "EXPLAIN SELECT 1", "EXISTS verdicts", "SELECT 'it''s \\' INSERT'", "# INSERT\nSELECT 1",
	} {
		if _, err := w.SQL(t.Context(), reads, true); err != nil {
			t.Errorf("%s was refused: %v", reads, err)
		}
	}
	want(t, w, "SELECT count() FROM verdicts", "0")
	a, err := w.SQL(t.Context(), "SELECT NULL AS n, [1,2] AS a, toDateTime64('2026-01-01 00:00:00', 3, 'UTC') AS t, toDecimal64(1.5, 2) AS d, 'x\ny' AS s", true)
	must(t, err)
	for _, format := range []string{"table", "json", "csv"} {
		must(t, a.Write(&bytes.Buffer{}, format))
	}
	want(t, w, "SELECT (1, NULL::Nullable(Int32), 'x'), [2, NULL, 3]", "1  x,2  3")
	want(t, w, "SELECT toDate('2026-11-25') AS d, toNullable(toDate32('2026-11-25')) AS e, toInt128('-170141183460469231731687303715884105728') AS i, toUInt256(7) AS u",
		"2026-11-25,2026-11-25,-170141183460469231731687303715884105728,7")
	want(t, w, "SELECT map('a', 1) AS m, toDateTime64('2026-11-25 12:00:00.000001', 6, 'UTC') AS t, nan AS n, toFloat32(0.1) AS f, toFloat32(-inf) AS g",
		`"{""a"":1}",2026-11-25 12:00:00.000001,,0.1,`)
	if got := written(t, w, "SELECT toDate('2026-11-25') AS d, toInt128(1) AS i, map('a', 1) AS m, toFloat32(0.1) AS f, toFloat32(inf) AS g", "json"); got != "[\n  {\"d\": \"2026-11-25\", \"i\": 1, \"m\": {\"a\":1}, \"f\": 0.1, \"g\": null}\n]\n" {
		t.Errorf("got %s", got)
	}
	if got := written(t, w, "SELECT 'a\\x1b[31mb\\nc\\x00' AS title", "table"); got != "title\na [31mb c\n" {
		t.Errorf("got %q, want nothing that a terminal obeys", got)
	}
	// Over HTTP the server writes the format; natively the client does.
	_, err = w.SQL(t.Context(), "SELECT 1 FORMAT JSON", true)
	if byHTTP := strings.HasPrefix(dsn, "http"); byHTTP != (err != nil && strings.Contains(err.Error(), "--format")) {
		t.Errorf("got %v over %s, want --format named by HTTP and an answer natively", err, dsn)
	}
	if err := a.Write(&bytes.Buffer{}, "xml"); err == nil {
		t.Error("xml was written")
	}
}

// written returns an answer in a format.
func written(t *testing.T, w *warehouse.Warehouse, sql, format string) string {
	t.Helper()
	a, err := w.SQL(t.Context(), sql, true)
	must(t, err)
	var out bytes.Buffer
	must(t, a.Write(&out, format))
	return out.String()
}

func TestADatabaseOfANewerBuildIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := open(t)
	must(t, exec(t.Context(), w, "INSERT INTO schema_migrations (name, checksum) VALUES ('9000_later', 'x')"))
	if err := w.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "9000_later") || !strings.Contains(err.Error(), "newer build") {
		t.Errorf("got %v, want a refusal that names the migration", err)
	}
}

func TestASilentPortIsReported(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	_, err = warehouse.Reach(t.Context(), "http://u:hunter2@"+l.Addr().String()+"/x?dial_timeout=100ms")
	if err == nil || !strings.Contains(err.Error(), "does not answer") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want that nothing answers", err)
	}
}

func TestAPingFailsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	w := open(t)
	must(t, w.Ping(t.Context()))
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := w.Ping(late); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v, want that nothing answers", err)
	}
}

func TestAReaderCreatesNoDatabase(t *testing.T) {
	t.Parallel()
	at, err := url.Parse(chtest.Database(t))
	must(t, err)
	at.Path += "_missing"
	if _, err := warehouse.Reach(t.Context(), at.String()); !errors.Is(err, warehouse.ErrNoDatabase) || !strings.Contains(err.Error(), "ratchet up") {
		t.Errorf("got %v, want that it does not exist", err)
	}
}

func TestABadRowIsTheDatasFaultAndAMissingTableTheSchemas(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(2)
	rows[1].Domain = 1 << 20
	if err := w.InsertVerdicts(t.Context(), rows, "a"); warehouse.Classify(err) != warehouse.BadData {
		t.Errorf("got %v, want bad data", err)
	}
	must(t, exec(t.Context(), w, "DROP TABLE dead"))
	dead := []warehouse.DeadRow{{Origin: origin(pipeline.StreamDead, 1, noon)}}
	if err := w.InsertDead(t.Context(), dead, "a"); warehouse.Classify(err) != warehouse.NoSchema {
		t.Errorf("got %v, want a missing schema", err)
	}
	must(t, w.Close())
	if err := w.InsertVerdicts(t.Context(), rows[:1], "b"); warehouse.Classify(err) != warehouse.Again {
		t.Errorf("got %v, want again", err)
	}
}

func TestOpenNamesTheCauseAndHidesThePassword(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"":                                      "CLICKHOUSE_URL",
		"ftp://u:hunter2@h/x":                   "ftp",
		"http://u:hunter2@127.0.0.1:1/ratchet":  "ratchet up",
		"http://u:hunter2@127.0.0.1:1/rat-chet": "rat-chet",
		"http://u:hunter2@127.0.0.1:1/x?secure=hi": "",
		"://hunter2": "CLICKHOUSE_URL",
	} {
		_, err := warehouse.Open(t.Context(), url)
		if err == nil {
			t.Errorf("%s opened", url)
			continue
		}
		if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
