package warehouse_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/text/foreign"
)

// past is the history of a pipeline, as recorded.
type past struct {
	verdicts []warehouse.VerdictRow
	entries  []warehouse.LedgerRow
	dead     []warehouse.DeadRow
}

// clock returns an instant of a day of March 2026: "5 12:30".
func clock(s string) time.Time {
	at, err := time.Parse("2006-01 2 15:04:05", "2026-03 "+s+":00")
	if err != nil {
		panic(err)
	}
	return at
}

func (p *past) entry(at time.Time, e pipeline.Entry) {
	p.entries = append(p.entries, entry(uint64(len(p.entries)+1), at, e))
}

// call records a paid call that left a balance.
func (p *past) call(at string, stage pipeline.Stage, left int) {
	p.entry(clock(at), pipeline.Entry{
		Event: pipeline.EventClose, Stage: stage, Tokens: 1, API: &pipeline.Reading{TS: clock(at).UnixMilli(), Left: left, Rate: 5},
	})
}

// poll records a paid page of the list, and since when it was due.
func (p *past) poll(at, due string) {
	p.call(at, pipeline.StageWatermarker, 50)
	p.entry(clock(at), pipeline.Entry{
		Event: pipeline.EventPoll, Stage: pipeline.StageWatermarker, Query: "q@1",
		Note: fmt.Sprintf("page 0, 3 new, due %s, every 600 s", clock(due).Format(time.RFC3339)),
	})
}

func (p *past) mode(at, note string) {
	p.entry(clock(at), pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", Note: note})
}

// verdict records one of a work whose candidate was listed then.
func (p *past) verdict(at, work string, look pipeline.Look, o pipeline.Outcome, listed string) {
	v := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, uint64(len(p.verdicts)+1), clock(at)), InputsJSON: `{}`}
	v.Origin.WorkID = work
	v.Identity = pipeline.Identity{Domain: 1, ASIN: "B000000001", PriceType: 2, CreationDate: 1}
	v.Look, v.Outcome, v.Reason, v.Source, v.DecidedAt, v.ListedAt = look, o, "ok", pipeline.SourceLive, clock(at), clock(listed)
	v.Tokens = map[pipeline.Look]int{pipeline.LookPeek: 1, pipeline.LookCommit: 6}[look]
	if listed == "1 00:00" {
		v.Source = pipeline.SourceRefresh
	}
	p.verdicts = append(p.verdicts, v)
}

// work records a candidate that is listed, survives its glance at once and is peeked at.
func (p *past) work(name, listed, peeked string) {
	p.verdict(listed, name, pipeline.LookGlance, pipeline.Survive, listed)
	p.verdict(peeked, name, pipeline.LookPeek, pipeline.Reject, listed)
}

func (p *past) insert(t *testing.T, w *warehouse.Warehouse, token string) {
	t.Helper()
	must(t, w.InsertVerdicts(t.Context(), p.verdicts, token+"v"))
	must(t, w.InsertLedger(t.Context(), p.entries, token+"l"))
	if len(p.dead) > 0 {
		must(t, w.InsertDead(t.Context(), p.dead, token+"d"))
	}
}

// stall returns the question's answer for a day, in short.
func stall(t *testing.T, w *warehouse.Warehouse, day string) string {
	t.Helper()
	return stallUntil(t, w, day+" 00:00", day+" 23:59")
}

func stallUntil(t *testing.T, w *warehouse.Warehouse, since, until string) string {
	t.Helper()
	a, err := w.Ask(t.Context(), "stalls", map[string]string{"since": clock(since).Format(time.DateTime), "until": clock(until).Format(time.DateTime)})
	must(t, err)
	col := map[string]int{}
	for i, name := range a.Columns {
		col[name] = i
	}
	var out []string
	for _, r := range a.Rows {
		at := func(name string) string {
			if v, set := r[col[name]].(*time.Time); set && v != nil {
				return v.Format("2 15:04")
			}
			if v, set := r[col[name]].(time.Time); set {
				return v.Format("2 15:04")
			}
			return "never"
		}
		out = append(out, fmt.Sprintf("call %v from %s %s, decision %v, stalled %v, paused %v, waiting %v",
			r[col["no_call_minutes"]], at("no_call_from"), r[col["ended_by"]], r[col["no_decision_minutes"]], r[col["minutes_stalled"]], r[col["minutes_paused"]], r[col["waiting"]]))
	}
	return strings.Join(out, "\n")
}

