// Package health answers the probes of an orchestrator, on an address of its own that requires no credentials:
//
//	GET /livez    200 while the process answers
//	GET /readyz   200 while every part of the process is ready; else 503 and a line with the reason for each that is not
//	GET /metrics  the metrics of package metric, for Prometheus
//
// Every client that reaches the address can read the answers, so a
// reason is one of a few fixed sentences: no title, no URL, no key.
// Requests that a browser marks as those of a page are refused. The host is not checked, because orchestrators
// ask by any name: a page whose name resolves to the address can read the answers.
package health

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ratchet/pipeline/platform/embedded/access/origin"
	"ratchet/pipeline/platform/metric"
)

// Checks holds the readiness of the parts of a process. A nil *Checks belongs to a process without probes.
type Checks struct {
	mu      sync.Mutex
	parts   map[string]*part
	metrics *metric.Set
}

// A part is ready while its check returns "".
type part struct{ check func() string }

// absent is a part that has not started, or has ended.
var absent = &part{check: func() string { return "does not run" }}

// New expects a report from every part. Until then the process is not ready.
func New(parts ...string) *Checks {
	c := &Checks{parts: map[string]*part{}, metrics: metric.New()}
	for _, name := range parts {
		c.parts[name] = absent
	}
	c.metrics.Add("readiness", c.readiness)
	return c
}

// Metrics returns the process's metrics; nil without probes.
func (c *Checks) Metrics() *metric.Set {
	if c == nil {
		return nil
	}
	return c.metrics
}

// readiness puts the readiness of each part as a metric.
func (c *Checks) readiness(put metric.Put) {
	for name, why := range c.reasons() {
		put(metric.Ready, metric.Truth(why == ""), name)
	}
}

// Report sets the check of a part, which returns why the part is not
// ready, or "". Every probe calls it, at any time, until end is called.
func (c *Checks) Report(name string, check func() string) (end func()) {
	if c == nil {
		return func() {}
	}
	mine := &part{check: check}
	c.set(name, mine, nil)
	return func() { c.set(name, absent, mine) }
}

// set replaces a part, if it is still before; a nil before matches any part.
func (c *Checks) set(name string, p, before *part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before == nil || c.parts[name] == before {
		c.parts[name] = p
	}
}

// NotReady returns a line for each part that is not ready, sorted; empty if the process is ready.
func (c *Checks) NotReady() []string {
	var lines []string
	reasons := c.reasons()
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if why := reasons[name]; why != "" {
			lines = append(lines, name+": "+why)
		}
	}
	return lines
}

// reasons returns why each part is not ready; "" for a ready one.
func (c *Checks) reasons() map[string]string {
	c.mu.Lock()
	parts := maps.Clone(c.parts)
	c.mu.Unlock()
	out := make(map[string]string, len(parts))
	for name, p := range parts {
		out[name] = p.check()
	}
	return out
}

// scrapesAtOnce bounds the concurrent scrapes.
const scrapesAtOnce = 2

// Handler serves the probes and the metrics.
func (c *Checks) Handler() http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(c.metrics.Registry(), promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesAtOnce,
	}))
	m.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if lines := c.NotReady(); len(lines) > 0 {
			http.Error(w, strings.Join(lines, "\n"), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origin.FromPage(r, true); err != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		m.ServeHTTP(w, r)
	})
}

// Serve answers probes until ctx ends.
func (c *Checks) Serve(ctx context.Context, l net.Listener, log *slog.Logger) {
	srv := &http.Server{
		Handler: c.Handler(), ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { _ = srv.Serve(l) }()                   // until it is closed
	context.AfterFunc(ctx, func() { _ = srv.Close() }) // no probe is worth a graceful stop
}
