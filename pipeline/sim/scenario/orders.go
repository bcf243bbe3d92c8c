package scenario

import (
	"cmp"
	"fmt"
	"slices"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/sim/keepasim"
)

// Orders are what the deals made by the simulator's truth, beside what the same rules would have made of the same
// rows on the same tokens in another order of the work.
type Orders struct {
	OursCents    int64   `json:"order_ours_cents,omitempty"`
	RandomCents  int64   `json:"order_random_cents,omitempty"`  // on average
	KnowingCents int64   `json:"order_knowing_cents,omitempty"` // the copies that make most for a token first
	Covered      float64 `json:"order_covered,omitempty"`       // how far ours is on the way from random to knowing; 0 to 1
}

// outlook is what it takes to decide on a row, and what comes of it.
type outlook struct{ tokens, cents float64 }

// ordersOf compares orders. A row of which the glance decides costs nothing in any order; what a commit costs is
// the mean of those that were paid for. The rules are taken to accept the good ones and no others.
func ordersOf(ours int64, asins []string, truth keepasim.Catalogue, books keepasim.Books) Orders {
	commit := float64(books.Tokens[keepasim.KindCommit]) / float64(max(1, items(books, keepasim.KindCommit)))
	var all []outlook
	var tokens, cents float64
	for _, asin := range asins {
		l := outlook{tokens: 1}
		switch truth.Truth(asin) {
		case keepasim.AmazonCaps, keepasim.NoRankDrop, keepasim.NoUsedPrice:
			continue
		case keepasim.Good:
			sold, _ := truth.Sells(asin, books.Start)
			l = outlook{tokens: 1 + commit, cents: float64(sold.Profit)}
		case keepasim.LandedPrice:
			l.tokens += commit
		case keepasim.NoInferredSale, keepasim.NoProfit, keepasim.NoRecentSale, keepasim.Unknown,
			keepasim.Flicker, keepasim.Spike, keepasim.Undercut, keepasim.Unbuyable: // a peek; no backlog has traps
		}
		tokens, cents = tokens+l.tokens, cents+l.cents
		all = append(all, l)
	}
	spent := float64(books.Consumed() - books.Tokens[keepasim.KindDeal])
	o := Orders{OursCents: ours, KnowingCents: knowing(all, spent)}
	if tokens > 0 {
		o.RandomCents = int64(cents * min(1, spent/tokens))
	}
	if gap := o.KnowingCents - o.RandomCents; gap > 0 {
		o.Covered = float64(ours-o.RandomCents) / float64(gap)
	}
	return o
}

// knowing is what so many tokens make where every truth is known before.
func knowing(all []outlook, spent float64) int64 {
	slices.SortFunc(all, func(a, b outlook) int { return cmp.Compare(b.cents*a.tokens, a.cents*b.tokens) })
	cents := 0.0
	for _, l := range all {
		if l.cents <= 0 || spent < l.tokens {
			break
		}
		spent, cents = spent-l.tokens, cents+l.cents
	}
	return int64(cents)
}

// items is how many ASINs the calls of a kind asked for.
func items(b keepasim.Books, kind string) int {
	n := 0
	for _, c := range b.Paid {
		if c.Kind == kind {
			n += c.Items
		}
	}
	return n
}

// String tells people how the orders compare.
func (o Orders) String() string {
	money := keepa.DomainCom.Currency().Format
	return fmt.Sprintf("by the truth the deals make %s; on the same tokens random order makes %s, and one that knows every truth %s: %.0f %% of the way",
		money(int64(o.OursCents)), money(int64(o.RandomCents)), money(int64(o.KnowingCents)), 100*o.Covered)
}
