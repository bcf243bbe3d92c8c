package refresh

import (
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
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

func TestAConfirmationForgetsFailedLooksAndSetsTheValue(t *testing.T) {
	t.Parallel()
	p := PlanFor(24*time.Hour, 5, 0.15, 2)
	h := accepted(1, 900, t0)
	for i := range p.Failures + 1 { // in as many weeks
		at := t0.Add(time.Duration(i) * 7 * 24 * time.Hour)
		h, _ = h.After(Event{Identity: h.Identity, Seq: h.Seq + 1, Outcome: pipeline.Fail, At: at}, 0)
		at = at.Add(2 * time.Hour)
		h, _ = h.After(Event{Identity: h.Identity, Seq: h.Seq + 1, Outcome: pipeline.Confirm, At: at}, 0)
		if h.Failed != 0 || !p.due(h).Equal(at.Add(p.Period)) || h.Cents != 900 {
			t.Fatalf("confirmed at %v: due at %v after %d failures, worth %d", at, p.due(h), h.Failed, h.Cents)
		}
	}
	worth := int64(50)
	h, _ = h.After(Event{Identity: h.Identity, Seq: h.Seq + 1, Outcome: pipeline.Confirm, At: h.Checked, Cents: &worth}, 0)
	if h.Cents != 50 {
		t.Errorf("confirmed at a value of 50, it is worth %d", h.Cents)
	}
}

func TestTheClockCountsOnlyTheTimeInWhichLooksRan(t *testing.T) {
	t.Parallel()
	var c Clock
	now := t0
	for i, s := range []struct {
		step    time.Duration
		stalled string
		want    time.Duration
	}{
		{0, "", 0}, // the first
		{10 * time.Minute, "", 10 * time.Minute},
		{10 * time.Minute, StalledPaused, 10 * time.Minute},
		{10 * time.Minute, "", 10 * time.Minute}, // they had been stalled
		{10 * time.Minute, "", 20 * time.Minute},
		{3 * 24 * time.Hour, "", 35 * time.Minute}, // the refresher was down
		{-time.Hour, "", 35 * time.Minute},
		{time.Hour, "", 35 * time.Minute}, // the same hour again
		{10 * time.Minute, "", 45 * time.Minute},
	} {
		now = now.Add(s.step)
		if c = c.Tick(s.stalled, now); c.Ran != s.want {
			t.Errorf("step %d, by %v: ran %v, want %v", i, s.step, c.Ran, s.want)
		}
	}
}

func TestARoundRepairsWhatTheShareOfTenMinutesPaysForTheMostValuableFirst(t *testing.T) {
	t.Parallel()
	p := PlanFor(24*time.Hour, 1, 0.2, 2) // 12 tokens an hour
	now := t0.Add(8 * time.Hour)          // repairs may begin, and no refresh is due
	var all []Holding
	for i := range 100 {
		h := accepted(i, int64(100+i), t0)
		h.Missing = []string{"offer"}
		all = append(all, h)
	}
	var repaired []string
	for _, w := range p.Round(slices.Values(all), Clock{}, now).Offer {
		repaired = append(repaired, string(w.Source)+" "+w.Holding.ASIN)
	}
	if want := []string{"repair " + id(99).ASIN, "repair " + id(98).ASIN}; !slices.Equal(repaired, want) {
		t.Errorf("a round offers %v, want %v", repaired, want)
	}
}

func TestAPriceFromTheFutureIsRefreshedAndGivesWayToAnEarlierOne(t *testing.T) {
	t.Parallel()
	now := int64(keepa.FromTime(t0))
	for ahead, gives := range map[int64]bool{60: false, 48 * 60: false, 48*60 + 1: true, 30 * 365 * 24 * 60: true} {
		h := accepted(1, 100, t0)
		h.CreationDate = now + ahead
		if err := h.Validate(t0); err != nil {
			t.Errorf("%d minutes ahead: %v", ahead, err)
		}
		for _, outcome := range []pipeline.Outcome{pipeline.Accept, pipeline.Reject} {
			v := Event{Identity: h.Identity, Seq: h.Seq + 1, Outcome: outcome, Reason: "rank", At: t0.Add(time.Hour)}
			v.CreationDate = now - 60
			if outcome == pipeline.Accept {
				v.Deal = &Deal{Cents: 90}
			}
			next, changed := h.After(v, 0)
			if changed != gives || (next.CreationDate == v.CreationDate) != gives {
				t.Errorf("%d minutes ahead: an earlier price changes it %t, want %t: %+v", ahead, changed, gives, next)
			}
		}
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
