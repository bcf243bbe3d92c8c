package refresher

import (
	"errors"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/sim/keepasim"
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
}
