package recorder

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
)

// stuckAfter is how long takes from a stream may fail before the recorder is stuck, machine time.
const stuckAfter = 30 * time.Second

// pulse is the recorder's heartbeat.
type pulse struct {
	now func() time.Time

	mu        sync.Mutex
	counters  map[string]int64
	lines     map[string]progress
	awaySince time.Time // pipeline time; zero while ClickHouse answers
	byPing    bool      // only a ping reported it away
	lastError string
	progress  time.Time
	insert    time.Duration // the last insert, machine time
}

// progress is how far one stream is recorded.
type progress struct {
	Recorded int64     `json:"recorded"` // rows since the start
	Held     int       `json:"held"`     // unsettled messages
	Pending  uint64    `json:"pending"`  // not delivered yet
	Sequence uint64    `json:"sequence"` // the newest delivered
	At       time.Time `json:"at"`       // its time, pipeline
	LagS     float64   `json:"lag_s"`    // how long before now that was, while more messages wait; else 0

	failing time.Time // machine time of the first take that failed since one succeeded; else zero
}

func newPulse(now func() time.Time) *pulse {
	return &pulse{now: now, counters: map[string]int64{"recorded": 0, "buried": 0, "retries": 0, "failures": 0}, lines: map[string]progress{}}
}

func (p *pulse) beat() pipeline.Heartbeat {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := pipeline.Heartbeat{State: "idle", Counters: maps.Clone(p.counters), LastProgress: p.progress, LastError: p.lastError, Detail: map[string]any{}}
	for stream, l := range p.lines {
		if l.Held > 0 || l.Pending > 0 {
			h.State = "working"
		}
		l.LagS = p.lag(l)
		h.Detail[stream] = l
		if !l.failing.IsZero() && process.MachineSince(l.failing) >= stuckAfter {
			h.Stuck = fmt.Sprintf("takes from %s fail: %s", stream, p.lastError)
		}
	}
	if h.Stuck != "" {
		h.State = "stuck"
	}
	h.Detail["insert_ms"] = p.insert.Milliseconds()
	h.Detail["clickhouse"] = "answers"
	if !p.awaySince.IsZero() {
		h.State = "stuck"
		h.Detail["clickhouse"] = "unreachable since " + p.awaySince.Format(time.RFC3339)
		h.Stuck = fmt.Sprintf("clickhouse is %s: %s", h.Detail["clickhouse"], p.lastError)
	}
	return h
}

// lag returns the age of the newest delivered message while more wait; else 0.
func (p *pulse) lag(l progress) float64 {
	if l.Held == 0 && l.Pending == 0 || l.At.IsZero() {
		return 0
	}
	return max(0, p.now().Sub(l.At).Seconds())
}

func (p *pulse) count(name string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counters[name] += int64(n)
}

// failed records the last error.
func (p *pulse) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastError = err.Error()
	p.counters["failures"]++
}

// away records that ClickHouse does not accept rows.
func (p *pulse) away(err error) {
	p.failed(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byPing = false
	if p.awaySince.IsZero() {
		p.awaySince = p.now()
	}
}

// back records that ClickHouse accepts rows.
func (p *pulse) back() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaySince, p.byPing = time.Time{}, false
}

// pinged records the result of a ping, and reports whether it is the first to find ClickHouse away. A ping that
// succeeds does not end what an insert has reported: ClickHouse may answer and accept no rows.
func (p *pulse) pinged(err error) (gone bool) {
	if err != nil {
		p.failed(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && p.awaySince.IsZero():
		p.awaySince, p.byPing = p.now(), true
		return true
	case err == nil && p.byPing:
		p.awaySince, p.byPing = time.Time{}, false
	}
	return false
}

// update changes what is known of a stream.
func (p *pulse) update(stream string, change func(*progress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[stream]
	change(&l)
	p.lines[stream] = l
}

// takeFailed records that a stream did not answer a take.
func (p *pulse) takeFailed(stream string, err error) {
	p.failed(err)
	p.update(stream, func(l *progress) {
		if l.failing.IsZero() {
			l.failing = process.MachineNow()
		}
	})
}

// takeDone records that a stream answered a take.
func (p *pulse) takeDone(stream string) {
	p.update(stream, func(l *progress) { l.failing = time.Time{} })
}

// waits records how many messages are not delivered yet. Another recorder may have received the last ones.
func (p *pulse) waits(stream string, pending uint64) {
	p.update(stream, func(l *progress) { l.Pending = pending })
}

func (p *pulse) holds(stream string, n int) {
	p.update(stream, func(l *progress) { l.Held = n })
}

func (p *pulse) saw(stream string, sequence, pending uint64, at time.Time) {
	p.update(stream, func(l *progress) { l.Sequence, l.Pending, l.At = sequence, pending, at })
}

func (p *pulse) recorded(stream string, n int) {
	p.update(stream, func(l *progress) {
		l.Recorded += int64(n)
		p.counters["recorded"] += int64(n)
		p.progress = p.now()
	})
}

func (p *pulse) took(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.insert = d
}
