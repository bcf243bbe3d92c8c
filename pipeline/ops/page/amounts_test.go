package page

import (
	"testing"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
)

func TestAThresholdIsShownAndReadInTheUnitThatPeopleWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		value       float64
		in          keepa.Domain
		was, step   string
		text        string
		want        float64
		unit, shown string
	}{
		{"min_profit_cents", 300, keepa.DomainCom, "3", "0.5", "4.25", 425, "$", "4.25"},
		{"min_profit_cents", 500, keepa.DomainJP, "500", "1", "600", 600, "¥", "600"},
		{"min_profit_cents", 500, keepa.DomainJP, "500", "1", "600.5", 601, "¥", "600.5"}, // yen are whole
		{"max_loss_chance", 0.4, keepa.DomainJP, "40", "1", "33.3", 0.333, "%", "33.3"},
		{"min_roi_percent", 20, keepa.DomainCom, "20", "1", "25.5", 25.5, "%", "25.5"},
		{"min_sales", 1, keepa.DomainCom, "1", "1", "2", 2, "", "2"},
	} {
		k := knobOf(verdict.Threshold{Name: c.name, Value: c.value}, c.in.Currency())
		if k.Was != c.was || k.Value != c.was || k.Step != c.step || k.Unit != c.unit {
			t.Errorf("%s of %v in %s: %+v", c.name, c.value, c.in.Suffix(), k)
		}
		if got, err := k.take(c.text); err != nil || got != c.want || k.Value != c.shown {
			t.Errorf("%s: %q is taken as %v in %s, want %v; shown as %s, %v", c.name, c.text, got, c.in.Suffix(), c.want, k.Value, err)
		}
	}
}

func TestProfitsAreAddedInOneCurrencyAlone(t *testing.T) {
	t.Parallel()
	in := func(domains ...keepa.Domain) (deals []cli.Deal) {
		for _, d := range domains {
			deals = append(deals, cli.Deal{Domain: int(d), ProfitCents: new(int64(1050))})
		}
		return deals
	}
	unknown := in(keepa.DomainDE, keepa.DomainDE)
	unknown[1].ProfitCents = nil
	for _, c := range []struct {
		name  string
		deals []cli.Deal
		want  string
	}{
		{"dollars", in(keepa.DomainCom, keepa.DomainCom), "$21.00"},
		{"euros of two countries", in(keepa.DomainDE, keepa.DomainFR), "€21.00"},
		{"dollars and yen", in(keepa.DomainCom, keepa.DomainJP), ""},
		{"dollars, yen and dollars again", in(keepa.DomainCom, keepa.DomainJP, keepa.DomainCom), ""},
		{"one is not known", unknown, ""},
		{"none", nil, ""},
	} {
		if got := sumOf(c.deals); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
