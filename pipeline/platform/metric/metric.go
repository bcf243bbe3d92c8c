// Package metric exports metrics to Prometheus: one table of metrics, from which the
// page docs/metrics.md is generated, and a set of values that is read at every scrape.
//
//	heartbeat, balance, watermarks ─▶ Source, called by a scrape ─┐
//	calls, decisions, retries ──────▶ Set.Count, when it happens ─┼─▶ /metrics
//
// A scrape reads memory. Cached reads what only NATS or ClickHouse knows, at a limited
// rate; such values are absent while the service does not answer. No label value comes
// from Keepa: titles, ASINs and URLs would make an unbounded number of series.
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
	By     string // the daemons that export it

	counter bool
	desc    *prometheus.Desc
}

// Type returns Prometheus's type: counter or gauge.
func (m *Metric) Type() string {
	if m.counter {
		return "counter"
	}
	return "gauge"
}

// table holds every metric, in the order of the page.
var table []*Metric

// Table returns every metric of Ratchet.
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

// Page renders docs/metrics.md, with a line for each paragraph and each metric.
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

- An age is in pipeline time, so it is right in a simulation too. A metric whose value is unknown is absent, never 0.
- *tokend*, *watermarker* and *keeper* (part of the watermarker) elect a leader. Only the leader has their metrics, so a sum over all processes counts nothing twice.
- A scrape costs NATS at most two requests in 5 s per deployment, and ClickHouse one query a minute.
- A counter begins at 0 with its process. Work that is redelivered counts again.
- ` + "`query` is DOMAIN.NAME of the configuration. A label of more than 200 values continues as `other`." + `
`
