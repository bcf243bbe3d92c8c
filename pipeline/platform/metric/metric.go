// Package metric is what a process says of itself to Prometheus: one table of metrics, from which comes the page
// docs/metrics.md, and a set of values that is read when somebody scrapes.
//
//	heartbeat, balance, watermarks ─▶ Source, called by a scrape ─┐
//	calls, decisions, retries ──────▶ Set.Count, when it happens ─┼─▶ /metrics
//
// A scrape reads memory. What only NATS or ClickHouse knows is asked for by Cached, at most once in a while, and is left out
// while they do not answer. No value of a label comes from Keepa: titles, ASINs and URLs make series without end.
package metric

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric is one row of the table.
type Metric struct {
	Name   string
	Help   string
	Labels []string
	By     string // the daemons that have it

	counter bool
	desc    *prometheus.Desc
}

// Type is Prometheus's word: counter or gauge.
func (m *Metric) Type() string {
	if m.counter {
		return "counter"
	}
	return "gauge"
}

// table is every metric, in the order of the page.
var table []*Metric

// Table is every metric of ours.
func Table() []*Metric { return slices.Clone(table) }

func gauge(by, name, help string, labels ...string) *Metric {
	return add(by, name, help, false, labels)
}

func total(by, name, help string, labels ...string) *Metric { return add(by, name, help, true, labels) }

func add(by, name, help string, counter bool, labels []string) *Metric {
	m := &Metric{Name: name, Help: help, Labels: labels, By: by, counter: counter, desc: prometheus.NewDesc(name, help, labels, nil)}
	table = append(table, m)
	return m
}

// Page is docs/metrics.md, a line for each paragraph and each metric.
func Page() string {
	var out strings.Builder
	out.WriteString(pageHead)
	by := ""
	for _, m := range table {
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

const pageHead = `# Metrics

<!-- Generated from pipeline/platform/metric by "make golden". -->

` + "`ratchet up --metrics-addr HOST:PORT`, or `METRICS_ADDR` for a daemon, answers Prometheus at `/metrics`, without credentials; off unless set. " +
	"The page also has the go_… and process_… metrics of the Prometheus client. " +
	"Alerts are in [deploy/prometheus](../deploy/prometheus), pages for Grafana in [deploy/grafana](../deploy/grafana)." + `

- An age is in pipeline time, so it is right in a simulation too. A metric whose value nobody knows is absent, never 0.
- *tokend*, *watermarker* and *keeper* (part of the watermarker) elect a leader. Only the leader has their metrics, so a sum over all processes counts nothing twice.
- A scrape costs NATS at most two requests in 5 s per deployment, and ClickHouse one question a minute.
- A counter begins at 0 with its process. Work that is redelivered counts again.
- ` + "`query` is DOMAIN.NAME of the configuration. A label of more than 200 values continues as `other`." + `
`
