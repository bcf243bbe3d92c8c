package cli

import (
	"testing"
	"time"

	"ratchet/pipeline/platform/bus"
)

func TestWhatHasLeftAStreamAndWhenSizeWillRemoveIsKnown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	for _, c := range []struct {
		name  string
		span  bus.Span
		gone  uint64
		fills string
	}{
		{"nothing yet", bus.Span{Limit: 100, Age: 90 * day}, 0, ""},
		{"age removes before size does", bus.Span{First: 1, Last: 10, Messages: 10, Bytes: 10, Limit: 1000, Oldest: now.Add(-10 * day), Age: 90 * day}, 0, ""},
		{"size removes before age does", bus.Span{First: 1, Last: 10, Messages: 10, Bytes: 25, Limit: 100, Oldest: now.Add(-10 * day), Age: 90 * day}, 0, "30 d"},
		{"too young to tell", bus.Span{First: 1, Last: 10, Messages: 10, Bytes: 25, Limit: 100, Oldest: now.Add(-time.Hour), Age: 90 * day}, 0, ""},
		{"some have left", bus.Span{First: 5, Last: 10, Messages: 6, Bytes: 25, Limit: 30, Oldest: now.Add(-10 * day), Age: 90 * day}, 4, ""},
		{"all have left", bus.Span{First: 11, Last: 10, Limit: 30, Age: 90 * day}, 10, ""},
	} {
		if got := streamStatus("S", c.span, now); got.Gone != c.gone || got.Fills != c.fills {
			t.Errorf("%s: gone %d, full in %q; want %d, %q", c.name, got.Gone, got.Fills, c.gone, c.fills)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 12_340: "12.3 kB", 50_000_000_000: "50 GB"} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}
