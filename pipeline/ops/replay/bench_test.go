package replay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"
	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/schemas"
	"ratchet/test/captured"
	"ratchet/test/streams"
)

// The bars of the replay, against the limits measured in the same run.
const (
	barOfRaw      = 0.5       // of the messages/s of one loop that fetches, acknowledges and decompresses
	barOfPlain    = 5.0       // times the messages/s of one loop with encoding/json
	barInputs     = 200_000.0 // decisions/s from kept inputs
	barMemory     = 300 << 20 // bytes resident of the command, which is a process of its own
	barStorage    = 0.35      // of the JSON's size, on captured products
	benchProducts = 1500      // distinct products
	benchRounds   = 12        // works of each, so that the begin and the end of a run do not show
)

// shop is a NATS with a past: every product was peeked at.
type shop struct {
	b     *bus.Bus
	env   process.Env
	url   string
	loops int
	n     int
	runs  int
	ch    string        // ClickHouse, once a recorder runs
	past  []bus.Message // the live verdicts
	raw   int64         // bytes of JSON
	zip   int64         // bytes stored
}

// BenchmarkReplay measures, on the same products of 20 to 800 KB: the raw loop, the
// plain loop, and our replay from answers to verdicts and rows in ClickHouse. The bars
// are those of one loop each. On every core at once, raw loops show what the machine
// can do at most: there decompressing and reading the histories alone, which no
// decision can do without, leave less than half of it (docs/measured.md).
func BenchmarkReplay(b *testing.B) {
	s := open(b)
	s.fill(b)
	b.Logf("%d answers, %.0f KB of JSON on average, stored at %.2f of it", s.n, float64(s.raw)/float64(s.n)/1000, float64(s.zip)/float64(s.raw))
	nothing := func([]byte) error { return nil }
	raw := best(b, 3, func() float64 { return s.loop(b, 1, s.n, nothing) })
	plain := best(b, 2, func() float64 { return s.loop(b, 1, s.n/8, plainly) })
	rawAll := best(b, 3, func() float64 { return s.loop(b, runtime.GOMAXPROCS(0), s.n, nothing) })
	plainAll := best(b, 2, func() float64 { return s.loop(b, runtime.GOMAXPROCS(0), s.n/4, plainly) })
	stop := s.record(b)
	defer stop()
	runs := 0
	ours := best(b, 3, func() float64 {
		runs++
		return s.replay(b, fmt.Sprintf("answers-%d", runs), replay.Answers)
	})
	resident := s.resident(b)
	b.Logf("raw loop %.0f/s; plain loop %.0f/s; ours %.0f/s: %.2f of raw, %.1f times plain; the command alone: %d MB resident at most", raw, plain, ours, ours/raw, ours/plain, resident>>20)
	b.Logf("the loops on every core: raw %.0f/s, of which ours is %.2f; plain %.0f/s, of which ours is %.1f times", rawAll, ours/rawAll, plainAll, ours/plainAll)
	b.ReportMetric(raw, "raw/s")
	b.ReportMetric(plain, "plain/s")
	b.ReportMetric(ours, "ours/s")
	b.ReportMetric(ours/raw, "ours/raw")
	b.ReportMetric(ours/plain, "ours/plain")
	b.ReportMetric(ours/rawAll, "ours/raw-all-cores")
	b.ReportMetric(ours/plainAll, "ours/plain-all-cores")
	b.ReportMetric(float64(resident)/(1<<20), "MB-resident")
	if ours < barOfRaw*raw {
		b.Errorf("ours %.0f/s is %.2f of the raw loop's %.0f/s, want %.2f", ours, ours/raw, raw, barOfRaw)
	}
	if ours < barOfPlain*plain {
		b.Errorf("ours %.0f/s is %.1f times the plain loop's %.0f/s, want %.1f", ours, ours/plain, plain, barOfPlain)
	}
	if resident > barMemory {
		b.Errorf("the command had %d MB resident, want at most %d", resident>>20, barMemory>>20)
	}
}

