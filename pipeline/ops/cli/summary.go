package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
)

// How often the summary is shown: in place on a terminal, else as a line.
const (
	redrawEvery = time.Second
	lineEvery   = 10 * time.Second
	countEvery  = lineEvery / 2   // of the visible deals
	lastReasons = 12              // kept; those that fit are shown
	countWithin = 5 * time.Second // the view does not change meanwhile
)

// Summary is the live view of a running pipeline. Found, stored and visible are visibility.Counts, shown with the
// sequences up to which they count.
type Summary struct {
	// Ends is when the run ends by itself, pipeline time; zero if never.
	Ends time.Time
	// Simulated reports that the deals are not on sale.
	Simulated bool

	b       *bus.Bus
	env     process.Env
	now     func() time.Time
	visible *Visible
	w       io.Writer
	began   time.Time
	live    bool                     // w is a terminal
	size    func() (width, high int) // of the terminal

	seen    *bus.Memo[Status] // the budget and what waits
	counts  *DealCounts       // the counts of the deals; nil before the first count
	before  int               // how many were found before this session
	counted time.Time         // when they were counted, machine time
	decides atomic.Bool       // a message since then may change the counts
	printed string            // the last line or screen, without its time

	mu      sync.Mutex
	decided int
	reasons []string // the newest first
	drawn   int      // lines on the terminal
	at      [2]int   // the terminal's size then
}

// NewSummary returns a summary of what happens from now on, and of the visible deals.
func NewSummary(b *bus.Bus, env process.Env, v *Visible, w io.Writer) *Summary {
	s := &Summary{b: b, env: env, visible: v, w: w, began: env.Now(), now: env.Now}
	s.seen = bus.NewMemo(env.Clock, func(ctx context.Context) (Status, error) { return work(ctx, b) })
	s.decides.Store(true)
	if f, ok := w.(*os.File); ok {
		fd := int(f.Fd()) //nolint:gosec // a descriptor is small
		s.live = term.IsTerminal(fd)
		s.size = func() (int, int) {
			width, high, err := term.GetSize(fd)
			if err != nil || width < 1 || high < 1 {
				return 80, 24
			}
			return width, high
		}
	}
	return s
}

// Run shows the summary until done or ctx ends.
func (s *Summary) Run(ctx context.Context, done <-chan struct{}) {
	sub, err := s.b.NC.Subscribe("verdict.>", s.countVerdict)
	if err != nil {
		s.env.Log.Warn("live summary has no verdicts", "err", err)
	} else {
		defer func() { _ = sub.Unsubscribe() }() // the connection closes with the process
	}
	defer s.listen()()
	s.count(ctx) // the deals found before
	every := lineEvery
	if s.live {
		every = redrawEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	resized := make(chan os.Signal, 1)
	if s.live {
		signal.Notify(resized, unix.SIGWINCH)
		defer signal.Stop(resized)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			s.show(ctx)
			return
		case <-tick.C:
			s.show(ctx)
		case <-resized:
			s.show(ctx)
		}
	}
}

