// Package newcomer_test holds what a user sees against itself: the counts of every place, and a first day.
package newcomer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// places are all that say what is found, stored and visible.
var places = []string{"live line", "report", "status", "deals", "deals of the streams", "SQL", "metrics"}

// few is at how many sequences samples are taken where RATCHET_COUNTS does not say it.
const few = 30

// The pipeline may take enoughWithin to show deals at many sequences, and eachWithin more for each sample.
const (
	enoughWithin = 3 * time.Minute
	eachWithin   = 2 * time.Second
)

// As many ask at the same time: few beside the other tests, more where many sequences are wanted.
const (
	askers     = 2
	manyAskers = 4
)

// sample is what a place said, and as of which sequences.
type sample struct {
	place string
	at    visibility.Sequences
	visibility.Counts
}

// world is a running pipeline, and everything that counts its deals.
type world struct {
	box       *standalone.Box
	warehouse *warehouse.Warehouse
	recorded  *cli.Visible // asks ClickHouse
	streams   *cli.Visible // reads the streams, on from where it was
	asking    sync.Mutex   // of SQL, one at a time
}

func TestEveryPlaceCountsTheSameAtTheSameSequences(t *testing.T) {
	if testing.Short() {
		t.Skip("a run with a ClickHouse takes seconds")
	}
	t.Parallel()
	want, asking := few, askers
	if n, err := strconv.Atoi(os.Getenv("RATCHET_COUNTS")); err == nil {
		want, asking = n, manyAskers
	}
	w := start(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := &sampled{want: want, late: time.Now().Add(enoughWithin + time.Duration(want)*eachWithin), seen: map[visibility.Sequences]bool{}}
	t.Run("while it runs", func(t *testing.T) {
		for n := range asking {
			t.Run(fmt.Sprint("asker ", n+1), func(t *testing.T) {
				t.Parallel()
				for r := rand.New(rand.NewPCG(seed, uint64(n))); !p.enough(); { //nolint:gosec // a small number
					w.act(t, r)
					time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond) // any instant will do
					place := places[r.IntN(len(places))]
					if place == "SQL" && r.IntN(4) > 0 {
						continue // it holds up the recorder, and then the others read the streams
					}
					if s, ok := w.ask(t, place); ok {
						p.add(s)
					}
				}
			})
		}
	})
	w.box.StopStages()
	for _, place := range places { // these answer now and then while it runs
		desk.Await(t, "the "+place, func() bool {
			s, ok := w.ask(t, place)
			if ok {
				p.add(s)
			}
			return ok
		})
	}
	streams := read(t, w.box.Bus)
	for _, s := range p.all {
		if want := streams.counts(s.at); s.Counts != trim(want, s.place) {
			t.Errorf("%s as of %s: %+v, want %+v", s.place, s.at, s.Counts, want)
		}
	}
	t.Logf("%d samples at %d different sequences; the last %+v", len(p.all), len(p.seen), p.all[len(p.all)-1])
	if !p.proves() {
		t.Error("this proves nothing")
	}
	t.Run("spend and the view spending give the same sums", w.spent)
}

// sampled are the samples that were taken, and at how many different sequences they are wanted until when.
type sampled struct {
	want int
	late time.Time

	mu    sync.Mutex
	all   []sample
	seen  map[visibility.Sequences]bool
	shown bool // deals, of which not all are visible
}

func (p *sampled) add(s sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all, p.seen[s.at] = append(p.all, s), true
	p.shown = p.shown || s.Found > 0 && s.Visible < s.Stored
}

// enough reports whether there are as many as are wanted, or no time is left.
func (p *sampled) enough() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proves() || time.Now().After(p.late)
}

// proves reports whether the samples prove something.
func (p *sampled) proves() bool {
	return len(p.seen) >= p.want && p.shown
}

// trim leaves what a place says: most say three of the counts.
func trim(c visibility.Counts, place string) visibility.Counts {
	if place == "metrics" {
		return c
	}
	return visibility.Counts{Found: c.Found, Stored: c.Stored, Visible: c.Visible}
}

func start(t *testing.T) *world {
	t.Helper()
	dsn := chtest.Database(t)
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: t.TempDir(), World: standalone.Simulated, ClickHouse: dsn, Probes: "127.0.0.1:0", Settings: map[string]string{"RECORDER_FLUSH": "200ms"},
		Speed: 300, Seed: 1, Rate: 60, Balance: standalone.FullBucket, Log: slog.New(slog.DiscardHandler), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Stop(context.Background()) })
	w := &world{box: box, recorded: cli.NewVisible(box.Bus, dsn), streams: cli.NewVisible(box.Bus, "")}
	t.Cleanup(w.recorded.Close)
	desk.Await(t, "the tables", func() bool {
		w.warehouse, err = warehouse.Reach(t.Context(), dsn)
		return err == nil && w.warehouse.Current(t.Context()) == nil
	})
	t.Cleanup(func() { _ = w.warehouse.Close() })
	return w
}