// best is the best of n measurements: what the machine can do.
func best(b *testing.B, n int, f func() float64) float64 {
	b.Helper()
	most := 0.0
	for range n {
		most = max(most, f())
	}
	return most
}

func open(b *testing.B) *shop {
	b.Helper()
	env, srv := streams.Start(b, "127.0.0.1:0")
	return &shop{b: streams.Connect(b, env), env: env, url: srv.URL()}
}

// fill makes the past: survivors of a glance, their answers, and the verdicts that
// the peek made of them.
func (s *shop) fill(b *testing.B) {
	b.Helper()
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	rows, bodies := products(b, now)
	packed := make([]int64, len(bodies))
	for i, body := range bodies {
		packed[i] = int64(len(responses.Pack(body)))
	}
	for round := range benchRounds {
		var puts []responses.Answer
		var works []decide.Work
		for i, row := range rows {
			var r keepa.DealRow
			if r, err = keepa.DecodeDealRow(row); err != nil {
				b.Fatal(err)
			}
			w := decide.Work{ID: fmt.Sprintf("work-%d-%d", round, i), Row: r}
			w.Survivor = pipeline.Survivor{
				Candidate: pipeline.Candidate{
					Identity: pipeline.Identity{Domain: 1, ASIN: r.ASIN, PriceType: 2, CreationDate: int64(r.CreationDate) + int64(round)},
					Queries:  []string{"used-books@bench"}, Source: pipeline.SourceLive, ListSeenAt: now, Row: row,
				},
				Look: pipeline.LookGlance,
			}
			works = append(works, w)
			puts = append(puts, responses.Answer{
				Domain: 1, Kind: pipeline.KindPeek, Key: r.ASIN, Body: bodies[i], Request: "/product", RequestID: fmt.Sprintf("claim-%d-%d", round, i),
				WorkID: w.ID, Cost: 1, AnsweredAt: now,
			})
			s.raw += int64(len(bodies[i]))
			s.zip += packed[i]
		}
		s.publish(b, judge, works, puts, now)
	}
	s.n = len(rows) * benchRounds
}

func (s *shop) publish(b *testing.B, judge *verdict.Judge, works []decide.Work, puts []responses.Answer, now time.Time) {
	b.Helper()
	for from := 0; from < len(works); from += 100 {
		to := min(from+100, len(works))
		kept, err := responses.Put(b.Context(), s.b, puts[from:to])
		if err != nil {
			b.Fatal(err)
		}
		var verdicts []bus.Message
		for i, w := range works[from:to] {
			m, err := bus.Encode(pipeline.SubjectSurvivor(1, pipeline.LookGlance, "live", w.Survivor.ASIN), pipeline.SchemaSurvivor, "s:"+w.ID, w.ID, w.Survivor)
			if err != nil {
				b.Fatal(err)
			}
			ack, err := s.b.Publish(b.Context(), m)
			if err != nil {
				b.Fatal(err)
			}
			v := decide.Peek(judge, w, kept[i].Evidence(), 1, nil, now)
			verdicts = append(verdicts, messages.Verdict(pipeline.RunLive, w.ID, messages.Origin(pipeline.StreamSurvivors, ack.Sequence), v.Verdict))
		}
		s.past = append(s.past, verdicts...)
		if err := s.b.PublishAll(b.Context(), verdicts); err != nil {
			b.Fatal(err)
		}
	}
}

