package keepa

import (
	"slices"
	"testing"
)

func TestALaterRowReplacesCurrentValuesAndNothingElse(t *testing.T) {
	t.Parallel()
	few, many := 3, 9
	p := Product{ASIN: "A", Stats: &Stats{Current: Values{-1, 4000, 900}, Avg90: Values{5000, 4000, 1500}, SalesRankDrops30: &few, SalesRankDrops90: &few}}
	row := DealRow{Current: Values{3000, -1, 850, -2, noData, 700}, SalesRankDrops30: &many}
	got := p.Repriced(&row)
	if want := (Values{3000, -1, 850, noData, noData, 700}); !slices.Equal(got.Stats.Current, want) {
		t.Errorf("current %v, want %v", got.Stats.Current, want)
	}
	if *got.Stats.SalesRankDrops30 != many || *got.Stats.SalesRankDrops90 != few || !slices.Equal(got.Stats.Avg90, p.Stats.Avg90) {
		t.Errorf("%+v", got.Stats)
	}
	if !slices.Equal(p.Stats.Current, Values{-1, 4000, 900}) || *p.Stats.SalesRankDrops30 != few {
		t.Errorf("the answer itself changed: %+v", p.Stats)
	}
	if got := (Product{ASIN: "A"}).Repriced(&row); got.Stats == nil || !slices.Equal(got.Stats.Current, Values{3000, -1, 850, noData, noData, 700}) {
		t.Errorf("without statistics the end of the history counts: %+v", got.Stats)
	}
}
