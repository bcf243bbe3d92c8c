package seen_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/seen"
	"ratchet/test/streams"
)

func price(asin string, created int64) pipeline.Identity {
	return pipeline.Identity{Domain: 1, ASIN: asin, PriceType: 2, CreationDate: created}
}

func memory(id pipeline.Identity, reason string) pipeline.Seen {
	return pipeline.Seen{
		CreationDate: id.CreationDate, Look: pipeline.LookPeek, Outcome: pipeline.Reject, Reason: reason,
		DecidedAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), RuleSet: "r",
	}
}

// ways are how decisions are stored: one alone, or in a batch among many.
func ways(t *testing.T, test func(*testing.T, func(context.Context, *bus.Bus, pipeline.Identity, pipeline.Seen) error)) {
	t.Helper()
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		test(t, seen.Store)
	})
	t.Run("in a batch", func(t *testing.T) {
		t.Parallel()
		test(t, func(ctx context.Context, b *bus.Bus, id pipeline.Identity, m pipeline.Seen) error {
			return seen.StoreAll(ctx, b, append(others(bus.BatchLeast), seen.Decided{ID: id, Seen: m}))
		})
	})
}

// others are decisions about other ASINs.
func others(n int) []seen.Decided {
	out := make([]seen.Decided, n)
	for i := range out {
		id := price(fmt.Sprintf("C%09d", i), 7_000_000)
		out[i] = seen.Decided{ID: id, Seen: memory(id, "other")}
	}
	return out
}

func TestADecisionIsRememberedForItsPriceAndNoOther(t *testing.T) {
	t.Parallel()
	ways(t, rememberedForItsPrice)
}

func rememberedForItsPrice(t *testing.T, store func(context.Context, *bus.Bus, pipeline.Identity, pipeline.Seen) error) {
	t.Helper()
	_, b := streams.Open(t)
	old, later, other := price("B000000001", 7_000_000), price("B000000001", 7_000_100), price("B000000002", 7_000_000)
	used := old
	used.PriceType = 9
	recalled := func(id pipeline.Identity) string {
		t.Helper()
		m, err := seen.Read(t.Context(), b, []pipeline.Identity{old, later, other, used})
		if err != nil {
			t.Fatal(err)
		}
		return m[id].Reason
	}
	remember := func(id pipeline.Identity, reason string) {
		t.Helper()
		if err := store(t.Context(), b, id, memory(id, reason)); err != nil {
			t.Fatal(err)
		}
	}
	remember(old, "first")
	if recalled(old) != "first" || recalled(later) != "" || recalled(other) != "" || recalled(used) != "" {
		t.Errorf("old %q, a later price %q, another ASIN %q, another price type %q", recalled(old), recalled(later), recalled(other), recalled(used))
	}
	remember(later, "second")
	remember(old, "came late") // a worker that was slow
	if recalled(later) != "second" || recalled(old) != "" {
		t.Errorf("an earlier price's decision replaced the later one's: %q, %q", recalled(later), recalled(old))
	}
	remember(later, "third")
	if recalled(later) != "third" {
		t.Errorf("the newest decision on a price is %q", recalled(later))
	}
}

func TestWhatIsRememberedOfAPriceThatCannotHaveBegunIsReplaced(t *testing.T) {
	t.Parallel()
	ways(t, damagedIsReplaced)
}

func damagedIsReplaced(t *testing.T, store func(context.Context, *bus.Bus, pipeline.Identity, pipeline.Seen) error) {
	t.Helper()
	_, b := streams.Open(t)
	id := price("B000000001", 7_000_000)
	kv, err := b.Store(t.Context(), pipeline.BucketSeen)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{`{"creation_date":99404640}`, "{", "[]"} {
		if _, err := kv.Put(t.Context(), pipeline.KeySeen(id), []byte(damaged)); err != nil {
			t.Fatal(err)
		}
		m, err := seen.Read(t.Context(), b, []pipeline.Identity{id})
		if err != nil || len(m) != 0 {
			t.Errorf("%s is remembered as %v, %v", damaged, m, err)
		}
		if err := store(t.Context(), b, id, memory(id, damaged)); err != nil {
			t.Fatal(err)
		}
		if m, err = seen.Read(t.Context(), b, []pipeline.Identity{id}); err != nil || m[id].Reason != damaged {
			t.Errorf("over %s: %v, %v", damaged, m, err)
		}
	}
	if err := kv.Delete(t.Context(), pipeline.KeySeen(id)); err != nil {
		t.Fatal(err)
	}
	if m, err := seen.Read(t.Context(), b, []pipeline.Identity{id}); err != nil || len(m) != 0 {
		t.Errorf("a deleted key is remembered as %v, %v", m, err)
	}
}

func TestAPriceFromTheFutureGivesWayToAnEarlierOne(t *testing.T) {
	t.Parallel()
	ways(t, futureGivesWay)
}

