package warehouse_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

// sums lists every table and view that is maintained at insertion, each with the same query on the rows.
var sums = map[string][2]string{
	"verdict_hours": {
		"SELECT run, toStartOfHour(at) AS h, look, outcome, reason, source, tier, root_category, rule_set, heuristic, count(), sum(tokens) FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
		"SELECT run, hour, look, outcome, reason, source, tier, root_category, rule_set, heuristic, verdicts, tokens FROM verdict_counts ORDER BY ALL",
	},
	"verdict_days": {
		"SELECT run, toDate(at) AS d, look, outcome, reason, rule_set, heuristic, tokens, count() FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
		"SELECT run, day, look, outcome, reason, rule_set, heuristic, tokens, groupBitmapMerge(ids) FROM verdict_days GROUP BY ALL ORDER BY ALL",
	},
	"category_days": {
		"SELECT run, toDate(at) AS d, root_category, outcome, reason, tokens, count() FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
		"SELECT run, day, root_category, outcome, reason, tokens, groupBitmapMerge(ids) FROM category_days GROUP BY ALL ORDER BY ALL",
	},
	"wait_days": {
		`SELECT run, toDate(at) AS d, look, source, toUInt8(least(200, round(20 * log10(1 + greatest(0, dateDiff('millisecond', assumeNotNull(listed_at), at)) / 1000)))) AS slot, count()
			FROM verdicts FINAL WHERE listed_at IS NOT NULL GROUP BY ALL ORDER BY ALL`,
		"SELECT run, day, look, source, slot, groupBitmapMerge(ids) FROM wait_days GROUP BY ALL ORDER BY ALL",
	},
	"unknown_days": {
		"SELECT run, toDate(at) AS d, look, rule_id, arrayJoin(unknown) AS i, outcome, count() FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
		"SELECT run, day, look, rule_id, input, outcome, groupBitmapMerge(ids) FROM unknown_days GROUP BY ALL ORDER BY ALL",
	},
	"runs": {
		"SELECT run, min(at), max(at), count(), countIf(outcome = 'accept'), sum(tokens), arraySort(groupUniqArray(toString(rule_set))) FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
		"SELECT run, first_at, last_at, verdicts, accepted, tokens, rule_sets FROM runs ORDER BY ALL",
	},
	"verdict_ids": {
		"SELECT run, work_id, look, min(row_id) FROM verdicts FINAL GROUP BY ALL ORDER BY ALL",
		`SELECT v.run, v.work_id, v.look, min(i.row_id) FROM verdicts AS v FINAL
			INNER JOIN verdict_ids AS i ON reinterpretAsUInt64(substring(SHA256(concat(v.run, ':', v.work_id, ':', v.look)), 1, 8)) = i.id GROUP BY ALL ORDER BY ALL`,
	},
	"work_slots of calls": {
		`SELECT toStartOfFiveMinutes(toDateTime(at, 'UTC')) AS slot, min((at, indexOf(['peeker', 'committer', 'watermarker'], toString(stage)))), max((at, ifNull(api_left, -2097152), ifNull(api_rate, 0)))
			FROM ledger FINAL WHERE event = 'close' AND tokens > 0 GROUP BY ALL ORDER BY ALL`,
		`SELECT slot, (addMilliseconds(toDateTime64(slot, 3, 'UTC'), intDiv(min(first_call), 4)), min(first_call) % 4), (addMilliseconds(toDateTime64(slot, 3, 'UTC'), toInt64(bitShiftRight(max(last_call), 44)) - 1),
				toInt64(bitAnd(bitShiftRight(max(last_call), 22), 4194303)) - 2097152, bitAnd(max(last_call), 4194303))
			FROM work_slots GROUP BY slot HAVING max(last_call) > 0 ORDER BY ALL`,
	},
	"work_slots of polls": {
		`SELECT toStartOfFiveMinutes(toDateTime(at, 'UTC')) AS slot, min(toDateTime(at, 'UTC')) - 600, max(toDateTime(at, 'UTC')) + 600 FROM ledger FINAL WHERE event = 'poll' AND note LIKE '%due%' GROUP BY ALL ORDER BY ALL`,
		"SELECT slot, min(due_at), max(next_due_at) FROM work_slots GROUP BY slot HAVING min(due_at) < '2100-01-01' ORDER BY ALL",
	},
	"work_slots of decisions": {
		`SELECT toStartOfFiveMinutes(toDateTime(at, 'UTC')) AS slot, min((at, look = 'glance')), max(at) FROM verdicts FINAL WHERE run = 'live' AND look != 'list' AND outcome != 'survive' GROUP BY ALL ORDER BY ALL`,
		`SELECT slot, (addMilliseconds(toDateTime64(slot, 3, 'UTC'), intDiv(min(first_decision), 2)), min(first_decision) % 2), addMilliseconds(toDateTime64(slot, 3, 'UTC'), toInt64(max(last_decision)) - 1)
			FROM work_slots GROUP BY slot HAVING max(last_decision) > 0 ORDER BY ALL`,
	},
	"work_slots of survivors": {
		"SELECT toStartOfFiveMinutes(toDateTime(at, 'UTC')) AS slot, min(at), max(at) FROM verdicts FINAL WHERE run = 'live' AND look != 'list' AND outcome = 'survive' GROUP BY ALL ORDER BY ALL",
		`SELECT slot, addMilliseconds(toDateTime64(slot, 3, 'UTC'), min(first_survivor)), addMilliseconds(toDateTime64(slot, 3, 'UTC'), toInt64(max(last_survivor)) - 1)
			FROM work_slots GROUP BY slot HAVING max(last_survivor) > 0 ORDER BY ALL`,
	},
	"work_slots of the list": {
		`SELECT toStartOfFiveMinutes(toDateTime(at, 'UTC')) AS slot, min(toDateTime(assumeNotNull(listed_at), 'UTC'))
			FROM verdicts FINAL WHERE run = 'live' AND look != 'list' AND tokens > 0 AND source = 'live' AND listed_at IS NOT NULL GROUP BY ALL ORDER BY ALL`,
		"SELECT slot, min(w.listed_at) FROM work_slots AS w GROUP BY slot HAVING min(w.listed_at) < '2100-01-01' ORDER BY ALL",
	},
	"work_days": {
		`SELECT day, sum(c), sum(d) FROM (SELECT toDate(at) AS day, 1 AS c, 0 AS d FROM ledger FINAL WHERE event = 'close' AND tokens > 0
			UNION ALL SELECT toDate(at), 0, 1 FROM verdicts FINAL WHERE run = 'live' AND look != 'list' AND outcome != 'survive') GROUP BY ALL ORDER BY ALL`,
		"SELECT day, groupBitmapMerge(calls), groupBitmapMerge(decisions) FROM work_days GROUP BY ALL ORDER BY ALL",
	},
	"modes": {
		"SELECT at, row_id, replaceOne(note, 'burst to ', '') AS m FROM ledger FINAL WHERE event = 'mode' AND note LIKE '% to %' ORDER BY ALL",
		"SELECT at, row_id, mode FROM modes FINAL ORDER BY ALL",
	},
	"deal_states": {
		`SELECT d.asin, d.first_seen_at, d.last_seen_at, multiIf(ifNull(d.sale_price_cents, 0) <= 0, 'old_estimate', ifNull(d.profit_cents, 0) <= 0, 'no_profit',
				c.last.1 = 'reject', c.last.2, '') AS hidden
			FROM deals AS d LEFT JOIN (SELECT domain, asin, price_type, argMax((toString(outcome), toString(reason)), row_id) AS last
				FROM verdicts FINAL WHERE run = 'live' AND outcome IN ('accept', 'reject', 'confirm') GROUP BY ALL) AS c
			ON d.domain = c.domain AND d.asin = c.asin AND d.price_type = c.price_type ORDER BY ALL`,
		"SELECT asin, first_seen_at, last_seen_at, hidden_because FROM deal_states ORDER BY ALL",
	},
	"confirmed": {
		`SELECT asin, max(at) FROM verdicts FINAL WHERE run = 'live' AND outcome IN ('accept', 'confirm') AND asin IN (SELECT asin FROM deal_versions) GROUP BY ALL ORDER BY ALL`,
		"SELECT asin, last_confirmed_at FROM deal_states WHERE last_confirmed_at > '1970-01-02' ORDER BY ALL",
	},
	"checked": {
		`SELECT asin, greatest(maxIf(at, outcome != 'reject'), argMaxIf(at, row_id, (outcome = 'reject' AND look != 'list') AND row_id > confirmed)) AS checked
			FROM (SELECT *, max(if(outcome != 'reject', row_id, 0)) OVER (PARTITION BY domain, asin, price_type) AS confirmed FROM verdicts FINAL
				WHERE run = 'live' AND outcome IN ('accept', 'confirm', 'reject') AND asin IN (SELECT asin FROM deal_versions WHERE run = 'live')) GROUP BY asin ORDER BY ALL`,
		"SELECT asin, last_checked_at FROM deal_states WHERE asin IN (SELECT asin FROM verdicts WHERE run = 'live' AND outcome IN ('accept', 'confirm', 'reject')) ORDER BY ALL",
	},
	"token_hours": {
		"SELECT toStartOfHour(at) AS h, stage, event, price_kind, count(), sum(tokens), sum(items) FROM ledger FINAL GROUP BY ALL ORDER BY ALL",
		"SELECT hour, stage, event, price_kind, entries, tokens, items FROM token_counts ORDER BY ALL",
	},
	"spending": {
		`SELECT toStartOfHour(at) AS h, stage, price_kind, event, count(), sum(items), sum(tokens)
			FROM ledger FINAL WHERE event IN ('close', 'lost', 'drift') AND tokens != 0 GROUP BY ALL ORDER BY ALL`,
		"SELECT hour, stage, price_kind, event, sum(s.calls), sum(s.items), sum(s.tokens) FROM spending AS s GROUP BY ALL ORDER BY ALL",
	},
	"balance": {
		"SELECT at, api_left, api_rate, stage FROM ledger FINAL WHERE api_left IS NOT NULL ORDER BY ALL",
		"SELECT at, balance, rate, stage FROM balance ORDER BY ALL",
	},
	"call_days": {
		`SELECT toDate(at) AS d, stage, price_kind, toUInt8(least(200, round(20 * log10(1 + greatest(0, assumeNotNull(api_took_ms)))))) AS slot, count()
			FROM ledger FINAL WHERE event = 'close' AND api_took_ms IS NOT NULL GROUP BY ALL ORDER BY ALL`,
		"SELECT day, stage, price_kind, slot, groupBitmapMerge(ids) FROM call_days GROUP BY ALL ORDER BY ALL",
	},
	"pipeline_clock": {
		"SELECT argMax((at, stored_at), row_id) FROM ledger FINAL",
		"SELECT reading FROM pipeline_clock",
	},
}

