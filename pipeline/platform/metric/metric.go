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
	"slices"

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
