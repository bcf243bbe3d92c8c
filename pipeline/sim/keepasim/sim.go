package keepasim

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Sim is a simulated Keepa. It serves HTTP and is safe for concurrent use.
type Sim struct {
	o       Options
	started chan struct{}

	mu       sync.Mutex
	bucket   bucket
	account  Account
	known    knowledge // the callers' knowledge
	inFlight int
	drained  []int // tokens taken so far, by drain
	changed  int   // rate changes applied
	ruleUsed []int
	rng      *source
	answers  int
	asked    *selection // the last deal query

	offersAt map[string]int64 // when an ASIN's offers were last refreshed, Keepa minutes
	made     map[string]bool  // synthetic ASINs
	cache    *bodies
}

// knowledge is what a careful caller can know about the bucket.
type knowledge struct {
	any     bool
	balance int
	next    time.Time // the announced refill
	foreign bool      // another program spent since
	hidden  bool      // an answer was withheld since
	others  int       // tokens that others had taken by then, in total
}

// startPatience is how long a request waits for Start, in pipeline time.
const startPatience = 30 * time.Minute

// New returns a simulated Keepa that does not run yet: requests wait for Start.
func New(o Options) *Sim {
	o = o.withDefaults()
	return &Sim{
		o: o, started: make(chan struct{}), account: newAccount(), rng: newSource(o.Seed, "sim"),
		bucket:  bucket{balance: o.Balance, rate: o.Rate, tick: o.Tick},
		drained: make([]int, len(o.Faults.Drains)), ruleUsed: make([]int, len(o.Faults.Rules)),
		offersAt: map[string]int64{}, made: map[string]bool{}, cache: newBodies(512),
	}
}

// Start starts time: the bucket holds its balance at t0, and the
// first refill comes at Options.Next. Only the first call counts.
func (s *Sim) Start(t0 time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.account.Start.IsZero() {
		return
	}
	t0 = t0.UTC()
	s.o.Catalogue.begin(t0)
	s.bucket.next = t0.Add(s.o.Tick)
	if !s.o.Next.IsZero() {
		s.bucket.next = s.o.Next
	}
	s.account.Start, s.account.Opening, s.account.Minimum = t0, s.bucket.balance, s.bucket.balance
	close(s.started)
}

// Account returns the figures up to now.
func (s *Sim) Account() Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	s.settle(now)
	b := s.account.clone()
	b.At, b.Next = now, s.bucket.next
	b.Balance, b.Rate, b.Synthetic = s.bucket.balance, s.bucket.rate, len(s.made)
	return b
}

// Bucket returns the state of the bucket: an instant, the balance, and the next refill; false before Start.
func (s *Sim) Bucket() (at time.Time, balance int, next time.Time, started bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.account.Start.IsZero() {
		return at, 0, next, false
	}
	at = s.o.Now()
	s.settle(at)
	return at, s.bucket.balance, s.bucket.next, true
}

// Made reports that a product of a captured world was not captured itself, but made from its row.
func (s *Sim) Made(asin string) bool {
	c, ok := s.o.Catalogue.(*CapturedCatalogue)
	return ok && c.products[asin] == nil
}

// Spend takes n tokens as another user of the same key would, without checking the balance.
func (s *Sim) Spend(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.o.Now())
	s.foreign(n)
}

// Change alters the faults from now on. Existing rules, drains and rates keep their counts, so append, do not reorder.
func (s *Sim) Change(f func(*Faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(s.o.Now())
	f(&s.o.Faults)
	s.drained = append(s.drained, make([]int, max(0, len(s.o.Faults.Drains)-len(s.drained)))...)
	s.ruleUsed = append(s.ruleUsed, make([]int, max(0, len(s.o.Faults.Rules)-len(s.ruleUsed)))...)
}

func (s *Sim) foreign(n int) {
	s.bucket.balance -= n
	s.account.Foreign += n
	s.account.Minimum = min(s.account.Minimum, s.bucket.balance)
	s.known.foreign = true
}

// settle moves the bucket to now: refills, foreign spending and changes of plan, each at its own instant.
func (s *Sim) settle(now time.Time) {
	if s.account.Start.IsZero() {
		return
	}
	for {
		at, do := s.nextEvent(now)
		if do == nil {
			break
		}
		s.refillUntil(at)
		do()
	}
	s.refillUntil(now)
}

func (s *Sim) refillUntil(now time.Time) {
	s.bucket.advance(now, func(r refill) {
		s.account.Refilled += r.added
		s.account.Expired += r.expired
	})
}

// nextEvent returns the earliest scripted event that is due and not yet applied.
func (s *Sim) nextEvent(now time.Time) (at time.Time, do func()) {
	t0 := s.account.Start
	if s.changed < len(s.o.Faults.Rates) {
		c := s.o.Faults.Rates[s.changed]
		if t := t0.Add(c.At); !t.After(now) {
			at, do = t, func() { s.changed++; s.account.Clipped += s.bucket.setRate(c.Rate) }
		}
	}
	for i, d := range s.o.Faults.Drains {
		off := d.From + time.Duration(s.drained[i])*d.Every
		if t := t0.Add(off); d.Every > 0 && !t.After(now) && (d.To == 0 || off < d.To) && (do == nil || t.Before(at)) {
			at, do = t, func() { s.drained[i]++; s.foreign(d.Tokens) }
		}
	}
	return at, do
}

// result is an endpoint's answer.
type result struct {
	status  int
	cost    int
	items   int
	payload []byte // members of the answer without the braces; nil without any
	err     *apiError
	// took is how long the work takes, in pipeline time.
	took time.Duration
	// done is called under the lock when the call is charged.
	done func()
}

// call is one request in progress.
type call struct {
	kind    string
	arrived time.Time
	fault   Rule
	others  int // tokens that others had taken at the last answer before it
}

// Serve answers requests on a listener until the returned server is closed. If it ends before, failed is called.
func (s *Sim) Serve(l net.Listener, failed func(error)) *http.Server {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("serve the simulated Keepa: %w", err))
		}
	}()
	return server
}

