package processes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
)

// What months leave in the stores. A plan of 5 tokens a minute decides some 2,200 rows a day.
const (
	grownSeen     = 1_000_000
	grownVerdicts = 1_000_000
	grownDeals    = 100_000
)

const (
	mostStatus   = time.Second     // of `ratchet status`
	recordedIn   = 5 * time.Minute // what grown stores hold, by a recorder that has no row of it
	heldIn       = time.Minute     // a deal, by the refresher
	batchOfGrown = 1000            // messages; the most that a server takes
)

// BenchmarkGrown runs a box at rest until its few rows are decided, repeats what it stored until SEEN and VERDICTS have
// a million messages and DEALS and STOCK a hundred thousand, and starts it again: first without ClickHouse, and then
// with an embedded one, which has recorded none of it yet.
func BenchmarkGrown(b *testing.B) {
	for b.Loop() {
		x := &idleBox{name: "grown", world: keepasim.Backlog400(1).First(few), engine: "none", rests: true, data: b.TempDir()}
		x.start(b)
		for x.stored(b, pipeline.BucketStream(pipeline.BucketSeen)) < few || x.stored(b, pipeline.StreamDeals) == 0 {
			time.Sleep(time.Second)
		}
		time.Sleep(heldIn)
		child.Stop(b, x.child)
		grow(b, filepath.Join(x.data, "real", "nats"))
		for _, engine := range []string{"none", "embedded"} {
			x.name, x.engine = "grown-clickhouse-"+engine, engine
			x.rests = engine == "none" // what an engine writes and computes after a million new rows is not idle
			measureGrown(b, x)
			child.Stop(b, x.child)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func measureGrown(b *testing.B, x *idleBox) {
	b.Helper()
	began := time.Now()
	x.start(b)
	b.ReportMetric(time.Since(began).Seconds(), x.name+"-s/start")
	time.Sleep(settle)
	if x.engine != "none" {
		x.awaitRecorded(b)
	}
	x.before = x.read(b)
	from := time.Now()
	time.Sleep(duration(b))
	x.report(b, x.read(b), usage{}, time.Since(from))
	b.ReportMetric(resident(b, x.child.Cmd.Process.Pid), x.name+"-MB")
	for args, times := range map[string]int{"status": 5, "deals --limit 20": 1, "why " + grownASIN(grownVerdicts/2): 5} {
		var took []time.Duration
		for range times {
			took = append(took, x.ask(b, strings.Fields(args)...).took)
		}
		slices.Sort(took)
		name, _, _ := strings.Cut(args, " ")
		b.ReportMetric(float64(took[times/2].Milliseconds()), x.name+"-ms/"+name)
		if name == "status" && took[times/2] > mostStatus {
			b.Errorf("%s: status takes %s, want at most %s", x.name, took[times/2], mostStatus)
		}
	}
}

// awaitRecorded waits until every verdict is in ClickHouse.
func (x *idleBox) awaitRecorded(b *testing.B) {
	b.Helper()
	js := connect(b, x.nats, process.RealClock())
	defer js.Close()
	for over := time.Now().Add(recordedIn); ; time.Sleep(time.Second) {
		settled, last, err := js.Settled(b.Context(), pipeline.StreamVerdicts, pipeline.DurableRecorder(pipeline.StreamVerdicts))
		if err == nil && settled >= last {
			break
		}
		if time.Now().After(over) {
			b.Fatalf("%s: %d of %d verdicts are recorded after %s, %v", x.name, settled, last, settle+recordedIn, err)
		}
	}
	n, err := ask(x.sql, "SELECT count() FROM verdicts FORMAT TSV")
	if rows, _ := strconv.Atoi(n); err != nil || rows < grownVerdicts {
		b.Fatalf("ClickHouse has %s verdicts, want %d: %v", n, grownVerdicts, err)
	}
}

type answer struct {
	out  string
	took time.Duration
}

// ask runs a command against the box.
func (x *idleBox) ask(b *testing.B, args ...string) answer {
	b.Helper()
	env := []string{"NATS_URL=" + x.nats, "CLICKHOUSE_URL=" + x.sql}
	began := time.Now()
	out := start(b, "ratchet", env, args...).Done(b)
	return answer{out, time.Since(began)}
}

// stored is how many messages were ever stored in a stream.
func (x *idleBox) stored(b *testing.B, stream string) int64 {
	return figuresOf(b, x.monitor).streams[stream]
}

// resident is the memory of a process, in MB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1000
}

func grownASIN(n int) string { return fmt.Sprintf("B%09d", n) }

// grow repeats what a box has stored, without message IDs: in the window of deduplication is only what a day stores.
func grow(b *testing.B, data string) {
	b.Helper()
	began := time.Now()
	server := start(b, "ratchet", []string{"NATSD_DATA=" + data, "LOG_LEVEL=error"}, "daemon", "natsd")
	defer child.Stop(b, server)
	js := connect(b, server.Await(b, `^nats://\S+`, time.Minute), process.RealClock())
	defer js.Close()
	g := grower{b: b, bus: js}
	deal := g.newest(pipeline.StreamDeals, "deal.>")
	asin := deal.Subject[strings.LastIndexByte(deal.Subject, '.')+1:]
	accept := g.newest(pipeline.StreamVerdicts, "verdict.*.commit.accept."+asin)
	reject := g.newest(pipeline.StreamVerdicts, "verdict.*.*.reject.*")
	rejected := reject.Subject[strings.LastIndexByte(reject.Subject, '.')+1:]
	key := g.newest(pipeline.BucketStream(pipeline.BucketSeen), pipeline.KeySubject(pipeline.BucketSeen, "*.*."+asin))
	other := g.newest(pipeline.BucketStream(pipeline.BucketSeen), pipeline.KeySubject(pipeline.BucketSeen, "*.*."+rejected))
	holding := g.newest(pipeline.BucketStream(pipeline.BucketStock), pipeline.KeySubject(pipeline.BucketStock, "*.*."+asin))

	first := g.last(pipeline.StreamVerdicts) + 1
	g.fill(accept, asin, 0, grownDeals)
	g.fill(deal, asin, 0, grownDeals)
	g.fill(key, asin, 0, grownDeals)
	g.fill(reject, rejected, grownDeals, grownVerdicts)
	g.fill(other, rejected, grownDeals, grownSeen)
	g.hold(holding, asin, first)
	g.readTo(g.last(pipeline.StreamVerdicts))
	b.Logf("filled in %s", time.Since(began).Round(time.Second))
}

type grower struct {
	b   *testing.B
	bus *bus.Bus
}

func (g grower) newest(stream, subject string) bus.Read {
	g.b.Helper()
	all, err := g.bus.Newest(g.b.Context(), stream, []string{subject}, bus.Until{})
	if err != nil || len(all) == 0 {
		g.b.Fatalf("the newest of %s: %d, %v", subject, len(all), err)
	}
	return all[0]
}

func (g grower) last(stream string) uint64 {
	g.b.Helper()
	n, err := g.bus.Last(g.b.Context(), stream)
	if err != nil {
		g.b.Fatal(err)
	}
	return n
}

// another is a message about another ASIN.
func another(m bus.Read, asin string, n int) *nats.Msg {
	header := nats.Header{}
	for name, values := range m.Header {
		if strings.HasPrefix(name, "Nats-") {
			continue
		}
		for _, v := range values {
			if name == pipeline.HeaderWorkID {
				v = fmt.Sprintf("%024x", n)
			}
			header.Add(name, strings.ReplaceAll(v, asin, grownASIN(n)))
		}
	}
	return &nats.Msg{
		Subject: strings.ReplaceAll(m.Subject, asin, grownASIN(n)), Header: header,
		Data: bytes.ReplaceAll(m.Body, []byte(asin), []byte(grownASIN(n))),
	}
}

// fill stores a message about each ASIN, in batches.
func (g grower) fill(m bus.Read, asin string, from, to int) {
	g.b.Helper()
	for at := from; at < to; at += batchOfGrown {
		batch := make([]*nats.Msg, 0, batchOfGrown)
		for n := at; n < min(at+batchOfGrown, to); n++ {
			batch = append(batch, another(m, asin, n))
		}
		if _, err := jetstreamext.PublishMsgBatch(g.b.Context(), g.bus.JS, batch); err != nil {
			g.b.Fatal(err)
		}
	}
}

// hold stores a holding of each deal, which knows the verdict that accepted it. The bucket takes no batches.
func (g grower) hold(m bus.Read, asin string, first uint64) {
	g.b.Helper()
	js, err := jetstream.New(g.bus.NC)
	if err != nil {
		g.b.Fatal(err)
	}
	for n := range grownDeals {
		msg := another(m, asin, n)
		var holding map[string]json.RawMessage
		if err := json.Unmarshal(msg.Data, &holding); err != nil {
			g.b.Fatal(err)
		}
		holding["seq"] = json.RawMessage(strconv.FormatUint(first+uint64(n), 10))
		if msg.Data, err = json.Marshal(holding); err != nil {
			g.b.Fatal(err)
		}
		if _, err := js.PublishMsgAsync(msg); err != nil {
			g.b.Fatal(err)
		}
		if n%batchOfGrown == 0 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	if n := g.last(pipeline.BucketStream(pipeline.BucketStock)); n < grownDeals {
		g.b.Fatalf("%d holdings are stored", n)
	}
}

// readTo makes the refresher begin after a verdict: it has read those of months.
func (g grower) readTo(last uint64) {
	g.b.Helper()
	kv, err := g.bus.Store(g.b.Context(), pipeline.BucketStock)
	if err != nil {
		g.b.Fatal(err)
	}
	_, err = bus.Change(g.b.Context(), bus.NewCell(kv, pipeline.KeyCheckpoint), func(c refresh.Checkpoint) (refresh.Checkpoint, bool, error) {
		c.Seq = last
		return c, true, nil
	})
	if err != nil {
		g.b.Fatal(err)
	}
}
