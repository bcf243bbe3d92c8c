package keepa

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBothWaysToReadAHistoryAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(2, 3).Draw(t, "width")
		numbers := rapid.SliceOfN(rapid.Int64Range(-2, 1<<40), 0, 12).Draw(t, "numbers")
		raw, err := json.Marshal(numbers)
		if err != nil {
			t.Fatal(err)
		}
		s := scanner{b: raw}
		fast, ok := s.flatPoints(nil, width)
		if !ok || s.end() != nil {
			t.Fatalf("%s is not read as flat", raw)
		}
		if slow := points(nil, numbers, width); !slices.Equal(fast, slow) {
			t.Fatalf("%s: %v, number by number %v", raw, fast, slow)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if s := (scanner{b: raw[:cut]}); len(raw[:cut]) > 0 {
			if _, ok := s.flatPoints(nil, width); ok {
				t.Fatalf("%q is read as whole", raw[:cut])
			}
		}
	})
}
