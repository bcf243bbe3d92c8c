package scenario

import (
	"cmp"
	"fmt"
	"slices"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/sim/keepasim"
)

// Orders compares the value of the deals, by the simulator, with that of other
// orders of the same work: the same rules on the same rows with the same tokens.
type Orders struct {
	OursCents    int64   `json:"order_ours_cents,omitempty"`
	RandomCents  int64   `json:"order_random_cents,omitempty"`  // on average
	KnowingCents int64   `json:"order_knowing_cents,omitempty"` // most valuable copies per token first
	Covered      float64 `json:"order_covered,omitempty"`       // our place between random and knowing; 0 to 1
}

// outlook is the price of deciding on a row, and its value.
type outlook struct{ tokens, cents float64 }

// ordersOf compares orders. A row that the glance decides costs nothing in any order; a commit costs the
// mean of those that were paid for. The rules are assumed to accept exactly the good ones.
func ordersOf(ours int64, asins []string, truth keepasim.Catalogue, books keepasim.Account) Orders {
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

// knowing returns the value for that many tokens if all values were known before.
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

// items returns how many ASINs the calls of a kind requested.
func items(b keepasim.Account, kind string) int {
	n := 0
	for _, c := range b.Paid {
		if c.Kind == kind {
			n += c.Items
		}
	}
	return n
}

// String compares the orders in a sentence.
func (o Orders) String() string {
	money := keepa.DomainCom.Currency().Format
	return fmt.Sprintf("by the truth the deals make %s; on the same tokens random order makes %s, and one that knows every truth %s: %.0f %% of the way",
		money(int64(o.OursCents)), money(int64(o.RandomCents)), money(int64(o.KnowingCents)), 100*o.Covered)
}