// TestEverySumEqualsTheSameQuestionAskedOfTheRowsAfterAnyRedelivery inserts random rows,
// of live work and of replays, some days late, in random batches: split anywhere, in any
// order, the same batch twice under one token, the same rows in others under another.
// After each round every sum must agree with the rows. The rounds add up in one database.
func TestEverySumEqualsTheSameQuestionAskedOfTheRowsAfterAnyRedelivery(t *testing.T) {
	t.Parallel()
	w := open(t)
	left := rounds(3, 24)
	var seq uint64
	rapid.Check(t, func(r *rapid.T) {
		if left--; left < 0 {
			return // a round is many statements: run only as many of rapid's hundred as take seconds
		}
		n := rapid.IntRange(1, 40).Draw(r, "rows")
		verdicts, entries, deals := drawVerdicts(r, seq, n), drawEntries(r, seq, n), drawDeals(t, r, seq, n/4)
		seq += uint64(n)
		redeliver(t, r, fmt.Sprint("verdicts", seq), verdicts, w.InsertVerdicts)
		redeliver(t, r, fmt.Sprint("ledger", seq), entries, w.InsertLedger)
		redeliver(t, r, fmt.Sprint("deals", seq), deals, w.InsertDeals)
		for name, pair := range sums {
			rows, sum := ask(t, w, pair[0]), ask(t, w, pair[1])
			if rows != sum {
				r.Errorf("%s: the rows say\n%s\nthe sum says\n%s", name, rows, sum)
			}
		}
	})
	if ask(t, w, sums["verdict_hours"][0]) == "" {
		t.Error("nothing was inserted")
	}
}

