package warehouse_test

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
)

// year makes verdicts number from, from+1 … of a year of total, as a year of operation
// leaves them: six of ten are glances and keep their two numbers, a third are peeks and keep
// the inputs of every rule, one in a hundred is a deal. The numbers are drawn independently,
// so that they compress no better than real ones, and the titles have eight words.
const year = `INSERT INTO verdicts (run, look, outcome, reason, at, row_id, stored_at, work_id, build, domain, asin, price_type, creation_date,
	rule_id, rule_set, heuristic, source, tier, queries, root_category, listed_at, tokens, tokens_spent, expected_value_cents, profit_cents, unknown, inputs,
	response_ids, title, deal)
WITH
	['the', 'of', 'and', 'a', 'History', 'Guide', 'Modern', 'Field', 'Practical', 'Introduction', 'to', 'Theory', 'Applied', 'Medieval', 'Law', 'Art',
	 'Watercolor', 'Glass', 'Ferns', 'Salt', 'Road', 'Beginners', 'Volume', 'Edition', 'Novel', 'Collected', 'Letters', 'War', 'Garden', 'Physics', 'River', 'House'] AS words,
	toString(1000 + h % 9000) AS landed, toString(2000 + h2 % 30000) AS list_price, toString(toInt64(h % 9000) - 3000) AS profit,
	toString((toInt64(h % 9000) - 3000) / (1000 + h2 % 9000) * 100) AS roi, toString(h2 % 60) AS sales, toString(h3 % 90) AS drops, toString(toInt64(h3 % 20000) - 9000) AS ceiling,
	concat('{"expected_profit_cents":', profit, ',"roi_percent":', roi, ',"has_history":true,"has_used":true,"sale_price_cents":', list_price,
		',"product_type":0,"profit_at_amazon_ceiling_cents":', if(h % 5 = 0, 'null', ceiling), ',"profit_at_hard_ceiling_cents":', toString(100000 + h3 % 30000),
		',"rank_drops_365":', drops, ',"sale_count":', sales, ',"sales_in_year":', toString(h % 20)) AS peeked
SELECT
	'live', ['glance','peek','commit'][1 + (k >= 60) + (k >= 95)],
	multiIf(k < 25 OR (k >= 60 AND k < 65), 'survive', k = 99, 'accept', 'reject'),
	multiIf(k < 25 OR (k >= 60 AND k < 65), 'ok', k = 99, 'ok', concat('reason_', toString(intDiv(k, 6)))),
	toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMillisecond(toInt64(number * 31536000000. / {total:UInt64})) AS at_,
	bitShiftLeft(1700000000::UInt64, 32) + number, at_ + toIntervalSecond(dateDiff('second', toDateTime('2026-03-05', 'UTC'), now())) + toIntervalMillisecond(h2 % 50),
	lower(hex(substring(MD5(toString(number)), 1, 12))), 'b1', 1, leftPad(toString(cityHash64(number % 3000000) % 10000000000), 10, '0'), 2, 7900000 + intDiv(number, 20) - h2 % 600,
	if(k < 25 OR k IN (60, 61, 62, 63, 64, 99), '', concat('rule_', toString(intDiv(k, 6)))), concat('r', toString(intDiv(number * 8, {total:UInt64}))), 0, if(h % 10 = 0, 'gap', 'live'), if(k < 60, '', 'a'),
	['used-books@bbe23728'], 283155 + h % 12,
	at_ - toIntervalMillisecond(30000 + h3 % 7200000), [0,1,6][1 + (k >= 60) + (k >= 95)], [0,1,7][1 + (k >= 60) + (k >= 95)],
	if(k >= 60, h % 4000, NULL), if(k >= 60, toInt64(h % 9000) - 3000, NULL),
	if(h % 5 = 0, ['profit_at_amazon_ceiling_cents'], []),
	multiIf(k >= 95, concat(peeked, ',"landed_cents":', landed, ',"profit_cents":', profit, ',"roi_percent":', roi, '}'), k >= 60, concat(peeked, '}'),
		k < 25, concat('{"has_used":true,"profit_at_amazon_ceiling_cents":', if(h % 5 = 0, 'null', ceiling), ',"profit_at_hard_ceiling_cents":', toString(100000 + h3 % 30000), ',"rank_drops_365":', drops, '}'),
		concat('{"profit_at_amazon_ceiling_cents":', ceiling, '}')),
	multiIf(k >= 95, [toString(intDiv(number, 3)), toString(intDiv(number, 3) + 2)], k >= 60, [toString(intDiv(number, 3))], []),
	arrayStringConcat(arrayMap(i -> words[1 + bitAnd(bitShiftRight(cityHash64(number % 3000000), 5 * i), 31)], range(8)), ' '),
	if(k = 99, concat('{', arrayStringConcat(arrayMap(i -> concat('"number_', toString(i), '_cents":', toString(cityHash64(number, i) % 10000)), range(80)), ','), '}'), '')
FROM (SELECT number, cityHash64(number) AS h, cityHash64(number, 1) % 100 AS k, cityHash64(number, 2) AS h2, cityHash64(number, 3) AS h3 FROM numbers({from:UInt64}, {many:UInt64}))
SETTINGS async_insert = 0, max_insert_threads = 1`

