package warehouse

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/text/foreign"
)

// dealKey are the members of a deal that have fields of their own in DealRow.
var dealKey = []string{"domain", "asin", "price_type"}

// dealColumns are the columns of deal_versions: one for each member of a deal,
// under its name on the wire, so a new member of deal.Deal only needs a migration.
var dealColumns = slices.Concat(originOf(func(r *DealRow) *Origin { return &r.Origin }),
	[]column[DealRow]{
		msgID(func(r *DealRow) *Origin { return &r.Origin }),
		col("run", func(r *DealRow) string { return r.Run }),
		col("work_id", func(r *DealRow) string { return r.WorkID }),
		col("domain", func(r *DealRow) uint16 { return uint16(r.Domain) }),        //nolint:gosec // checked by fits
		col("price_type", func(r *DealRow) uint16 { return uint16(r.PriceType) }), //nolint:gosec // checked by fits
		col("asin", func(r *DealRow) string { return r.ASIN }),
		col("message", func(r *DealRow) string { return r.Message }),
	}, dealMembers())

// dealMembers derives the columns from the type.
func dealMembers() []column[DealRow] {
	var out []column[DealRow]
	for _, f := range reflect.VisibleFields(reflect.TypeFor[deal.Deal]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" || slices.Contains(dealKey, name) {
			continue
		}
		out = append(out, dealMember(name, f.Type))
	}
	return out
}

func dealMember(name string, t reflect.Type) column[DealRow] {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return member(name, func(v time.Time) time.Time { return v })
	case t.Kind() == reflect.String, t == reflect.TypeFor[foreign.Text]():
		return member(name, func(v string) string { return v })
	case t.Kind() == reflect.Bool:
		return member(name, func(v bool) bool { return v })
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return member(name, func(v int64) int64 { return v })
	case t.Kind() == reflect.Float64:
		return member(name, func(v float64) float64 { return v })
	case t == reflect.TypeFor[[]deal.Sale]():
		return col(name, func(r *DealRow) [][]any { return sales(r.Fields[name]) })
	case t.Kind() == reflect.Slice:
		return col(name, func(r *DealRow) []string { return orEmpty(valueOf[[]string](r.Fields[name])) })
	case t.Kind() == reflect.Map:
		return col(name, func(r *DealRow) map[string]int64 { return orEmpty(valueOf[map[string]int64](r.Fields[name])) })
	}
	panic(fmt.Sprintf("deal.Deal: no column type for %s (%s)", name, t))
}

// sales returns tuples of minute and price.
func sales(raw json.RawMessage) [][]any {
	var out [][]any
	all, _ := valueOf[[]deal.Sale](raw)
	if all == nil {
		return [][]any{}
	}
	for _, s := range *all {
		out = append(out, []any{int64(s.At), s.Cents})
	}
	return out
}

// member is a column that is NULL if the message lacks it.
func member[V any](name string, of func(V) V) column[DealRow] {
	return col(name, func(r *DealRow) *V {
		v, err := valueOf[V](r.Fields[name])
		if err != nil || v == nil {
			return nil
		}
		*v = of(*v)
		return v
	})
}

func orEmpty[V any](v *V, err error) V {
	var none V
	if err != nil || v == nil {
		return none
	}
	return *v
}

// DealOf returns the row of a message; in names its stream, and the text in body is cleaned.
func DealOf(in Origin, v visibility.Version, body []byte) DealRow {
	in.Origin = v.Origin
	r := DealRow{Origin: in, Domain: v.Domain, ASIN: v.ASIN, PriceType: v.PriceType, Message: string(foreign.JSON(body))}
	r.Fields = make(map[string][]byte, len(v.Members))
	for name, raw := range v.Members {
		r.Fields[name] = raw
	}
	return r
}
