package refresh

import (
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
)

func TestWorkThatWasLostIsOfferedAgain(t *testing.T) {
	t.Parallel()
	p := PlanFor(24*time.Hour, 5, 0.15, 2)
	h := accepted(1, 100, t0)
	h.Due, h.Offered = t0.Add(24*time.Hour), t0.Add(24*time.Hour)
	now, c := h.Offered.Add(p.Expire+time.Hour), Clock{Ran: p.Expire + time.Hour}
	got := p.Round(slices.Values([]Holding{h}), c, now)
	if len(got.Change) != 1 || got.Change[0].State != Stale || !got.Change[0].Due.IsZero() || got.Change[0].Failed != 1 {
		t.Fatalf("%+v", got.Change)
	}
	later := p.Round(slices.Values(got.Change), c, now.Add(2*time.Hour))
	if len(later.Offer) != 1 || later.Offer[0].Source != pipeline.SourceRefresh || !later.Offer[0].Due.After(h.Due) {
		t.Errorf("offered %+v, want a refresh of another hour", later.Offer)
	}
	paused := p.Round(slices.Values([]Holding{h}), Clock{Ran: p.Expire + time.Hour, Stalled: StalledSilent}, now)
	if len(paused.Change) == 1 && paused.Change[0].Failed != 0 {
		t.Errorf("looks stand still, and its work counts as lost: %+v", paused.Change)
	}
}

func TestANewPriceBeginsItsRepairsAgain(t *testing.T) {
	t.Parallel()
	h := accepted(1, 100, t0)
	h.Attempt, h.Repaired, h.GaveUp, h.Missing = 2, t0.Add(time.Hour), GaveUp, []string{"offer"}
	v := Event{Identity: h.Identity, Seq: h.Seq + 1, Outcome: pipeline.Accept, At: t0.Add(2 * time.Hour), Deal: &Deal{Cents: 90, Missing: []string{"offer"}}}
	same, _ := h.After(v, 0)
	if same.Attempt != 2 || same.GaveUp != GaveUp || !same.Found.Equal(t0) {
		t.Errorf("the same price: %+v", same)
	}
	v.CreationDate += 60
	moved, _ := h.After(v, 0)
	if moved.Attempt != 0 || moved.GaveUp != "" || !moved.Found.Equal(v.At) || !moved.Repaired.IsZero() || moved.CreationDate != v.CreationDate {
		t.Errorf("a new price: %+v", moved)
	}
	v.Seq++
	v.CreationDate -= 120
	if again, changed := moved.After(v, 0); changed || again.CreationDate != moved.CreationDate {
		t.Errorf("an older price came later: %+v", again)
	}
	gone, _ := moved.After(Event{Identity: moved.Identity, Seq: v.Seq + 1, Outcome: pipeline.Reject, Reason: "rank", At: v.At}, 0)
	if gone.State != Gone || gone.Why != "rank" || gone.State.Shown() {
		t.Errorf("after a reject: %+v", gone)
	}
}

func TestOnlyTimeInWhichLooksRanExpiresADeal(t *testing.T) {
	t.Parallel()
	p := PlanFor(24*time.Hour, 5, 0.15, 2)
	h := accepted(1, 100, t0)
	h.State, h.Why, h.Failed, h.Checked = Stale, StaleLookFailed, p.Failures, t0
	now := t0.Add(2000 * time.Hour)
	for _, c := range []struct {
		clock Clock
		want  bool
	}{
		{Clock{Ran: p.Expire + time.Hour}, true},
		{Clock{Ran: time.Hour}, false}, // the pipeline was away
		{Clock{Ran: p.Expire + time.Hour, Stalled: StalledSilent}, false},
	} {
		expired := false
		for _, g := range p.Round(slices.Values([]Holding{h}), c.clock, now).Change {
			expired = expired || g.State == Expired
		}
		if expired != c.want {
			t.Errorf("%+v: expired %t", c.clock, expired)
		}
	}
}

func TestARefreshThatIsOfferedAgainLaterIsTheSameWork(t *testing.T) {
	t.Parallel()
	p := PlanFor(24*time.Hour, 5, 0.15, 2)
	h := accepted(1, 100, t0)
	due := t0.Add(24 * time.Hour)
	first, later := p.Round(slices.Values([]Holding{h}), Clock{}, due), p.Round(slices.Values([]Holding{h}), Clock{}, due.Add(5*time.Hour))
	if len(first.Offer) != 1 || len(later.Offer) != 1 || first.Offer[0].Generation() != later.Offer[0].Generation() {
		t.Errorf("offered %+v, and hours later, after a restart, %+v", first.Offer, later.Offer)
	}
}
