package page

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/text/foreign"
)

const (
	// askEvery is the least time between two readings of ClickHouse, machine time.
	askEvery = 20 * time.Second
	// askAtLeast is the longest time without a change: the questions are about a span that moves.
	askAtLeast = 10 * time.Minute
	// lookWithin bounds one reading.
	lookWithin = 20 * time.Second
	// countWithin bounds the count of the deals in it, which is resumed if it is cut short.
	countWithin = 5 * time.Second
)

// hints are publishes after which the state may have changed.
var hints = []string{
	"verdict.>", "ledger.>", "dead.>", "candidate.>", pipeline.KeySubject(pipeline.BucketStatus, ">"), pipeline.KeySubject(pipeline.BucketTokens, ">"),
	pipeline.KeySubject(pipeline.BucketWatermarks, ">"), pipeline.KeySubject(pipeline.BucketConfig, ">"),
}

// machine reads the state of the pipeline after hints, at its pace, while a page is open.
type machine struct {
	s       *Server
	v       *cli.Visible // of its goroutine alone
	w       *warehouse.Warehouse
	hint    process.Hint // that a reading is wanted
	line    *timelines   // of its goroutine alone
	asked   time.Time    // ClickHouse, machine time
	held    string       // what the streams held then
	counted string       // and when deals were counted
	shown   atomic.Bool  // a page shows the answers
	again   atomic.Bool  // dead letters were retried: they are read early

	mu   sync.Mutex
	at   time.Time // of the last reading, machine time; zero before the first
	now  state
	head string        // the pulse, rendered
	next chan struct{} // closed by the next reading
}

// state is the result of the last reading.
type state struct {
	Status  cli.Status
	Err     string
	Tables  []table // from ClickHouse, or from the streams
	Source  string
	Dead    []cli.Letter // those that were not retried, the newest first
	AllDead int
	Lines   []timeline
}

// table is the answer to a named question.
type table struct {
	Name, Asks string
	Heads      []string
	Right      []bool
	Rows       [][]tableCell
}

type tableCell struct{ Text, Link string }

// pulse is the part of the state that every page shows at its top.
type pulse struct {
	Says   string
	Stuck  bool
	Budget string
}

func newMachine(s *Server) *machine {
	return &machine{s: s, v: cli.NewVisible(s.b, s.o.ClickHouse), hint: process.NewHint(), next: make(chan struct{}), line: &timelines{}}
}

// run reads the state after hints, while a page is open, until ctx ends.
func (m *machine) run(ctx context.Context) {
	defer m.close()
	for _, subject := range hints {
		stop, err := m.s.b.Hint(subject, func() {
			if m.s.hub.count() > 0 {
				m.hint.Give()
			}
		})
		if err != nil {
			m.s.env.Log.Debug("page has no hints", "subject", subject, "err", err)
			continue
		}
		defer stop()
	}
	m.hint.Give() // what the first page shows
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.hint:
		}
		m.look(ctx)
		m.s.hub.wake(aboutMachine)
		select {
		case <-ctx.Done():
			return
		case <-time.After(m.s.pace.look):
		}
	}
}

func (m *machine) close() {
	m.v.Close()
	if m.w != nil {
		_ = m.w.Close() // it was only read
	}
}

// look reads the state of the pipeline.
func (m *machine) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	m.mu.Lock()
	now := m.now
	m.mu.Unlock()
	now.Err = ""
	status, err := cli.ReadStatus(ctx, m.s.b)
	if err != nil {
		now.Err = err.Error()
	} else {
		held := heldIn(status)
		if status.Deals = now.Status.Deals; held != m.counted || status.Deals == nil {
			counting, cancel := context.WithTimeout(ctx, countWithin)
			status.Count(counting, m.v)
			if cancel(); status.Deals != now.Status.Deals {
				m.counted = held
			}
		}
		now.Status = status
		now.Lines = m.line.read(ctx, m.s.b, status)
	}
	if m.askNow(now.Status) {
		m.ask(ctx, &now)
	}
	head := m.render(pulseOf(now))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now, m.head, m.at = now, head, process.MachineNow()
	close(m.next)
	m.next = make(chan struct{})
}

// askNow reports whether the questions are asked again: a page shows their answers, and the streams have changed
// since, or the last time was long ago.
func (m *machine) askNow(s cli.Status) bool {
	since, held := process.MachineSince(m.asked), heldIn(s)
	switch {
	case m.again.Swap(false), m.asked.IsZero():
	case !m.shown.Swap(m.s.hub.shows(aboutMachine)), since < askEvery, held == m.held && since < askAtLeast:
		return false
	}
	m.asked, m.held = process.MachineNow(), held
	return true
}

// heldIn returns an identifier of what the streams hold.
func heldIn(s cli.Status) string {
	var out strings.Builder
	for _, st := range s.Streams {
		if slices.Contains(pipeline.Streams(), st.Name) {
			fmt.Fprintf(&out, "%s %d %d;", st.Name, st.Messages, st.Gone)
		}
	}
	return out.String()
}

