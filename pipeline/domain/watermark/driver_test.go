package watermark_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
)

// Reader drives the watermark.Reader that the watermarker interprets, over a List, and over the
// stored answers, the ledger and the state as NATS stores them. It can die between any two effects.
type Reader struct {
	*List
	Plan     watermark.Plan
	State    watermark.State // as stored
	Ours     time.Duration   // how far our own clock is off
	Troubles Troubles

	// Income is in tokens a minute, and a page waits until there are enough.
	Income  float64
	Balance float64

	Paid    int // pages bought
	Twice   int // pages bought although a whole answer was stored
	Back    int // swaps that moved the mark back
	Offers  int // candidates published
	Broken  int // reads that were resumed
	Known   map[watermark.Row]time.Time
	Proofs  []watermark.Proof
	Gone    []watermark.Gap
	Events  map[pipeline.Event]int
	Reached map[string]int // effects, and what happened to them

	reader watermark.Reader
	dead   bool
	work   string // of the last attempt
	paid   map[string]int
	whole  map[string]bool // works with a whole answer
	states []watermark.Written
	stored []watermark.Answer
	ledger map[string]bool
}

// Troubles are the chances of what can go wrong: one in that many; 0 never.
type Troubles struct {
	Dies       int // the process, at each effect
	Fails      int // a call
	Faults     int // any other effect: it is lost, or reported lost
	Deposed    int // another instance leads after a wait
	Full       int // the backlog, at a poll
	Removed    int // the query, at a claim
	Partial    int // answers
	Unreadable int // answers
	Strange    int // pages, with a clock that is days ahead of their rows
}

var (
	errDead     = errors.New("the process died")
	errFault    = errors.New("the effect was reported lost")
	errBuyLater = errors.New("the page is bought later")
)

// newReader returns a watermarker that has seen nothing.
func newReader(l *List) *Reader {
	return &Reader{
		List: l, Plan: watermark.DefaultPlan(), Income: 0.5, Balance: 300, Known: map[watermark.Row]time.Time{},
		Events: map[pipeline.Event]int{}, Reached: map[string]int{}, dead: true,
		paid: map[string]int{}, whole: map[string]bool{}, ledger: map[string]bool{},
	}
}

// clock returns our own time.
func (w *Reader) clock() time.Time { return w.Now.Add(w.Ours) }

// Run advances time, a turn a minute.
func (w *Reader) Run(d time.Duration) {
	for end := w.Now.Add(d); w.Now.Before(end); {
		w.turn()
		w.pass(time.Minute)
	}
}

func (w *Reader) pass(d time.Duration) {
	w.Pass(d)
	w.Balance = min(300, w.Balance+w.Income*d.Minutes())
}

// one reports whether a trouble happens now.
func (w *Reader) one(n int) bool { return n > 0 && w.draw(n) == 0 }

// turn is one turn, up to where the process dies; then the next one is another process.
func (w *Reader) turn() {
	if w.dead {
		w.dead = false
		w.reader = watermark.NewReader(watermark.Setup{Query: "q@1", Plan: w.Plan, Backlog: 1})
		w.run(watermark.Admit{State: w.State})
	}
	w.run(watermark.Look{State: w.State})
}

func (w *Reader) run(e watermark.Event) {
	next, err := w.reader.Run(e, w.clock, w.do)
	if err != nil {
		w.Reached["a turn that failed"]++
	}
	w.reader = next
}

// do carries an effect out, or loses it, or its report. A dead process carries none out.
func (w *Reader) do(e watermark.Effect) (watermark.Event, error) {
	if w.dead = w.dead || w.one(w.Troubles.Dies); w.dead {
		return nil, errDead
	}
	w.Reached[fmt.Sprintf("%T", e)]++
	if _, buy := e.(watermark.Buy); buy && w.one(w.Troubles.Fails) || w.one(w.Troubles.Faults) {
		w.Reached[fmt.Sprintf("%T lost", e)]++
		return nil, errFault
	}
	event, err := w.effect(e)
	if err == nil && w.one(w.Troubles.Faults) {
		w.Reached[fmt.Sprintf("%T reported lost", e)]++
		return nil, errFault
	}
	return event, err
}

func (w *Reader) effect(e watermark.Effect) (watermark.Event, error) {
	switch e := e.(type) {
	case watermark.CountBacklog:
		if w.one(w.Troubles.Full) {
			return watermark.Counted{Candidates: 1}, nil
		}
		return watermark.Counted{}, nil
	case watermark.ReadFunds:
		return watermark.Funds{Pages: int(w.Balance / w.Plan.Price), Income: w.Plan.Income}, nil
	case watermark.Locate:
		return watermark.Located{Sequence: uint64(len(w.stored))}, nil
	case watermark.Replay:
		w.Broken++
		return watermark.Replayed{Answers: slices.Clone(w.stored[e.Since:])}, nil
	case watermark.Claim:
		return w.claim(), nil
	case watermark.Wait:
		w.pass(time.Minute)
		return watermark.Woke{Leads: !w.one(w.Troubles.Deposed)}, nil
	case watermark.CountAttempts:
		return watermark.Tried{Attempts: token.Attempts{Paid: w.paid[e.Work]}}, nil
	case watermark.Attempt:
		w.work = e.Work
	case watermark.Buy:
		return w.buy(e.Index)
	case watermark.Offer:
		return w.offer(e)
	case watermark.DeadLetterRows:
		return watermark.Offered{}, nil
	case watermark.Append:
		w.append(e.Line)
	case watermark.Reload:
		return watermark.Reloaded{State: w.State, Income: w.Plan.Income}, nil
	case watermark.Swap:
		return w.swap(e.Edit), nil
	case watermark.BuyLater:
		return nil, errBuyLater
	case watermark.DeadLetter:
		w.Reached[map[bool]string{true: "a page given up", false: "an unreadable page skipped"}[e.Answer == nil]]++
	}
	return nil, nil //nolint:nilnil // an effect without an answer
}

