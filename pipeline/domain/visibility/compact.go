package visibility

import (
	"encoding/json"
	"slices"
)

// Compact drops the values of versions that later ones replace, so that a book which is kept grows with the deals and
// not with their versions. Whatever is added later must be later in its stream.
func (b *Fold) Compact() {
	for _, r := range b.records {
		if r.loose {
			b.compact(r)
		}
	}
}

func (b *Fold) compact(r *record) {
	r.loose = false
	if len(r.versions) == 1 {
		return
	}
	replaced, bySeller := map[string]bool{}, map[string]map[string]bool{} // names with a value in a later version, and those of a seller
	r.versions = r.byAge()
	for i, v := range r.versions {
		seller := string(v.member("seller_id"))
		if bySeller[seller] == nil {
			bySeller[seller] = map[string]bool{}
		}
		if i > 0 {
			v.values = b.pack(v.left(replaced, bySeller[seller]))
			r.versions[i] = v
		}
		for _, name := range v.names {
			if v.has(name) {
				replaced[name], bySeller[seller][name] = true, true
			}
		}
	}
}

// left returns the members of a version that may still be shown although newer versions exist. It keeps the
// seller's id if it keeps any member that describes the seller.
func (v version) left(replaced, ofSame map[string]bool) map[string]json.RawMessage {
	out, described := map[string]json.RawMessage{}, false
	for i, name := range v.names {
		theirs, gone := slices.Contains(ofSeller, name), replaced[name]
		switch {
		case theirs:
			gone = ofSame[name]
		case slices.Contains(competing, name):
			gone = replaced["decided_at"] || !v.estimates()
		}
		if gone || !merged[name] || !v.has(name) {
			continue
		}
		out[name] = v.value(i)
		described = described || theirs
	}
	if described {
		out["seller_id"] = v.member("seller_id")
	}
	return out
}

// key identifies the version.
func (v Version) key() versionKey {
	if v.MsgID == "" {
		return versionKey{id: v.Sequence}
	}
	return versionKey{msg: v.MsgID}
}