// redeliver inserts every row at least once and many of them again. round makes the tokens unique among rounds.
func redeliver[R any](t *testing.T, r *rapid.T, round string, rows []R, insert func(context.Context, []R, string) error) {
	t.Helper()
	if len(rows) == 0 {
		return
	}
	order := rapid.Permutation(rows).Draw(r, "order")
	type span struct{ from, many int }
	var batches []span
	for from := 0; from < len(order); {
		n := rapid.IntRange(1, len(order)-from).Draw(r, "batch")
		batches = append(batches, span{from, n})
		from += n
	}
	for range rapid.IntRange(0, 3).Draw(r, "cut elsewhere") {
		from := rapid.IntRange(0, len(order)-1).Draw(r, "from")
		batches = append(batches, span{from, rapid.IntRange(1, len(order)-from).Draw(r, "many")})
	}
	for _, n := range rapid.SliceOfN(rapid.IntRange(0, len(batches)-1), 0, 3).Draw(r, "twice") {
		batches = append(batches, batches[n])
	}
	for n, b := range batches {
		token := fmt.Sprint(round, b) // of the content: equal batches have equal tokens
		if rapid.Bool().Draw(r, "another token") {
			token = fmt.Sprint(token, n)
		}
		must(t, insert(t.Context(), order[b.from:b.from+b.many], token))
	}
}

