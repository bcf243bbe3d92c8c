package keepa

import (
	"math"
	"testing"
)

func TestEveryMarketplaceHasItsCurrency(t *testing.T) {
	t.Parallel()
	for d, want := range map[Domain]string{
		DomainCom: "-$12.05", DomainUK: "-£12.05", DomainDE: "-€12.05", DomainFR: "-€12.05", DomainJP: "-¥1205", DomainCA: "-CA$12.05",
		DomainIT: "-€12.05", DomainES: "-€12.05", DomainIN: "-₹12.05", DomainMX: "-MX$12.05", DomainBR: "-R$12.05",
	} {
		if got := d.Currency().Format(-1205); got != want {
			t.Errorf("domain %d: %s, want %s", d, got, want)
		}
		if back, ok := DomainOf(d.Suffix()); !ok || back != d {
			t.Errorf("%s is domain %d, want %d", d.Suffix(), back, d)
		}
	}
	if len(domains) != 11 || Domain(7).Valid() || DomainBR.Listed() || !DomainBR.Valid() || !DomainIN.Listed() {
		t.Error("the marketplaces are not Keepa's")
	}
}

func TestAmountsKeepTheirDigits(t *testing.T) {
	t.Parallel()
	for units, want := range map[int64]string{0: "0.00", 5: "0.05", 99: "0.99", 100: "1.00", -7: "-0.07", 123456: "1234.56", math.MinInt64: "-92233720368547758.08"} {
		if got := DomainCom.Currency().Amount(units); got != want {
			t.Errorf("%d: %s, want %s", units, got, want)
		}
	}
}
