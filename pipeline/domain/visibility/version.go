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

// Place is what a deal is about, whatever its price.
type Place struct {
	Domain    int    `json:"domain"`
	ASIN      string `json:"asin"`
	PriceType int    `json:"price_type"`
}

// PlaceOf is the place of an identity, which names a price as well.
func PlaceOf(i pipeline.Identity) Place { return Place{i.Domain, i.ASIN, i.PriceType} }

// Version is one message of DEALS.
type Version struct {
	pipeline.Origin // its time is when it was decided, where it says so
	Place
	Members map[string]json.RawMessage // of the message, by name
}

// merged are the members of which the newest version that says something counts; every other member is the newest
// version's. They are those that have a column.
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

// says reports whether a version says something about a member: null and empty lists do not.
func (v Version) says(name string) bool {
	raw := v.Members[name]
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return false
	case raw[0] == '[' || raw[0] == '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) > 0
	}
	return true
}

// byAge are the versions, the newest first.
func (r *record) byAge() []Version {
	return slices.SortedFunc(maps.Values(r.versions), func(a, b Version) int {
		if a.Sequence > b.Sequence {
			return -1
		}
		return 1
	})
}

// member is the newest that versions say, the newest of them first.
func member(newestFirst []Version, name string) json.RawMessage {
	for _, v := range newestFirst {
		if v.says(name) {
			return v.Members[name]
		}
	}
	return nil
}

// cents is a member as a number; nil where nobody said it.
func cents(newestFirst []Version, name string) *int64 {
	raw := member(newestFirst, name)
	var n int64
	if raw == nil || json.Unmarshal(raw, &n) != nil {
		return nil
	}
	return &n
}

// text is a member as text; "" where nobody said it.
func text(newestFirst []Version, name string) string {
	var s string
	if raw := member(newestFirst, name); raw == nil || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// shown is what the versions say together.
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
	seller := string(out.Members["seller_id"])
	theirs := slices.DeleteFunc(versions, func(v Version) bool { return seller == "" || string(v.Members["seller_id"]) != seller })
	for _, name := range ofSeller {
		out.Members[name] = member(theirs, name)
	}
	maps.DeleteFunc(out.Members, func(_ string, raw json.RawMessage) bool { return raw == nil })
	return out
}
