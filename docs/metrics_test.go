package docs_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"ratchet/pipeline/platform/metric"
)

func TestTheTableOfMetricsIsCurrent(t *testing.T) {
	got := wrapped(metricsPage())
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

// metricsPage renders docs/metrics.md, with a line for each paragraph and each metric.
func metricsPage() string {
	var out strings.Builder
	out.WriteString(metricsHead)
	by := ""
	for _, m := range metric.Table() {
		if m.By != by {
			by = m.By
			fmt.Fprintf(&out, "\n## Of %s\n\n", by)
		}
		labels := ""
		if len(m.Labels) > 0 {
			labels = " by `" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&out, "- `%s` (%s%s): %s\n", m.Name, m.Type(), labels, m.Help)
	}
	return out.String()
}

const metricsHead = `# Metrics

<!-- Generated from pipeline/platform/metric by "make golden". -->

` + "`ratchet up --metrics-addr HOST:PORT`, or `METRICS_ADDR` for a daemon, answers Prometheus at `/metrics`, without credentials; off unless set. " +
	"The page also has the go_… and process_… metrics of the Prometheus client. " +
	"Alerts are in [deploy/prometheus](../deploy/prometheus), pages for Grafana in [deploy/grafana](../deploy/grafana)." + `

- An age is in pipeline time, so it is right in a simulation too. A metric whose value is unknown is absent, never 0.
- *tokend*, *watermarker* and *refresher* (part of the watermarker) elect a leader. Only the leader has their metrics, so a sum over all processes counts nothing twice.
- A scrape costs NATS at most two requests in 5 s per deployment, and ClickHouse one query a minute.
- Every metric of a process of a named plan (KEEPA_PLAN) also has the label *plan*; those of the first plan do not.
- A counter begins at 0 with its process. Work that is redelivered counts again.
- ` + "`query` is DOMAIN.NAME of the configuration. A label of more than 200 values continues as `other`." + `
`
