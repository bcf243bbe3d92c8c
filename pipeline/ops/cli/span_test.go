package cli_test

import (
	"testing"
	"time"

	"ratchet/pipeline/ops/cli"
)

func TestASpanIsReadWithDaysAndWeeks(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "0.5h": 30 * time.Minute, "1000h": 1000 * time.Hour,
		"7d": 7 * day, "2w": 14 * day, "1d12h": 36 * time.Hour, "1w1d1s": 8*day + time.Second, "-1h": -time.Hour, "-7d": -7 * day, "100000d": 100000 * day,
	} {
		var s cli.Span
		if err := s.UnmarshalText([]byte(text)); err != nil || time.Duration(s) != want {
			t.Errorf("%q: %s, %v; want %s", text, s, err, want)
		}
	}
	for _, text := range []string{"", "-", "d", "7", "7 d", "7d7d", "1h1d", "7days", "banana", "1h; drop", "106751d24h", "99999999999999999999d", "9999999999h", "1.5d", "--1h"} {
		var s cli.Span
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %s", text, s)
		}
	}
}
