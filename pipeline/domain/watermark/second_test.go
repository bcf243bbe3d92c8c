package watermark

import (
	"testing"
	"time"
)

func TestAGapThatNoReadFillsIsOwedNoLongerThanRowsStay(t *testing.T) {
	t.Parallel()
	p := DefaultPlan()
	for name, c := range map[string]struct {
		age     time.Duration
		deep    bool
		expires bool
	}{
		"young":                       {p.Window - time.Hour, false, false},
		"older than rows stay":        {p.Window, false, true},
		"one that only a sweep fills": {p.Window, true, false},
		"and waited for two of them":  {2*p.SweepEvery + p.Window, true, true},
	} {
		s := state().Owe(Gap{ID: "g", From: keepaNow - 900, To: keepaNow - 800, Opened: t0.Add(-c.age), RowsEstimate: 5, Deep: c.deep})
		s.Mark = keepaNow - 60
		s = s.Begin("q@1", 1, p, t0)
		s.Read.Sweep, s.Read.Down = false, keepaNow-90 // it does not go down to the gap
		r := s.Reader(p)
		r.Take(page(0, 450, 0, 150))
		next, change := s.End(r, p, t0)
		if !r.Done {
			t.Fatalf("%s: the read has not ended", name)
		}
		if expired := len(change.Expired) == 1; expired != c.expires || expired == next.Owes(keepaNow-850) {
			t.Errorf("%s: expired %+v, owed %+v", name, change.Expired, next.Gaps)
		}
	}
}
