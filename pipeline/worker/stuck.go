package worker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/platform/bus"
)

// standstill detects why a daemon's loops make no progress. Its owner locks it.
type standstill struct {
	watches map[string]stall.Watch // by loop
	cells   map[string]string      // what cannot be read, by key
	failed  string                 // the last failure of a step, since the last success
	// failures counts them since then. A step that failed this often
	// had its tokens each time, even if the loop saw none in between.
	failures int
}

// failedOften is the number of consecutive failures that rules out a lack of tokens.
const failedOften = 3

// Observe records what a loop saw when it looked for work.
func (p *Status) Observe(loop string, s stall.Observation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.still.watches == nil {
		p.still.watches = map[string]stall.Watch{}
	}
	s.Tokens = s.Tokens || p.still.failures >= failedOften
	p.still.watches[loop] = p.still.watches[loop].Observe(s, p.now())
}

// Stepped records that a step of a loop succeeded.
func (p *Status) Stepped(loop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.still.watches[loop]; ok {
		p.still.watches[loop] = w.Step()
	}
	p.still.failed, p.still.failures = "", 0
}

// Cell records that a key is unreadable, or readable again. Other errors have no meaning for it.
func (p *Status) Cell(key string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var bad *bus.BadCell
	switch {
	case err == nil:
		delete(p.still.cells, key)
	case errors.As(err, &bad):
		if p.still.cells == nil {
			p.still.cells = map[string]string{}
		}
		p.still.cells[key] = bad.Error()
	}
}

// stuck returns why the daemon makes no progress; empty while it does, or lacks work or tokens.
func (s *standstill) stuck(now time.Time) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(s.cells)) {
		out = append(out, s.cells[key])
	}
	for _, loop := range slices.Sorted(maps.Keys(s.watches)) {
		if d := s.watches[loop].Stuck(now); d > 0 {
			why := fmt.Sprintf("%s: no step succeeded for %s although there were work and tokens and nothing was paused", loop, d.Round(time.Minute))
			if s.failed != "" {
				why += ": " + s.failed
			}
			out = append(out, why)
		}
	}
	return strings.Join(out, "; ")
}

// show copies what is stuck into the heartbeat.
func (s *standstill) show(h *pipeline.Heartbeat, now time.Time) {
	if why := s.stuck(now); why != "" {
		h.State, h.Stuck = "stuck", why
	}
}