// books is the rest of a year: a poll every ten minutes, and dead letters; with calls and
// versions also a call for every twenty verdicts, and a version of a deal for every accept.
var books = []string{
	`INSERT INTO ledger (stage, event, at, row_id, stored_at, run, tokens, price_kind, items, query, from_minute, to_minute, rows_estimate, note)
	SELECT 'watermarker', ['poll','gap_opened','gap_filled'][1 + (number % 100 = 0) + (number % 100 = 1)], toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMinute(number * 10) AS at_,
	bitShiftLeft(1700000000::UInt64, 32) + 1000000 + number, now64(3), 'live', 5, 'deals', 150, 'used-books@1', 7500000, 7500060, 20, toString(intDiv(number, 100))
	FROM numbers(52560) SETTINGS async_insert = 0`,
	`INSERT INTO dead (stage, reason, at, row_id, stored_at, key, error, origin_stream, origin_sequence, header, body)
	SELECT ['peeker','committer','recorder'][1 + number % 3], concat('reason_', toString(number % 7)), toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMinute(number * 50) AS at_,
	bitShiftLeft(1700000000::UInt64, 32) + number, now64(3), toString(number), 'it could not be read', 'CANDIDATES', number, '{}', repeat('x', 400)
	FROM numbers(10000) SETTINGS async_insert = 0`,
}

// parts is the number of inserts for calls and versions: the recorder inserts some thousands
// of rows at a time, and the columns and sums of all at once would exceed the engine's memory.
const parts = 50

const calls = `INSERT INTO ledger (stage, event, at, row_id, stored_at, msg_id, run, tokens, price_kind, items, api_left, api_rate, api_took_ms)
	SELECT if(number % 3 = 0, 'committer', 'peeker'), 'close', toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMillisecond(toInt64(number * 31536000000. / 500000)) AS at_,
	bitShiftLeft(1700000000::UInt64, 32) + number, now64(3), cityHash64(number), 'live', 1 + number % 20, if(number % 3 = 0, 'commit', 'peek'), 1 + number % 20, cityHash64(number) % 300, 5, 20 + cityHash64(number) % 300
	FROM numbers({part:UInt64} * 10000, 10000) SETTINGS async_insert = 0`

const versions = `INSERT INTO deal_versions (domain, asin, price_type, row_id, at, stored_at, run, work_id, title, url, condition, seller_id, seller_name, found_at, landed_cents, sale_price_cents,
		profit_cents, roi_percent, sale_count, loss_chance, message)
	SELECT domain, asin, price_type, row_id, at, stored_at, run, work_id, title, concat('https://www.amazon.com/dp/', asin), 'used, good', concat('A', toString(row_id % 5000)), 'A seller', at, 1000 + row_id % 5000,
		5000 + row_id % 9000, toInt64(1 + row_id % 5000), 40, 12, 0.2, deal
	FROM verdicts WHERE outcome = 'accept' AND row_id % 50 = {part:UInt32} SETTINGS async_insert = 0`

// benchRows is the number of verdicts in a benchmark: RATCHET_BENCH_ROWS, or a million.
func benchRows(b *testing.B) int {
	b.Helper()
	if set, err := strconv.Atoi(os.Getenv("RATCHET_BENCH_ROWS")); err == nil && set > 0 {
		return set
	}
	return 1_000_000
}

