package replay_test

import (
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/replay"
)

func TestAProfitBeforeTheCommitIsWrittenAsABound(t *testing.T) {
	t.Parallel()
	profit := int64(1756)
	examples := []replay.Example{{Domain: 1, ASIN: "B000000001", Profit: &profit}}
	sums := replay.Sums{Changed: 1, NewCount: 1, New: examples, Changes: map[string]*replay.Change{"a": {Before: "reject a", After: "survive ok", N: 1, Examples: examples}}}
	for look, want := range map[pipeline.Look][]string{
		pipeline.LookGlance: {"Candidates that would have gone on to the peek: 1", "profit about", "B000000001 (about $17.56)"},
		pipeline.LookPeek:   {"Candidates that would have gone on to the commit: 1", "profit at most", "B000000001 (at most $17.56)"},
		pipeline.LookCommit: {"Deals that would have been found: 1", "profit  title", "B000000001 ($17.56)"},
	} {
		var out strings.Builder
		if err := (&replay.Record{Look: look, Sums: sums}).Write(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("a run of the %s has no %q:\n%s", look, want, out.String())
			}
		}
	}
}
