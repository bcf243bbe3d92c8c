package httpd

import (
	"testing"
	"time"
)

func TestAMergeStandsStillWhenItDoesNothingForSoLong(t *testing.T) {
	t.Parallel()
	begin := time.Unix(0, 0)
	seen, still := merges(nil), ""
	for i, look := range []struct {
		after time.Duration
		said  string
		still string
	}{
		{0, "a.t p1\t0.5\t10\n", ""},
		{9 * time.Minute, "a.t p1\t0.5\t11\n", ""},                         // it made progress
		{18 * time.Minute, "a.t p1\t0.5\t11\na.t p2\t0\t0\n", ""},          // nine minutes, and another one
		{19 * time.Minute, "a.t p2\t0\t0\n", ""},                           // it ended
		{24 * time.Minute, "a.t p1\t0.5\t11\na.t p2\t0\t0\n", ""},          // one of the same name begins
		{28 * time.Minute, "a.t p1\t0.5\t11\na.t p2\t0\t0\n", "a.t p2"},    // ten minutes
		{28 * time.Minute, "", ""},                                         // none
		{90 * time.Minute, "a.t p1\t0.5\t11\n", ""},                        // long after
		{100 * time.Minute, "a.t p1\t0.5\t11\nb.\\tt p\t1\t7\n", "a.t p1"}, // and a strange name
	} {
		if seen, still = seen.next(look.said, begin.Add(look.after), 10*time.Minute); still != look.still {
			t.Errorf("look %d: got %q, want %q", i, still, look.still)
		}
	}
}
