package keepa

import (
	"testing"
	"time"
)

func TestALaterPriceStandsUnlessNoPriceCanHaveItsDate(t *testing.T) {
	t.Parallel()
	known := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	now := FromTime(known)
	limit := FromTime(known.Add(farAhead))
	for name, c := range map[string]struct {
		m, other Minute
		known    time.Time
		want     bool
	}{
		"later":                         {now, now - 1, known, true},
		"the same":                      {now, now, known, false},
		"earlier":                       {now - 1, now, known, false},
		"ahead as far as clocks differ": {limit, now, known, true},
		"from the future":               {limit + 1, now, known, false},
		"nobody knows when it was seen": {limit + 1, now, time.Time{}, true},
		"before 2200":                   {LatestPrice - 1, now, time.Time{}, true},
		"in 2200":                       {LatestPrice, now, time.Time{}, false},
	} {
		if got := c.m.Follows(c.other, c.known); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