// state returns the last reading, or a new one if that was long ago.
func (m *machine) state(ctx context.Context) state {
	m.mu.Lock()
	old, next := m.at.IsZero() || process.MachineSince(m.at) > 2*m.s.pace.look, m.next
	m.mu.Unlock()
	if old {
		m.hint.Give()
		select {
		case <-ctx.Done():
		case <-next:
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *machine) pulse() pulse {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.IsZero() {
		return pulse{}
	}
	return pulseOf(m.now)
}

// header returns the pulse as a page shows it; "" before the first reading.
func (m *machine) header() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head
}

func (m *machine) render(p pulse) string {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, "pulse", p); err != nil {
		return ""
	}
	return out.String()
}

func pulseOf(n state) pulse {
	if n.Err != "" {
		return pulse{Says: n.Err, Stuck: true}
	}
	says := n.Status.Headline()
	p := pulse{Says: strings.Join(says, " "), Stuck: len(n.Status.Stuck) > 0}
	if more := len(says) - 1; p.Stuck && more > 0 { // the machine's page has them all
		p.Says = fmt.Sprintf("%s, and %d more", says[0], more)
	}
	if b := n.Status.Balance; b != nil {
		p.Budget = fmt.Sprintf("%d of %d tokens, %s", b.Est, b.Cap, b.State)
	}
	for _, one := range n.Status.Plans {
		if b := one.Balance; b != nil {
			p.Budget += fmt.Sprintf("; %s %d of %d, %s", one.Plan, b.Est, b.Cap, b.State)
		}
	}
	return p
}

// ask reads the counts from ClickHouse, else from the streams.
func (m *machine) ask(ctx context.Context, now *state) {
	if all, err := cli.DeadLetters(ctx, m.s.b, cli.DeadFilter{Open: true}); err == nil {
		now.AllDead, now.Dead = len(all), nil
		for i := len(all) - 1; i >= 0 && len(now.Dead) < deadShown; i-- {
			now.Dead = append(now.Dead, all[i])
		}
	}
	tables, err := m.tables(ctx)
	if err == nil {
		now.Tables, now.Source = tables, "from ClickHouse, of the last 7 days"
		return
	}
	now.Source = "from the streams, of the last 7 days, since " + err.Error()
	if now.Tables, err = m.fillable(ctx); err != nil {
		now.Source += "; and the streams cannot be read: " + err.Error()
	}
}

// deadShown is how many dead letters are shown.
const deadShown = 20

// questions are the questions to ClickHouse that the page shows.
var questions = []string{"funnel", "reasons", "tokens", "gaps", "lag"}

func (m *machine) tables(ctx context.Context) ([]table, error) {
	if m.s.o.ClickHouse == "" || m.s.o.ClickHouse == "none" {
		return nil, errors.New("there is no ClickHouse")
	}
	if m.w == nil {
		w, err := warehouse.Reach(ctx, m.s.o.ClickHouse)
		if err != nil {
			return nil, err
		}
		m.w = w
	}
	var out []table
	for _, name := range questions {
		q, err := warehouse.Find(name)
		if err != nil {
			return nil, err
		}
		t, err := m.w.Ask(ctx, name, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, tableOf(q, t))
	}
	return out, nil
}

func tableOf(q warehouse.Question, t *warehouse.Table) table {
	out := table{Name: q.Name, Asks: q.Asks}
	for i, c := range t.Columns {
		out.Heads = append(out.Heads, strings.ReplaceAll(c, "_", " "))
		out.Right = append(out.Right, t.Numeric(i))
	}
	for _, r := range t.Rows {
		cells := make([]tableCell, len(r))
		for i := range r {
			cells[i] = tableCell{Text: foreign.Of(t.Cell(i, r[i])).Short(80).String()}
		}
		out.Rows = append(out.Rows, cells)
	}
	out.link()
	return out
}

// link links reasons to examples of them.
func (t *table) link() {
	look, reason := slices.Index(t.Heads, "look"), slices.Index(t.Heads, "reason")
	if look < 0 || reason < 0 {
		return
	}
	for _, r := range t.Rows {
		r[reason].Link = "/reason?" + url.Values{"look": {r[look].Text}, "reason": {r[reason].Text}}.Encode()
	}
}

// fillable returns the tables that the streams can fill.
func (m *machine) fillable(ctx context.Context) ([]table, error) {
	h, err := cli.ReadHistory(ctx, m.s.b, func(now time.Time) time.Time { return now.Add(-7 * 24 * time.Hour) })
	if err != nil {
		return nil, err
	}
	var out []table
	for _, s := range h.Sections() {
		t := table{Name: strings.ToLower(s.Name), Asks: s.Name, Right: numeric(s)}
		for _, head := range s.Heads {
			t.Heads = append(t.Heads, strings.ToLower(head))
		}
		for _, r := range s.Rows {
			cells := make([]tableCell, len(r))
			for i, text := range r {
				cells[i] = tableCell{Text: text}
			}
			t.Rows = append(t.Rows, cells)
		}
		t.link()
		out = append(out, t)
	}
	return out, nil
}

