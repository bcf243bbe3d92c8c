package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/schemas"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

// row is a stored verdict.
type row struct {
	id, run, was string
	body         string
	v            pipeline.Verdict
}

// verdicts are a run's verdicts of a look, in the order of the stream.
func verdicts(t *testing.T, b *bus.Bus, run string, look pipeline.Look) []row {
	t.Helper()
	var out []row
	if err := bus.ScanJSON(t.Context(), b, pipeline.StreamVerdicts, bus.From{}, func(r bus.Read, v pipeline.Verdict) error {
		if r.Header.Get(pipeline.HeaderRunID) == run && v.Look == look {
			out = append(out, row{
				id: r.Header.Get(pipeline.HeaderMsgID), run: run, was: r.Header.Get(pipeline.HeaderWas), body: string(r.Body), v: v,
			})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// bodies are the verdicts' bytes.
func bodies(rows []row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.body
	}
	return out
}

// run replays to the end.
func run(t *testing.T, b *bus.Bus, o replay.Options) *replay.Replay {
	t.Helper()
	r, err := replay.Open(t.Context(), b, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// changed are the default rules with thresholds changed, which need no other inputs.
func changed(t *testing.T, pairs ...string) []byte {
	t.Helper()
	rules := schemas.UsedBooks
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(rules, []byte(pairs[i])) {
			t.Fatalf("the default rules have no %q", pairs[i])
		}
		rules = bytes.Replace(rules, []byte(pairs[i]), []byte(pairs[i+1]), 1)
	}
	return rules
}

// counts are what must not move while a replay runs.
func counts(t *testing.T, b *bus.Bus) map[string]uint64 {
	t.Helper()
	out := map[string]uint64{}
	for _, name := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors, pipeline.StreamResponses, pipeline.StreamDeals, pipeline.StreamLedger, pipeline.StreamDead} {
		s, err := b.JS.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = s.CachedInfo().State.LastSeq
	}
	return out
}

// start returns a box that has decided its backlog and spends no more.
func start(t *testing.T, clickhouse string) *standalone.Box {
	t.Helper()
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: t.TempDir(), World: standalone.Backlog, ClickHouse: clickhouse, Speed: 300, Seed: 1, Rate: 60, Balance: 3000, Tick: time.Minute,
		Settings: map[string]string{"RECORDER_FLUSH": "50ms"},
		Log:      slog.New(slog.DiscardHandler), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	desk.Await(t, "400 decided", func() bool {
		sum, err := cli.ReadReport(t.Context(), box.Bus)
		return err == nil && sum.Decided() >= 400
	})
	box.StopStages()
	return box
}

func TestAReplayOfALiveRun(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole backlog takes ten seconds")
	}
	t.Parallel()
	box := start(t, standalone.None)
	defer box.Stop(context.Background())
	before := counts(t, box.Bus)
	tally, err := cli.ReadReport(t.Context(), box.Bus)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("unchanged rules give the same bytes", func(t *testing.T) { sameBytes(t, box.Bus) })
	t.Run("other rules decide alike from inputs and from answers", func(t *testing.T) { sameDepths(t, box.Bus) })
	t.Run("what was interrupted and resumed is what was not", func(t *testing.T) { interrupted(t, box.Bus) })
	t.Run("two processes with one run do not double it", func(t *testing.T) { twoAtOnce(t, box.Bus) })
	t.Run("a crash before the record repeats nothing", func(t *testing.T) { crashed(t, box.Bus) })
	t.Run("a record that cannot be is refused with the next step", func(t *testing.T) { damaged(t, box.Bus) })
	t.Run("a run that would push live verdicts out is refused", func(t *testing.T) { crowded(t, box.Bus) })
	t.Run("filters select", func(t *testing.T) { filters(t, box.Bus) })
	t.Run("a run's name belongs to its options", func(t *testing.T) { names(t, box.Bus) })

	if after := counts(t, box.Bus); !maps.Equal(before, after) {
		t.Errorf("a replay wrote elsewhere than on VERDICTS: %v became %v", before, after)
	}
	again, err := cli.ReadReport(t.Context(), box.Bus)
	if err != nil || again.Decided() != tally.Decided() || len(again.Accepted()) != len(tally.Accepted()) {
		t.Errorf("live counts moved from %d/%d to %d/%d (%v)", tally.Decided(), len(tally.Accepted()), again.Decided(), len(again.Accepted()), err)
	}
	t.Run("what newly passes is published once", func(t *testing.T) { publish(t, box.Bus) })
	t.Run("what is not a verdict is skipped", func(t *testing.T) { littered(t, box.Bus) })
}

// chosen is how many of the verdicts their inputs suffice for: those of commits that had no choice among copies, and
// all of other looks.
func chosen(live []row) int {
	n := 0
	for _, r := range live {
		if copies, ok := r.v.Inputs["copy_count"].(float64); !ok || copies <= 1 {
			n++
		}
	}
	return n
}

func sameBytes(t *testing.T, b *bus.Bus) {
	for _, look := range []pipeline.Look{pipeline.LookPeek, pipeline.LookCommit} {
		live := verdicts(t, b, pipeline.RunLive, look)
		for _, depth := range []replay.Depth{replay.Inputs, replay.Answers} {
			name := fmt.Sprintf("same-%s-%s", look, depth)
			r := run(t, b, replay.Options{Look: look, Rules: schemas.UsedBooks, Run: name, Depth: depth, Batch: 16})
			if r.Sums.Changed != 0 || r.Sums.Same != len(live) || len(live) < 30 {
				t.Errorf("%s: %d alike and %d otherwise of %d; lost %v", name, r.Sums.Same, r.Sums.Changed, len(live), r.Sums.Lost)
			}
			if depth == replay.Inputs && r.Sums.FromInputs < chosen(live)*9/10 || depth == replay.Answers && r.Sums.FromInputs != 0 {
				t.Errorf("%s: %d from inputs, %d from answers", name, r.Sums.FromInputs, r.Sums.FromAnswers)
			}
			got := verdicts(t, b, name, look)
			if !slices.Equal(bodies(got), bodies(live)) {
				t.Errorf("%s: %d verdicts are not those %d of the live run, byte for byte%s", name, len(got), len(live), firstDifference(bodies(got), bodies(live)))
			}
			for i, v := range got {
				if want := name + ":" + strings.TrimPrefix(live[i].id, pipeline.RunLive+":"); v.id != want {
					t.Fatalf("%s: id %q, want %q", name, v.id, want)
				}
			}
		}
	}
}

// littered publishes on the subjects of verdicts what is not a verdict: by hand, or by an unknown build.
func littered(t *testing.T, b *bus.Bus) {
	live := len(verdicts(t, b, pipeline.RunLive, pipeline.LookPeek))
	for _, schema := range []string{pipeline.SchemaVerdict, "verdict.v999"} {
		for n, body := range []string{`{`, `null`, `{}`, `{"asin":5}`, `{"asin":"0006120725","decided_at":"yesterday"}`, `{"asin":"0006120725","look":"peek","outcome":"reject"}`} {
			_, err := b.Publish(t.Context(), bus.Message{
				Subject: pipeline.SubjectVerdict(1, pipeline.LookPeek, pipeline.Reject, "0006120725"), Schema: schema,
				ID: fmt.Sprintf("litter %s %d", schema, n), Body: []byte(body),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, depth := range []replay.Depth{replay.Inputs, replay.Answers} {
		r := run(t, b, replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "littered-" + string(depth), Depth: depth})
		if r.Sums.Selected != live || r.Sums.Same != live {
			t.Errorf("from %s %d are selected and %d decided alike, want all %d: %+v", depth, r.Sums.Selected, r.Sums.Same, live, r.Sums)
		}
	}
}

func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "\n" + a[i] + "\n" + b[i]
		}
	}
	return ""
}

// A run with a recorder: the inputs come from ClickHouse.
func TestAReplayFromClickHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole backlog takes ten seconds")
	}
	t.Parallel()
	url := chtest.Database(t)
	box := start(t, url)
	defer box.Stop(context.Background())
	w, err := warehouse.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }() // nothing is written through it
	for _, look := range []pipeline.Look{pipeline.LookPeek, pipeline.LookCommit} {
		for name, rules := range map[string][]byte{
			"same":  schemas.UsedBooks,
			"other": changed(t, "min_roi_percent: 0", "min_roi_percent: 60", "min_sales_in_year: 1", "min_sales_in_year: 0"),
		} {
			fromHouse(t, box, w, look, name, rules)
		}
	}
	pieces(t, box, w)
	box.AwaitRecorder(t.Context(), time.Minute)
	for _, run := range []string{"same-peek-house", "same-commit-house", "pieces"} {
		var n int
		if rows, err := w.SQL(t.Context(), "SELECT uniqExact(work_id) FROM verdicts WHERE run = '"+run+"'", true); err != nil {
			t.Fatal(err)
		} else if n, err = strconv.Atoi(fmt.Sprint(rows.Rows[0][0])); err != nil {
			t.Fatal(err)
		}
		if want := len(verdicts(t, box.Bus, run, pipeline.LookPeek)) + len(verdicts(t, box.Bus, run, pipeline.LookCommit)); n != want || n == 0 {
			t.Errorf("ClickHouse has %d verdicts of run %s, want %d", n, run, want)
		}
	}
	visible, err := w.Ask(t.Context(), "deal-counts", nil)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.Index(visible.Columns, "visible"); i < 0 || fmt.Sprint(visible.Rows[0][i]) != "20" {
		t.Errorf("after the replays %v deals are visible: %v, want 20", visible.Columns, visible.Rows)
	}
}

