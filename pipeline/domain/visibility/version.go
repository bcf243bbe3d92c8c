package visibility

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

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

// version is a Version as the Fold keeps it.
type version struct {
	key      versionKey
	sequence uint64
	at       time.Time
	workID   string
	repeated bool // it was published more than once
	values
}

// values are the members of a version: their values in one block, and their names, which all versions with the same
// ones share. A map of values for each of many deals takes ten times the memory.
type values struct {
	names []string // in order
	ends  []uint32 // of each value in the block
	block []byte
}

// pack packs members: all, or those that states depend on.
func (b *Fold) pack(members map[string]json.RawMessage) (v values) {
	names := make([]string, 0, len(members))
	size := 0
	for name, raw := range members {
		if !b.StatesOnly || slices.Contains(decisive, name) {
			names = append(names, name)
			size += len(raw)
		}
	}
	slices.Sort(names)
	v.names, v.ends, v.block = b.shared(names), make([]uint32, len(names)), make([]byte, 0, size)
	for i, name := range names {
		v.block = append(v.block, members[name]...)
		v.ends[i] = uint32(len(v.block)) //nolint:gosec // a message has at most 8 MB
	}
	return v
}

// shared returns the names that an earlier version had, if they are the same.
func (b *Fold) shared(names []string) []string {
	joined := strings.Join(names, "\x00")
	if known, ok := b.names[joined]; ok {
		if !slices.Equal(known, names) { // a name that holds the separator
			return names
		}
		return known
	}
	if b.names == nil {
		b.names = map[string][]string{}
	}
	b.names[joined] = slices.Clip(names)
	return b.names[joined]
}

// value returns the value of the i-th name.
func (v values) value(i int) json.RawMessage {
	start := uint32(0)
	if i > 0 {
		start = v.ends[i-1]
	}
	return v.block[start:v.ends[i]:v.ends[i]]
}

// member returns the value of a member; nil without one.
func (v values) member(name string) json.RawMessage {
	i, ok := slices.BinarySearch(v.names, name)
	if !ok {
		return nil
	}
	return v.value(i)
}

// estimates reports whether a version is an estimate of its own and not only some values.
func (v values) estimates() bool { return v.has("decided_at") }

// has reports whether a version has a value for a member: null and empty lists are not values.
func (v values) has(name string) bool {
	raw := v.member(name)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return false
	case raw[0] == '[' || raw[0] == '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) > 0
	}
	return true
}

// byAge returns the versions, the newest first.
func (r *record) byAge() []version {
	if len(r.versions) == 1 {
		return r.versions
	}
	return slices.SortedFunc(slices.Values(r.versions), func(a, b version) int {
		if a.sequence > b.sequence {
			return -1
		}
		return 1
	})
}

// member returns the newest value of any version.
func member(newestFirst []version, name string) json.RawMessage {
	for _, v := range newestFirst {
		if v.has(name) {
			return v.member(name)
		}
	}
	return nil
}

// cents returns a member as a number; nil without a value.
func cents(newestFirst []version, name string) *int64 {
	raw := member(newestFirst, name)
	var n int64
	if raw == nil || json.Unmarshal(raw, &n) != nil {
		return nil
	}
	return &n
}

// text returns a member as text; "" without a value.
func text(newestFirst []version, name string) string {
	var s string
	if raw := member(newestFirst, name); raw == nil || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// shown merges the versions.
func (r *record) shown(s State) Shown {
	versions := r.byAge()
	out := Shown{State: s, WorkID: versions[0].workID, Members: map[string]json.RawMessage{}}
	for _, v := range versions {
		for _, name := range v.names {
			if merged[name] && out.Members[name] == nil {
				out.Members[name] = member(versions, name)
			}
		}
	}
	for i, name := range versions[0].names {
		if !merged[name] {
			out.Members[name] = versions[0].value(i)
		}
	}
	estimate := slices.IndexFunc(versions, func(v version) bool { return v.estimates() })
	for _, name := range competing {
		if out.Members[name] = nil; estimate >= 0 {
			out.Members[name] = member(versions[estimate:estimate+1], name)
		}
	}
	seller := string(out.Members["seller_id"])
	theirs := slices.DeleteFunc(slices.Clone(versions), func(v version) bool { return seller == "" || string(v.member("seller_id")) != seller })
	for _, name := range ofSeller {
		out.Members[name] = member(theirs, name)
	}
	maps.DeleteFunc(out.Members, func(_ string, raw json.RawMessage) bool { return raw == nil })
	return out
}
