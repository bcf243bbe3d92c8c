package refresher

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

func TestAHoldingThatAnotherRefresherChangedIsNotWritten(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.Good)[0]
	id := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration).Survivor.Identity
	key := pipeline.KeySeen(id)
	first, second := at(t, d, desk.T0), at(t, d, desk.T0)
	holding := func(cents int64) refresh.Holding {
		return refresh.Holding{Identity: id, State: refresh.Held, Seq: 1, Confirmed: desk.T0, Cents: cents}
	}
	store := func(k *refresher, cents int64) error {
		return k.swap(t.Context(), round{store: map[string]refresh.Holding{key: holding(cents)}})
	}
	if err := store(first, 100); err != nil {
		t.Fatal(err)
	}
	if err := store(second, 200); !errors.Is(err, errMoved) {
		t.Errorf("a refresher that has not seen it writes: %v", err)
	}
	if err := store(second, 100); err != nil { // what it wants is there: its own write, whose answer was lost
		t.Error(err)
	}
	if err := store(first, 300); err != nil {
		t.Error(err)
	}
	if third := at(t, d, desk.T0); third.stock.holding(key).Cents != 300 {
		t.Errorf("stored is %+v", third.stock.holding(key))
	}
}

func TestADealThatExpiredIsRejectedAndAStaleOneIsNot(t *testing.T) {
	t.Parallel()
	h := refresh.Holding{Identity: pipeline.Identity{Domain: 1, ASIN: "B000000001", PriceType: 2, CreationDate: 7_000_000}, Confirmed: desk.T0}
	if o := outcome(refresh.Expired); o != pipeline.Reject {
		t.Errorf("a deal that expired is %s, and stays visible", o)
	}
	if o := outcome(refresh.Stale); o != pipeline.Fail {
		t.Errorf("a stale deal is %s, and is hidden", o)
	}
	first := state(h, pipeline.Fail, refresh.StaleWaiting, desk.T0)
	again := state(h, pipeline.Fail, refresh.StaleWaiting, desk.T0.Add(time.Minute))
	other := h
	other.Confirmed = h.Confirmed.Add(time.Hour)
	if next := state(other, pipeline.Fail, refresh.StaleWaiting, desk.T0); first.ID != again.ID || next.ID == first.ID {
		t.Errorf("ids %q, again %q, after a confirmation %q", first.ID, again.ID, next.ID)
	}
	stale, expired := h, h
	stale.State, stale.Why = refresh.Stale, refresh.StaleWaiting
	expired.ASIN, expired.State, expired.Why = "B000000002", refresh.Expired, refresh.ExpiredLookFailed
	d := desk.New(t, 1)
	if err := at(t, d, desk.T0).publish(t.Context(), round{Round: refresh.Round{Change: []refresh.Holding{stale, expired}}}, desk.T0); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range d.Verdicts(t) {
		got = append(got, fmt.Sprintf("%s %s %s %s", v.ASIN, v.Look, v.Outcome, v.Reason))
	}
	if want := []string{"B000000001 list fail stale_waiting", "B000000002 list reject expired_look_failed"}; !slices.Equal(got, want) {
		t.Errorf("published %q, want %q", got, want)
	}
}

// The refreshers of all plans share STOCK, and each of them writes its own state at every step.
func TestOnlyWhatChangedIsReadAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketStock)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, v any) {
		t.Helper()
		body, err := json.Marshal(v)
		if err == nil {
			_, err = kv.Put(t.Context(), key, body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const held = 100
	keys := make([]string, held)
	for i := range held {
		h := large(i)
		keys[i] = pipeline.KeySeen(h.Identity)
		put(keys[i], h)
	}
	k := at(t, d, desk.T0)
	follow := func(must bool) (received uint64) {
		t.Helper()
		k.last.Forget()
		before := d.Bus.NC.Stats().InBytes
		if err := k.follow(t.Context(), must); err != nil {
			t.Fatal(err)
		}
		return d.Bus.NC.Stats().InBytes - before
	}
	all := follow(true)
	put(pipeline.KeyCheckpoint+"_eu", refresh.Checkpoint{})
	if some := follow(false); some > all/10 {
		t.Errorf("another plan's state makes it read %d bytes, the whole stock is %d", some, all)
	}
	put(keys[0], priced(0, 12345))
	if err := kv.Delete(t.Context(), keys[1]); err != nil {
		t.Fatal(err)
	}
	put(keys[2], "damaged")
	if some := follow(false); some > all/10 {
		t.Errorf("three changes make it read %d bytes, the whole stock is %d", some, all)
	}
	if got := k.stock.holding(keys[0]).Cents; got != 12345 {
		t.Errorf("a change is not seen: %d", got)
	}
	if k.stock.revision(keys[1]) != 0 || k.stock.revision(keys[2]) != 0 || k.bad[keys[2]] == nil {
		t.Errorf("a deleted or a damaged holding stays (bad: %v)", k.bad)
	}
	if n := len(k.stock.all); n != held-2 {
		t.Errorf("%d holdings are left, want %d", n, held-2)
	}
	// Our own writes between those of another plan hide none of them.
	put(keys[3], priced(3, 777))
	if err := k.keep(t.Context(), k.state); err != nil {
		t.Fatal(err)
	}
	follow(false)
	if got := k.stock.holding(keys[3]).Cents; got != 777 {
		t.Errorf("a change before our own write is not seen: %d", got)
	}
}

// priced is large with another price.
func priced(n int, cents int64) refresh.Holding {
	h := large(n)
	h.Cents = cents
	return h
}

// TestADealThatNothingWritesIsKeptLongerThanStockKeepsAKey ignores a deal for months. Each week its key is written
// again, so that it can be refreshed once it is shown.
func TestADealThatNothingWritesIsKeptLongerThanStockKeepsAKey(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.Good)[0]
	id := accept(t, d, asin).Survivor.Identity
	key, target := pipeline.KeySeen(id), action.Target{By: action.ByASIN, Domain: 1, Value: asin}
	publish(t, d, messages.Action(action.Action{Kind: action.Ignore, Target: target, At: desk.T0}))
	k := at(t, d, desk.T0.Add(48*time.Hour))
	step(t, k) // the budget is not known yet
	first := k.stock.revision(key)
	if step(t, k); k.stock.revision(key) != first {
		t.Error("a key is written again in each step")
	}
	k.stock.all[key].written -= (8 * 24 * time.Hour).Microseconds()
	step(t, k)
	if err := k.load(t.Context()); err != nil || k.stock.revision(key) == first {
		t.Errorf("after a week the key still has revision %d (%v)", first, err)
	}
	s, err := d.Bus.JS.Stream(t.Context(), stockStream) // what is older than its age leaves it
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSubject(stockPrefix+key), jetstream.WithPurgeSequence(first+1))
	}
	if err != nil {
		t.Fatal(err)
	}
	publish(t, d, messages.Action(action.Action{Kind: action.Undo, Of: action.Ignore, Target: target, At: desk.T0}))
	k.state.Rate = 5
	k.acted.Forget()
	step(t, k)
	if got := candidates(t, d, asin); len(got) != 1 || got[0].Source != pipeline.SourceRefresh || len(got[0].Row) == 0 {
		t.Errorf("shown again it is offered %d times, want once, with its row", len(got))
	}
}