func futureGivesWay(t *testing.T, store func(context.Context, *bus.Bus, pipeline.Identity, pipeline.Seen) error) {
	t.Helper()
	_, b := streams.Open(t)
	decided := memory(pipeline.Identity{}, "").DecidedAt
	now := int64(keepa.FromTime(decided))
	for i, c := range []struct {
		ahead int64 // minutes
		gives bool
	}{{60, false}, {48 * 60, false}, {48*60 + 1, true}, {30 * 365 * 24 * 60, true}} {
		asin := fmt.Sprintf("B%09d", i)
		future, today := price(asin, now+c.ahead), price(asin, now-60)
		for _, id := range []pipeline.Identity{future, today} {
			if err := store(t.Context(), b, id, memory(id, "decided")); err != nil {
				t.Fatal(err)
			}
			if err := seen.Want(t.Context(), b, id, "books@1", decided); err != nil {
				t.Fatal(err)
			}
		}
		m, err := seen.Read(t.Context(), b, []pipeline.Identity{today})
		if _, remembered := m[today]; err != nil || remembered != c.gives {
			t.Errorf("%d minutes ahead: the price of today is remembered %t, want %t; %v", c.ahead, remembered, c.gives, err)
		}
		w, err := seen.Wanted(t.Context(), b, []pipeline.Identity{today})
		if wanted := len(w[today]) > 0; err != nil || wanted != c.gives {
			t.Errorf("%d minutes ahead: the price of today is wanted %t, want %t; %v", c.ahead, wanted, c.gives, err)
		}
	}
}

func TestManyDecisionsAreAllRemembered(t *testing.T) {
	t.Parallel()
	for _, refuses := range []bool{false, true} {
		_, b := streams.Open(t)
		streams.Change(t, b, pipeline.BucketStream(pipeline.BucketSeen), func(s *jetstream.StreamConfig) {
			s.AllowAtomicPublish = !refuses // as an earlier build left it
		})
		all := others(3 * bus.BatchLeast)
		old, later := price("B000000001", 7_000_000), price("B000000001", 7_000_100)
		all = append(all, seen.Decided{ID: later, Seen: memory(later, "later")}, seen.Decided{ID: old, Seen: memory(old, "old")})
		for range 2 { // the second time it is a repeat
			if err := seen.StoreAll(t.Context(), b, all); err != nil {
				t.Fatal(err)
			}
		}
		ids := make([]pipeline.Identity, len(all))
		for i, d := range all {
			ids[i] = d.ID
		}
		m, err := seen.Read(t.Context(), b, ids)
		if err != nil || len(m) != len(all)-1 || m[later].Reason != "later" {
			t.Errorf("refused %t: %d of %d are remembered, the later price as %q; %v", refuses, len(m), len(all)-1, m[later].Reason, err)
		}
		held, err := b.Held(t.Context(), pipeline.BucketStream(pipeline.BucketSeen))
		if err != nil || held != uint64(len(all)-1) {
			t.Errorf("refused %t: %d values are stored, want %d; %v", refuses, held, len(all)-1, err)
		}
		last, err := b.Newest(t.Context(), pipeline.BucketStream(pipeline.BucketSeen), []string{pipeline.KeySubject(pipeline.BucketSeen, pipeline.KeySeen(later))}, bus.Until{})
		if err != nil || len(last) != 1 || last[0].Sequence > uint64(len(all)-1) {
			t.Errorf("refused %t: a repeat was written: %v, %v", refuses, last, err)
		}
	}
}

func TestAPriceIsOfferedByAnyFirstSourceAndByNoRefresh(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	for i, c := range []struct {
		source pipeline.Source
		work   pipeline.Generation
		want   bool
	}{
		{pipeline.SourceLive, pipeline.FirstGeneration, true},
		{pipeline.SourceGap, pipeline.FirstGeneration, true},
		{pipeline.SourceBackfill, pipeline.FirstGeneration, true},
		{pipeline.SourceRefresh, pipeline.RefreshGeneration(time.Now()), false},
	} {
		id := price("B00000000"+string(rune('1'+i)), 7_000_000)
		moved := id
		moved.CreationDate++
		if _, err := b.Publish(t.Context(), messages.Candidate("candidate", id.WorkID(c.work), pipeline.Candidate{Identity: id, Source: c.source, Row: []byte("{}")})); err != nil {
			t.Fatal(err)
		}
		got, err := seen.Offered(t.Context(), b, []pipeline.Identity{id, moved})
		if err != nil || got[id] != c.want || got[moved] {
			t.Errorf("%s: offered %t, want %t; a later price %t; %v", c.source, got[id], c.want, got[moved], err)
		}
	}
}

func TestALaterPriceForgetsWhichQueriesWantedTheEarlierOne(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	old, later := price("B000000001", 7_000_000), price("B000000001", 7_000_100)
	wanted := func(id pipeline.Identity) []string {
		t.Helper()
		w, err := seen.Wanted(t.Context(), b, []pipeline.Identity{old, later})
		if err != nil {
			t.Fatal(err)
		}
		return w[id]
	}
	for _, w := range []struct {
		id    pipeline.Identity
		query string
	}{{old, "a@1"}, {old, "b@1"}, {old, "a@2"}, {old, "b@1"}} {
		if err := seen.Want(t.Context(), b, w.id, w.query, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if got := wanted(old); !slices.Equal(got, []string{"a@2", "b@1"}) {
		t.Errorf("%v want it", got)
	}
	for _, id := range []pipeline.Identity{later, old} { // the older one comes after the newer one
		if err := seen.Want(t.Context(), b, id, "c@1", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if got := wanted(later); !slices.Equal(got, []string{"c@1"}) || wanted(old) != nil {
		t.Errorf("%v want the later price, %v the one before", got, wanted(old))
	}
	if n, err := b.Held(t.Context(), pipeline.BucketStream(pipeline.BucketWants)); n != 1 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
}
