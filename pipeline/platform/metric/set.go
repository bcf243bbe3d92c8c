package metric

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Put receives one value. labels are the values of the metric's labels, in order.
type Put func(m *Metric, value float64, labels ...string)

// Source puts the current values. Every scrape calls it, at any time.
type Source func(put Put)

// Set holds the metrics of one process. All methods do nothing on a nil *Set, the set of a process without metrics.
type Set struct {
	mu      sync.Mutex
	sources map[string]*Source
	counts  map[*Metric]map[string]float64 // by its label values, joined
	labels  prometheus.Labels              // of every metric
}

// New returns an empty set.
func New() *Set {
	return &Set{sources: map[string]*Source{}, counts: map[*Metric]map[string]float64{}}
}

// Label gives every metric of this process one more label.
func (s *Set) Label(name, value string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.labels = prometheus.Labels{name: value}
}

// seriesMost is how many combinations of label values a counter may have; further ones are counted as other.
const seriesMost = 200

// separator occurs in no label value.
const separator = "\xff"

// Count raises a counter.
func (s *Set) Count(m *Metric, n float64, labels ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.counts[m]
	if of == nil {
		of = map[string]float64{}
		s.counts[m] = of
	}
	key := strings.Join(labels, separator)
	if _, known := of[key]; !known && len(of) >= seriesMost {
		key = strings.Join(slices.Repeat([]string{"other"}, len(labels)), separator)
	}
	of[key] += n
}

// Add calls the source at every scrape until end is called. It replaces a source of the same name.
func (s *Set) Add(name string, source Source) (end func()) {
	if s == nil {
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources[name] = &source
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sources[name] == &source {
			delete(s.sources, name)
		}
	}
}

// Registry returns the set together with the client's process metrics, for an HTTP handler.
func (s *Set) Registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(s, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe announces no metric in advance: unknown values are absent.
func (s *Set) Describe(chan<- *prometheus.Desc) {}

// Collect calls every source. If two put the same series the first
// one counts, because a duplicate would fail the whole scrape.
func (s *Set) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	sources := maps.Clone(s.sources)
	put := into(out, s.labels)
	for m, of := range s.counts {
		for key, n := range of {
			put(m, n, strings.Split(key, separator)[:len(m.Labels)]...)
		}
	}
	s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		(*sources[name])(put)
	}
}

func into(out chan<- prometheus.Metric, all prometheus.Labels) Put {
	seen := map[string]bool{}
	return func(m *Metric, value float64, labels ...string) {
		key := m.Name + separator + strings.Join(labels, separator)
		if seen[key] || slices.ContainsFunc(labels, func(l string) bool { return !utf8.ValidString(l) }) {
			return
		}
		seen[key] = true
		kind := prometheus.GaugeValue
		if m.counter {
			kind = prometheus.CounterValue
		}
		desc := m.desc
		if len(all) > 0 {
			desc = prometheus.NewDesc(m.Name, m.Help, m.Labels, all)
		}
		if c, err := prometheus.NewConstMetric(desc, kind, value, labels...); err == nil {
			out <- c
		}
	}
}

// Cached returns a source that calls ask at most once in every, for at most within, in one scrape at a time.
// The last values are repeated until they are older than three times every; after that they are absent.
func Cached(every, within time.Duration, now func() time.Time, ask func(ctx context.Context, put Put) error) Source {
	c := &cached{every: every, within: within, now: now, ask: ask}
	return c.source
}

type cached struct {
	every, within time.Duration
	now           func() time.Time
	ask           func(ctx context.Context, put Put) error

	mu           sync.Mutex
	due, updated time.Time
	values       []value
}

// againAfter is the retry interval after a failed call.
const againAfter = 10 * time.Second

type value struct {
	m      *Metric
	n      float64
	labels []string
}

func (c *cached) source(put Put) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); !now.Before(c.due) {
		c.due = now.Add(c.every)
		c.refresh()
	}
	if c.updated.IsZero() || c.now().Sub(c.updated) > 3*c.every {
		return
	}
	for _, v := range c.values {
		put(v.m, v.n, v.labels...)
	}
}

func (c *cached) refresh() {
	ctx, cancel := context.WithTimeout(context.Background(), c.within)
	defer cancel()
	var values []value
	err := c.ask(ctx, func(m *Metric, n float64, labels ...string) { values = append(values, value{m, n, labels}) })
	if err != nil {
		c.due = c.now().Add(min(c.every, againAfter))
		return
	}
	c.values, c.updated = values, c.now()
}

// Truth returns 1 for true and 0 for false.
func Truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// OneOf puts 1 for is, and 0 for the other values in all.
func OneOf(put Put, m *Metric, is string, all []string, labels ...string) {
	for _, one := range all {
		put(m, Truth(one == is), append(slices.Clone(labels), one)...)
	}
}

// Age puts the seconds from at to now; nothing for a zero at.
func Age(put Put, m *Metric, now, at time.Time, labels ...string) {
	if !at.IsZero() {
		put(m, max(0, now.Sub(at).Seconds()), labels...)
	}
}