// seedYear returns a warehouse with a year in it. RATCHET_BENCH_KEEP names a database on
// the server under test that is kept: the first benchmark fills it, later ones reuse it.
func seedYear(b *testing.B, total int) *warehouse.Warehouse {
	b.Helper()
	at, err := url.Parse(chtest.Server(b))
	if err != nil {
		b.Fatal(err)
	}
	if keep := os.Getenv("RATCHET_BENCH_KEEP"); keep != "" {
		at.Path = "/" + keep
	} else if at, err = url.Parse(chtest.Database(b)); err != nil {
		b.Fatal(err)
	}
	w, err := warehouse.Open(b.Context(), at.String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Close() })
	if err := w.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	have, err := w.SQL(b.Context(), "SELECT toInt64(count()), (SELECT count() FROM dead) FROM verdicts", true)
	if err != nil {
		b.Fatal(err)
	}
	if have.Rows[0][1].(uint64) > 0 {
		return w
	}
	const step = 50_000 // a day or two: the sums of one insert are held in memory
	for from := int(have.Rows[0][0].(int64)); from < total; from += step {
		if err := w.Exec(b.Context(), year, "total", strconv.Itoa(total), "from", strconv.Itoa(from), "many", strconv.Itoa(min(step, total-from))); err != nil {
			b.Fatal(err)
		}
	}
	for _, sql := range books {
		if err := w.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	for part := range parts {
		for _, sql := range []string{calls, versions} {
			if err := w.Exec(b.Context(), sql, "part", strconv.Itoa(part)); err != nil {
				b.Fatal(err)
			}
		}
	}
	// A year of operation would have removed this: the recorder
	// tidies up every hour, and ClickHouse merges in the background.
	if _, err := w.Tidy(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := w.Exec(b.Context(), "OPTIMIZE TABLE verdict_ids FINAL"); err != nil {
		b.Fatal(err)
	}
	// Merging a minute's input, and writing it to the disk, is not part of the measured questions. After one merge the
	// engine begins the next.
	for quiet := 0; quiet < 15; time.Sleep(time.Second) {
		t, err := w.SQL(b.Context(), "SELECT count() FROM system.merges", true)
		if err != nil {
			b.Fatal(err)
		}
		if quiet++; t.Rows[0][0].(uint64) > 0 {
			quiet = 0
		}
	}
	unix.Sync()
	return w
}

// BenchmarkQuestions runs every named question on a year of verdicts, RATCHET_BENCH_ROWS of them (default a million),
// five times for the last week and five times for the year, and reports for each median whether it is within its bar.
func BenchmarkQuestions(b *testing.B) {
	total := benchRows(b)
	chtest.Server(b)
	idle, _ := chtest.Resident()
	w := seedYear(b, total)
	for b.Loop() {
		for _, q := range warehouse.Questions() {
			report(b, w, q, "week", "2026-02-26 00:00:00", 100*time.Millisecond)
			report(b, w, q, "year", "2025-03-05 00:00:00", 300*time.Millisecond)
		}
	}
	size, err := w.SQL(b.Context(), "SELECT sum(bytes_on_disk), sumIf(bytes_on_disk, table = 'verdicts') FROM system.parts WHERE active AND database = currentDatabase() AND table NOT IN ('ledger', 'deal_versions', 'dead')", true)
	if err != nil {
		b.Fatal(err)
	}
	bytes := float64(size.Rows[0][0].(uint64)) / float64(total)
	fmt.Printf("bytes/verdict  all tables %.1f, verdicts alone %.1f  bar 80\n", bytes, float64(size.Rows[0][1].(uint64))/float64(total))
	if bytes > 80 {
		b.Errorf("%.1f bytes a verdict, more than 80", bytes)
	}
	if _, most := chtest.Resident(); most > 0 {
		fmt.Printf("engine resident  idle %d MB, bar 350; at most %d MB while it was filled and asked, bar 900\n", idle/1e6, most/1e6)
		if idle > 350e6 || most > 900e6 {
			b.Errorf("the engine takes %d MB, and %d MB at most", idle/1e6, most/1e6)
		}
	}
}

func report(b *testing.B, w *warehouse.Warehouse, q warehouse.Question, span, since string, bar time.Duration) {
	b.Helper()
	params := map[string]string{}
	if slices.ContainsFunc(q.Params, func(p warehouse.Param) bool { return p.Name == "since" }) {
		params["since"] = since
	}
	var took []time.Duration
	for range 5 {
		began := time.Now()
		if _, err := w.Ask(b.Context(), q.Name, params); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	word := "ok"
	if took[2] > bar {
		word = "short"
		b.Errorf("%s of a %s takes %s, more than %s", q.Name, span, took[2].Round(time.Millisecond), bar)
	}
	fmt.Printf("%-14s %-5s median %8.1f ms  bar %3d ms  ratio %.2f  %s\n", q.Name, span, float64(took[2].Microseconds())/1000, bar.Milliseconds(), float64(took[2])/float64(bar), word)
}

// BenchmarkStored looks up events in a year's ledger, half of
// which are there, and reports the disk space of their IDs.
func BenchmarkStored(b *testing.B) {
	w := openFor(b)
	for part := range parts {
		if err := w.Exec(b.Context(), calls, "part", strconv.Itoa(part)); err != nil {
			b.Fatal(err)
		}
	}
	ids, err := w.SQL(b.Context(), "SELECT msg_id, row_id FROM ledger ORDER BY cityHash64(msg_id) LIMIT 2500", true)
	if err != nil {
		b.Fatal(err)
	}
	var events []uint64
	for i, r := range ids.Rows {
		events = append(events, r[0].(uint64), uint64(i+1))
	}
	for b.Loop() {
		for _, n := range []int{2, 100, len(events)} {
			var took []time.Duration
			for range 5 {
				began := time.Now()
				found, err := w.Stored(b.Context(), pipeline.StreamLedger, events[:n])
				if err != nil || len(found) != n/2 {
					b.Fatalf("%d of %d events found: %v", len(found), n, err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			fmt.Printf("%5d events of the ledger looked up among 500,000: median %.1f ms\n", n, float64(took[2].Microseconds())/1000)
		}
	}
	size, err := w.SQL(b.Context(), `SELECT (SELECT sum(column_data_compressed_bytes) FROM system.parts_columns WHERE active AND database = currentDatabase() AND table = 'ledger' AND column = 'msg_id'),
		(SELECT sum(secondary_indices_compressed_bytes) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'ledger')`, true)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("their ids take %v bytes and their filter %v: %.2f bytes per verdict, of which there are twenty to an entry\n", size.Rows[0][0], size.Rows[0][1],
		float64(size.Rows[0][0].(uint64)+size.Rows[0][1].(uint64))/10_000_000)
}
