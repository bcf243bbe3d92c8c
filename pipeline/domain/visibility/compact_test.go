package visibility

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
)

// TestACompactBookShowsWhatAFullOneShows adds versions with and without values, of several sellers, in their order.
func TestACompactBookShowsWhatAFullOneShows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var full, compact Fold
		states := Fold{StatesOnly: true}
		held := func(b Fold) (n int) {
			for _, r := range b.records {
				for _, v := range r.versions {
					n += len(v.names)
				}
			}
			return n
		}
		for _, b := range []*Fold{&full, &compact, &states} {
			for n, ignore := range []action.Target{{By: action.ByBrand, Value: "a"}, {By: action.ByWords, Value: "b"}, {By: action.BySeller, Value: "B"}} {
				b.Action(action.Recorded{
					Origin: pipeline.Origin{Sequence: uint64(n + 1), Run: pipeline.RunLive}, Action: action.Action{Kind: action.Ignore, Target: ignore},
				})
			}
		}
		for i := range rapid.IntRange(1, 12).Draw(t, "versions") {
			v := Version{
				Origin:  pipeline.Origin{Sequence: uint64(i + 1), At: time.Unix(int64(i), 0), Run: pipeline.RunLive, WorkID: fmt.Sprint(i)},
				DealKey: DealKey{1, "B000000001", 2}, Members: map[string]json.RawMessage{},
			}
			if rapid.Bool().Draw(t, "named") {
				v.MsgID = fmt.Sprint("id", rapid.IntRange(0, 3).Draw(t, "id"))
			}
			for _, name := range append([]string{"profit_cents", "sale_price_cents", "title", "brand", "seller_id", "reasons", "no column", "decided_at", "next_best_cents"}, ofSeller...) {
				if value := rapid.SampledFrom([]string{"", "null", "[]", "1", "2", `"A"`, `"B"`}).Draw(t, name); value != "" {
					v.Members[name] = json.RawMessage(value)
				}
			}
			full.Version(v)
			compact.Version(v)
			states.Version(v)
			if rapid.Bool().Draw(t, "compact") {
				compact.Compact()
				states.Compact()
			}
			for _, b := range []Fold{compact, states} {
				if a, b := full.States(), b.States(); !reflect.DeepEqual(a, b) {
					t.Fatalf("states %+v, want %+v", b, a)
				}
			}
			for p, r := range full.records {
				if a, b := r.shown(State{}), compact.records[p].shown(State{}); !reflect.DeepEqual(a, b) {
					t.Fatalf("shows %s, want %s", b.Members, a.Members)
				}
			}
		}
		if compact.Compact(); held(compact) > held(full) {
			t.Fatalf("holds %d values, a full one %d", held(compact), held(full))
		}
	})
}

func TestACompactBookGrowsWithDealsAndNotWithTheirVersions(t *testing.T) {
	t.Parallel()
	var b Fold
	for i := range 1000 {
		v := Version{Origin: pipeline.Origin{Sequence: uint64(i + 1), Run: pipeline.RunLive}, DealKey: DealKey{1, "B000000001", 2}, Members: map[string]json.RawMessage{}}
		for _, name := range append([]string{"profit_cents", "title", "seller_id", "no column"}, ofSeller...) {
			v.Members[name] = json.RawMessage(`"a value"`)
		}
		b.Version(v)
		b.Compact()
	}
	values := 0
	for _, v := range b.records[DealKey{1, "B000000001", 2}].versions {
		values += len(v.names)
	}
	if values > 8 {
		t.Errorf("1000 versions of a deal hold %d values", values)
	}
}