// products are rows and their products, made large as the real ones are: the
// histories begin earlier.
func products(b *testing.B, now time.Time) (rows []json.RawMessage, bodies [][]byte) {
	b.Helper()
	world := keepasim.BacklogOf(1, 2*benchProducts) // a page lists 150 rows, a call asks for 100
	sim := keepasim.New(keepasim.Options{Now: func() time.Time { return now }, Instant: true, Rate: 5000, Catalogue: world, Key: "k"})
	sim.Start(now)
	server := httptest.NewServer(sim)
	defer server.Close()
	ask := func(path string, q url.Values) []byte {
		q.Set("key", "k")
		res, err := http.Get(server.URL + path + "?" + q.Encode())
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var body bytes.Buffer
		if _, err := body.ReadFrom(res.Body); err != nil {
			b.Fatal(err)
		}
		return body.Bytes()
	}
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // sizes are no secret
	for page := 0; len(rows) < benchProducts; page++ {
		sel := fmt.Sprintf(`{"page":%d,"domainId":1,"priceTypes":[2],"dateRange":0,"sortType":1}`, page)
		list, err := keepa.DecodeDealPage(ask("/deal", url.Values{"selection": {sel}}))
		if err != nil {
			b.Fatal(err)
		}
		if len(list.Rows) == 0 {
			b.Fatalf("page %d is empty after %d rows", page, len(rows))
		}
		var ids []string
		for i := range list.Rows {
			ids = append(ids, list.Rows[i].ASIN)
		}
		_, raw, err := keepa.SplitProducts(ask("/product", url.Values{"domain": {"1"}, "asin": {strings.Join(ids[:min(100, len(ids))], ",")}, "stats": {"365"}, "history": {"1"}}))
		if err != nil {
			b.Fatal(err)
		}
		byASIN := map[string]json.RawMessage{}
		for i := range list.Rows {
			byASIN[list.Rows[i].ASIN] = list.Rows[i].Raw
		}
		for _, p := range raw {
			rows = append(rows, byASIN[p.ASIN])
			bodies = append(bodies, enlarge(b, p.Body, size(rng), rng))
		}
	}
	return rows, bodies
}

// size is 20 to 800 KB, 200 on average.
func size(rng *rand.Rand) int {
	if rng.IntN(5) > 0 {
		return 20_000 + rng.IntN(200_000)
	}
	return 200_000 + rng.IntN(600_000)
}

// spacing is how many double minutes lie between two changes at most.
const spacing = 100

