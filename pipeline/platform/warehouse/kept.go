package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline"
	"ratchet/pipeline/text/foreign"
)

// KeptQuery selects live verdicts whose inputs a replay uses. The zero value of each part selects all.
type KeptQuery struct {
	Look   pipeline.Look
	ASIN   string
	Source pipeline.Source
	Reason string
	From   time.Time // pipeline time; From is included, To is not
	To     time.Time
	Until  uint64 // the last row ID

	Marketplaces []int // Keepa's numbers; none: all
}

// KeptDay is a day with the number of its live verdicts.
type KeptDay struct {
	Day  time.Time
	Rows int
}

// KeptDays returns the days on which live verdicts of a look were made, in order.
func (w *Warehouse) KeptDays(ctx context.Context, q KeptQuery) ([]KeptDay, error) {
	t, err := w.query(ctx, `SELECT toString(day), toInt64(groupBitmapMerge(ids)) FROM verdict_days
WHERE run = 'live' AND look = {look:String} AND day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
GROUP BY day ORDER BY day`, clickhouse.Parameters{"look": string(q.Look), "from": second(q.From, false), "to": second(q.To, true)}, readOnly())
	if err != nil {
		return nil, w.noTables(ctx, fmt.Errorf("count kept inputs: %w", err))
	}
	var out []KeptDay
	for _, r := range t.Rows {
		day, err := time.Parse(time.DateOnly, fmt.Sprint(r[0]))
		if err != nil {
			return nil, fmt.Errorf("count kept inputs: %w", err)
		}
		n, _ := r[1].(int64)
		out = append(out, KeptDay{Day: day, Rows: int(n)})
	}
	return out, nil
}

// second converts a time to a parameter; zero is the first or the last that ClickHouse can represent.
func second(t time.Time, last bool) string {
	if t.IsZero() {
		if last {
			return "2105-12-31 23:59:59"
		}
		return "1971-01-01 00:00:00"
	}
	return t.UTC().Format(time.DateTime)
}

func millis(t time.Time, last bool) string {
	if t.IsZero() && last {
		return strconv.FormatInt(math.MaxInt32*2000, 10)
	}
	return strconv.FormatInt(max(0, t.UnixMilli()), 10)
}

// KeptFields is the number of fields in a line of KeptInputs.
const KeptFields = 12

// KeptInputs calls f for every selected verdict with from <= at < to, in the order of their row IDs, beginning behind
// after. A line is one verdict, its fields separated by tabs: row_id, outcome, reason, rule_id, rule_set, heuristic
// (true or false), source, asin, work_id, at (Unix ms), profit_cents (empty: unknown) and inputs (JSON). ClickHouse
// formats the lines, which saves the driver twelve columns a row. The same row may occur twice in succession.
func (w *Warehouse) KeptInputs(ctx context.Context, q KeptQuery, from, to time.Time, after uint64, f func(line string) error) error {
	if q.From.After(from) {
		from = q.From
	}
	if !q.To.IsZero() && q.To.Before(to) {
		to = q.To
	}
	where := []string{
		"run = 'live'", "look = {look:String}", "row_id > {after:UInt64}", "row_id <= {until:UInt64}",
		"at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')", "at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')",
	}
	params := clickhouse.Parameters{
		"look": string(q.Look), "after": strconv.FormatUint(after, 10), "until": strconv.FormatUint(q.Until, 10),
		"from": millis(from, false), "to": millis(to, true),
	}
	for name, value := range map[string]string{"asin": q.ASIN, "source": string(q.Source), "reason": q.Reason} {
		if value != "" {
			where = append(where, name+" = {"+name+":String}")
			params[name] = value
		}
	}
	if len(q.Marketplaces) > 0 {
		where = append(where, "has({marketplaces:Array(UInt16)}, domain)")
		params["marketplaces"] = "[" + strings.Trim(strings.ReplaceAll(fmt.Sprint(q.Marketplaces), " ", ","), "[]") + "]"
	}
	sql := `SELECT concat(toString(row_id), '\t', outcome, '\t', reason, '\t', rule_id, '\t', rule_set, '\t', toString(heuristic), '\t', source, '\t', asin, '\t',
	work_id, '\t', toString(toUnixTimestamp64Milli(at)), '\t', ifNull(toString(profit_cents), ''), '\t', inputs)
FROM verdicts WHERE ` + strings.Join(where, " AND ") + ` ORDER BY row_id`
	rows, err := w.conn.Query(clickhouse.Context(ctx, clickhouse.WithParameters(params), clickhouse.WithSettings(readOnly())), sql)
	if err != nil {
		return w.noTables(ctx, fmt.Errorf("read kept inputs: %w", err))
	}
	defer func() { _ = rows.Close() }() // its error is that of Err below
	var line string
	for rows.Next() {
		if err := rows.Scan(&line); err != nil {
			return fmt.Errorf("read kept inputs: %w", err)
		}
		if err := f(line); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read kept inputs: %w", err)
	}
	return nil
}

