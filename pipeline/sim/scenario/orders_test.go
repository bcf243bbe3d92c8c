package scenario

import (
	"testing"
	"time"

	"ratchet/pipeline/sim/keepasim"
)

// For the tokens that were spent, random order yields its share of the value
// of all good ones, and perfect order all of it; ours lies between.
func TestOrdersAreComparedOnTheSameTokens(t *testing.T) {
	t.Parallel()
	world := keepasim.BacklogOf(1, 400)
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	sim := keepasim.New(keepasim.Options{Now: func() time.Time { return now }, Catalogue: world, Instant: true})
	sim.Start(now)
	all := 0
	for _, asin := range world.ASINs() {
		if sold, _ := world.Sells(asin, now); world.Truth(asin) == keepasim.Good {
			all += sold.Profit
		}
	}
	// 210 rows survive the glance: 210 peeks and 35 commits of 6 tokens are 420, of which 210 were spent.
	books := keepasim.Account{
		Tokens: map[string]int{keepasim.KindDeal: 15, keepasim.KindPeek: 150, keepasim.KindCommit: 60},
		Paid:   []keepasim.PaidCall{{Kind: keepasim.KindCommit, Items: 10, Cost: 60}},
	}
	half, quarter := int64(all/2), int64(all/4)
	o := ordersOf(half+quarter, world.ASINs(), world, books)
	if o.KnowingCents != int64(all) || o.RandomCents < half-1 || o.RandomCents > half+1 {
		t.Errorf("knowing makes %d, want %d; random %d, want %d", o.KnowingCents, all, o.RandomCents, half)
	}
	if o.Covered < 0.49 || o.Covered > 0.51 {
		t.Errorf("ours covers %.2f, want a half", o.Covered)
	}
}
