// Package damage_test damages the files of a store, one and two at a time, and starts the
// pipeline on it.
package damage_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/text/foreign"
)

// startWithin is how long a start on a damaged store may take.
const startWithin = 15 * time.Second

// whole asks for every damage: make damage.
var whole = os.Getenv("RATCHET_DAMAGE") == "all"

// patience is how long a test waits for what must happen.
const patience = 3 * time.Minute

// lines are the warnings and errors that were logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *lines) WithGroup(string) slog.Handler                    { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	out := r.Message
	r.Attrs(func(a slog.Attr) bool { out += " " + a.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, out)
	return nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

func (l *lines) has(text string) bool { return strings.Contains(l.String(), text) }

func start(t *testing.T, dir string, log *lines) (*standalone.Box, error) {
	t.Helper()
	return startWith(t, dir, log, nil)
}

func startWith(t *testing.T, dir string, log *lines, settings map[string]string) (*standalone.Box, error) {
	t.Helper()
	return standalone.Start(t.Context(), standalone.Options{
		Data: dir, World: standalone.Simulated, Speed: 300, Rate: 30, Balance: standalone.FullBucket, Seed: 1,
		ClickHouse: standalone.None, Log: slog.New(log), Version: "test", Settings: settings,
	})
}

// facts is what a store holds: the tests compare before and after.
type facts struct {
	last   map[string]uint64 // sequence by stream
	floors map[string]uint64 // by STREAM/CONSUMER
	paid   map[string]string // the claim by subject and Work-Id
	twice  []string          // what was paid for under two claims
	// looks are the looks that ended, as "WORK LOOK", and final the works that are decided.
	looks map[string]bool
	final map[string]bool
	works map[string]bool // every candidate's and survivor's
	// passed are the works that a consumer passed by: settled, and their look never ended.
	passed []string
}

// read reads what is stored. An answer is paid for again when another claim bought it for the same
// work.
func read(t *testing.T, b *bus.Bus, before *facts) facts {
	t.Helper()
	f := facts{
		last: map[string]uint64{}, floors: map[string]uint64{}, paid: map[string]string{},
		looks: map[string]bool{}, final: map[string]bool{}, works: map[string]bool{},
	}
	if before != nil {
		maps.Copy(f.paid, before.paid)
		maps.Copy(f.looks, before.looks)
		maps.Copy(f.final, before.final)
	}
	list := b.JS.ListStreams(t.Context())
	for i := range list.Info() {
		f.last[i.Config.Name] = i.State.LastSeq
		all, err := b.Backlogs(t.Context(), i.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		for name, l := range all {
			f.floors[i.Config.Name+"/"+name] = l.Settled
		}
	}
	err := b.Scan(t.Context(), pipeline.StreamResponses, bus.From{}, func(r bus.Read) error {
		kind := r.Header.Get(pipeline.HeaderKind)
		if kind != string(pipeline.KindPeek) && kind != string(pipeline.KindCommit) || strings.Contains(r.Subject, ".attempt.") {
			return nil // a call that was begun is no answer: on a busy machine one times out, and the next is another
		}
		what, claim := r.Subject+" "+r.Header.Get(pipeline.HeaderWorkID), r.Header.Get(pipeline.HeaderRequestID)
		if by, known := f.paid[what]; known && by != claim {
			f.twice = append(f.twice, what)
		}
		f.paid[what] = claim
		return nil
	})
	if err == nil {
		err = f.readWork(t.Context(), b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// readWork reads what there is to decide and what was decided.
func (f *facts) readWork(ctx context.Context, b *bus.Bus) error {
	if err := b.Scan(ctx, pipeline.StreamVerdicts, bus.From{Headers: true}, func(r bus.Read) error {
		word, work := strings.Split(r.Subject, "."), r.Header.Get(pipeline.HeaderWorkID)
		f.looks[work+" "+word[2]] = true
		f.final[work] = f.final[work] || pipeline.Outcome(word[3]).Final()
		return nil
	}); err != nil {
		return err
	}
	if err := b.Scan(ctx, pipeline.StreamCandidates, bus.From{Headers: true}, func(r bus.Read) error {
		f.works[r.Header.Get(pipeline.HeaderWorkID)] = true
		return nil
	}); err != nil {
		return err
	}
	return b.Scan(ctx, pipeline.StreamSurvivors, bus.From{Headers: true}, func(r bus.Read) error {
		word, work := strings.Split(r.Subject, "."), r.Header.Get(pipeline.HeaderWorkID)
		durable, next := pipeline.DurablePeek(pipeline.Source(word[3])), pipeline.LookPeek
		if word[2] == string(pipeline.LookPeek) {
			durable, next = pipeline.DurableCommit(pipeline.Tier(word[3])), pipeline.LookCommit
		}
		f.works[work] = true
		// Look at the floor only, which was read before the verdicts were.
		if r.Sequence <= f.floors[pipeline.StreamSurvivors+"/"+durable] && !f.final[work] && !f.looks[work+" "+string(next)] {
			f.passed = append(f.passed, r.Subject)
		}
		return nil
	})
}

// gone are the works of before that nobody will decide: they are not decided and stand nowhere.
func (f facts) gone(before facts) []string {
	var out []string
	for work := range before.works {
		if !f.final[work] && !f.works[work] {
			out = append(out, work)
		}
	}
	return out
}

// await returns when the condition holds.
func await(t *testing.T, what string, log *lines, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not the case after %s; the log:\n%s", what, patience, log)
		}
	}
}

// template is a store with work in every state: waiting, decided, paid for.
func template(t *testing.T) (string, facts) {
	t.Helper()
	dir := t.TempDir()
	log := &lines{}
	box, err := start(t, dir, log)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "work in every state", log, func() bool {
		s, err := box.Bus.JS.Stream(t.Context(), pipeline.StreamDeals)
		return err == nil && s.CachedInfo().State.LastSeq >= 3
	})
	box.StopStages()
	fill(t, box.Bus)
	f := read(t, box.Bus, nil)
	box.Stop(t.Context())
	return dir, f
}

// fill gives those a message that such a run leaves empty: an empty file cannot be damaged.
func fill(t *testing.T, b *bus.Bus) {
	t.Helper()
	for _, bucket := range []string{pipeline.BucketWants, pipeline.BucketPosted, pipeline.BucketRuns} {
		put(t, b, bucket, "some.key", []byte(`{}`))
	}
	m, err := bus.Encode(pipeline.SubjectDead("peeker", "B000000000"), pipeline.SchemaDead, "dead", "dead", pipeline.Dead{Reason: "test", Error: foreign.Of("a test")})
	if err == nil {
		_, err = b.Publish(t.Context(), m)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// files are the files of the store, in one order.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		out = append(out, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hows are the ways to damage a file.
var hows = []string{"zeroed", "halved", "random", "empty", "missing"}

// damage damages one file; false where that changes nothing.
func damage(t *testing.T, file, how string) bool {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) == 0 && how != "missing" {
		return false
	}
	switch how {
	case "zeroed":
		clear(raw)
	case "halved":
		raw = raw[:len(raw)/2]
	case "random":
		r := rand.New(rand.NewPCG(1, uint64(len(raw))))
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
	case "empty":
		raw = nil
	case "missing":
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

// hurt is one damaged file.
type hurt struct {
	file, how string
	empty     bool // it was empty before
}

func (h hurt) String() string {
	return strings.TrimPrefix(strings.TrimPrefix(h.file, "simulated/nats/"), "jetstream/$G/streams/") + " " + h.how
}

// some are the damages that run in every CI: one of each kind of file, the ones that kept the
// pipeline from starting, and pairs that the server cannot notice alone.
func some() [][]hurt {
	in := func(file, how string) hurt {
		return hurt{file: "simulated/nats/jetstream/$G/streams/" + file, how: how}
	}
	return [][]hurt{
		{in("CANDIDATES/obs/glance/o.dat", "zeroed")},
		{in("SURVIVORS/msgs/1.blk", "halved")},
		{in("KV_TOKENS/msgs/1.blk", "missing")},
		{in("RESPONSES/meta.inf", "empty"), in("SURVIVORS/obs/peek-backfill/o.dat", "random")},
		{in("SURVIVORS/obs/peek-live/o.dat", "random")},
		{in("CANDIDATES/msgs/1.blk", "zeroed"), in("CANDIDATES/msgs/index.db", "missing")},
		{in("VERDICTS/meta.sum", "missing"), {file: "simulated/nats/marks.json", how: "random"}},
		{{file: "simulated/place.json", how: "halved"}},
	}
}

// every are all damages of one file, and pairs of files drawn from a seed, in an order of its own.
func every(all []string) [][]hurt {
	var out [][]hurt
	for _, f := range all {
		for _, how := range hows {
			out = append(out, []hurt{{file: f, how: how}})
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 60 {
		a, b := r.IntN(len(all)), r.IntN(len(all))
		if a != b {
			out = append(out, []hurt{{file: all[a], how: hows[r.IntN(len(hows))]}, {file: all[b], how: hows[r.IntN(len(hows))]}})
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestTheStoreStartsWithDamagedFilesAndNothingIsPaidForAgain is the matrix of docs/damage.md:
// RATCHET_DAMAGE=all runs all of it.
func TestTheStoreStartsWithDamagedFilesAndNothingIsPaidForAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a pipeline and starts its store many times")
	}
	dir, before := template(t)
	cases := some()
	if whole {
		cases = every(files(t, dir))
	}
	var slowest atomic.Int64
	for _, hurts := range cases {
		t.Run(strings.ReplaceAll(fmt.Sprint(hurts), "/", "."), func(t *testing.T) {
			t.Parallel()
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			changed := false
			for i, h := range hurts {
				file := filepath.Join(copied, h.file)
				fi, err := os.Stat(file)
				hurts[i].empty = err == nil && fi.Size() == 0
				changed = damage(t, file, h.how) || changed
			}
			if !changed {
				t.Skip("the file is empty as it is")
			}
			surveyed(t, copied, hurts)
			took := int64(starts(t, copied, before, hurts))
			for old := slowest.Load(); took > old && !slowest.CompareAndSwap(old, took); old = slowest.Load() {
			}
		})
	}
	t.Cleanup(func() {
		t.Logf("%d cases, the slowest start took %s", len(cases), time.Duration(slowest.Load()).Round(time.Millisecond))
	})
}

// starts starts the pipeline and lets it work until it has looked at everything again.
func starts(t *testing.T, dir string, before facts, hurts []hurt) time.Duration {
	t.Helper()
	log := &lines{}
	began := time.Now()
	box, err := start(t, dir, log)
	took := time.Since(began)
	if took > startWithin {
		t.Errorf("the start took %s, want %s", took, startWithin)
	}
	if err != nil {
		if !strings.Contains(err.Error(), dir) || !remedied(err.Error()) {
			t.Errorf("it does not start and does not say what to do: %v", err)
		}
		return took
	}
	defer box.Stop(context.WithoutCancel(t.Context()))
	glanced(t, box.Bus, log)
	verdicts := read(t, box.Bus, &before).last[pipeline.StreamVerdicts]
	await(t, "a verdict after the start", log, func() bool {
		s, err := box.Bus.JS.Stream(t.Context(), pipeline.StreamVerdicts)
		return err == nil && s.CachedInfo().State.LastSeq > verdicts
	})
	after := read(t, box.Bus, &before)
	for stream, last := range before.last {
		if after.last[stream] < last && !temporary(stream) && !marksLost(hurts) {
			t.Errorf("%s stands at #%d and had reached #%d", stream, after.last[stream], last)
		}
	}
	if len(after.passed) > 0 {
		t.Errorf("skipped: %d, first %s; the log says:\n%s", len(after.passed), after.passed[0], log)
	}
	if !log.has("reads its list again") {
		await(t, "every work is decided or waits", log, func() bool { return len(read(t, box.Bus, &before).gone(before)) == 0 })
	}
	if len(after.twice) > 0 {
		t.Errorf("paid for again: %d answers, first %s; the log says:\n%s", len(after.twice), after.twice[0], log)
	}
	return took
}

// temporary are the buckets whose values leave by themselves.
func temporary(stream string) bool {
	return slices.Contains([]string{"KV_STATUS", "KV_TOKEND", "KV_ORDERS"}, stream)
}

// marksLost reports whether what the store held is not known either.
func marksLost(hurts []hurt) bool {
	return slices.ContainsFunc(hurts, func(h hurt) bool { return strings.HasSuffix(h.file, "marks.json") })
}

// remedied reports whether a message says what to do.
func remedied(says string) bool {
	return strings.Contains(says, "delete it") || strings.Contains(says, "move that directory away")
}

// glanced waits until every candidate that is stored was looked at.
func glanced(t *testing.T, b *bus.Bus, log *lines) {
	t.Helper()
	await(t, "every candidate is looked at", log, func() bool {
		all, err := b.Backlogs(t.Context(), pipeline.StreamCandidates)
		l := all[pipeline.DurableGlance]
		return err == nil && l.Pending == 0 // what comes back later was looked at too
	})
}

// surveyed asks the doctor about the store while nothing runs: the damaged part, and no other, is
// not intact.
func surveyed(t *testing.T, dir string, hurts []hurt) {
	t.Helper()
	parts, err := natsd.Survey(filepath.Join(dir, "simulated", "nats"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, h := range hurts {
		want[partOf(h.file)] = true
	}
	for _, p := range parts {
		if (p.Err != nil || p.Repair != "") && !want[p.Name] {
			t.Errorf("%s is intact, and the survey says %v %s", p.Name, p.Err, p.Repair)
		}
	}
	for _, h := range hurts {
		if h.empty || strings.HasSuffix(h.file, ".blk") && (h.how == "empty" || h.how == "missing") && marksLost(hurts) {
			continue // without the marks a block that is not there is one that never was
		}
		name := partOf(h.file)
		i := slices.IndexFunc(parts, func(p natsd.Part) bool { return p.Name == name })
		if i < 0 || unseen(h) {
			continue
		}
		if p := parts[i]; p.Err == nil && p.Repair == "" {
			t.Errorf("%s: the survey says %s is intact: %s", h, name, p.Contents)
		}
	}
}

// partOf is the name under which the survey speaks of a file.
func partOf(file string) string {
	parts := strings.Split(strings.TrimPrefix(file, "simulated/nats/jetstream/$G/streams/"), "/")
	stream := "stream " + parts[0]
	if bucket, ok := pipeline.BucketOf(parts[0]); ok {
		stream = "bucket " + bucket
	}
	if len(parts) > 2 && parts[1] == "obs" {
		return "consumer " + parts[2] + " on " + parts[0]
	}
	return stream
}

// unseen are the damages that change nothing that counts: a state or an index that is not there is
// one that was never written, and the server rebuilds the wheel of the TTLs.
func unseen(h hurt) bool {
	name := filepath.Base(h.file)
	gone := h.how == "missing" || h.how == "empty"
	return name == "thw.db" || gone && (name == "o.dat" || name == "index.db") || name == "meta.sum" && strings.Contains(h.file, "/obs/") && h.how != "missing" ||
		gone && strings.HasSuffix(name, ".blk") && strings.Contains(h.file, "KV_") && !strings.Contains(h.file, "KV_TOKENS/")
}