// The cases of the question, each on a day of its own: nothing waits between them.
func TestAStallIsATimeWithoutAPaidCallWhileWorkWaitedAndWeCouldHavePaid(t *testing.T) {
	t.Parallel()
	w := open(t)
	var p past
	want := map[string]string{}

	// Work waited for an hour.
	p.call("2 10:00", pipeline.StagePeeker, 100)
	p.work("a1", "2 10:00", "2 10:00")
	p.work("a2", "2 10:00", "2 11:00")
	p.call("2 11:00", pipeline.StagePeeker, 100)
	want["2"] = "call 60 from 2 10:00 peeker, decision 60, stalled 60, paused 0, waiting 0"

	// Nothing waited until the last eight minutes.
	p.call("3 10:00", pipeline.StagePeeker, 100)
	p.work("b1", "3 10:00", "3 10:00")
	p.work("b2", "3 10:52", "3 11:00")
	p.call("3 11:00", pipeline.StagePeeker, 100)
	want["3"] = "call 8 from 3 10:52 peeker, decision 8, stalled 0, paused 0, waiting 0"

	// An operator paused, and later ran on stored answers, from which one decision came.
	p.call("4 10:00", pipeline.StagePeeker, 100)
	p.work("c1", "4 10:00", "4 10:00")
	p.mode("4 10:20", "burst to paused")
	p.mode("4 13:00", "paused to burst")
	p.mode("4 13:30", "burst to nospend")
	p.work("c2", "4 10:00", "4 14:00")
	p.mode("4 15:00", "nospend to unknown")
	p.work("c3", "4 10:00", "4 15:10")
	p.call("4 15:10", pipeline.StagePeeker, 100)
	want["4"] = "call 30 from 4 13:00 nospend, decision 30, stalled 50, paused 250, waiting 0"

	// The balance was at -50: at 5 a minute it is above zero 10.2 minutes later.
	p.call("5 10:00", pipeline.StageCommitter, -50)
	p.work("d1", "5 10:00", "5 10:00")
	p.work("d2", "5 10:00", "5 10:31")
	p.call("5 10:31", pipeline.StagePeeker, 100)
	want["5"] = "call 20.8 from 5 10:10 peeker, decision 20.8, stalled 20.8, paused 0, waiting 0"

	// Bad luck: calls continue, and commits decide nothing for an hour.
	p.work("e0", "6 10:00", "6 10:00")
	for m := range 20 {
		p.call(fmt.Sprintf("6 10:%02d", 3*m), pipeline.StagePeeker, 100)
		p.verdict(fmt.Sprintf("6 10:%02d", 3*m), fmt.Sprint("e", m+1), pipeline.LookGlance, pipeline.Survive, fmt.Sprintf("6 10:%02d", 3*m))
	}
	for m := range 20 {
		p.verdict("6 11:00", fmt.Sprint("e", m+1), pipeline.LookPeek, pipeline.Reject, fmt.Sprintf("6 10:%02d", 3*m))
	}
	p.call("6 11:00", pipeline.StagePeeker, 100)
	want["6"] = "call 0 from never , decision 60, stalled 0, paused 0, waiting 0"

	// A refresh waited: it was listed days ago, which has no meaning. It survived its glance at 10:40.
	p.call("7 10:00", pipeline.StagePeeker, 100)
	p.work("f1", "7 10:00", "7 10:00")
	p.verdict("7 10:40", "f2", pipeline.LookGlance, pipeline.Survive, "1 00:00")
	p.verdict("7 11:00", "f2", pipeline.LookPeek, pipeline.Confirm, "1 00:00")
	p.call("7 11:00", pipeline.StagePeeker, 100)
	want["7"] = "call 20 from 7 10:40 peeker, decision 20, stalled 20, paused 0, waiting 0"

	// Over midnight: each of the two days shows all of it, and stalled for its part.
	p.call("9 22:00", pipeline.StagePeeker, 100)
	p.work("h1", "9 22:00", "9 22:00")
	p.work("h2", "9 22:00", "10 01:00")
	p.call("10 01:00", pipeline.StagePeeker, 100)
	want["9"] = "call 119 from 9 22:00 going_on, decision 119, stalled 119, paused 0, waiting 1"
	want["10"] = "call 180 from 9 22:00 peeker, decision 180, stalled 60, paused 0, waiting 0"

	insertLate(t, w, &p)
	for range 2 {
		for day, says := range want {
			if got := stall(t, w, day); got != says {
				t.Errorf("%s March:\ngot  %s\nwant %s", day, got, says)
			}
		}
		p.insert(t, w, "again")
	}
	if got, says := stallUntil(t, w, "9 00:00", "10 23:59"), want["10"]+"\n"+"call 180 from 9 22:00 peeker, decision 180, stalled 120, paused 0, waiting 0"; got != says {
		t.Errorf("both days:\ngot  %s\nwant %s", got, says)
	}
}