// ServeHTTP answers one request as Keepa would.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.awaitStart(r.Context()) {
		http.Error(w, "not started", http.StatusServiceUnavailable)
		return
	}
	if err := r.ParseForm(); err != nil {
		s.answerZero(w, r)
		return
	}
	key := r.URL.Query().Get("key")
	if key == "" || s.o.Key != "" && key != s.o.Key {
		s.answerZero(w, r)
		return
	}
	c := call{kind: kindOf(r), arrived: s.o.Now().UTC()}
	if c.kind == "" {
		http.Error(w, "<html><body><h1>404 Not Found</h1></body></html>", http.StatusNotFound)
		return
	}
	c.fault, c.others = s.draw(c)
	switch c.fault.Do {
	case Fail:
		http.Error(w, "<html><body><h1>server error</h1></body></html>", cmp.Or(c.fault.Status, http.StatusInternalServerError))
		return
	case Refuse:
		s.refuse(w, r, c)
		return
	}
	if c.kind != KindToken && !s.admit(c) {
		s.refuse(w, r, c)
		return
	}
	res := s.work(r, c)
	if res.err == nil && c.kind != KindToken {
		if !s.pass(r.Context(), res.took) {
			res.took = 0 // the caller left; the work is still done and paid
		}
	}
	s.finish(w, r, c, res)
}

func kindOf(r *http.Request) string {
	switch strings.Trim(r.URL.Path, "/") {
	case "token":
		return KindToken
	case "deal":
		return KindDeal
	case "seller":
		return KindSeller
	case "product":
		if r.Form.Has("offers") {
			return KindCommit
		}
		return KindPeek
	}
	return ""
}

func (s *Sim) awaitStart(ctx context.Context) bool {
	select {
	case <-s.started:
		return true
	default:
	}
	var patience <-chan time.Time
	if s.o.After != nil {
		patience = s.o.After(startPatience)
	}
	select {
	case <-s.started:
		return true
	case <-ctx.Done():
	case <-patience:
	}
	return false
}