func (w *Reader) claim() watermark.Event {
	switch {
	case w.one(w.Troubles.Removed):
		w.Reached["a query removed"]++
		return watermark.Removed{}
	case w.Balance < w.Plan.Price:
		return watermark.Short{}
	}
	return watermark.Claimed{}
}

// buy is the paid call. The process may die before it has stored the answer.
func (w *Reader) buy(index int) (watermark.Event, error) {
	w.Balance -= w.Plan.Price
	w.Paid++
	w.paid[w.work]++
	if w.whole[w.work] {
		w.Twice++
	}
	if w.dead = w.one(w.Troubles.Dies); w.dead {
		w.Reached["a page paid for and not stored"]++
		return nil, errDead
	}
	a := watermark.Answer{Page: w.Page(index), Call: fmt.Sprint(w.Paid), At: w.clock()}
	switch {
	case w.one(w.Troubles.Partial):
		a.Flaw, a.Page.Rows = watermark.Partial, a.Page.Rows[:len(a.Page.Rows)/2]
	case w.one(w.Troubles.Unreadable):
		a.Flaw, a.Page = watermark.Unreadable, watermark.Page{Index: index}
	}
	if w.one(w.Troubles.Strange) {
		a.Page.Now += 4 * 24 * 60
	}
	w.whole[w.work] = a.Flaw != watermark.Partial
	w.stored = append(w.stored, a)
	return watermark.Bought{Answer: a}, nil
}

// offer publishes the rows that were not offered yet, and may die among them.
func (w *Reader) offer(e watermark.Offer) (watermark.Event, error) {
	var out []watermark.Row
	for i, row := range e.Rows {
		if w.dead = i%50 == 49 && w.one(w.Troubles.Dies); w.dead {
			return nil, errDead
		}
		if _, known := w.Known[row.Row]; known {
			continue
		}
		w.Known[row.Row] = w.Now
		w.Offers++
		w.Reached[string(row.Source)]++
		out = append(out, row.Row)
	}
	return watermark.Offered{Rows: out}, nil
}

// append adds a line to the ledger: the stream deduplicates by id.
func (w *Reader) append(l token.Line) {
	if w.ledger[l.ID] {
		return
	}
	w.ledger[l.ID] = true
	w.Events[l.Entry.Event]++
	if l.Entry.Event == pipeline.EventGapExpired {
		w.Gone = append(w.Gone, watermark.Gap{
			From: watermark.Mark(l.Entry.From), To: watermark.Mark(l.Entry.To), Opened: w.opened(l.Entry.Note), RowsEstimate: l.Entry.RowsEstimate,
		})
	}
}

// opened returns when the gap was opened that the state owes under an id.
func (w *Reader) opened(id string) time.Time {
	for _, g := range w.State.Gaps {
		if g.ID == id {
			return g.Opened
		}
	}
	return time.Time{}
}

func (w *Reader) swap(e watermark.Edit) watermark.Event {
	next, write := e.Apply(w.State)
	w.Reached[fmt.Sprintf("%T", e)]++
	if write {
		if next.Mark < w.State.Mark {
			w.Back++
		}
		if p, ok := watermark.ProofOf(w.State, next, w.Now); ok {
			p.Begun = p.Begun.Add(-w.Ours)
			w.Proofs = append(w.Proofs, p)
		}
		w.State = next
		w.states = append(w.states, watermark.Written{State: next, At: w.clock()})
	}
	return watermark.Swapped{State: w.State}
}

// Balanced returns the row by row balance of everything that was ever listed.
func (w *Reader) Balanced() (map[watermark.Fate]int, []watermark.Sighting) {
	gone := make([]watermark.Gap, len(w.Gone))
	for i, g := range w.Gone {
		g.Opened = g.Opened.Add(-w.Ours)
		gone[i] = g
	}
	return watermark.Audit{
		Proofs: w.Proofs, Owed: w.State.Gaps, Gone: gone,
		Found: func(r watermark.Row) (watermark.Fate, bool) { _, ok := w.Known[r]; return watermark.Waiting, ok },
	}.Balance(w.Sightings())
}

// Latency returns how long rows were listed before they were found; our clock must be right for it.
func (w *Reader) Latency() (polls float64, old time.Duration) {
	var found []watermark.Found
	for _, s := range w.Sightings() {
		if at, ok := w.Known[s.Row]; ok {
			found = append(found, watermark.Found{Sighting: s, At: at})
		}
	}
	return watermark.Latency(found, w.states, func(t time.Time) watermark.Mark { return watermark.Mark(keepa.FromTime(t)) })
}