// act buys or ignores what is visible, or undoes such an action, now and then.
func (w *world) act(t *testing.T, r *rand.Rand) {
	t.Helper()
	if r.IntN(2) > 0 {
		return
	}
	deals, _, err := w.streams.List(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if len(deals) == 0 || r.IntN(2) == 0 {
		w.undo(t, r)
		return
	}
	d := deals[r.IntN(len(deals))]
	a := action.Action{Kind: action.Ignore, Target: action.Target{By: action.ByASIN, Domain: d.Domain, Value: d.ASIN}, At: w.box.Env.Now()}
	switch r.IntN(3) {
	case 0:
		a.Kind = action.Buy
		a = cli.Trade(a, 9, "", a.At, 1)
	case 1:
		a.Target = action.Target{By: action.BySeller, Value: d.SellerID}
	}
	if a.Value == "" {
		return
	}
	if _, err := cli.Act(t.Context(), w.box.Bus, a); err != nil {
		t.Fatal(err)
	}
}

// undo undoes any action that is current.
func (w *world) undo(t *testing.T, r *rand.Rand) {
	t.Helper()
	var all action.Record
	if err := messages.ScanActions(t.Context(), w.box.Bus, all.Add); err != nil {
		t.Fatal(err)
	}
	current := all.Current()
	if len(current) == 0 {
		return
	}
	of := current[r.IntN(len(current))]
	if _, err := cli.Undo(t.Context(), w.box.Bus, action.Action{Of: of.Kind, Target: of.Target, At: w.box.Env.Now()}); err != nil {
		t.Fatal(err)
	}
}

// The two ways in which people read the counts.
var (
	line     = regexp.MustCompile(`found (\d+), stored (\d+), visible (\d+)  as of ([A-Z]+ \d+(?:, [A-Z]+ \d+)*)`)
	sentence = regexp.MustCompile(`(\d+) found, (\d+) stored, (\d+) visible.* as of ([A-Z]+ \d+(?:, [A-Z]+ \d+)*)`)
)

// ask asks one place; false where it does not know yet, or has nothing newer.
func (w *world) ask(t *testing.T, place string) (sample, bool) {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch place {
	case "live line":
		done := make(chan struct{})
		close(done)
		cli.NewSummary(w.box.Bus, w.box.Env, w.recorded, &out).Run(t.Context(), done)
		if !strings.Contains(out.String(), "in all:") {
			return sample{}, false // neither ClickHouse nor the streams answered in its time
		}
		return said(t, place, line, out.String())
	case "report":
		err = cli.Report(t.Context(), w.box.Bus, w.recorded, nil, &out)
	case "status":
		var s cli.Status
		if s, err = cli.ReadStatus(t.Context(), w.box.Bus); err == nil {
			s.Count(t.Context(), w.recorded)
			err = s.Write(&out)
		}
	case "deals", "deals of the streams":
		from := map[string]*cli.Visible{"deals": w.recorded}[place]
		if from == nil {
			from = w.streams
		}
		var d cli.Deals
		if d, err = from.All(t.Context(), time.Time{}); err == nil && len(d.Visible) != d.Counts.Visible {
			t.Errorf("%s: %d are listed, %d counted", place, len(d.Visible), d.Counts.Visible)
		}
		fmt.Fprintln(&out, d)
	case "SQL":
		return w.sql(t)
	case "metrics":
		return w.metrics(t)
	}
	if err != nil {
		t.Fatal(place, err)
	}
	return said(t, place, sentence, out.String())
}

// said reads the counts in a text; false before anything was counted.
func said(t *testing.T, place string, shape *regexp.Regexp, text string) (s sample, ok bool) {
	t.Helper()
	m := shape.FindStringSubmatch(text)
	if m == nil {
		if !strings.Contains(text, "as of the begin") {
			t.Fatalf("%s says no counts:\n%s", place, text)
		}
		return s, false
	}
	s.place = place
	for i, n := range []*int{&s.Found, &s.Stored, &s.Visible} {
		*n, _ = strconv.Atoi(m[1+i]) // digits
	}
	for _, of := range strings.Split(m[4], ", ") {
		stream, n, _ := strings.Cut(of, " ")
		sequence, _ := strconv.ParseUint(n, 10, 64)
		*map[string]*uint64{pipeline.StreamDeals: &s.at.Deals, pipeline.StreamVerdicts: &s.at.Verdicts, pipeline.StreamActions: &s.at.Actions}[stream] = sequence
	}
	return s, true
}

// sql asks as a person does. An answer is of one instant only while nothing is inserted: the tables behind deal_states
// are filled one after the other. So the recorder is delivered nothing meanwhile, and what it was delivered is stored.
func (w *world) sql(t *testing.T) (sample, bool) {
	t.Helper()
	w.asking.Lock()
	defer w.asking.Unlock()
	w.recorder(t, time.Now().Add(time.Minute))
	defer w.recorder(t, time.Time{})
	desk.Await(t, "what was delivered to be stored", func() bool {
		return !slices.ContainsFunc(pipeline.RecordedStreams(), func(stream string) bool {
			_, unsettled, err := w.box.Bus.Waiting(t.Context(), stream, pipeline.DurableRecorder(stream))
			return err != nil || unsettled > 0
		})
	})
	s := w.once(t)
	return s, s.at != visibility.Sequences{}
}

// recorder pauses the recorder's consumers until then; a time that has passed resumes them.
func (w *world) recorder(t *testing.T, until time.Time) {
	t.Helper()
	for _, stream := range pipeline.RecordedStreams() {
		if _, err := w.box.Bus.JS.PauseConsumer(t.Context(), stream, pipeline.DurableRecorder(stream), until); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) once(t *testing.T) sample {
	t.Helper()
	a, err := w.warehouse.Ask(t.Context(), "deal-counts", nil)
	if err != nil {
		t.Fatal(err)
	}
	row := map[string]int{} // of the one marketplace; empty before the first deal
	for _, of := range a.Rows {
		for i, name := range a.Columns {
			row[name], _ = strconv.Atoi(fmt.Sprint(of[i])) // whole numbers, but for the profit
		}
	}
	at := func(name string) uint64 { return uint64(row["as_of_"+name]) } //nolint:gosec // a sequence
	return sample{
		place: "SQL", at: visibility.Sequences{Deals: at("deals"), Verdicts: at("verdicts"), Actions: at("actions")},
		Counts: visibility.Counts{Found: row["found"], Stored: row["stored"], Visible: row["visible"]},
	}
}

var series = regexp.MustCompile(`(?m)^ratchet_deals(_sequence)?\{(?:state|stream)="(\w+)"\} (\S+)$`)

func (w *world) metrics(t *testing.T) (s sample, ok bool) {
	t.Helper()
	answer, err := http.Get("http://" + w.box.Probes + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	s.place = "metrics"
	for _, m := range series.FindAllStringSubmatch(string(body), -1) {
		f, _ := strconv.ParseFloat(m[3], 64)
		switch n := int(f); m[2] {
		case "found":
			s.Found = n
		case "stored":
			s.Stored = n
		case "visible":
			s.Visible = n
		case "stale":
			s.Stale = n
		case "expired":
			s.Expired = n
		case "invalid":
			s.Invalid = n
		case "set_aside":
			s.SetAside = n
		case pipeline.StreamDeals:
			s.at.Deals = uint64(f)
		case pipeline.StreamVerdicts:
			s.at.Verdicts = uint64(f)
		case pipeline.StreamActions:
			s.at.Actions = uint64(f)
		}
	}
	return s, s.at != visibility.Sequences{}
}

// streamed is all that the streams say about deals, in order.
type streamed struct {
	versions []visibility.Version
	verdicts []visibility.Verdict
	actions  []action.Recorded
}

func read(t *testing.T, b *bus.Bus) (all streamed) {
	t.Helper()
	err := b.Scan(t.Context(), pipeline.StreamDeals, bus.From{}, func(r bus.Read) error {
		v, err := visibility.ReadVersion(r.Stored())
		all.versions = append(all.versions, v)
		return err
	})
	if err == nil {
		err = messages.ScanVerdicts(t.Context(), b, bus.From{}, func(_ bus.Read, v visibility.Verdict) error {
			all.verdicts = append(all.verdicts, v)
			return nil
		})
	}
	if err == nil {
		err = messages.ScanActions(t.Context(), b, func(s action.Recorded) { all.actions = append(all.actions, s) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// counts folds the streams up to these sequences.
func (all streamed) counts(at visibility.Sequences) visibility.Counts {
	var book visibility.Fold
	for _, v := range all.versions {
		if v.Sequence <= at.Deals {
			book.Version(v)
		}
	}
	for _, v := range all.verdicts {
		if v.Sequence <= at.Verdicts {
			book.Verdict(v)
		}
	}
	for _, a := range all.actions {
		if a.Sequence <= at.Actions {
			book.Action(a)
		}
	}
	return visibility.Count(book.States())
}
