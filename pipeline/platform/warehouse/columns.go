package warehouse

import (
	"encoding/json"
	"math"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
)

// column is one column of a table with the function that fills it from a batch of rows.
type column[R any] struct {
	name string
	fill func([]R) any
}

// col returns the column whose value in a row is that of the function.
func col[R, V any](name string, of func(*R) V) column[R] {
	return column[R]{name: name, fill: func(rows []R) any {
		out := make([]V, len(rows))
		for i := range rows {
			out[i] = of(&rows[i])
		}
		return out
	}}
}

// msgID is the column that identifies repeats, in the tables that have it.
func msgID[R any](o func(*R) *Origin) column[R] {
	return col("msg_id", func(r *R) uint64 { return o(r).EventID() })
}

// originOf returns the columns that every table has.
func originOf[R any](o func(*R) *Origin) []column[R] {
	return []column[R]{
		col("row_id", func(r *R) uint64 { return o(r).RowID() }),
		col("at", func(r *R) time.Time { return o(r).At }),
		col("stored_at", func(r *R) time.Time { return o(r).StoredAt }),
		col("build", func(r *R) string { return o(r).Build }),
	}
}

func texts[S ~string](in []S) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// instant converts a time for a column; the zero time is NULL.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

var verdictColumns = append(originOf(func(r *VerdictRow) *Origin { return &r.Origin }),
	col("run", func(r *VerdictRow) string { return r.Run }),
	col("work_id", func(r *VerdictRow) string { return r.Origin.WorkID }),
	col("look", func(r *VerdictRow) string { return string(r.Look) }),
	col("outcome", func(r *VerdictRow) string { return string(r.Outcome) }),
	col("reason", func(r *VerdictRow) string { return r.Reason }),
	col("domain", func(r *VerdictRow) uint16 { return uint16(r.Domain) }),        //nolint:gosec // checked by fits
	col("price_type", func(r *VerdictRow) uint16 { return uint16(r.PriceType) }), //nolint:gosec // checked by fits
	col("asin", func(r *VerdictRow) string { return r.ASIN }),
	col("creation_date", func(r *VerdictRow) int64 { return r.CreationDate }),
	col("rule_id", func(r *VerdictRow) string { return r.RuleID }),
	col("rule_set", func(r *VerdictRow) string { return r.RuleSet }),
	col("heuristic", func(r *VerdictRow) bool { return r.Heuristic }),
	col("source", func(r *VerdictRow) string { return string(r.Source) }),
	col("tier", func(r *VerdictRow) string { return string(r.Tier) }),
	col("queries", func(r *VerdictRow) []string { return texts(r.Queries) }),
	col("root_category", func(r *VerdictRow) int64 { return r.RootCategory }),
	col("listed_at", func(r *VerdictRow) *time.Time { return instant(r.ListedAt) }),
	col("tokens", func(r *VerdictRow) int32 { return int32(r.Tokens) }),            //nolint:gosec // checked by fits
	col("tokens_spent", func(r *VerdictRow) int32 { return int32(r.TokensSpent) }), //nolint:gosec // checked by fits
	col("expected_value_cents", func(r *VerdictRow) *int64 { return r.ExpectedValueCents }),
	col("profit_cents", func(r *VerdictRow) *int64 { return r.ProfitCents }),
	col("unknown", func(r *VerdictRow) []string { return texts(r.Unknown) }),
	col("inputs", func(r *VerdictRow) string { return r.InputsJSON }),
	col("response_ids", func(r *VerdictRow) []string { return texts(r.ResponseIDs) }),
	col("title", func(r *VerdictRow) string { return r.Title.String() }),
	col("deal", func(r *VerdictRow) string { return string(r.Deal) }),
)

var ledgerColumns = append(originOf(func(r *LedgerRow) *Origin { return &r.Origin }),
	msgID(func(r *LedgerRow) *Origin { return &r.Origin }),
	col("run", func(r *LedgerRow) string { return r.Run }),
	col("stage", func(r *LedgerRow) string { return string(r.Stage) }),
	col("plan", func(r *LedgerRow) string { return string(r.Plan) }),
	col("event", func(r *LedgerRow) string { return string(r.Event) }),
	col("tokens", func(r *LedgerRow) int64 { return int64(r.Tokens) }),
	col("price_kind", func(r *LedgerRow) string { return string(r.PriceKind) }),
	col("items", func(r *LedgerRow) uint32 { return uint32(r.Items) }), //nolint:gosec // checked by fits
	col("claim", func(r *LedgerRow) string { return r.Claim }),
	col("api_at", func(r *LedgerRow) *time.Time {
		if r.API == nil || r.API.TS == 0 {
			return nil
		}
		return instant(time.UnixMilli(r.API.TS).UTC())
	}),
	reading("api_left", func(r *LedgerRow) int32 { return int32(r.API.Left) }), //nolint:gosec // checked by fits
	reading("api_rate", func(r *LedgerRow) int32 { return int32(r.API.Rate) }), //nolint:gosec // checked by fits
	reading("api_refill_ms", func(r *LedgerRow) int64 { return r.API.RefillInMS }),
	reading("api_took_ms", func(r *LedgerRow) int64 { return r.API.TookMS }),
	reading("api_flow_red", func(r *LedgerRow) float64 { return r.API.FlowRed }),
	col("query", func(r *LedgerRow) string { return r.Query }),
	col("from_minute", func(r *LedgerRow) int64 { return r.From }),
	col("to_minute", func(r *LedgerRow) int64 { return r.To }),
	col("rows_estimate", func(r *LedgerRow) int64 { return int64(r.RowsEstimate) }),
	col("note", func(r *LedgerRow) string { return r.Note }),
)

