package keepasim

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ratchet/pipeline/platform/machinetest"
	fixtures "ratchet/test/captured"
)

func TestTheBucketRefillsInLumpsAndClips(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Balance: 290, Tick: time.Minute})
	for _, step := range []struct {
		at       time.Duration
		left, in int
		expired  int
	}{
		{0, 290, 60000, 0},
		{59 * time.Second, 290, 1000, 0},
		{59*time.Second + 800*time.Millisecond, 290, 522, 0}, // the printed floor
		{60 * time.Second, 295, 60000, 0},
		{150 * time.Second, 300, 30000, 0},
		{200 * time.Second, 300, 40000, 5},
		{10 * time.Minute, 300, 60000, 40},
	} {
		b.now = t0.Add(step.at)
		got := b.ask("/token")
		if got.num("tokensLeft") != step.left || got.num("refillIn") != step.in {
			t.Errorf("after %s: %d left, refill in %d, want %d and %d", step.at, got.num("tokensLeft"), got.num("refillIn"), step.left, step.in)
		}
		if n := b.sim.Account().Expired; n != step.expired {
			t.Errorf("after %s: %d expired, want %d", step.at, n, step.expired)
		}
	}
}

func TestACallRunsWhileTheBalanceIsPositiveAtAnyPrice(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Balance: 4, Tick: time.Minute})
	if got := b.deals(0, 1); got.status != 200 || got.num("tokensLeft") != -1 || got.num("tokensConsumed") != 5 {
		t.Fatalf("at 4: %d %d", got.status, got.num("tokensLeft"))
	}
	if got := b.deals(0, 1); got.status != 429 || got.num("tokensLeft") != -1 {
		t.Errorf("at -1: %d", got.status)
	}
	b.now = t0.Add(time.Minute)
	if got := b.deals(0, 1); got.status != 200 || got.num("tokensLeft") != -1 {
		t.Errorf("at 4 again: %d %d", got.status, got.num("tokensLeft"))
	}
	empty := newBench(t, Options{StartEmpty: true})
	if got := empty.deals(0, 1); got.status != 429 {
		t.Errorf("at exactly 0: %d", got.status)
	}
	books := b.sim.Account()
	if len(books.Refused) != 1 || !books.Refused[0].Avoidable || books.Minimum != -1 {
		t.Errorf("books: %+v, minimum %d", books.Refused, books.Minimum)
	}
}

func TestARefusalAfterForeignSpendingIsNotAvoidable(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Balance: 20})
	b.ask("/token")
	b.sim.Spend(30)
	if got := b.deals(0, 1); got.status != 429 || got.num("tokensLeft") != -10 {
		t.Fatalf("status %d", got.status)
	}
	if books := b.sim.Account(); books.Avoidable() != 0 || books.Foreign != 30 {
		t.Errorf("avoidable %d, foreign %d", books.Avoidable(), books.Foreign)
	}
}

// TestRealTicksFallWhereTheModelPredicts replays the captured envelopes: the refill
// announced by one answer, plus whole ticks, is the one that the next answer announces.
func TestRealTicksFallWhereTheModelPredicts(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(fixtures.Dir(t), "envelopes.jsonl"))
	if err != nil {
		machinetest.Lacks(t, "%v", err)
	}
	defer f.Close()
	var last time.Time
	var good, all int
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e envelope
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(e.Timestamp + e.ProcessingTime)
		next := at.Add(time.Duration(e.RefillIn) * time.Millisecond)
		if gap := at.Sub(last); !last.IsZero() && gap > 0 && gap < 10*time.Minute {
			bk := bucket{rate: e.RefillRate, tick: DefaultTick, next: last}
			bk.advance(at, func(refill) {})
			all++
			if d := bk.next.Sub(next).Abs(); d < 3*time.Second || (DefaultTick-d).Abs() < 3*time.Second {
				good++
			}
		}
		last = next
	}
	t.Logf("%d of %d refills fall within 3 s of the prediction", good, all)
	if good*100 < all*90 {
		t.Errorf("only %d of %d real refills fall where the model predicts", good, all)
	}
}
