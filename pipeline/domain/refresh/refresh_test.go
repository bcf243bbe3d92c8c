package refresh

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func id(n int) pipeline.Identity {
	return pipeline.Identity{Domain: 1, ASIN: fmt.Sprintf("B%09d", n), PriceType: 2, CreationDate: 7_000_000}
}

// accepted returns a deal that was found at an instant.
func accepted(n int, cents int64, at time.Time) Holding {
	h, _ := Holding{}.After(Event{
		Identity: id(n), Seq: uint64(n + 1), Outcome: pipeline.Accept, At: at, Deal: &Deal{Cents: cents, Queries: []string{"q@1"}},
	}, 0)
	return h
}

// some is a stock in any state.
func some(t *rapid.T, now time.Time) []Holding {
	n := rapid.IntRange(0, 40).Draw(t, "n")
	out := make([]Holding, n)
	for i := range out {
		h := accepted(i, int64(rapid.IntRange(0, 5000).Draw(t, "cents")), now.Add(-time.Duration(rapid.IntRange(0, 400).Draw(t, "age"))*time.Hour))
		h.State = rapid.SampledFrom([]State{Held, Held, Stale, Expired, Gone}).Draw(t, "state")
		h.Failed = rapid.IntRange(0, 7).Draw(t, "failed")
		h.Checked = h.Confirmed.Add(time.Duration(h.Failed) * time.Hour)
		h.Ran = time.Duration(rapid.IntRange(0, 200).Draw(t, "ran")) * time.Hour
		if rapid.Bool().Draw(t, "under way") {
			h.Due, h.Offered = now.Add(-time.Hour).Truncate(time.Hour), now.Add(-time.Duration(rapid.IntRange(0, 99).Draw(t, "offered"))*time.Hour)
		}
		if rapid.Bool().Draw(t, "broken") {
			h.Missing, h.Attempt = []string{"offer"}, rapid.IntRange(0, 3).Draw(t, "attempt")
		}
		out[i] = h
	}
	return out
}

func somePlan(t *rapid.T) Plan {
	return PlanFor(time.Duration(rapid.IntRange(2, 48).Draw(t, "period"))*time.Hour, rapid.IntRange(1, 60).Draw(t, "rate"),
		float64(rapid.IntRange(1, 50).Draw(t, "share"))/100, rapid.IntRange(0, 3).Draw(t, "repairs"))
}

func TestApplyingVerdictsIsIdempotentAndFollowsTheStream(t *testing.T) {
	t.Parallel()
	outcomes := []pipeline.Outcome{pipeline.Accept, pipeline.Confirm, pipeline.Reject, pipeline.Fail}
	rapid.Check(t, func(t *rapid.T) {
		var heard []Event
		for i := range rapid.IntRange(1, 12).Draw(t, "verdicts") {
			v := Event{Identity: id(1), Seq: uint64(i + 1), Outcome: rapid.SampledFrom(outcomes).Draw(t, "outcome"), At: t0.Add(time.Duration(i) * time.Hour)}
			v.CreationDate += int64(rapid.IntRange(0, 2).Draw(t, "price"))
			if v.Outcome == pipeline.Accept {
				v.Deal = &Deal{Cents: int64(i)}
			}
			heard = append(heard, v)
		}
		var once, twice Holding
		for i, v := range heard {
			once, _ = once.After(v, 0)
			twice, _ = twice.After(v, 0)
			for _, again := range heard[rapid.IntRange(0, i).Draw(t, "from") : i+1] {
				twice, _ = twice.After(again, 0)
			}
		}
		if fmt.Sprint(once) != fmt.Sprint(twice) {
			t.Errorf("applied once:  %v\napplied twice: %v", once, twice)
		}
		if once.State != "" && (once.Confirmed.After(once.Checked) || once.Confirmed.IsZero()) {
			t.Errorf("confirmed %v, checked %v", once.Confirmed, once.Checked)
		}
	})
}

func TestALookThatFailedHasCheckedAndConfirmedNothing(t *testing.T) {
	t.Parallel()
	h := accepted(1, 100, t0)
	h, _ = h.After(Event{Identity: id(1), Seq: 9, Outcome: pipeline.Fail, At: t0.Add(time.Hour)}, 0)
	if !h.Confirmed.Equal(t0) || !h.Checked.Equal(t0.Add(time.Hour)) || h.State != Held {
		t.Errorf("got %+v", h)
	}
	h, _ = h.After(Event{Identity: id(1), Seq: 10, Outcome: pipeline.Reject, Reason: "no_profit", At: t0.Add(2 * time.Hour)}, 0)
	if h.State != Gone || h.Why != "no_profit" || !h.Confirmed.Equal(t0) {
		t.Errorf("got %+v", h)
	}
}