// insertLate inserts the newer half first.
func insertLate(t *testing.T, w *warehouse.Warehouse, p *past) {
	t.Helper()
	v, l := len(p.verdicts)/2, len(p.entries)/2
	(&past{verdicts: p.verdicts[v:], entries: p.entries[l:]}).insert(t, w, "newer")
	(&past{verdicts: p.verdicts[:v], entries: p.entries[:l], dead: p.dead}).insert(t, w, "older")
}

func TestAStallThatGoesOnIsShownWithWhatWaits(t *testing.T) {
	t.Parallel()
	w := open(t)
	var p past
	p.call("5 10:00", pipeline.StagePeeker, 100)
	p.work("a", "5 09:50", "5 10:00")
	p.insert(t, w, "1")
	asked := func(until, says string) {
		t.Helper()
		if got := stallUntil(t, w, "5 00:00", until); got != says {
			t.Errorf("at %s:\ngot  %s\nwant %s", until, got, says)
		}
	}
	asked("5 11:00", "call 0 from never , decision 0, stalled 0, paused 0, waiting 0") // nothing waits

	p.verdict("5 10:30", "b", pipeline.LookGlance, pipeline.Survive, "5 10:29")
	p.verdict("5 10:40", "c", pipeline.LookGlance, pipeline.Survive, "5 10:39")
	p.insert(t, w, "2")
	asked("5 11:00", "call 30 from 5 10:30 going_on, decision 30, stalled 30, paused 0, waiting 2")

	// One of them is a dead letter: it waits for an operator, not for tokens.
	p.dead = append(p.dead, warehouse.DeadRow{
		Origin: origin(pipeline.StreamDead, 1, clock("5 10:50")), Stage: "peeker", Key: "B000000001", HeaderJSON: `{"Work-Id":["b"]}`,
		Dead: pipeline.Dead{Reason: "bad_row", Error: foreign.Of("no"), Stream: pipeline.StreamSurvivors, Sequence: 9},
	})
	p.insert(t, w, "3")
	asked("5 11:00", "call 20 from 5 10:40 going_on, decision 20, stalled 20, paused 0, waiting 1")

	// A pause that continues is not a stall.
	p.mode("5 10:50", "burst to paused")
	p.insert(t, w, "4")
	asked("5 11:00", "call 10 from 5 10:40 paused, decision 10, stalled 0, paused 10, waiting 0")
	asked("6 11:00", strings.Join([]string{
		"call 0 from never , decision 0, stalled 0, paused 660, waiting 0",
		"call 10 from 5 10:40 paused, decision 10, stalled 0, paused 790, waiting 0",
	}, "\n"))

	// A paid look ends it, and its survivors wait for the next look.
	p.mode("5 10:55", "paused to burst")
	p.call("5 11:00", pipeline.StagePeeker, -4)
	p.verdict("5 11:00", "c", pipeline.LookPeek, pipeline.Survive, "5 10:39")
	p.insert(t, w, "5")
	asked("5 11:31", "call 30 from 5 11:01 going_on, decision 36, stalled 50, paused 5, waiting 1")
}

func TestAPollThatIsDueIsWorkThatWaits(t *testing.T) {
	t.Parallel()
	w := open(t)
	var p past
	p.work("a", "8 10:00", "8 10:00")
	p.poll("8 10:00", "8 10:00")
	p.poll("8 10:55", "8 10:10")
	p.verdict("8 10:56", "b", pipeline.LookGlance, pipeline.Reject, "8 10:55")
	p.insert(t, w, "1")
	if got, says := stallUntil(t, w, "8 00:00", "8 11:00"), "call 45 from 8 10:10 watermarker, decision 0, stalled 45, paused 0, waiting 0"; got != says {
		t.Errorf("got  %s\nwant %s", got, says)
	}
	// The interval of 600 s may have doubled: the next one is due at 11:15 at the latest.
	if got, says := stallUntil(t, w, "8 00:00", "8 12:05"), "call 50 from 8 11:15 going_on, decision 0, stalled 95, paused 0, waiting 0"; got != says {
		t.Errorf("got  %s\nwant %s", got, says)
	}
}
