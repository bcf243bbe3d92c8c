package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Span is a length of time as people write it: as Go does (90m, 1h30m), or with weeks and
// days before that (7d, 2w, 1d12h).
type Span time.Duration

var spanForm = regexp.MustCompile(`^(-?)(?:(\d+)w)?(?:(\d+)d)?([\d.]+[a-zµ].*)?$`)

// longest is what a time.Duration holds, in days.
const longest = 106751

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("want a length of time like 90m, 24h or 7d, got %q", text)
	m := spanForm.FindSubmatch(text)
	if m == nil || len(text) == len(m[1]) {
		if string(text) != "0" {
			return bad
		}
		*s = 0
		return nil
	}
	days, rest := 0, time.Duration(0)
	for i, of := range map[int]int{2: 7, 3: 1} {
		if len(m[i]) == 0 {
			continue
		}
		n, err := strconv.Atoi(string(m[i]))
		if err != nil || n > longest/of {
			return bad
		}
		days += n * of
	}
	if len(m[4]) > 0 {
		var err error
		if rest, err = time.ParseDuration(string(m[4])); err != nil {
			return bad
		}
	}
	if days >= longest-int(rest.Hours())/24 {
		return bad
	}
	*s = Span(time.Duration(days)*24*time.Hour + rest)
	if len(m[1]) > 0 {
		*s = -*s
	}
	return nil
}

// String returns the span as Go writes it.
func (s Span) String() string { return time.Duration(s).String() }
