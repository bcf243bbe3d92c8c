package docs_test

import (
	"os"
	"testing"

	"ratchet/pipeline/platform/metric"
)

func TestTheTableOfMetricsIsCurrent(t *testing.T) {
	got := wrapped(metric.Page())
	if *update {
		if err := os.WriteFile("metrics.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("metrics.md")
	if err != nil {
		t.Fatalf("%v; run `make golden`", err)
	}
	if got != string(want) {
		t.Errorf("docs/metrics.md is not what pipeline/platform/metric says; run `make golden` and read the difference\n%s", difference(string(want), got))
	}
}
