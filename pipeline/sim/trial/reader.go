package trial

import (
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/watermark"
)

// Reader is one query's watermarker on a List, statement by statement: it can
// die between any two of them, and then loses what it had not stored.
type Reader struct {
	*List
	Plan  watermark.Plan
	State watermark.State
	Ours  time.Duration // how far our own clock is off

	// Dies is called between any two statements.
	Dies func() bool
	// Fails is called before each page: a 429, an error, a stop.
	Fails func() bool
	// Income is in tokens a minute, and a page waits until there are enough.
	Income  float64
	Balance float64

	Paid   int // pages bought
	Offers int // candidates published
	Known  map[watermark.Row]time.Time
	Claims []watermark.Claim
	Gone   []watermark.Gap
	Events map[string]int
	Broken int // reads that were resumed
	states []watermark.Written

	stored []stored
	open   map[string]bool
}

// stored is an answer in RESPONSES.
type stored struct {
	page watermark.Page
	at   time.Time
}

// NewReader returns a watermarker that has seen nothing.
func NewReader(l *List) *Reader {
	return &Reader{
		List: l, Plan: watermark.DefaultPlan(), Income: 0.5, Balance: 300, Known: map[watermark.Row]time.Time{},
		Events: map[string]int{}, open: map[string]bool{},
	}
}

// clock returns our own time.
func (w *Reader) clock() time.Time { return w.Now.Add(w.Ours) }

// Run advances time and polls when a poll is due.
func (w *Reader) Run(d time.Duration) {
	for end := w.Now.Add(d); w.Now.Before(end); {
		if w.State.Due(w.clock()) {
			w.Poll()
		}
		w.pass(time.Minute)
	}
}

func (w *Reader) pass(d time.Duration) {
	w.Pass(d)
	w.Balance = min(300, w.Balance+w.Income*d.Minutes())
}

func (w *Reader) dies() bool { return w.Dies != nil && w.Dies() }

// Poll is one read, up to where it dies or is cut short.
func (w *Reader) Poll() {
	r := w.resume()
	if r == nil || w.dies() {
		return
	}
	for {
		index, more := r.Next()
		if !more {
			break
		}
		if w.Fails != nil && w.Fails() {
			w.end(r)
			return
		}
		for w.Balance < w.Plan.Price {
			w.pass(time.Minute)
		}
		p := w.Page(index)
		w.Balance -= w.Plan.Price
		w.Paid++
		if w.dies() {
			return // paid, but not stored
		}
		w.stored = append(w.stored, stored{p, w.clock()})
		if w.dies() || !w.offer(r, p) {
			return
		}
		r.Take(p)
	}
	w.end(r)
}

// resume returns the read under way, with its pages; else a new one.
func (w *Reader) resume() *watermark.Read {
	if w.State.Read != nil {
		w.Broken++
		r := w.State.Reader(w.Plan)
		last := w.State.Read.Begun
		for _, s := range w.stored[w.State.Read.Since:] {
			if !w.offer(r, s.page) {
				return nil
			}
			r.Take(s.page)
			last = s.at
		}
		if w.Plan.Continues(last, w.clock()) {
			return r
		}
		if r.Pages > 0 && !w.end(r) {
			return nil
		}
	}
	w.swap(w.State.Begin("q@1", uint64(len(w.stored)), w.Plan, w.clock()))
	return w.State.Reader(w.Plan)
}

// offer publishes the rows of a page that were not offered yet; false when it died.
func (w *Reader) offer(r *watermark.Read, p watermark.Page) bool {
	if p.Odd() != "" {
		return true
	}
	for i, row := range p.Rows {
		if i%50 == 49 && w.dies() {
			return false
		}
		if _, known := w.Known[row]; known {
			continue
		}
		w.Known[row] = w.Now
		w.Offers++
		if row.At > w.State.Mark {
			r.Fresh++
		} else {
			r.Late++
		}
	}
	return true
}

// end publishes the effect of the read on the gaps, and then writes the state.
func (w *Reader) end(r *watermark.Read) bool {
	next, c := w.State.End(r, w.Plan, w.clock())
	if w.dies() {
		return false
	}
	for _, g := range c.Opened {
		w.event("opened", g)
	}
	for _, g := range c.Filled {
		w.event("filled", g)
	}
	for _, g := range c.Expired {
		w.event("expired", g)
	}
	if w.dies() {
		return false
	}
	w.Gone = append(w.Gone, c.Expired...)
	w.swap(next)
	return true
}

// event is a line of the ledger: the stream deduplicates by id.
func (w *Reader) event(what string, g watermark.Gap) {
	if id := what + ":" + g.ID; !w.open[id] {
		w.open[id] = true
		w.Events[what]++
	}
}

func (w *Reader) swap(next watermark.State) {
	if c, ok := watermark.Claimed(w.State, next, w.Now); ok {
		c.Begun = c.Begun.Add(-w.Ours)
		w.Claims = append(w.Claims, c)
	}
	w.State = next
	w.states = append(w.states, watermark.Written{State: next, At: w.clock()})
}

// Balanced returns the row by row balance of everything that was ever listed.
func (w *Reader) Balanced() (map[watermark.Fate]int, []watermark.Sighting) {
	gone := make([]watermark.Gap, len(w.Gone))
	for i, g := range w.Gone {
		g.Opened = g.Opened.Add(-w.Ours)
		gone[i] = g
	}
	return watermark.Books{
		Claims: w.Claims, Owed: w.State.Gaps, Gone: gone,
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
