package warehouse_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"ratchet/pipeline/warehouse"
)

// year makes n verdicts between two offsets of seconds before now, as a year of operation leaves them.
const year = `INSERT INTO verdicts (run, look, outcome, reason, at, row_id, stored_at, work_id, build, domain, asin, price_type, creation_date,
	rule_id, rule_set, heuristic, source, tier, queries, root_category, listed_at, tokens, tokens_spent, expected_value_cents, profit_cents, unknown, inputs)
SELECT
	'live', ['glance','peek','commit'][1 + (k >= 60) + (k >= 95)],
	multiIf(k < 25 OR (k >= 60 AND k < 65), 'survive', k = 99, 'accept', 'reject'),
	multiIf(k < 25 OR (k >= 60 AND k < 65), 'ok', k = 99, 'ok', concat('reason_', toString(intDiv(k, 6)))),
	toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMillisecond(toInt64(number * 31536000000. / {total:UInt64})) AS at_,
	bitShiftLeft(1700000000::UInt64, 32) + number, now64(3),
	hex(sipHash64(number)), 'b1', 1, concat('B', leftPad(toString(number % 3000000), 9, '0')), 2, 7900000 + intDiv(number, 20),
	concat('rule_', toString(intDiv(k, 6))), concat('r', toString(intDiv(number * 8, {total:UInt64}))), 0, if(h % 10 = 0, 'gap', 'live'), if(k < 60, '', 'a'),
	['used-books@1'], 283155 + h % 12,
	at_ - toIntervalSecond(30 + h % 7200), [0,1,6][1 + (k >= 60) + (k >= 95)], 1, if(k >= 60, 100 * (h % 40), NULL), if(k = 99, 100 * (h % 50), NULL),
	if(h % 5 = 0, ['amazon_cents'], []),
	concat('{"used_cents":', toString(1000 + h % 3000), ',"rank_drops_365":', toString(h % 90), ',"amazon_cents":', if(h % 5 = 0, 'null', toString(2000 + h % 4000)), '}')
FROM (SELECT number, cityHash64(number) AS h, cityHash64(number, 1) % 100 AS k FROM numbers({from:UInt64}, {many:UInt64}))
SETTINGS async_insert = 0, max_insert_threads = 1`

// The books of that year: a call for every twenty verdicts, a poll every ten minutes, and a deal for every thousandth.
var books = []string{
	`INSERT INTO ledger (stage, event, at, row_id, stored_at, run, tokens, price_kind, items, api_left, api_rate, api_took_ms)
	SELECT if(number % 3 = 0, 'committer', 'peeker'), 'close', toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMillisecond(toInt64(number * 31536000000. / 500000)),
	bitShiftLeft(1700000000::UInt64, 32) + number, now64(3), 'live', 1 + number % 20, if(number % 3 = 0, 'commit', 'peek'), 1 + number % 20, cityHash64(number) % 300, 5, 20 + cityHash64(number) % 300
	FROM numbers(500000) SETTINGS async_insert = 0`,
	`INSERT INTO ledger (stage, event, at, row_id, stored_at, run, tokens, price_kind, items, query, from_minute, to_minute, rows_estimate, note)
	SELECT 'watermarker', ['poll','gap_opened','gap_filled'][1 + (number % 100 = 0) + (number % 100 = 1)], toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMinute(number * 10),
	bitShiftLeft(1700000000::UInt64, 32) + 1000000 + number, now64(3), 'live', 5, 'deals', 150, 'used-books@1', 7500000, 7500060, 20, toString(intDiv(number, 100))
	FROM numbers(52560) SETTINGS async_insert = 0`,
	`INSERT INTO deal_versions (domain, asin, price_type, row_id, at, stored_at, run, work_id, title, landed_cents, list_price_cents, one_year_average_cents, profit_cents, roi_percent, message)
	SELECT 1, concat('B', leftPad(toString(number * 300), 9, '0')), 2, bitShiftLeft(1700000000::UInt64, 32) + number,
	toDateTime64('2025-03-05 00:00:00', 3, 'UTC') + toIntervalMillisecond(toInt64(number * 31536000000. / 10000)), now64(3), 'live', toString(number), 'A book', 1000, 5000, 4500, 900, 40, '{}'
	FROM numbers(10000) SETTINGS async_insert = 0`,
}

// BenchmarkQuestions asks every named question of a year of verdicts, RATCHET_BENCH_ROWS of them (default a million),
// five times for the last week and five times for the year, and says for each median whether it is within its bar.
func BenchmarkQuestions(b *testing.B) {
	total := 1_000_000
	if set, err := strconv.Atoi(os.Getenv("RATCHET_BENCH_ROWS")); err == nil {
		total = set
	}
	w := openFor(b)
	const step = 100_000 // a few days: the sums of one insert are held in memory
	for from := 0; from < total; from += step {
		if err := w.Exec(b.Context(), year, "total", strconv.Itoa(total), "from", strconv.Itoa(from), "many", strconv.Itoa(min(step, total-from))); err != nil {
			b.Fatal(err)
		}
	}
	for _, sql := range books {
		if err := w.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for _, q := range warehouse.Questions() {
			report(b, w, q, "week", "2026-02-26 00:00:00", 100*time.Millisecond)
			report(b, w, q, "year", "2025-03-05 00:00:00", 300*time.Millisecond)
		}
	}
	size, err := w.SQL(b.Context(), "SELECT sum(data_compressed_bytes), sumIf(data_compressed_bytes, table = 'verdicts') FROM system.parts WHERE active AND database = currentDatabase() AND table NOT IN ('ledger', 'deal_versions')", true)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("bytes/verdict  all tables %.1f, verdicts alone %.1f  bar 80\n", float64(size.Rows[0][0].(uint64))/float64(total), float64(size.Rows[0][1].(uint64))/float64(total))
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
	}
	fmt.Printf("%-14s %-5s median %8.1f ms  bar %3d ms  ratio %.2f  %s\n", q.Name, span, float64(took[2].Microseconds())/1000, bar.Milliseconds(), float64(took[2])/float64(bar), word)
}