// machineModel is the machine as its page shows it.
type machineModel struct {
	Headline []string
	Steps    []string // what to do if something is stuck
	Stuck    bool
	Err      string
	Budget   []string
	Figures  []figure
	Mode     string
	Sections []section
	Tables   []table
	Source   string
	Dead     []letter
	AllDead  int
	Lines    []timeline
}

type figure struct{ Name, Value, Note string }

type section struct {
	cli.Section
	ID    string
	Right []bool // columns of numbers
}

type letter struct {
	Sequence                            uint64
	At, Stage, Reason, ASIN, Error, Cmd string
	Retry                               bool // it can be retried for no token
}

func machineView() view {
	return view{
		name: machineName, title: func(asked) string { return "Machine" },
		topics: func(asked) []string { return []string{aboutMachine} },
		fragment: func(ctx context.Context, s *Server, _ asked) (any, error) {
			s.machine.shown.Store(true)
			return s.machine.state(ctx).model(), ctx.Err()
		},
	}
}

func (n state) model() machineModel {
	s := n.Status
	m := machineModel{
		Headline: s.Headline(), Stuck: len(s.Stuck) > 0, Err: n.Err, Budget: strings.Split(strings.Join(s.Budgets(), "\n"), "\n"), Mode: s.Wish, Tables: n.Tables, Source: n.Source,
		AllDead: n.AllDead, Lines: n.Lines,
	}
	if n.Err != "" {
		m.Headline = nil
	}
	if m.Stuck {
		m.Steps = stepsOf(s)
	}
	for _, part := range s.Sections() {
		if len(part.Rows)+len(part.Says) == 0 {
			continue
		}
		m.Sections = append(m.Sections, sectionOf(part))
	}
	m.Figures = figuresOf(s)
	for _, l := range n.Dead {
		m.Dead = append(m.Dead, letter{
			Sequence: l.Sequence, At: l.At, Stage: l.Stage, Reason: l.Dead.Reason, ASIN: l.ASIN, Error: l.Dead.Error.Short(120).String(),
			Cmd: l.Next(), Retry: l.Free(),
		})
	}
	return m
}

func sectionOf(part cli.Section) section {
	out := section{Section: part, ID: "s-" + strings.ReplaceAll(strings.ToLower(part.Name), " ", "-"), Right: numeric(part)}
	out.Heads = nil
	for _, head := range part.Heads {
		out.Heads = append(out.Heads, strings.ToLower(head))
	}
	return out
}

// numeric reports which columns hold numbers and nothing else.
func numeric(s cli.Section) []bool {
	out := make([]bool, len(s.Heads))
	for i := range s.Heads {
		texts := slices.ContainsFunc(s.Rows, func(r []string) bool { return strings.Trim(r[i], "0123456789.,% –-") != "" })
		out[i] = !texts && slices.ContainsFunc(s.Rows, func(r []string) bool { return strings.ContainsAny(r[i], "0123456789") })
	}
	return out
}

// stepsOf returns the next steps if something is stuck.
func stepsOf(s cli.Status) []string {
	var out []string
	for _, name := range s.Missing {
		if name != "recorder" {
			out = append(out, fmt.Sprintf("%s does not run: start it, or read the end of its log.", name))
		}
	}
	for _, b := range s.Bad {
		out = append(out, fmt.Sprintf("The key %s of %s cannot be read: docs/operate.md says how to repair it.", b.Key, b.Bucket))
	}
	return append(out, "`ratchet doctor` names the one thing to do first; docs/operate.md has every warning.")
}

// budgetOf returns a plan's balance and mode; nothing before its tokend has written them.
func budgetOf(of string, b *token.Balance) []figure {
	if b == nil {
		return nil
	}
	return []figure{
		{"Balance" + of, strconv.Itoa(b.Est), fmt.Sprintf("of %d tokens, %d a minute", b.Cap, b.Rate)},
		{"Mode" + of, b.State, "since " + b.Since.UTC().Format(minutes)},
	}
}

func figuresOf(s cli.Status) []figure {
	of := "" // the plan, if there are several
	if len(s.Plans) > 0 {
		of = " of " + pipeline.MainPlan
	}
	out := budgetOf(of, s.Balance)
	for _, p := range s.Plans {
		out = append(out, budgetOf(" of "+p.Plan.String(), p.Balance)...)
	}
	waiting, free := 0, 0
	for _, st := range s.Stages {
		waiting, free = waiting+st.Waiting+st.InWork, free+st.Free
	}
	out = append(out, figure{"Waiting", fmt.Sprintf("%d", waiting+free), fmt.Sprintf("%d of them for tokens", waiting)})
	if d := s.Deals; d != nil {
		out = append(out, figure{"Deals", fmt.Sprintf("%d", d.Visible), fmt.Sprintf("visible, of %d stored", d.Stored)})
	}
	owed := 0
	for _, w := range s.Watermarks {
		owed += len(w.Gaps)
	}
	return append(out, figure{"Gaps owed", fmt.Sprintf("%d", owed), "of the lists"})
}