// enlarge begins the histories of a product earlier until it has the size: ranks are
// noise, and prices move by cents around levels to which they return.
func enlarge(b *testing.B, body []byte, size int, rng *rand.Rand) []byte {
	b.Helper()
	var product map[string]json.RawMessage
	if err := json.Unmarshal(body, &product); err != nil {
		b.Fatal(err)
	}
	var csv [][]int64
	if err := json.Unmarshal(product["csv"], &csv); err != nil {
		b.Fatal(err)
	}
	missing := (size - len(body)) / 13 // bytes of a minute and a value
	for i, series := range csv {
		if i > 3 || len(series) < 2 || missing <= 0 {
			continue
		}
		n := missing / 4
		older := make([]int64, 0, 2*n+len(series))
		at := series[0] - int64(n)*2*spacing
		price, rank := int64(2000), i == int(keepa.Sales)
		for range n {
			at += 2 * (1 + rng.Int64N(spacing))
			switch {
			case rank:
				price = 500 + rng.Int64N(900_000)
			case rng.IntN(4) == 0:
				price = 500 + 25*rng.Int64N(400)
			default:
				price += 1 - 2*rng.Int64N(2) // a cent less than the others
			}
			older = append(older, at, price)
		}
		csv[i] = append(older, series...)
	}
	var err error
	if product["csv"], err = json.Marshal(csv); err != nil {
		b.Fatal(err)
	}
	out, err := json.Marshal(product)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// loop fetches and acknowledges the first n stored answers and decompresses them, on so
// many goroutines, and hands them to f. It returns messages a second.
func (s *shop) loop(b *testing.B, goroutines, n int, f func([]byte) error) float64 {
	b.Helper()
	s.loops++
	name := fmt.Sprintf("bench-%d", s.loops)
	c, err := s.b.JS.CreateConsumer(b.Context(), pipeline.StreamResponses, jetstream.ConsumerConfig{
		Name: name, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1000, InactiveThreshold: time.Minute,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.b.JS.DeleteConsumer(b.Context(), pipeline.StreamResponses, name) }()
	var done atomic.Int64
	var all errgroup.Group
	began := time.Now()
	for range goroutines {
		all.Go(func() error { return fetch(c, &done, int64(n), f) })
	}
	if err := all.Wait(); err != nil {
		b.Fatal(err)
	}
	return float64(done.Load()) / time.Since(began).Seconds()
}

// fetch takes a hundred at a time for as long as there are so many: at the end of the
// stream it would wait for what does not come.
func fetch(c jetstream.Consumer, done *atomic.Int64, n int64, f func([]byte) error) error {
	var buf []byte
	for done.Add(100) <= n {
		got, err := c.Fetch(100, jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			return err
		}
		for m := range got.Messages() {
			if buf, err = responses.UnpackInto(buf[:0], m.Data()); err != nil {
				return err
			}
			if err := f(buf); err != nil {
				return err
			}
			if err := m.Ack(); err != nil {
				return err
			}
		}
		if got.Error() != nil {
			return got.Error()
		}
	}
	done.Add(-100)
	return nil
}

// plainly decodes as the obvious program does.
func plainly(body []byte) error {
	var product map[string]any
	return json.Unmarshal(body, &product)
}

// record runs the recorder, so that a replay ends as rows.
func (s *shop) record(b *testing.B) (stop func()) {
	b.Helper()
	env := s.env
	s.ch = chtest.Database(b)
	if err := warehouse.Provision(b.Context(), s.ch, warehouse.KeepDays); err != nil {
		b.Fatal(err)
	}
	env.Lookup = envconfig.MapLookuper(map[string]string{"NATS_URL": streams.URL, "CLICKHOUSE_URL": s.ch})
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	done := make(chan error, 1)
	go func() { done <- recorder.Run(ctx, env) }()
	s.recorded(b)
	return func() { cancel(); <-done }
}

// recorded waits until the recorder has every verdict.
func (s *shop) recorded(b *testing.B) {
	b.Helper()
	for over := time.Now().Add(2 * time.Minute); time.Now().Before(over); time.Sleep(5 * time.Millisecond) {
		c, err := s.b.JS.Consumer(b.Context(), pipeline.StreamVerdicts, pipeline.DurableRecorder(pipeline.StreamVerdicts))
		if err != nil {
			b.Fatal(err)
		}
		if i := c.CachedInfo(); i.NumPending == 0 && i.NumAckPending == 0 {
			return
		}
	}
	b.Fatal("the recorder does not catch up")
}

// replay decides everything again and returns verdicts a second, rows included.
func (s *shop) replay(b *testing.B, name string, depth replay.Depth) float64 {
	b.Helper()
	began := time.Now()
	r, err := replay.Open(b.Context(), s.b, nil, replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: name, Depth: depth}, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Run(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	if sums := r.Sums; sums.Same != s.n {
		b.Fatalf("%d of %d were decided alike: %+v", sums.Same, s.n, sums)
	}
	if depth == replay.Answers {
		s.recorded(b)
	}
	return float64(s.n) / time.Since(began).Seconds()
}

// resident is the most memory that the command had while it replayed everything,
// in a process of its own. 0 where the system does not tell.
func (s *shop) resident(b *testing.B) uint64 {
	b.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	dir := b.TempDir()
	build := exec.CommandContext(b.Context(), "go", "build", "-o", dir+"/", "ratchet/cmd/ratchet")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, schemas.UsedBooks, 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), filepath.Join(dir, "ratchet"), "replay", //nolint:gosec // our own binary
		"--look", "peek", "--rules", rules, "--run", "resident", "--depth", "answers", "--clickhouse-url", "none")
	cmd.Env = append(os.Environ(), "NATS_URL="+s.url)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	most, tick := uint64(0), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil || !strings.Contains(said.String(), fmt.Sprintf("the same   %d", s.n)) {
				b.Fatalf("the command: %v\n%s", err, said.String())
			}
			return most
		case <-tick.C:
			most = max(most, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is the most memory that a process had resident so far, in bytes.
func highWater(pid int) uint64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // it has ended
	}
	var kB uint64
	if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_, _ = fmt.Sscan(after, &kB) // 0 if it says something else
	}
	return kB << 10
}

