package visibility

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
)

// DealKey identifies a deal at any price: its marketplace, ASIN and price type.
type DealKey struct {
	Domain    int    `json:"domain"`
	ASIN      string `json:"asin"`
	PriceType int    `json:"price_type"`
}

// DealKeyOf returns the deal key of an identity, which names a price as well.
func DealKeyOf(i pipeline.Identity) DealKey { return DealKey{i.Domain, i.ASIN, i.PriceType} }

// Version is one message of DEALS.
type Version struct {
	pipeline.Origin // its time is when it was decided, if it has one
	DealKey
	Members map[string]json.RawMessage // of the message, by name
}

// merged are the members that take the newest value of any version; every other
// member comes from the newest version. They are the members with a column.
var merged = func() map[string]bool {
	out := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[deal.Deal]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = name != ""
	}
	return out
}()

// ofSeller are the members that describe the seller: they count only in versions with the seller that is shown.
var ofSeller = []string{"seller_name", "seller_rating", "seller_rating_count", "seller_quality"}

// competing are the members that say what caps a sale price: they come from the newest estimate, also where that has
// none of a kind. A next-best copy that was sold caps nothing.
var competing = []string{"cap_cents", "next_best_cents", "lowest_new_cents", "used_buy_box_cents"}

// estimates reports whether a version is an estimate of its own and not only some values.
func (v Version) estimates() bool { return v.has("decided_at") }

// has reports whether a version has a value for a member: null and empty lists are not values.
func (v Version) has(name string) bool {
	raw := v.Members[name]
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return false
	case raw[0] == '[' || raw[0] == '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) > 0
	}
	return true
}

// byAge returns the versions, the newest first.
func (r *record) byAge() []Version {
	return slices.SortedFunc(maps.Values(r.versions), func(a, b Version) int {
		if a.Sequence > b.Sequence {
			return -1
		}
		return 1
	})
}

// member returns the newest value of any version.
func member(newestFirst []Version, name string) json.RawMessage {
	for _, v := range newestFirst {
		if v.has(name) {
			return v.Members[name]
		}
	}
	return nil
}

// cents returns a member as a number; nil without a value.
func cents(newestFirst []Version, name string) *int64 {
	raw := member(newestFirst, name)
	var n int64
	if raw == nil || json.Unmarshal(raw, &n) != nil {
		return nil
	}
	return &n
}

// text returns a member as text; "" without a value.
func text(newestFirst []Version, name string) string {
	var s string
	if raw := member(newestFirst, name); raw == nil || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// shown merges the versions.
func (r *record) shown(s State) Shown {
	versions := r.byAge()
	out := Shown{State: s, WorkID: versions[0].WorkID, Members: map[string]json.RawMessage{}}
	for _, v := range versions {
		for name := range v.Members {
			if merged[name] && out.Members[name] == nil {
				out.Members[name] = member(versions, name)
			}
		}
	}
	for name, raw := range versions[0].Members {
		if !merged[name] {
			out.Members[name] = raw
		}
	}
	estimate := slices.IndexFunc(versions, Version.estimates)
	for _, name := range competing {
		if out.Members[name] = nil; estimate >= 0 {
			out.Members[name] = member(versions[estimate:estimate+1], name)
		}
	}
	seller := string(out.Members["seller_id"])
	theirs := slices.DeleteFunc(versions, func(v Version) bool { return seller == "" || string(v.Members["seller_id"]) != seller })
	for _, name := range ofSeller {
		out.Members[name] = member(theirs, name)
	}
	maps.DeleteFunc(out.Members, func(_ string, raw json.RawMessage) bool { return raw == nil })
	return out
}
