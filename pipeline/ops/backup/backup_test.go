package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/backup"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

const key = "a-key"

// speed is that of the pipelines' clocks: a claim that was open is given up after two of its minutes, and at least
// ten seconds.
const speed = 60

// The tokens of a world pay for a third of its backlog. A few come in while a backup is made of the pipeline at work,
// and credit pays for the rest afterwards.
const (
	balance = 160
	rate    = 5
	credit  = 400
)

// world is what no backup holds: a Keepa, and the time.
type world struct {
	*keepasim.Sim
	clock process.Clock
	url   string
}

// outside is a world before any pipeline.
func outside(t *testing.T) world {
	t.Helper()
	clock := process.NewClock(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), speed)
	sim := keepasim.New(keepasim.Options{
		Now: clock.Now, After: clock.After, Seed: 1, Key: key, Rate: rate, Balance: balance, Catalogue: keepasim.Backlog400(1),
	})
	sim.Start(clock.Now())
	server := httptest.NewServer(sim)
	t.Cleanup(server.CloseClientConnections)
	return world{sim, clock, server.URL}
}

// options are a box of that world.
func (w world) options(t *testing.T, clickHouse string) standalone.Options {
	t.Helper()
	return standalone.Options{
		Data: t.TempDir(), World: standalone.Backlog, ClickHouse: clickHouse, Speed: speed, Rate: rate,
		Settings: map[string]string{"KEEPA_URL": w.url, "KEEPA_API_KEY": key},
		Log:      slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Version: "test",
	}
}

// start starts a box at the time of the world.
func (w world) start(t *testing.T, o standalone.Options) (box *standalone.Box, stop func()) {
	t.Helper()
	dir := filepath.Join(o.Data, string(o.World))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "place.json"), fmt.Appendf(nil, `{"at":%q}`, w.clock.Now().Format(time.RFC3339Nano)), 0o600); err != nil {
		t.Fatal(err)
	}
	box, err := standalone.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() { box.Stop(context.Background()) })
	t.Cleanup(stop)
	return box, stop
}

func decided(t *testing.T, box *standalone.Box, n int) {
	t.Helper()
	desk.Await(t, fmt.Sprintf("%d decided", n), func() bool {
		sum, err := cli.ReadReport(t.Context(), box.Bus)
		return err == nil && sum.Decided() >= n
	})
}