func TestWorkIsOfferedOnceForADueHourHoweverOftenItIsPlanned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := t0.Add(2000 * time.Hour)
		all, p := some(t, now), somePlan(t)
		offered := map[string]bool{}
		for _, w := range p.Round(slices.Values(all), Clock{}, now).Offer {
			key := w.Holding.WorkID(w.Generation())
			if offered[key] {
				t.Errorf("%s twice in a round", key)
			}
			offered[key] = true
		}
		// The process died before anything was swapped, and plans again a little later.
		for _, w := range p.Round(slices.Values(all), Clock{}, now.Add(time.Minute)).Offer {
			key := w.Holding.WorkID(w.Generation())
			for _, was := range p.Round(slices.Values(all), Clock{}, now).Offer {
				if was.Holding.Identity == w.Holding.Identity && was.Source == w.Source && !offered[key] {
					t.Errorf("%s is offered as another work than a minute before", w.Holding.ASIN)
				}
			}
		}
		// It was swapped: nothing of it is offered again.
		next := map[pipeline.Identity]Holding{}
		for _, h := range all {
			next[h.Identity] = h
		}
		for _, w := range p.Round(slices.Values(all), Clock{}, now).Offer {
			next[w.Holding.Identity] = w.Holding
		}
		for _, w := range p.Round(maps.Values(next), Clock{}, now).Offer {
			if offered[w.Holding.WorkID(w.Generation())] {
				t.Errorf("%s is offered twice", w.Holding.ASIN)
			}
		}
	})
}

func TestNoMoreIsUnderWayThanAnHourOfTheSharePaysFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := t0.Add(2000 * time.Hour)
		all, p := some(t, now), somePlan(t)
		under := 0
		for _, h := range all {
			if h.State.Shown() && !h.Due.IsZero() {
				under++
			}
		}
		was := under
		for _, w := range p.Round(slices.Values(all), Clock{}, now).Offer {
			if w.Source == pipeline.SourceRefresh {
				under++
			}
		}
		if under > was && float64(under) > p.PerHour+1 {
			t.Errorf("%d under way, and the share pays for %.1f an hour", under, p.PerHour)
		}
	})
}

func TestNothingExpiresWhileLooksAreStalled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := t0.Add(2000 * time.Hour)
		all, p := some(t, now), somePlan(t)
		c := Clock{Ran: time.Duration(rapid.IntRange(0, 2000).Draw(t, "ran")) * time.Hour, Stalled: StalledSilent}
		for _, h := range p.Round(slices.Values(all), c, now).Change {
			if h.State == Expired {
				t.Errorf("%s expired for %s although looks are stalled", h.ASIN, h.Why)
			}
		}
	})
}

func TestOnlyTheLeastValuableExcessExpiresForLackOfTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := t0.Add(2000 * time.Hour)
		all, p := some(t, now), somePlan(t)
		p.PerHour = float64(rapid.IntRange(0, 60).Draw(t, "per day")) / 24
		shown, expired := 0, map[pipeline.Identity]int64{}
		for _, h := range p.Round(slices.Values(all), Clock{Ran: 2000 * time.Hour}, now).Change {
			if h.Why == ExpiredOverCapacity {
				expired[h.Identity] = h.Cents
			}
		}
		for _, h := range all {
			if h.State.Shown() {
				shown++
			}
		}
		if len(expired) > max(0, shown-p.Sustained()) {
			t.Errorf("%d of %d expired although %d can be kept", len(expired), shown, p.Sustained())
		}
		better := 0
		for _, h := range all {
			for _, cents := range expired {
				if h.State.Shown() && h.Cents >= cents {
					better++
					break
				}
			}
		}
		if len(expired) > 0 && better < p.Sustained() {
			t.Errorf("something expired that is worth more than what is kept")
		}
	})
}

func TestADealIsStaleBeforeItExpiresAndEveryStateHasItsReason(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := t0.Add(2000 * time.Hour)
		all, p := some(t, now), somePlan(t)
		was := map[pipeline.Identity]State{}
		for _, h := range all {
			was[h.Identity] = h.State
		}
		for _, h := range p.Round(slices.Values(all), Clock{Ran: 2000 * time.Hour}, now).Change {
			if h.State == Expired && was[h.Identity] != Stale || h.Why == "" || h.State == Gone {
				t.Errorf("%s went from %s to %s because %q", h.ASIN, was[h.Identity], h.State, h.Why)
			}
		}
	})
}

func TestARepairIsRetriedWithBackoffAndThenGivenUp(t *testing.T) {
	t.Parallel()
	p := PlanFor(24*time.Hour, 5, 0.15, 2)
	h := accepted(1, 100, t0)
	h.Missing = []string{"offer"}
	var at []time.Duration
	for now := t0; now.Before(t0.Add(30 * 24 * time.Hour)); now = now.Add(10 * time.Minute) {
		h.Confirmed = now // refreshes go on meanwhile
		for _, w := range p.Round(slices.Values([]Holding{h}), Clock{}, now).Offer {
			if w.Source != pipeline.SourceRepair || w.Attempt != len(at)+1 {
				t.Fatalf("offered %s, attempt %d", w.Source, w.Attempt)
			}
			h, at = w.Holding, append(at, now.Sub(t0))
		}
		for _, g := range p.GiveUp(slices.Values([]Holding{h}), now) {
			h = g
		}
	}
	if want := []time.Duration{6 * time.Hour, 30 * time.Hour}; !slices.Equal(at, want) {
		t.Errorf("tried after %v, want %v", at, want)
	}
	if h.GaveUp != GaveUp {
		t.Errorf("it leaves the reason %q, want %q", h.GaveUp, GaveUp)
	}
}