// reading is a column of Keepa's answer, NULL for an entry without one.
func reading[V any](name string, of func(*LedgerRow) V) column[LedgerRow] {
	return col(name, func(r *LedgerRow) *V {
		if r.API == nil {
			return nil
		}
		v := of(r)
		return &v
	})
}

var deadColumns = append(originOf(func(r *DeadRow) *Origin { return &r.Origin }),
	msgID(func(r *DeadRow) *Origin { return &r.Origin }),
	col("stage", func(r *DeadRow) string { return r.Stage }),
	col("reason", func(r *DeadRow) string { return r.Reason }),
	col("key", func(r *DeadRow) string { return r.Key }),
	col("work_id", func(r *DeadRow) string { return r.WorkID }),
	col("error", func(r *DeadRow) string { return r.Error.String() }),
	col("origin_stream", func(r *DeadRow) string { return r.Dead.Stream }),
	col("origin_sequence", func(r *DeadRow) uint64 { return r.Dead.Sequence }),
	col("origin_subject", func(r *DeadRow) string { return r.Subject }),
	col("deliveries", func(r *DeadRow) uint64 { return r.Deliveries }),
	col("header", func(r *DeadRow) string { return r.HeaderJSON }),
	col("body", func(r *DeadRow) string { return string(r.Body) }),
)

var actionColumns = append(originOf(func(r *ActionRow) *Origin { return &r.Origin }),
	msgID(func(r *ActionRow) *Origin { return &r.Origin }),
	col("run", func(r *ActionRow) string { return r.Run }),
	col("action", func(r *ActionRow) string { return string(r.Kind) }),
	col("of", func(r *ActionRow) string { return string(r.Of) }),
	col("target", func(r *ActionRow) string { return string(r.By) }),
	col("value", func(r *ActionRow) string { return r.Value }),
	col("domain", func(r *ActionRow) uint16 { return uint16(r.Domain) }), //nolint:gosec // checked by fits
	col("price_cents", func(r *ActionRow) *int64 { return r.PriceCents }),
	col("condition", func(r *ActionRow) string { return r.Condition }),
	col("day", func(r *ActionRow) *time.Time {
		on, err := time.Parse(time.DateOnly, r.On)
		if err != nil {
			return nil
		}
		return &on
	}),
	col("copy", func(r *ActionRow) uint16 { return uint16(max(r.Copy, 1)) }), //nolint:gosec // checked by fits
	col("until", func(r *ActionRow) *time.Time { return instant(r.Until) }),
)

// fits returns an error that names the first number of a row that its column cannot hold.
func (r *VerdictRow) fits() error {
	numbers := r.Numbers()
	return r.Fits(numbers[:]...)
}

func (r *LedgerRow) fits() error {
	numbers := []pipeline.Bound{{Name: "items", Value: r.Items, Most: math.MaxUint32}}
	if r.API != nil {
		numbers = append(numbers,
			pipeline.Bound{Name: "api.left", Value: r.API.Left, Least: math.MinInt32, Most: math.MaxInt32},
			pipeline.Bound{Name: "api.rate", Value: r.API.Rate, Least: math.MinInt32, Most: math.MaxInt32})
	}
	return r.Fits(numbers...)
}

func (r *ActionRow) fits() error { return r.Fits(r.Numbers()...) }

func (r *DeadRow) fits() error { return r.Fits() }

func (r *DealRow) fits() error {
	numbers := visibility.DealKey{Domain: r.Domain, ASIN: r.ASIN, PriceType: r.PriceType}.Numbers()
	return r.Fits(numbers[:]...)
}

// valueOf decodes a member of a deal; absent and null are nil.
func valueOf[V any](raw []byte) (*V, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var v V
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return &v, nil
}
