package cli

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/keepa"
)

func TestAnAmountIsOneOfItsMarketplacesCurrency(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in     keepa.Domain
		amount float64
		units  int64
		says   string
	}{
		{keepa.DomainCom, 9.99, 999, "for $9.99 on"},
		{keepa.DomainJP, 1200, 1200, "for ¥1200 on"},
	} {
		bought := Trade(action.Action{Kind: action.Buy, Target: action.Target{By: action.ByASIN, Value: "B000000001", Domain: int(c.in)}}, c.amount, "good", noon, 1)
		if *bought.PriceCents != c.units || !strings.Contains(Sentence(bought), c.says) || bought.On != noon.Format(time.DateOnly) {
			t.Errorf("bought for %v: %d, %s", c.amount, *bought.PriceCents, Sentence(bought))
		}
		for more, want := range map[int64]bool{-1: false, 0: true, 1: true} {
			d := Deal{Domain: int(c.in), ProfitCents: new(c.units + more)}
			if got := (Choice{MinProfit: &c.amount}).Admits(&d); got != want {
				t.Errorf("of those that earn %v a deal with a profit of %d: %t", c.amount, *d.ProfitCents, got)
			}
		}
	}
}
