package refresh

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"ratchet/pipeline"
)

// stock is a refresher, a peeker that decides that many refreshes an
// hour, and deals that never change, all of it in pure time.
type stock struct {
	plan  Plan
	clock Clock
	all   []Holding
	queue []Work
	seq   uint64

	answers   bool // looks are being decided
	answered  time.Time
	confirms  int
	unchanged float64 // refreshes that are decided in an hour
	part      float64
	oldest    time.Duration // the longest that a deal was not confirmed
}

// run advances ten minutes at a time.
func (s *stock) run(from, to time.Time) {
	for now := from; now.Before(to); now = now.Add(10 * time.Minute) {
		signs := Signs{Mode: "burst", Answered: s.answered}
		for _, h := range s.all {
			if !h.Offered.IsZero() && (signs.Oldest.IsZero() || h.Offered.Before(signs.Oldest)) {
				signs.Oldest = h.Offered
			}
			if h.State.Shown() {
				s.oldest = max(s.oldest, now.Sub(h.Confirmed))
			}
		}
		s.clock = s.clock.Tick(signs.Stalled(now), now)
		round := s.plan.Round(slices.Values(s.all), s.clock, now)
		for _, h := range round.Change {
			s.put(h)
		}
		for _, w := range round.Offer {
			s.put(w.Holding)
		}
		s.queue = append(s.queue, round.Offer...)
		for s.part += s.unchanged / 6; s.answers && s.part >= 1 && len(s.queue) > 0; s.part-- {
			w := s.queue[0]
			s.queue, s.seq, s.confirms, s.answered = s.queue[1:], s.seq+1, s.confirms+1, now
			h, _ := s.all[s.place(w.Holding)].After(Event{Identity: w.Holding.Identity, Seq: 10_000 + s.seq, Outcome: pipeline.Confirm, At: now}, s.clock.Ran)
			s.put(h)
		}
		if !s.answers || len(s.queue) == 0 {
			s.part = 0
		}
	}
}

func (s *stock) put(h Holding) {
	s.all[s.place(h)] = h
}

// place returns the index of a holding: its number is in its ASIN.
func (s *stock) place(h Holding) int {
	n, err := strconv.Atoi(h.ASIN[1:])
	if err != nil {
		panic(err)
	}
	return n
}

func (s *stock) count(is State) int {
	n := 0
	for _, h := range s.all {
		if h.State == is {
			n++
		}
	}
	return n
}

// full returns a stock with n deals, on 5 tokens a minute of which 15 % are for refreshes.
func full(n int) *stock {
	s := &stock{plan: PlanFor(24*time.Hour, 5, 0.15, 0), answers: true, unchanged: 45}
	for i := range n {
		s.all = append(s.all, accepted(i, int64(100+i), t0))
	}
	return s
}

const days = 24 * time.Hour

func TestAStaticDealStaysForThirtyDaysAndIsConfirmedInEveryPeriod(t *testing.T) {
	t.Parallel()
	s := full(300)
	s.run(t0, t0.Add(30*days))
	if s.count(Held) != 300 {
		t.Errorf("%d of 300 are held", s.count(Held))
	}
	if s.oldest > 2*s.plan.Period {
		t.Errorf("one was not confirmed for %v", s.oldest)
	}
	// Each confirmation is one token: the demand is spent, not the share.
	if most := 30 * 300; s.confirms > most || s.confirms < most/2 {
		t.Errorf("%d confirmations in 30 days of 300 deals", s.confirms)
	}
}

func TestWhenKeepaStopsForFiveDaysEverythingIsStaleNothingExpiresAndAllComesBack(t *testing.T) {
	t.Parallel()
	s := full(300)
	s.run(t0, t0.Add(3*days))
	s.answers = false
	s.run(t0.Add(3*days), t0.Add(8*days))
	if s.count(Stale) != 300 {
		t.Errorf("after the stop %d of 300 are stale, %d expired", s.count(Stale), s.count(Expired))
	}
	for _, h := range s.all {
		if h.Why == "" {
			t.Fatalf("%s is stale without a reason", h.ASIN)
		}
	}
	s.answers = true
	s.run(t0.Add(8*days), t0.Add(11*days))
	if s.count(Held) != 300 {
		t.Errorf("three days later %d of 300 are held, %d expired", s.count(Held), s.count(Expired))
	}
}

func TestARefresherThatWasDownExpiresNothing(t *testing.T) {
	t.Parallel()
	s := full(300)
	s.run(t0, t0.Add(3*days))
	s.run(t0.Add(30*days), t0.Add(32*days))
	if s.count(Held) != 300 {
		t.Errorf("after 27 days away and two days of work %d of 300 are held, %d expired", s.count(Held), s.count(Expired))
	}
}

func TestMoreThanTheShareCanKeepLosesTheLeastValuableAndOnlyThose(t *testing.T) {
	t.Parallel()
	s := full(600)
	s.plan, s.unchanged = PlanFor(24*time.Hour, 1, 0.1, 0), 6 // the share keeps 432
	s.run(t0, t0.Add(20*days))
	kept, least, most := 0, int64(1<<60), int64(0)
	for _, h := range s.all {
		if h.State.Shown() {
			kept, least = kept+1, min(least, h.Cents)
			continue
		}
		most = max(most, h.Cents)
		if h.Why != ExpiredOverCapacity {
			t.Fatalf("%s is %s because %q", h.ASIN, h.State, h.Why)
		}
	}
	if kept < s.plan.Sustained() || kept == 600 || least <= most {
		t.Errorf("kept %d (the share keeps %d), the least worth %d; of those that went the most %d", kept, s.plan.Sustained(), least, most)
	}
}