// drawAt returns an instant within a few days; one in four is days late for its place in the stream.
func drawAt(r *rapid.T, seq uint64) time.Time {
	at := noon.Add(time.Duration(seq) * 7 * time.Minute).Add(time.Duration(rapid.IntRange(0, 600_000).Draw(r, "ms")) * time.Millisecond)
	if rapid.IntRange(0, 3).Draw(r, "late") == 0 {
		at = at.Add(-time.Duration(rapid.IntRange(1, 5).Draw(r, "days")) * 24 * time.Hour)
	}
	return at
}

func drawVerdicts(r *rapid.T, seq uint64, n int) []warehouse.VerdictRow {
	rows := make([]warehouse.VerdictRow, n)
	for i := range rows {
		s := seq + uint64(i) + 1
		at := drawAt(r, s)
		v := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, s, at), InputsJSON: `{}`}
		v.Run = rapid.SampledFrom([]string{pipeline.RunLive, pipeline.RunLive, pipeline.RunLive, "lax"}).Draw(r, "run")
		v.Identity = pipeline.Identity{Domain: 1, ASIN: asinOf(rapid.IntRange(0, 9).Draw(r, "asin")), PriceType: 2, CreationDate: int64(s)}
		v.Look = rapid.SampledFrom([]pipeline.Look{pipeline.LookList, pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit}).Draw(r, "look")
		v.Outcome = rapid.SampledFrom([]pipeline.Outcome{pipeline.Survive, pipeline.Accept, pipeline.Reject, pipeline.Shed, pipeline.Confirm, pipeline.Fail}).Draw(r, "outcome")
		v.Reason = rapid.SampledFrom([]string{"ok", "no_sale", "low_roi"}).Draw(r, "reason")
		v.RuleSet = rapid.SampledFrom([]string{"r1", "r2"}).Draw(r, "rules")
		v.Source = rapid.SampledFrom([]pipeline.Source{pipeline.SourceLive, pipeline.SourceRefresh}).Draw(r, "source")
		v.Tokens = rapid.IntRange(0, 6).Draw(r, "tokens")
		v.RootCategory = int64(rapid.IntRange(0, 2).Draw(r, "category"))
		v.DecidedAt = at
		if rapid.Bool().Draw(r, "listed") {
			v.ListedAt = at.Add(-time.Duration(rapid.IntRange(0, 100_000).Draw(r, "waited")) * time.Second)
		}
		v.Unknown = rapid.SampledFrom([][]string{nil, {"rank"}, {"rank", "amazon"}}).Draw(r, "unknown")
		rows[i] = v
	}
	return rows
}

