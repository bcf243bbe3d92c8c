package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// refound publishes a further version of a book's deal under other work, whose price
// began so many minutes later.
func refound(t *testing.T, d *desk.Desk, asin, work string, later int64) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	w.Survivor.CreationDate += later
	r := decide.Commit(builtIn(t), w, decide.Answer{ID: "1", Key: asin, Body: d.Product(t, asin, true)}, nil, 6, d.Env.Now())
	var deal map[string]any
	if err := json.Unmarshal(r.Verdict.Deal, &deal); err != nil {
		t.Fatal(err)
	}
	deal["creation_date"] = w.Survivor.CreationDate
	m, err := bus.Encode(pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), pipeline.SchemaDeal, "deal:"+asin+work, asin+work, deal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bus.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// hook is a webhook: answers says what it does with its nth request, 0 means to take
// it and cut the connection.
type hook struct {
	*httptest.Server
	answers func(n int) int

	mu   sync.Mutex
	all  []string // ASINs as they arrived
	keys []string
	took []string // ASINs that it said it took
}

func newHook(t *testing.T, answers func(n int) int) *hook {
	t.Helper()
	h := &hook{answers: answers}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var told struct {
		Text, Content string
		Deal          cli.Deal
	}
	if err != nil || r.Method != http.MethodPost || json.Unmarshal(body, &told) != nil || !strings.Contains(told.Text, "profit") || told.Text != told.Content {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	h.mu.Lock()
	h.all, h.keys = append(h.all, told.Deal.ASIN), append(h.keys, r.Header.Get("Idempotency-Key"))
	code := h.answers(len(h.all))
	if code/100 == 2 {
		h.took = append(h.took, told.Deal.ASIN)
	}
	h.mu.Unlock()
	if code == 0 {
		panic(http.ErrAbortHandler)
	}
	if code/100 == 3 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(code)
}

func (h *hook) taken() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := slices.Clone(h.took)
	slices.Sort(out)
	return out
}

func always(code int) func(int) int { return func(int) int { return code } }

// notifier is one for the hook that is impatient.
func notifier(t *testing.T, d *desk.Desk, env process.Env, address string) *cli.Notifier {
	t.Helper()
	n, err := cli.NewNotifier(t.Context(), d.Bus, env, address)
	if err != nil {
		t.Fatal(err)
	}
	n.Pause = func(int) time.Duration { return time.Millisecond }
	return n
}

func TestAWebhookIsToldOfEveryDealOnceWhateverItAnswers(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]func(int) int{
		"it takes all":                    always(204),
		"it is away at first":             func(n int) int { return map[bool]int{true: 503, false: 200}[n <= 7] },
		"every other request is too many": func(n int) int { return map[bool]int{true: 429, false: 201}[n%2 == 1] },
		"it cuts some connections":        func(n int) int { return map[bool]int{true: 0, false: 200}[n%3 == 0] },
		"it redirects at first":           func(n int) int { return map[bool]int{true: 302, false: 200}[n <= 2] },
		"it refuses one at first":         func(n int) int { return map[bool]int{true: 400, false: 200}[n == 2] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, speed)
			good := d.ASINs(keepasim.Good)[:6]
			for _, asin := range good {
				d.Accepted(t, asin)
			}
			h := newHook(t, answers)
			if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
				t.Fatal(err)
			}
			if got := h.taken(); !slices.Equal(got, good) {
				t.Errorf("it took %v, want %v", got, good)
			}
			// Another run, another process, a refresh that finds a deal again: nothing new.
			refound(t, d, good[0], "refresh", 0)
			if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
				t.Fatal(err)
			}
			if got := h.taken(); !slices.Equal(got, good) {
				t.Errorf("after a restart it took %v, want %v", got, good)
			}
			// A new price is a new deal.
			refound(t, d, good[0], "cheaper", 60)
			if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
				t.Fatal(err)
			}
			if got, want := h.taken(), append([]string{good[0]}, good...); !slices.Equal(got, want) {
				t.Errorf("after a new price it took %v, want %v", got, want)
			}
		})
	}
}

func TestAWebhookOfWhichItCannotBeReadWhatItWasToldIsToldAgainAndNoOtherDealWaits(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	good := d.ASINs(keepasim.Good)[:7]
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	h := newHook(t, always(204))
	if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
		t.Fatal(err)
	}
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketPosted)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil || len(keys) != len(good) {
		t.Fatalf("%d keys: %v", len(keys), err)
	}
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(lastWord(a), lastWord(b)) })
	for i, wrong := range []string{"{", "[]", `{"creation_date":-5}`, `{"creation_date":9000000000000000000}`, strings.Repeat("x", 1<<20)} {
		if _, err := kv.Put(t.Context(), keys[i], []byte(wrong)); err != nil {
			t.Fatal(err)
		}
	}
	if err := kv.Delete(t.Context(), keys[5]); err != nil {
		t.Fatal(err)
	}
	for round, want := range [][]string{slices.Concat(good, good[:6]), slices.Concat(good, good[:6])} {
		for _, asin := range good {
			refound(t, d, asin, "again"+string(rune('0'+round)), 0)
		}
		if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if got := h.taken(); !slices.Equal(got, want) {
			t.Errorf("round %d: it took %v, want %v", round, got, want)
		}
	}
}