// BenchmarkReplayInputs is the replay from the inputs that verdicts keep: of which
// none is decided otherwise, and none is stored again.
func BenchmarkReplayInputs(b *testing.B) {
	s := open(b)
	s.fill(b)
	s.multiply(b, manyVerdicts)
	fromStream := best(b, 3, func() float64 { return s.again(b, nil) })
	stop := s.record(b)
	defer stop()
	w, err := warehouse.Open(b.Context(), s.ch)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = w.Close() }() // read only
	fromHouse := best(b, 3, func() float64 { return s.again(b, w) })
	b.Logf("%d kept inputs: from VERDICTS %.0f decisions/s, from ClickHouse %.0f decisions/s", s.n, fromStream, fromHouse)
	b.ReportMetric(fromStream, "stream/s")
	b.ReportMetric(fromHouse, "clickhouse/s")
	rate := max(fromStream, fromHouse)
	b.ReportMetric(rate/barInputs, "of-bar")
	if rate < barInputs {
		b.Errorf("%.0f decisions/s from inputs, want %.0f", rate, barInputs)
	}
}

// manyVerdicts is how many verdicts are decided from inputs: enough that the begin
// and the end of a run do not show.
const manyVerdicts = 400_000

// multiply repeats the live verdicts under other works' names until there are n.
func (s *shop) multiply(b *testing.B, n int) {
	b.Helper()
	for round := 0; s.n < n; round++ {
		more := slices.Clone(s.past)
		for i := range more {
			more[i].WorkID = fmt.Sprintf("%s-%d", more[i].WorkID, round)
			more[i].ID = pipeline.Verdict{Look: pipeline.LookPeek}.ID(pipeline.RunLive, more[i].WorkID)
		}
		if err := s.b.PublishBatch(b.Context(), more); err != nil {
			b.Fatal(err)
		}
		s.n += len(more)
	}
}

// again decides everything again from inputs and returns decisions a second.
func (s *shop) again(b *testing.B, w *warehouse.Warehouse) float64 {
	b.Helper()
	s.runs++
	var ch replay.Warehouse
	if w != nil {
		ch = w
	}
	began := time.Now()
	r, err := replay.Open(b.Context(), s.b, ch, replay.Options{
		Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: fmt.Sprintf("again-%d", s.runs), Depth: replay.Inputs, ChangedOnly: true,
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Run(b.Context(), ch); err != nil {
		b.Fatal(err)
	}
	if r.ReadsCH != (w != nil) || r.Sums.Same != s.n {
		b.Fatalf("%d of %d were decided alike, from ClickHouse: %t: %+v", r.Sums.Same, s.n, r.ReadsCH, r.Sums)
	}
	return float64(s.n) / time.Since(began).Seconds()
}

// BenchmarkStorage is how much of its JSON a captured product takes on RESPONSES.
func BenchmarkStorage(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(captured.Dir(b), "product", "*.gz"))
	if err != nil || len(files) == 0 {
		b.Fatalf("no captured products among the captured answers: %v", err)
	}
	raw, packed := 0, 0
	for _, file := range files {
		body := unzipped(b, file)
		raw, packed = raw+len(body), packed+len(responses.Pack(body))
	}
	share := float64(packed) / float64(max(1, raw))
	b.ReportMetric(share, "of-JSON")
	if raw == 0 || share > barStorage {
		b.Errorf("%d bytes of JSON are stored in %d, %.2f of it; want at most %.2f", raw, packed, share, barStorage)
	}
}

func unzipped(b *testing.B, file string) []byte {
	b.Helper()
	f, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	z, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		b.Fatal(err)
	}
	return body
}