// listen subscribes to the messages that change the figures.
func (s *Summary) listen() (stop func()) {
	decided := func() {
		s.decides.Store(true)
		s.seen.Forget()
	}
	var stops []func()
	for subject, f := range map[string]func(){
		pipeline.KeySubject(pipeline.BucketTokens, ">"): s.seen.Forget, "candidate.>": s.seen.Forget, "survivor.>": s.seen.Forget,
		"verdict.>": decided, "deal.>": decided, "action.>": decided,
	} {
		stop, err := s.b.Hint(subject, f)
		if err != nil {
			s.env.Log.Debug("live summary reads at its own interval", "err", err)
		}
		stops = append(stops, stop)
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// countVerdict counts a verdict as it is published.
func (s *Summary) countVerdict(m *nats.Msg) {
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
	reason := foreign.Of(fmt.Sprintf("%s %s at %s: %s", asin, outcome, look, reasonOf(m.Data))).String()
	s.reasons = append([]string{reason}, s.reasons[:min(len(s.reasons), lastReasons-1)]...)
}

func (s *Summary) show(ctx context.Context) {
	s.count(ctx)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	st, err := s.seen.Read(ctx)
	if err != nil {
		return // NATS is away; the next call reads it
	}
	s.draw(st)
}

// draw writes the summary: on a terminal, over the last one. If the size changed, it clears the terminal, because
// terminals wrap lines in different ways.
func (s *Summary) draw(st Status) {
	if !s.live {
		if now, line := s.line(st); line != s.printed { // equal lines are printed once
			fmt.Fprint(s.w, now+line)
			s.printed = line
		}
		return
	}
	width, high := s.size()
	out := s.screen(st, width, high)
	if out == s.printed && s.at == [2]int{width, high} {
		return
	}
	s.printed = out
	switch {
	case s.drawn > 0 && s.at != [2]int{width, high}:
		out = "\x1b[H\x1b[2J" + out
	case s.drawn > 0:
		out = fmt.Sprintf("\x1b[%dA\x1b[J", s.drawn) + out
	}
	fmt.Fprint(s.w, out)
	s.drawn, s.at = strings.Count(out, "\n"), [2]int{width, high}
}

// count counts the deals: for every line, and at intervals on a terminal.
func (s *Summary) count(ctx context.Context) {
	if process.MachineSince(s.counted) < countEvery || !s.decides.Swap(false) {
		return
	}
	s.counted = process.MachineNow()
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	counts, from, err := s.visible.Count(ctx)
	if err != nil {
		s.decides.Store(true)
		return
	}
	if s.counts == nil {
		s.before = counts.Found
	}
	s.counts = &DealCounts{Counts: counts, Source: from}
}

// time returns the time, the duration so far, and the progress of the run.
func (s *Summary) time() []string {
	now := s.now()
	out := []string{now.Format("15:04") + " +" + brief(now.Sub(s.began))}
	if s.Simulated {
		out = append(out, "SIMULATED")
	}
	if !s.Ends.IsZero() {
		out = append(out, progress(now.Sub(s.began), s.Ends.Sub(s.began)))
	}
	return out
}

// figures returns the figures, each as a text.
func (s *Summary) figures(st Status) []string {
	balance := "balance unknown"
	if b := st.Balance; b != nil && b.Cap > 0 {
		balance = fmt.Sprintf("balance %d/%d (%s)", b.Est, b.Cap, b.State)
	}
	var waiting []string
	for _, g := range st.Stages {
		waiting = append(waiting, fmt.Sprintf("%s %d", g.Stage, g.Free+g.Waiting+g.InWork))
	}
	out := []string{balance, "waiting: " + strings.Join(waiting, ", ")}
	session := fmt.Sprintf("this session: decided %d", s.decided)
	if d := s.counts; d != nil {
		out = append(out, fmt.Sprintf("%s, found %d", session, max(0, d.Found-s.before)),
			fmt.Sprintf("in all: found %d, stored %d, visible %d", d.Found, d.Stored, d.Visible), "as of "+d.AsOf.String())
	} else {
		out = append(out, session)
	}
	if st.Balance != nil && st.Balance.Note != "" {
		out = append(out, foreign.Of(st.Balance.Note).String())
	}
	return out
}

// progress returns a progress bar.
func progress(done, all time.Duration) string {
	const cells = 10
	part := min(1, max(0, done.Seconds()/max(1, all.Seconds())))
	full := int(part * cells)
	return fmt.Sprintf("[%s%s] %.0f %%", strings.Repeat("#", full), strings.Repeat(".", cells-full), 100*part)
}

// line returns the summary without a terminal: the time, and the figures.
func (s *Summary) line(st Status) (now, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fields := s.figures(st)
	if len(s.reasons) > 0 {
		fields = append(fields, "last: "+s.reasons[0])
	}
	return strings.Join(s.time(), gap) + gap, strings.Join(fields, gap) + "\n"
}

// screen returns the summary for a terminal: as many figures on a line as fit, and below them the last decisions.
func (s *Summary) screen(st Status, width, high int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, f := range append(s.time(), s.figures(st)...) {
		f = cut(f, width-1)
		last := len(lines) - 1
		if last >= 0 && columnsOf(lines[last])+len(gap)+columnsOf(f) < width {
			lines[last] += gap + f
			continue
		}
		lines = append(lines, f)
	}
	// A third of the screen, so that earlier output stays visible.
	for _, r := range s.reasons[:min(len(s.reasons), max(1, high/3-len(lines)))] {
		lines = append(lines, cut(indent+r, width-1))
	}
	lines = lines[:min(len(lines), max(1, high-1))]
	return strings.Join(lines, "\n") + "\n"
}

// reasonOf returns the reason of a verdict without decoding all of it.
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