// pass waits for d of pipeline time; false if the caller left before.
func (s *Sim) pass(ctx context.Context, d time.Duration) bool {
	if s.o.After == nil || s.o.Instant || d <= 0 {
		return true
	}
	select {
	case <-s.o.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// draw picks the fault of this call, if any, and records what the
// caller could know of others when it sent the request.
func (s *Sim) draw(c call) (Rule, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := c.arrived.Sub(s.account.Start)
	for i, r := range s.o.Faults.Rules {
		if r.Kind != "" && r.Kind != c.kind || since < r.From || r.To > 0 && since >= r.To {
			continue
		}
		if r.Times > 0 && s.ruleUsed[i] >= r.Times || r.Probability > 0 && s.rng.float() >= r.Probability {
			continue
		}
		s.ruleUsed[i]++
		s.account.Faults[r.Do]++
		return r, s.known.others
	}
	return Rule{}, s.known.others
}

// admit reports whether a call may run: the balance must be above zero. The price does not matter.
func (s *Sim) admit(c call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(c.arrived)
	if s.bucket.balance > 0 {
		s.inFlight++
		return true
	}
	return false
}

func (s *Sim) refuse(w http.ResponseWriter, r *http.Request, c call) {
	s.mu.Lock()
	ref := Refusal{At: c.arrived, Kind: c.kind, Balance: s.bucket.balance, Avoidable: true}
	switch {
	case c.fault.Do == Refuse:
		ref.Avoidable, ref.Reason = false, "scripted"
	case !s.known.any:
		ref.Avoidable, ref.Reason = false, "no answer yet"
	case s.known.foreign:
		ref.Avoidable, ref.Reason = false, "another program spent since the last answer"
	case s.known.hidden:
		ref.Avoidable, ref.Reason = false, "an answer was withheld"
	case s.inFlight > 0:
		ref.Reason = "other calls were in flight"
	default:
		ref.Reason = "the last answer showed it: balance " + strconv.Itoa(s.known.balance)
	}
	s.account.Refused = append(s.account.Refused, ref)
	env := s.envelope(c, 0, s.o.Now())
	s.mu.Unlock()
	s.write(w, r, http.StatusTooManyRequests, join(env, nil, nil))
}

// finish charges the call and answers it.
func (s *Sim) finish(w http.ResponseWriter, r *http.Request, c call, res result) {
	cost := res.cost
	if c.fault.Do == Overprice && res.err == nil && cost > 0 {
		cost = c.fault.Cost
	}
	now := s.o.Now().UTC()
	s.mu.Lock()
	s.settle(now)
	if c.kind != KindToken {
		s.inFlight--
	}
	if res.err == nil && c.kind != KindToken {
		s.charge(c, res, cost, now)
	}
	env := s.envelope(c, cost, now)
	s.mu.Unlock()
	s.deliver(w, r, c, cmp.Or(res.status, http.StatusOK), join(env, res.payload, res.err))
}

func (s *Sim) charge(c call, res result, cost int, now time.Time) {
	before := s.bucket.balance
	s.bucket.balance -= cost
	s.account.Minimum = min(s.account.Minimum, s.bucket.balance)
	s.account.Calls[c.kind]++
	s.account.Tokens[c.kind] += cost
	s.account.Paid = append(s.account.Paid, PaidCall{
		Asked: c.arrived, At: now, Kind: c.kind, Items: res.items, Cost: cost,
		Before: before, After: s.bucket.balance, Unseen: s.account.Foreign - c.others, Fault: c.fault.Do,
	})
	if res.done != nil {
		res.done()
	}
}

// envelope returns the token state at now; the caller holds the lock. The processing time is the one that passed, which
// on a busy machine is longer than the simulated one: timestamp and processing time name the instant of the balance.
func (s *Sim) envelope(c call, cost int, now time.Time) envelope {
	s.settle(now)
	s.answers++
	left := s.bucket.balance
	env := envelope{
		Timestamp: c.arrived.Add(s.o.Faults.Skew).UnixMilli(), TokensLeft: &left,
		RefillIn: s.bucket.refillIn(now), RefillRate: s.bucket.rate, TokensConsumed: cost,
		ProcessingTime: max(now.Sub(c.arrived), 0).Milliseconds(),
	}
	if s.o.Faults.SpuriousRate > 0 && s.answers%3 == 0 {
		env.RefillRate = s.o.Faults.SpuriousRate
	}
	switch c.fault.Do {
	case NoBalance:
		env.TokensLeft = nil
	case ZeroBalance:
		zero := 0
		env.TokensLeft = &zero
	default:
		if c.fault.Do.withholds() {
			s.known.hidden = true
			return env
		}
	}
	s.known = knowledge{any: true, balance: left, next: s.bucket.next, others: s.account.Foreign}
	return env
}

// deliver sends the body, as far as the fault allows.
func (s *Sim) deliver(w http.ResponseWriter, r *http.Request, c call, status int, body []byte) {
	switch c.fault.Do {
	case Hang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Cut:
		panic(http.ErrAbortHandler)
	case Empty:
		body = nil
	case Malformed:
		body = append([]byte("<html>"), body[:len(body)/2]...)
	case Partial:
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
	s.write(w, r, status, body)
}

// answerZero answers a bad key: every token field is zero.
func (s *Sim) answerZero(w http.ResponseWriter, r *http.Request) {
	zero := 0
	s.mu.Lock()
	env := envelope{TokensLeft: &zero, Timestamp: s.o.Now().Add(s.o.Faults.Skew).UnixMilli()}
	s.mu.Unlock()
	none := ""
	s.write(w, r, http.StatusBadRequest, join(env, nil, invalid(400, "You used an invalid parameter for this API call.", &none)))
}

var zippers = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}

// write sends a body, compressed only on request.
func (s *Sim) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	if len(body) > 0 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var buf bytes.Buffer
		z := zippers.Get().(*gzip.Writer)
		z.Reset(&buf)
		_, _ = z.Write(body) // a bytes.Buffer accepts everything
		_ = z.Close()
		zippers.Put(z)
		w.Header().Set("Content-Encoding", "gzip")
		body = buf.Bytes()
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.o.Log.Debug("the caller left before the answer", "err", err)
	}
}

// join builds an answer: envelope, payload members, error.
func join(env envelope, payload []byte, e *apiError) []byte {
	body := mustJSON(env)
	if e != nil {
		payload = append([]byte(`"error":`), mustJSON(e)...)
	}
	if payload == nil {
		return body
	}
	out := make([]byte, 0, len(body)+len(payload)+1)
	out = append(out, body[:len(body)-1]...)
	out = append(out, ',')
	out = append(out, payload...)
	return append(out, '}')
}

func (s *Sim) work(r *http.Request, c call) result {
	switch c.kind {
	case KindDeal:
		return s.deals(r, c)
	case KindPeek, KindCommit:
		return s.products(r, c)
	case KindSeller:
		return s.sellers(r, c)
	}
	return result{}
}

// span returns a reproducible duration between lo and hi.
func (s *Sim) span(lo, hi time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return lo + time.Duration(s.rng.float()*float64(hi-lo))
}

func text(s string) *string { return &s }
