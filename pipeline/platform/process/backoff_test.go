package process

import (
	"testing"
	"time"
)

func TestAPauseDoublesWithEachFailureInARow(t *testing.T) {
	t.Parallel()
	b := Backoff{First: 100 * time.Millisecond, Most: time.Second}
	differ := false
	for range 50 {
		b.Reset()
		for n, whole := range []time.Duration{100, 200, 400, 800, 1000, 1000, 1000} {
			whole *= time.Millisecond
			got := b.Next()
			if got < whole/2 || got > whole {
				t.Fatalf("after failure %d: %s, want %s to %s", n+1, got, whole/2, whole)
			}
			differ = differ || got != whole
		}
	}
	if !differ {
		t.Error("all pauses are the same for everybody")
	}
	for range 1000 {
		if got := b.Next(); got > time.Second || got <= 0 {
			t.Fatalf("after many failures: %s", got)
		}
	}
}
