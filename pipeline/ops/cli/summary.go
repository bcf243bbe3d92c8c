package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
)

// How often the summary is shown: in place on a terminal, as a line elsewhere.
const (
	redrawEvery = time.Second
	lineEvery   = 10 * time.Second
	countEvery  = lineEvery / 2 // the visible deals
	lastReasons = 4
	countWithin = 5 * time.Second // the view stands still meanwhile
)

// Summary is the calm view of a running pipeline.
type Summary struct {
	b       *bus.Bus
	env     process.Env
	visible *Visible
	w       io.Writer
	began   time.Time
	live    bool // w is a terminal

	standing string    // how many deals are visible
	counted  time.Time // when that was asked, machine time

	mu      sync.Mutex
	decided int
	found   int
	reasons []string // the newest first
	drawn   int      // lines on the terminal
}

// NewSummary is a summary of what happens from now on, and of the deals that are
// visible.
func NewSummary(b *bus.Bus, env process.Env, v *Visible, w io.Writer) *Summary {
	s := &Summary{b: b, env: env, visible: v, w: w, began: env.Now()}
	if f, ok := w.(*os.File); ok {
		fi, err := f.Stat()
		s.live = err == nil && fi.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// Run shows the summary until done or ctx ends.
func (s *Summary) Run(ctx context.Context, done <-chan struct{}) {
	sub, err := s.b.NC.Subscribe("verdict.>", s.hear)
	if err != nil {
		s.env.Log.Warn("live summary has no verdicts", "err", err)
	} else {
		defer func() { _ = sub.Unsubscribe() }() // the connection closes with the process
	}
	every := lineEvery
	if s.live {
		every = redrawEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			s.show(ctx)
			return
		case <-tick.C:
			s.show(ctx)
		}
	}
}

// hear counts a verdict as it is published.
func (s *Summary) hear(m *nats.Msg) {
	parts := strings.Split(m.Subject, ".")
	if len(parts) < 5 {
		return
	}
	look, outcome, asin := parts[2], pipeline.Outcome(parts[3]), parts[4]
	s.mu.Lock()
	defer s.mu.Unlock()
	if !outcome.Final() || look == string(pipeline.LookList) {
		return
	}
	s.decided++
	if outcome == pipeline.Accept {
		s.found++
	}
	reason := foreign.Of(fmt.Sprintf("%s %s at %s: %s", asin, outcome, look, reasonOf(m.Data))).String()
	s.reasons = append([]string{reason}, s.reasons[:min(len(s.reasons), lastReasons-1)]...)
}

func (s *Summary) show(ctx context.Context) {
	s.count(ctx)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	st, err := Look(ctx, s.b)
	if err != nil {
		return // NATS is on its way; the next look sees it
	}
	out := s.text(st)
	if s.live && s.drawn > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.drawn)
	}
	fmt.Fprint(s.w, out)
	s.drawn = strings.Count(out, "\n")
}

// count asks how many deals are visible: for every line, and now and then on a
// terminal.
func (s *Summary) count(ctx context.Context) {
	if process.MachineSince(s.counted) < countEvery {
		return
	}
	s.counted = process.MachineNow()
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	if counts, _, err := s.visible.Count(ctx); err == nil {
		s.standing = fmt.Sprintf("  visible %d", counts.Visible)
	}
}

// text is the summary: two lines of figures and the last reasons.
func (s *Summary) text(st Status) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	balance, state := "unknown", "unknown"
	if st.Balance != nil {
		state = st.Balance.State
		if st.Balance.Capacity > 0 {
			balance = fmt.Sprintf("%d/%d", st.Balance.Tokens, st.Balance.Capacity)
		}
	}
	var waiting []string
	for _, g := range st.Stages {
		waiting = append(waiting, fmt.Sprintf("%s %d", g.Stage, g.Free+g.Waiting+g.InWork))
	}
	now := s.env.Now()
	line := fmt.Sprintf("%s  +%s  balance %s (%s)  waiting: %s  decided %d  deals found %d%s",
		now.Format("15:04"), brief(now.Sub(s.began)), balance, state, strings.Join(waiting, ", "), s.decided, s.found, s.standing)
	if st.Balance != nil && st.Balance.Note != "" {
		line += "  " + st.Balance.Note
	}
	if !s.live {
		if len(s.reasons) > 0 {
			line += "  last: " + s.reasons[0]
		}
		return line + "\n"
	}
	return line + "\n" + strings.Join(s.reasons, "\n") + strings.Repeat("\n", min(1, len(s.reasons)))
}

// reasonOf takes the reason out of a verdict without decoding all of it.
func reasonOf(body []byte) string {
	const mark = `"reason":"`
	s := string(body)
	i := strings.Index(s, mark)
	if i < 0 {
		return "?"
	}
	s = s[i+len(mark):]
	return s[:max(0, strings.IndexByte(s, '"'))]
}