func TestARestoredPipelineHasTheBooksOfTheOldOneAndPaysForNothingAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("a backlog on two pipelines takes twenty seconds")
	}
	t.Parallel()
	keepa := outside(t)
	from, to := keepa.options(t, chtest.Database(t)), keepa.options(t, chtest.Database(t))
	dir := filepath.Join(t.TempDir(), "set")
	old, stop := keepa.start(t, from)
	decided(t, old, 100)
	paidBefore := keepa.Account().Questions
	set, err := backup.Save(t.Context(), dir, backup.Source{Bus: old.Bus, ClickHouse: from.ClickHouse, Build: "test", Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := cli.ReadReport(t.Context(), old.Bus); err != nil || sum.Decided() >= 400 {
		t.Fatalf("the backup was of a pipeline that had decided %d: nothing was under way (%v)", sum.Decided(), err)
	}
	old.StopStages()

	read, err := backup.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = standalone.Fill(t.Context(), to, func(ctx context.Context, b *bus.Bus, clickHouse string) error {
		target := backup.Target{Bus: b, ClickHouse: clickHouse, KeepDays: 400, Say: t.Logf}
		if err := read.Restore(ctx, dir, target); err != nil {
			return err
		}
		sameMessages(t, set, old.Bus, b)
		var usage *process.UsageError
		if err := read.Fits(ctx, target); !errors.As(err, &usage) {
			t.Errorf("a target that holds a pipeline: %v, want wrong usage", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	keepa.Spend(-credit)
	spentBefore := keepa.Account().Consumed()
	restored, _ := keepa.start(t, to)
	decided(t, restored, 400)
	restored.StopStages()
	restored.AwaitRecorder(t.Context(), 30*time.Second)
	nothingPaidAgain(t, keepa.Account(), paidBefore)
	booksBalance(t, restored, set, keepa.Account().Consumed()-spentBefore)
	clickHouseAgrees(t, restored, to.ClickHouse)
}

// sameMessages compares every stream up to the end of its copy.
func sameMessages(t *testing.T, set backup.Set, old, restored *bus.Bus) {
	t.Helper()
	for _, s := range set.Streams {
		if _, is := pipeline.BucketOf(s.Name); is {
			continue // what the old pipeline has overwritten since is not there to compare
		}
		have, want := digest(t, restored, s.Name, s.Last), digest(t, old, s.Name, s.Last)
		if !bytes.Equal(have, want) {
			t.Errorf("%s differs up to #%d", s.Name, s.Last)
		}
	}
}

func digest(t *testing.T, b *bus.Bus, stream string, last uint64) []byte {
	t.Helper()
	sum := sha256.New()
	if err := b.Scan(t.Context(), stream, bus.From{}, func(r bus.Read) error {
		if r.Sequence > last {
			return nil
		}
		return json.NewEncoder(sum).Encode([]any{r.Sequence, r.StoredAt, r.Subject, r.Header, r.Body})
	}); err != nil {
		t.Fatal(err)
	}
	return sum.Sum(nil)
}

func nothingPaidAgain(t *testing.T, books keepasim.Account, before map[keepasim.Question]int) {
	t.Helper()
	for q, n := range before {
		if q.ASIN != "" && books.Questions[q] != n {
			t.Errorf("paid again: %v", q)
		}
	}
}

// booksBalance compares the verdicts with the backlog, and what the ledger says since the backup with what Keepa was
// paid since.
func booksBalance(t *testing.T, box *standalone.Box, set backup.Set, spent int) {
	t.Helper()
	sum, err := cli.ReadReport(t.Context(), box.Bus)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Decided() != 400 || len(sum.Accepted()) != 20 {
		t.Errorf("decided %d and accepted %d, want 400 and 20", sum.Decided(), len(sum.Accepted()))
	}
	inLedger := 0
	at := set.Streams[slices.IndexFunc(set.Streams, func(s backup.Stream) bool { return s.Name == pipeline.StreamLedger })].Last
	if err := bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamLedger, bus.From{Sequence: at + 1}, func(_ bus.Read, e pipeline.Entry) error {
		if e.Event == pipeline.EventClose {
			inLedger += e.Tokens
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if inLedger != spent {
		t.Errorf("the ledger has %d tokens since the backup, Keepa was paid %d", inLedger, spent)
	}
	desk.OneFinalEach(t, box.Bus)
}

// clickHouseAgrees wants a row for every message, and sums that say what the rows say.
func clickHouseAgrees(t *testing.T, box *standalone.Box, url string) {
	t.Helper()
	w, err := warehouse.Reach(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }() // read only
	for stream, table := range map[string]string{pipeline.StreamVerdicts: "verdicts", pipeline.StreamLedger: "ledger", pipeline.StreamDeals: "deal_versions"} {
		held, err := box.Bus.Held(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if rows := ask(t, w, "SELECT toString(count()) FROM "+table+" FINAL"); rows != fmt.Sprint(held) {
			t.Errorf("%s has %d messages, %s %s rows", stream, held, table, rows)
		}
	}
	for sum, rows := range map[string]string{
		"SELECT toString(tuple(sum(verdicts), sum(tokens))) FROM verdict_counts": "SELECT toString(tuple(count(), sum(tokens))) FROM verdicts FINAL",
		"SELECT toString(tuple(sum(entries), sum(tokens))) FROM token_counts":    "SELECT toString(tuple(count(), sum(tokens))) FROM ledger FINAL",
	} {
		if got, want := ask(t, w, sum), ask(t, w, rows); got != want {
			t.Errorf("%s: %s, the rows say %s", sum, got, want)
		}
	}
}

func ask(t *testing.T, w *warehouse.Warehouse, sql string) string {
	t.Helper()
	table, err := w.SQL(t.Context(), sql, true)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(table.Rows[0][0])
}

func TestABackupThatWasInterruptedIsRefused(t *testing.T) {
	t.Parallel()
	o := world{}.options(t, standalone.None)
	dir := filepath.Join(t.TempDir(), "set")
	err := standalone.Fill(t.Context(), o, func(ctx context.Context, b *bus.Bus, _ string) error {
		if err := b.Ensure(ctx); err != nil {
			return err
		}
		stopped, stop := context.WithCancel(ctx)
		say := func(string, ...any) { stop() } // after the first stream
		if _, err := backup.Save(stopped, dir, backup.Source{Bus: b, Say: say}); !errors.Is(err, context.Canceled) {
			t.Errorf("an interrupted backup ends with %v", err)
		}
		var usage *process.UsageError
		if _, err := backup.Read(dir); !errors.As(err, &usage) {
			t.Errorf("reading half a set: %v, want wrong usage", err)
		}
		if _, err := backup.Save(ctx, dir, backup.Source{Bus: b, Say: t.Logf}); !errors.As(err, &usage) {
			t.Errorf("a backup into a directory that is not empty: %v, want wrong usage", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copiedDuring makes a backup in which step is called between any two streams, and returns its messages by stream.
func copiedDuring(t *testing.T, b *bus.Bus, step func(string, ...any)) map[string]uint64 {
	t.Helper()
	set, err := backup.Save(t.Context(), filepath.Join(t.TempDir(), "set"), backup.Source{Bus: b, Say: step})
	if err != nil {
		t.Fatal(err)
	}
	copied := map[string]uint64{}
	for _, s := range set.Streams {
		copied[s.Name] = s.Messages
	}
	return copied
}

// TestWhatIsWrittenWhileABackupIsMadeIsInTheSetWithWhatWasWrittenBeforeIt completes a step of a worker between any two
// streams of the copy.
func TestWhatIsWrittenWhileABackupIsMadeIsInTheSetWithWhatWasWrittenBeforeIt(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	steps := 0
	written := []string{pipeline.StreamResponses, pipeline.StreamLedger, pipeline.StreamVerdicts} // in this order
	step := func(string, ...any) {
		steps++
		id := fmt.Sprint(steps)
		for _, m := range []bus.Message{
			{Subject: pipeline.SubjectResponse(1, pipeline.KindPeek, "B000000001"), ID: id, Schema: pipeline.SchemaResponse, Body: []byte("{}")},
			{Subject: pipeline.SubjectLedger(pipeline.StagePeeker, pipeline.EventClose), ID: id, Schema: pipeline.SchemaLedger, Body: []byte("{}")},
			{Subject: pipeline.SubjectVerdict(1, pipeline.LookPeek, pipeline.Reject, "B000000001"), ID: id, Schema: pipeline.SchemaVerdict, Body: []byte("{}")},
		} {
			if _, err := b.Publish(t.Context(), m); err != nil {
				t.Error(err)
			}
		}
	}
	copied := copiedDuring(t, b, step)
	for i, later := range written[1:] {
		if before := written[i]; copied[later] == 0 || copied[later] > copied[before] {
			t.Errorf("%d messages of %s and %d of %s are in the set; want each with what was written before it", copied[later], later, copied[before], before)
		}
	}
}

// TestWhatASetCountsAsListedOrDecidedIsInIt completes a candidate between any two streams of the copy. One whose
// verdict or memory is in the set without its survivor is never looked at again.
func TestWhatASetCountsAsListedOrDecidedIsInIt(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	steps := 0
	step := func(string, ...any) {
		steps++
		id := fmt.Sprint(steps)
		for _, m := range []bus.Message{
			{Subject: pipeline.SubjectCandidate(1, pipeline.SourceLive, "B000000001"), ID: id, Schema: pipeline.SchemaCandidate, Body: []byte("{}")},
			{Subject: pipeline.SubjectSurvivor(1, pipeline.LookGlance, "live", "B000000001"), ID: id, Schema: pipeline.SchemaSurvivor, Body: []byte("{}")},
			{Subject: pipeline.SubjectDeal(1, 2, "B000000001"), ID: id, Schema: pipeline.SchemaDeal, Body: []byte("{}")},
			{Subject: pipeline.SubjectVerdict(1, pipeline.LookCommit, pipeline.Accept, "B000000001"), ID: id, Schema: pipeline.SchemaVerdict, Body: []byte("{}")},
		} {
			if _, err := b.Publish(t.Context(), m); err != nil {
				t.Error(err)
			}
		}
		for _, bucket := range []string{pipeline.BucketSeen, pipeline.BucketWatermarks} {
			kv, err := b.Store(t.Context(), bucket)
			if err == nil {
				_, err = kv.Put(t.Context(), "key"+id, []byte("{}"))
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	step("")
	copied := copiedDuring(t, b, step)
	for later, before := range map[string]string{
		pipeline.StreamSurvivors:                         pipeline.StreamCandidates,
		pipeline.StreamDeals:                             pipeline.StreamSurvivors,
		pipeline.StreamVerdicts:                          pipeline.StreamDeals,
		pipeline.BucketStream(pipeline.BucketSeen):       pipeline.StreamVerdicts,
		pipeline.BucketStream(pipeline.BucketWatermarks): pipeline.StreamCandidates,
	} {
		if copied[later] == 0 || copied[later] > copied[before] {
			t.Errorf("%d of %s and %d of %s are in the set; want each with what was written before it", copied[later], later, copied[before], before)
		}
	}
}

func TestASetHasThePositionOfEveryConsumer(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	for n := range 3 {
		for stream, m := range map[string]bus.Message{
			pipeline.StreamCandidates: {Subject: pipeline.SubjectCandidate(1, pipeline.SourceLive, "B000000001"), Schema: pipeline.SchemaCandidate},
			pipeline.StreamVerdicts:   {Subject: pipeline.SubjectVerdict(1, pipeline.LookGlance, pipeline.Reject, "B000000001"), Schema: pipeline.SchemaVerdict},
		} {
			m.ID, m.Body = fmt.Sprint(stream, n), []byte("{}")
			if _, err := b.Publish(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[string]map[string]uint64{}
	for _, stream := range pipeline.Streams() {
		all, err := b.Positions(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		want[stream] = all
	}
	for stream, durable := range map[string]string{
		pipeline.StreamCandidates: pipeline.DurableGlance, pipeline.StreamVerdicts: pipeline.DurableRecorder(pipeline.StreamVerdicts),
	} {
		in, err := b.Inlet(t.Context(), stream, durable)
		if err != nil {
			t.Fatal(err)
		}
		items, err := in.Take(t.Context(), 2, 10*time.Second)
		if err != nil || len(items) != 2 {
			t.Fatalf("%d messages of %s, %v", len(items), stream, err)
		}
		for _, it := range items {
			if err := it.Settle.Done(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want[stream][durable] = 2
	}
	set, err := backup.Save(t.Context(), filepath.Join(t.TempDir(), "set"), backup.Source{Bus: b, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range set.Streams {
		if !maps.Equal(one.Positions, want[one.Name]) {
			t.Errorf("%s: the set has the positions %v, want %v", one.Name, one.Positions, want[one.Name])
		}
	}
}

func TestASetIsRestoredIntoEmptyStoresOfItsSchemaOnly(t *testing.T) {
	t.Parallel()
	empty, held := chtest.Database(t), chtest.Database(t)
	for _, dsn := range []string{empty, held} {
		if err := warehouse.Provision(t.Context(), dsn, warehouse.KeepDays); err != nil {
			t.Fatal(err)
		}
	}
	w, err := warehouse.Reach(t.Context(), held)
	if err == nil {
		row := warehouse.DeadRow{Origin: warehouse.Origin{Stream: pipeline.StreamDead, Epoch: 1}, HeaderJSON: "{}"}
		row.Origin.Sequence, row.Origin.StoredAt, row.Origin.At = 1, time.Now(), time.Now()
		err = errors.Join(w.InsertDead(t.Context(), []warehouse.DeadRow{row}, "one"), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	ours := backup.Set{Schema: warehouse.Schema()}
	err = standalone.Fill(t.Context(), world{}.options(t, standalone.None), func(ctx context.Context, b *bus.Bus, _ string) error {
		fits := func(what string, s backup.Set, clickHouse string, want bool) {
			t.Helper()
			err := s.Fits(ctx, backup.Target{Bus: b, ClickHouse: clickHouse, Say: t.Logf})
			var usage *process.UsageError
			if (err == nil) != want || err != nil && !errors.As(err, &usage) {
				t.Errorf("%s: %v; want that it fits: %t", what, err, want)
			}
		}
		fits("empty tables", ours, empty, true)
		fits("a database that is not there", ours, held+"_not", true)
		fits("without tables", ours, "", true)
		fits("a set without tables", backup.Set{}, held, true)
		fits("tables that hold a row", ours, held, false)
		fits("a set of other tables", backup.Set{Schema: "0001_first"}, empty, false)
		err := b.Ensure(ctx)
		fits("a NATS that holds streams", ours, empty, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARestoreThatFailsLeavesNoWorldThatAStartWouldTake(t *testing.T) {
	t.Parallel()
	o := world{}.options(t, standalone.None)
	broken := errors.New("broken")
	err := standalone.Fill(t.Context(), o, func(ctx context.Context, b *bus.Bus, _ string) error { return errors.Join(broken, b.Ensure(ctx)) })
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(o.Data); err != nil || len(left) != 0 {
		t.Errorf("left %v (%v)", left, err)
	}
	if err := os.MkdirAll(filepath.Join(o.Data, string(o.World)), 0o700); err != nil {
		t.Fatal(err)
	}
	var usage *process.UsageError
	err = standalone.Fill(t.Context(), o, func(context.Context, *bus.Bus, string) error { t.Error("filled"); return nil })
	if !errors.As(err, &usage) {
		t.Errorf("a world that is there: %v, want wrong usage", err)
	}
}

func TestWhatIsRestoredWithoutItsTablesIsRecordedByALaterClickHouse(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	stream, durable := pipeline.StreamVerdicts, pipeline.DurableRecorder(pipeline.StreamVerdicts)
	ms := make([]bus.Message, 12)
	for i := range ms {
		ms[i] = bus.Message{Subject: "verdict.1.commit.reject.B000000001", Schema: pipeline.SchemaVerdict, ID: fmt.Sprint(i), Body: []byte("{}")}
	}
	if err := b.PublishBatch(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	s, err := b.JS.Stream(t.Context(), stream)
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSequence(3)) // ten are left
	}
	if err == nil {
		err = b.Rewind(t.Context(), stream, durable, 9) // the others are in tables
	}
	dir := filepath.Join(t.TempDir(), "set")
	var set backup.Set
	if err == nil {
		set, err = backup.Save(t.Context(), dir, backup.Source{Bus: b, Say: t.Logf})
	}
	if err == nil {
		err = standalone.Fill(t.Context(), world{}.options(t, standalone.None), func(ctx context.Context, to *bus.Bus, _ string) error {
			if err := set.Restore(ctx, dir, backup.Target{Bus: to, Say: t.Logf}); err != nil {
				return err
			}
			pending, unsettled, err := to.Waiting(ctx, stream, durable)
			if pending != 10 || unsettled != 0 {
				t.Errorf("%d of 10 verdicts are left to the recorder", pending)
			}
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAConsumerOfARestoredPipelineStandsWhereTheSetSaysAlsoAfterARestart has a recorder settle everything while a
// backup is made: its snapshot is ahead of the position that the set has for it.
func TestAConsumerOfARestoredPipelineStandsWhereTheSetSaysAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	durable := pipeline.DurableRecorder(pipeline.StreamVerdicts)
	ms := make([]bus.Message, 100)
	for i := range ms {
		ms[i] = bus.Message{Subject: "verdict.1.commit.reject.B000000001", Schema: pipeline.SchemaVerdict, ID: fmt.Sprint(i), Body: []byte("{}")}
	}
	if err := b.PublishBatch(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	settle := sync.OnceFunc(func() {
		in, err := b.Inlet(t.Context(), pipeline.StreamVerdicts, durable)
		if err != nil {
			t.Error(err)
			return
		}
		for n := 0; n < len(ms) && err == nil; {
			items, taking := in.Take(t.Context(), len(ms), time.Second)
			for err = taking; len(items) > 0; items = items[1:] {
				err = errors.Join(err, items[0].Settle.Done(t.Context()))
				n++
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(t.TempDir(), "set")
	set, err := backup.Save(t.Context(), dir, backup.Source{Bus: b, Say: func(string, ...any) { settle() }})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		o := world{}.options(t, standalone.None)
		if err := standalone.Fill(t.Context(), o, func(ctx context.Context, to *bus.Bus, _ string) error {
			return set.Restore(ctx, dir, backup.Target{Bus: to, Say: t.Logf})
		}); err != nil {
			t.Fatal(err)
		}
		srv, err := natsd.Start(t.Context(), natsd.Options{Data: filepath.Join(o.Data, string(o.World), "nats"), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock(), NATSOptions: []nats.Option{srv.InProcess()}}
		again, err := bus.Connect(t.Context(), streams.Config(), env, "test")
		if err != nil {
			t.Fatal(err)
		}
		pending, _, err := again.Waiting(t.Context(), pipeline.StreamVerdicts, durable)
		again.Close()
		srv.Stop()
		if err != nil || pending != len(ms) {
			t.Errorf("%d of %d verdicts are left to the recorder (%v)", pending, len(ms), err)
		}
	}
}