func fromHouse(t *testing.T, box *standalone.Box, w *warehouse.Warehouse, look pipeline.Look, name string, rules []byte) {
	t.Helper()
	stream := fmt.Sprintf("%s-%s-stream", name, look)
	run(t, box.Bus, replay.Options{Look: look, Rules: rules, Run: stream, Depth: replay.Answers})
	want := bodies(verdicts(t, box.Bus, stream, look))
	if name == "same" {
		want = bodies(verdicts(t, box.Bus, pipeline.RunLive, look))
	}
	for _, only := range []bool{false, true} {
		house := fmt.Sprintf("%s-%s-house", name, look)
		if only {
			house += "-changed"
		}
		r, err := replay.Open(t.Context(), box.Bus, w, replay.Options{Look: look, Rules: rules, Run: house, Batch: 16, ChangedOnly: only}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.Describe(), "from ClickHouse") {
			t.Errorf("%s: %s", house, r.Describe())
		}
		if err := r.Run(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		got := bodies(verdicts(t, box.Bus, house, look))
		if only {
			if len(got) != r.Sums.Changed || r.Sums.Same+r.Sums.Changed != len(want) || (name == "same") != (len(got) == 0) {
				t.Errorf("%s: stored %d of %d changed and %d alike, want all of %d looked at", house, len(got), r.Sums.Changed, r.Sums.Same, len(want))
			}
			continue
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: %d verdicts are not the %d that answers give%s", house, len(got), len(want), firstDifference(got, slices.Sorted(slices.Values(want))))
		}
	}
}

// pieces interrupts a run over ClickHouse again and again.
func pieces(t *testing.T, box *standalone.Box, w *warehouse.Warehouse) {
	t.Helper()
	cut := 0
	for done := false; !done && cut < 200; cut++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		steps := 0
		r, err := replay.Open(ctx, box.Bus, w, replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "pieces", Batch: 8, Resume: cut > 0}, func(replay.Step) {
			if steps++; steps == 3 {
				cancel(errPower)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(ctx, w); err == nil != r.Done {
			t.Fatalf("run ended with %v, done %t", err, r.Done)
		}
		cancel(nil)
		done = r.Done
	}
	got, want := bodies(verdicts(t, box.Bus, "pieces", pipeline.LookPeek)), bodies(verdicts(t, box.Bus, "same-peek-house", pipeline.LookPeek))
	if cut < 3 || !slices.Equal(got, want) {
		t.Errorf("%d verdicts in %d pieces, want %d%s", len(got), cut, len(want), firstDifference(got, want))
	}
}

func sameDepths(t *testing.T, b *bus.Bus) {
	rules := changed(t, "min_roi_percent: 0", "min_roi_percent: 60", "min_sales_in_year: 1", "min_sales_in_year: 0")
	for _, look := range []pipeline.Look{pipeline.LookPeek, pipeline.LookCommit} {
		byDepth := map[replay.Depth][]string{}
		for _, depth := range []replay.Depth{replay.Inputs, replay.Answers} {
			name := fmt.Sprintf("other-%s-%s", look, depth)
			r := run(t, b, replay.Options{Look: look, Rules: rules, Run: name, Depth: depth})
			if r.Sums.Changed == 0 {
				t.Errorf("%s: nothing changed", name)
			}
			byDepth[depth] = bodies(verdicts(t, b, name, look))
		}
		if !slices.Equal(byDepth[replay.Inputs], byDepth[replay.Answers]) {
			t.Errorf("%s: the two depths differ%s", look, firstDifference(byDepth[replay.Inputs], byDepth[replay.Answers]))
		}
	}
}

// errPower is a power cut.
var errPower = errors.New("power cut")

func interrupted(t *testing.T, b *bus.Bus) {
	rules := changed(t, "min_roi_percent: 0", "min_roi_percent: 60")
	whole := run(t, b, replay.Options{Look: pipeline.LookPeek, Rules: rules, Run: "whole", Depth: replay.Answers, Batch: 8})
	want := bodies(verdicts(t, b, "whole", pipeline.LookPeek))
	cut := 0
	for done := false; !done && cut < 100; {
		ctx, cancel := context.WithCancelCause(t.Context())
		steps := 0
		r, err := replay.Open(ctx, b, nil, replay.Options{Look: pipeline.LookPeek, Rules: rules, Run: "pieces", Depth: replay.Answers, Batch: 8, Resume: cut > 0}, func(s replay.Step) {
			if steps++; steps == 3 {
				cancel(errPower)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		err = r.Run(ctx, nil)
		cancel(nil)
		done = r.Done
		cut++
		if err == nil != done {
			t.Fatalf("run ended with %v, done %t", err, done)
		}
	}
	if got := bodies(verdicts(t, b, "pieces", pipeline.LookPeek)); cut < 3 || !slices.Equal(got, want) {
		t.Errorf("%d verdicts in %d pieces, want the %d of the whole%s", len(got), cut, len(want), firstDifference(got, want))
	}
	r, err := replay.Open(t.Context(), b, nil, replay.Options{Run: "pieces", Resume: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := encode(t, r.Sums), encode(t, whole.Sums); a != b {
		t.Errorf("the pieces add up to\n%s, the whole to\n%s", a, b)
	}
}

// forgetful makes the stream forget ids at once, as if a day had passed.
func forgetful(t *testing.T, b *bus.Bus, stream string) {
	t.Helper()
	streams.Change(t, b, stream, func(c *jetstream.StreamConfig) { c.Duplicates = 100 * time.Millisecond })
}

// damaged resumes from an invalid record of the run, which stops only this run.
func damaged(t *testing.T, b *bus.Bus) {
	o := replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "damaged", Depth: replay.Inputs, Batch: 8}
	run(t, b, o)
	kv, err := b.Store(t.Context(), pipeline.BucketRuns)
	if err != nil {
		t.Fatal(err)
	}
	right, err := kv.Get(t.Context(), "damaged")
	if err != nil {
		t.Fatal(err)
	}
	with := func(field string, value any) string {
		var all map[string]any
		if err := json.Unmarshal(right.Value(), &all); err != nil {
			t.Fatal(err)
		}
		all[field], all["done"] = value, false
		return encode(t, all)
	}
	next := func(n int64) map[string]any { return map[string]any{"next": n} }
	for _, wrong := range []string{
		"{", "[]", "{}", strings.Repeat("x", 1<<20), with("place", next(-5)), with("place", next(9e18)), with("until", int64(9e18)), with("answers", int64(9e18)),
		with("stored", int64(9e18)), with("since", -5), with("published", -5), with("look", "list"), with("run", "another"),
	} {
		if _, err := kv.Put(t.Context(), "damaged", []byte(wrong)); err != nil {
			t.Fatal(err)
		}
		_, err := replay.Open(t.Context(), b, nil, replay.Options{Run: "damaged", Resume: true}, nil)
		if err == nil || !strings.Contains(err.Error(), "RUNS/damaged") || !strings.Contains(err.Error(), "nats kv del RUNS damaged") {
			t.Errorf("%.200s: got %v, want the key and the next step", wrong, err)
		}
	}
	if err := kv.Delete(t.Context(), "damaged"); err != nil {
		t.Fatal(err)
	}
	run(t, b, o) // from the beginning, to the same verdicts
	if _, err := kv.Put(t.Context(), "damaged", right.Value()); err != nil {
		t.Fatal(err)
	}
	if r := run(t, b, replay.Options{Run: "damaged", Resume: true}); !r.Done {
		t.Error("it is right again, and the run is not complete")
	}
}

// A crash after verdicts were stored and before the record said so.
func crashed(t *testing.T, b *bus.Bus) {
	forgetful(t, b, pipeline.StreamVerdicts)
	o := replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "crashed", Depth: replay.Answers, Batch: 8}
	r, err := replay.Open(t.Context(), b, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := b.Store(t.Context(), pipeline.BucketRuns)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := kv.Get(t.Context(), "crashed")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := bodies(verdicts(t, b, "crashed", pipeline.LookPeek))
	if _, err := kv.Put(t.Context(), "crashed", begun.Value()); err != nil {
		t.Fatal(err)
	}
	<-time.After(200 * time.Millisecond) // until the ids are forgotten
	again := run(t, b, replay.Options{Run: "crashed", Resume: true, Batch: 8})
	if got := bodies(verdicts(t, b, "crashed", pipeline.LookPeek)); !slices.Equal(got, want) {
		t.Errorf("%d verdicts became %d", len(want), len(got))
	}
	if encode(t, again.Sums) != encode(t, r.Sums) {
		t.Errorf("found\n%s, then\n%s", encode(t, r.Sums), encode(t, again.Sums))
	}
}

// A replay must not cost the live verdicts their place.
func crowded(t *testing.T, b *bus.Bus) {
	s, err := b.JS.Stream(t.Context(), pipeline.StreamVerdicts)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	roomy := cfg.MaxBytes
	cfg.MaxBytes = int64(s.CachedInfo().State.Bytes) + 1000 //nolint:gosec // small
	if _, err := b.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	o := replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "crowded"}
	if _, err := replay.Open(t.Context(), b, nil, o, nil); err == nil || !strings.Contains(err.Error(), "--changed-only") {
		t.Errorf("opened in a full stream: %v", err)
	}
	o.ChangedOnly = true
	run(t, b, o)
	cfg.MaxBytes = roomy
	if _, err := b.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func twoAtOnce(t *testing.T, b *bus.Bus) {
	o := replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "twins", Batch: 8}
	first, err := replay.Open(t.Context(), b, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, b, replay.Options{Run: "twins", Resume: true})
	if err := first.Run(t.Context(), nil); !errors.Is(err, replay.ErrTaken) {
		t.Errorf("the first continues: %v", err)
	}
	if got, want := len(verdicts(t, b, "twins", pipeline.LookPeek)), len(verdicts(t, b, pipeline.RunLive, pipeline.LookPeek)); got != want {
		t.Errorf("%d verdicts of two at once, want %d", got, want)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func filters(t *testing.T, b *bus.Bus) {
	live := verdicts(t, b, pipeline.RunLive, pipeline.LookPeek)
	one := live[len(live)/2].v
	middle := live[len(live)/2].v.DecidedAt
	for name, c := range map[string]struct {
		o    replay.Options
		want func(pipeline.Verdict) bool
	}{
		"asin":   {replay.Options{ASIN: one.ASIN}, func(v pipeline.Verdict) bool { return v.ASIN == one.ASIN }},
		"reason": {replay.Options{Reason: "no_inferred_sale"}, func(v pipeline.Verdict) bool { return v.Reason == "no_inferred_sale" }},
		"source": {replay.Options{Source: pipeline.SourceLive}, func(v pipeline.Verdict) bool { return v.Source == pipeline.SourceLive }},
		"none":   {replay.Options{Source: pipeline.SourceRepair}, func(pipeline.Verdict) bool { return false }},
		"from":   {replay.Options{From: middle}, func(v pipeline.Verdict) bool { return !v.DecidedAt.Before(middle) }},
		"to":     {replay.Options{To: middle}, func(v pipeline.Verdict) bool { return v.DecidedAt.Before(middle) }},
	} {
		c.o.Look, c.o.Rules, c.o.Run = pipeline.LookPeek, schemas.UsedBooks, "only-"+name
		run(t, b, c.o)
		var want []string
		for _, r := range live {
			if c.want(r.v) {
				want = append(want, r.body)
			}
		}
		if got := bodies(verdicts(t, b, c.o.Run, pipeline.LookPeek)); !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s selects %d verdicts, want %d", name, len(got), len(want))
		}
	}
}

func names(t *testing.T, b *bus.Bus) {
	whole := replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "named"}
	run(t, b, whole)
	for name, o := range map[string]replay.Options{
		"again without --resume": whole,
		"another look":           {Look: pipeline.LookCommit, Run: "named", Resume: true},
		"other rules":            {Rules: changed(t, "min_roi_percent: 0", "min_roi_percent: 1"), Run: "named", Resume: true},
		"another reason":         {Reason: "low_roi", Run: "named", Resume: true},
		"an unknown run":         {Run: "unheard-of", Resume: true},
		"live":                   {Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "live"},
		"no name":                {Look: pipeline.LookPeek, Rules: schemas.UsedBooks},
		"a name with a dot":      {Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "a.b"},
		"the glance":             {Look: pipeline.LookGlance, Rules: schemas.UsedBooks, Run: "glances"},
	} {
		if _, err := replay.Open(t.Context(), b, nil, o, nil); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if r := run(t, b, replay.Options{Run: "named", Resume: true}); r.Sums.Selected == 0 {
		t.Error("resuming what is complete does not tell what it found")
	}
}

func publish(t *testing.T, b *bus.Bus) {
	lax := changed(t, "min_sales_in_year: 1", "min_sales_in_year: 0", "min_profit_cents: 300", "min_profit_cents: -100000", "min_roi_percent: 0", "min_roi_percent: -100",
		"max_loss_chance: 0.40", "max_loss_chance: 0.9999", "min_n_eff: 2", "min_n_eff: 0")
	r := run(t, b, replay.Options{Look: pipeline.LookPeek, Rules: lax, Run: "lax"})
	if r.Sums.NewCount == 0 {
		t.Fatalf("nothing newly passes: %s", encode(t, r.Sums))
	}
	first := counts(t, b)[pipeline.StreamCandidates] + 1
	for range 3 {
		again, err := replay.Open(t.Context(), b, nil, replay.Options{Run: "lax", Resume: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again.Published != r.Sums.NewCount {
			t.Errorf("says that it published %d, want %d", again.Published, r.Sums.NewCount)
		}
	}
	seen := map[string]int{}
	if err := bus.ScanJSON(t.Context(), b, pipeline.StreamCandidates, bus.From{Sequence: first}, func(m bus.Read, c pipeline.Candidate) error {
		work := m.Header.Get(pipeline.HeaderWorkID)
		if want := pipeline.SubjectCandidate(c.Domain, pipeline.SourceRetry, c.ASIN); m.Subject != want || c.Source != pipeline.SourceRetry {
			t.Errorf("candidate on %s of source %s, want %s", m.Subject, c.Source, want)
		}
		if id := m.Header.Get(pipeline.HeaderMsgID); id != "lax:"+work || work != c.WorkID(pipeline.ReplayGeneration("lax")) {
			t.Errorf("id %q of work %q", id, work)
		}
		seen[work]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != r.Sums.NewCount {
		t.Errorf("published %d candidates, want %d", len(seen), r.Sums.NewCount)
	}
	for work, n := range seen {
		if n != 1 {
			t.Errorf("work %s was published %d times", work, n)
		}
	}
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"What changed", "reject no_sale_in_year", "Candidates that would have gone on to the commit"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the comparison has no %q:\n%s", want, out.String())
		}
	}
}