// lastWord is the ASIN of a key of POSTED.
func lastWord(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func TestARequestThatIsRepeatedCarriesTheSameKey(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asin := d.ASINs(keepasim.Good)[0]
	d.Accepted(t, asin)
	h := newHook(t, func(n int) int { return map[bool]int{true: 0, false: 200}[n == 1] }) // landed, and reported lost
	if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
		t.Fatal(err)
	}
	if len(h.keys) != 2 || h.keys[0] != h.keys[1] || h.keys[0] == "" {
		t.Errorf("keys %v", h.keys)
	}
}

func TestADeadWebhookLosesNothingAndItsAddressIsNotTold(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	good := d.ASINs(keepasim.Good)[:3]
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	var log bytes.Buffer
	env := d.Env
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	h := newHook(t, always(500))
	address := h.URL + "/hooks/SECRET"
	err := notifier(t, d, env, address).Run(t.Context(), time.Time{}, false, 0)
	if err == nil || !strings.Contains(err.Error(), "the next run posts them") {
		t.Errorf("got %v", err)
	}
	h.mu.Lock()
	h.answers = always(200)
	h.mu.Unlock()
	gone := strings.Replace(address, h.URL, "http://user:SECRET@127.0.0.1:9", 1)
	if goneErr := notifier(t, d, env, gone).Run(t.Context(), time.Time{}, false, 0); goneErr == nil || strings.Contains(goneErr.Error(), "SECRET") {
		t.Errorf("nobody listens: %v", goneErr)
	}
	if strings.Contains(log.String()+err.Error(), "SECRET") || !strings.Contains(log.String(), "webhook not told") {
		t.Errorf("logged %s", log.String())
	}
	if err := notifier(t, d, env, address).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := h.taken(); !slices.Equal(got, good) {
		t.Errorf("it took %v, want %v", got, good)
	}
}

func TestTwoNotifiersOfOneWebhookTellItOnceAndAnotherWebhookIsToldToo(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	good := d.ASINs(keepasim.Good)[:8]
	h, other := newHook(t, always(200)), newHook(t, always(200))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	for _, address := range []string{h.URL, h.URL, other.URL} {
		n := notifier(t, d, d.Env, address)
		go func() { ended <- n.Run(ctx, time.Time{}, true, 0) }()
	}
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	desk.Await(t, "both webhooks know", func() bool { return len(h.taken()) >= len(good) && len(other.taken()) >= len(good) })
	cancel()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if got := h.taken(); !slices.Equal(got, good) {
		t.Errorf("it took %v, want %v", got, good)
	}
}

func TestANotifierThatIsKilledWhileTheWebhookThinksLosesNoDeal(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	asin := d.ASINs(keepasim.Good)[0]
	d.Accepted(t, asin)
	ctx, cancel := context.WithCancel(t.Context())
	h := newHook(t, func(n int) int {
		if n == 1 {
			cancel() // the process stops while its request is under way
			return 0
		}
		return 200
	})
	if err := notifier(t, d, d.Env, h.URL).Run(ctx, time.Time{}, true, 0); err != nil {
		t.Fatal(err)
	}
	if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := h.taken(); !slices.Equal(got, []string{asin}) {
		t.Errorf("it took %v", got)
	}
}

func TestWhatTheRecorderBuriesIsNotToldAndHidesNothing(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	good := d.ASINs(keepasim.Good)[:2]
	d.Accepted(t, good[0])
	for _, asin := range good {
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		m, err := bus.Encode(pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), "deal.v2", "later:"+asin, w.ID, map[string]any{
			"domain": 1, "asin": asin, "price_type": w.Survivor.PriceType, "profit_cents": 1, "creation_date": 1 << 30,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Bus.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	h := newHook(t, always(200))
	for range 2 {
		if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), time.Time{}, false, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.taken(); !slices.Equal(got, good[:1]) {
		t.Errorf("it took %v, want %v", got, good[:1])
	}
}

func TestHiddenAndOldDealsAreNotTold(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	good := d.ASINs(keepasim.Good)[:3]
	d.Accepted(t, good[0])
	d.Accepted(t, good[1])
	judged(t, d, good[1], pipeline.RunLive, pipeline.LookPeek, pipeline.Reject)
	since := d.Env.Now()
	d.Accepted(t, good[2])
	h := newHook(t, always(200))
	if err := notifier(t, d, d.Env, h.URL).Run(t.Context(), since, false, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := h.taken(); !slices.Equal(got, good[2:]) {
		t.Errorf("it took %v, want %v", got, good[2:])
	}
	for _, address := range []string{"", "ftp://x/y", "http://", "nonsense", "https:///path"} {
		if _, err := cli.NewNotifier(t.Context(), d.Bus, d.Env, address); process.ExitCode(err) != process.ExitUsage {
			t.Errorf("%q: %v, want wrong usage", address, err)
		}
	}
}