func asinOf(i int) string { return fmt.Sprintf("B%09d", i) }

func drawEntries(r *rapid.T, seq uint64, n int) []warehouse.LedgerRow {
	rows := make([]warehouse.LedgerRow, n)
	for i := range rows {
		s := seq + uint64(i) + 1
		e := pipeline.Entry{
			Event: rapid.SampledFrom([]pipeline.Event{
				pipeline.EventClose, pipeline.EventClose, pipeline.EventLost, pipeline.EventDrift, pipeline.EventClaim, pipeline.EventExpired, pipeline.EventPoll, pipeline.EventMode,
			}).Draw(r, "event"),
			Stage:     rapid.SampledFrom(pipeline.Stages()).Draw(r, "stage"),
			Tokens:    rapid.IntRange(-3, 20).Draw(r, "amount"),
			PriceKind: rapid.SampledFrom([]pipeline.Kind{pipeline.KindPeek, pipeline.KindCommit}).Draw(r, "kind"),
			Items:     rapid.IntRange(0, 5).Draw(r, "items"),
		}
		if rapid.Bool().Draw(r, "answered") {
			e.API = &pipeline.Reading{TS: noon.UnixMilli(), Left: rapid.IntRange(-9, 300).Draw(r, "left"), Rate: 5, TookMS: int64(rapid.IntRange(0, 9000).Draw(r, "took"))}
		}
		at := drawAt(r, s)
		switch {
		case e.Event == pipeline.EventPoll && rapid.Bool().Draw(r, "due"):
			e.Note = fmt.Sprintf("page 0, 3 new, due %s, every 300 s", at.Add(-10*time.Minute).Format(time.RFC3339))
		case e.Event == pipeline.EventMode:
			e.Note = rapid.SampledFrom([]string{"burst to paused", "burst to nospend", "burst to burst", "tokend leads"}).Draw(r, "mode")
		}
		rows[i] = entry(s, at, e)
	}
	return rows
}

func drawDeals(t *testing.T, r *rapid.T, seq uint64, n int) []warehouse.DealRow {
	t.Helper()
	var rows []warehouse.DealRow
	for i := range n {
		s := seq + uint64(i) + 1
		body := fmt.Sprintf(`{"domain":1,"asin":%q,"price_type":2`, asinOf(rapid.IntRange(0, 9).Draw(r, "asin")))
		for _, member := range []string{"profit_cents", "sale_price_cents"} {
			if rapid.IntRange(0, 3).Draw(r, member+" said") > 0 {
				body += fmt.Sprintf(`,%q:%d`, member, rapid.IntRange(-1, 5).Draw(r, member))
			}
		}
		rows = append(rows, dealRow(t, s, drawAt(r, s), body+"}"))
	}
	return rows
}
