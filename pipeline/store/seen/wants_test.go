package seen_test

import (
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/seen"
	"ratchet/test/desk"
)

// TestAnUnreadableEntryOfWantsHidesNoOtherAndIsRewritten damages the value of one ASIN.
func TestAnUnreadableEntryOfWantsHidesNoOtherAndIsRewritten(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	ids := make([]pipeline.Identity, 2)
	for i, asin := range d.ASINs(keepasim.Good)[:2] {
		ids[i] = d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration).Survivor.Identity
		if err := seen.Want(t.Context(), d.Bus, ids[i], "books@1", d.Env.Now()); err != nil {
			t.Fatal(err)
		}
	}
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketWants)
	if err != nil {
		t.Fatal(err)
	}
	wanted := func() map[pipeline.Identity][]string {
		t.Helper()
		w, err := seen.Wanted(t.Context(), d.Bus, ids)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for _, wrong := range []string{
		"{", "[]", `{"creation_date":-5}`, `{"creation_date":9000000000000000000}`, `{"creation_date":1e300}`, strings.Repeat("x", 1<<20), "",
	} {
		key := pipeline.KeySeen(ids[0])
		if wrong == "" {
			err = kv.Delete(t.Context(), key)
		} else {
			_, err = kv.Put(t.Context(), key, []byte(wrong))
		}
		if err != nil {
			t.Fatal(err)
		}
		if w := wanted(); len(w[ids[0]]) > 0 || !slices.Equal(w[ids[1]], []string{"books@1"}) {
			t.Errorf("%.80q: wanted by %v, want the other ASIN's query and no other", wrong, w)
		}
		if err := seen.Want(t.Context(), d.Bus, ids[0], "books@1", d.Env.Now()); err != nil { // its list is read again
			t.Fatal(err)
		}
		if w := wanted(); !slices.Equal(w[ids[0]], []string{"books@1"}) {
			t.Errorf("%.80q: once its list was read again it is wanted by %v", wrong, w[ids[0]])
		}
	}
}