// KeptVerdicts returns live verdicts by their row IDs, complete except for
// their inputs, which stay encoded. Verdicts that are not stored are absent.
func (w *Warehouse) KeptVerdicts(ctx context.Context, look pipeline.Look, from, to time.Time, ids []uint64) (map[uint64]VerdictRow, error) {
	out := map[uint64]VerdictRow{}
	if len(ids) == 0 {
		return out, nil
	}
	var list strings.Builder
	for i, id := range ids {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(strconv.FormatUint(id, 10))
	}
	rows, err := w.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(readOnly()), clickhouse.WithParameters(clickhouse.Parameters{
		"look": string(look), "from": millis(from, false), "to": millis(to, true),
	})), `SELECT row_id, at, stored_at, build, work_id, outcome, reason, domain, price_type, asin, creation_date, rule_id, rule_set, heuristic, source, tier,
	arrayMap(x -> toString(x), queries), root_category, listed_at, tokens, tokens_spent, expected_value_cents, profit_cents, arrayMap(x -> toString(x), unknown),
	inputs, response_ids, title, deal
FROM verdicts WHERE run = 'live' AND look = {look:String} AND at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND at <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
AND row_id IN (`+list.String()+`)`)
	if err != nil {
		return nil, w.noTables(ctx, fmt.Errorf("read %d kept verdicts: %w", len(ids), err))
	}
	defer func() { _ = rows.Close() }() // its error is that of Err below
	for rows.Next() {
		r := VerdictRow{Verdict: pipeline.Verdict{Look: look}}
		var rowID uint64
		var domain, priceType uint16
		var tokens, spent int32
		var listed *time.Time
		var outcome, source, tier, title, dealJSON string
		err := rows.Scan(&rowID, &r.At, &r.StoredAt, &r.Build, &r.Origin.WorkID, &outcome, &r.Reason, &domain, &priceType, &r.ASIN, &r.CreationDate, &r.RuleID, &r.RuleSet,
			&r.Heuristic, &source, &tier, &r.Queries, &r.RootCategory, &listed, &tokens, &spent, &r.ExpectedValueCents, &r.ProfitCents, &r.Unknown,
			&r.InputsJSON, &r.ResponseIDs, &title, &dealJSON)
		if err != nil {
			return nil, fmt.Errorf("read %d kept verdicts: %w", len(ids), err)
		}
		r.Outcome, r.Source, r.Tier, r.Title = pipeline.Outcome(outcome), pipeline.Source(source), pipeline.Tier(tier), foreign.Of(title)
		r.Domain, r.PriceType, r.Tokens, r.TokensSpent = int(domain), int(priceType), int(tokens), int(spent)
		r.DecidedAt, r.At = r.At.UTC(), r.At.UTC()
		if listed != nil {
			r.ListedAt = listed.UTC()
		}
		if dealJSON != "" {
			r.Deal = json.RawMessage(dealJSON)
		}
		r.Epoch, r.Sequence = uint32(rowID>>32), rowID&math.MaxUint32 //nolint:gosec // the halves of a row id
		out[rowID] = r
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %d kept verdicts: %w", len(ids), err)
	}
	return out, nil
}
