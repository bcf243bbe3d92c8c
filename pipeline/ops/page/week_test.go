package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/token"
	ours "ratchet/pipeline/ops/page"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// weekSpeed lets a week pass in two minutes, in which something happens every five minutes of it.
const (
	weekSpeed  = 5000
	happensIn  = 5 * time.Minute
	inADay     = int(24 * time.Hour / happensIn)
	daysOfWeek = 7
)

// weight is what a page holds in the browser.
type weight struct {
	lost, listeners, script float64 // lost: nodes that are in no document; script: bytes
	shown, updates          int     // nodes of the page
}

// TestAPageLeftOpenForAWeekLeaksNothing leaves the list, a deal and the machine open in a browser while a week passes,
// and compares what they hold after its first day and after its last.
func TestAPageLeftOpenForAWeekLeaksNothing(t *testing.T) {
	whole(t)
	d := desk.New(t, weekSpeed)
	machineRuns(t, d)
	good := d.ASINs(keepasim.Good)
	for _, asin := range good[:12] {
		d.Accepts(t, asin, desk.T0)
	}
	explained(t, d, good[0])
	s := open(t, d, ours.Options{Simulated: true}.Hurried())
	b := browse(t)
	tabs := map[string]*browser{"": b}
	for _, path := range []string{"machine", "deal/" + good[0]} {
		ctx, cancel := chromedp.NewContext(b)
		t.Cleanup(cancel)
		if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the tab lives as long as what opens it
			t.Fatal(err)
		}
		tabs[path] = &browser{Context: ctx}
	}
	for path, tab := range tabs {
		tab.do(t, "open /"+path, chromedp.Navigate(s.URL()+path), live, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, performance.Enable, performance.EnableParams{})
			return err
		}))
		tab.text(t, `window.updates = 0; new MutationObserver(() => { window.updates++; }).observe(document.getElementById('fragment'), {subtree: true, childList: true, characterData: true}); 'counted'`)
	}
	deal := dealOf(t, d, good[1])
	first := map[string]weight{}
	var goroutines int
	var bytes int64
	next := time.Now()
	for n := range daysOfWeek * inADay {
		happens(t, d, n, deal)
		next = next.Add(happensIn / weekSpeed)
		time.Sleep(time.Until(next)) // the pace of the week, not a wait for anything
		if n == inADay {
			for path, tab := range tabs {
				first[path] = tab.weigh(t)
			}
			goroutines, bytes = serverHolds()
		}
	}
	for path, tab := range tabs {
		then, now := first[path], tab.weigh(t)
		t.Logf("/%s after a day %+v, after a week %+v", path, then, now)
		if passed := now.updates - then.updates; path != "deal/"+good[0] && passed < 60 {
			t.Errorf("/%s was updated %d times, which proves nothing", path, passed)
		}
		if now.lost > then.lost+200 || now.shown > 10_000 || now.listeners > then.listeners || now.script > then.script+1<<19 {
			t.Errorf("/%s grows in the browser: nodes beside the %d of the page %.0f, then %.0f; listeners %.0f, %.0f; heap of its script %.0f, %.0f bytes",
				path, now.shown, then.lost, now.lost, then.listeners, now.listeners, then.script, now.script)
		}
	}
	g, held := serverHolds()
	t.Logf("the server after a day: %d goroutines and %d bytes, after a week %d and %d", goroutines, bytes, g, held)
	if g > goroutines+3 || held > bytes+3<<20 {
		t.Errorf("the server grows: %d goroutines, then %d; %d bytes, then %d", goroutines, g, bytes, held)
	}
	b.quiet(t, s, "")
}

// weigh is the least that the page holds after its garbage was collected, of several times: what the browser still
// works on is not collected, and a leak does not go away.
func (b *browser) weigh(t *testing.T) weight {
	t.Helper()
	least := b.once(t)
	for range 8 {
		time.Sleep(200 * time.Millisecond)
		w := b.once(t)
		w.lost, w.script, w.listeners = min(w.lost, least.lost), min(w.script, least.script), min(w.listeners, least.listeners)
		least = w
	}
	return least
}

func (b *browser) once(t *testing.T) (w weight) {
	t.Helper()
	b.do(t, "weigh", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, heapprofiler.CollectGarbage, cdp.Empty{}); err != nil {
			return err
		}
		all, err := cdp.Call(ctx, target, performance.GetMetrics, cdp.Empty{})
		if err != nil {
			return err
		}
		for _, m := range all.Metrics {
			switch m.Name {
			case "Nodes":
				w.lost = m.Value
			case "JSEventListeners":
				w.listeners = m.Value
			case "JSHeapUsedSize":
				w.script = m.Value
			}
		}
		return nil
	}))
	w.updates, _ = strconv.Atoi(b.text(t, `String(window.updates)`))
	w.shown, _ = strconv.Atoi(b.text(t, `(() => { let n = 1; for (const w = document.createTreeWalker(document); w.nextNode(); ) n++; return String(n); })()`))
	w.lost -= float64(w.shown)
	return w
}

// serverHolds is how many goroutines there are at least, between two readings, and what the page and the readers below
// it hold. NATS, which is in this process too, keeps buffers of its own.
func serverHolds() (goroutines int, bytes int64) {
	goroutines = runtime.NumGoroutine()
	for range 100 {
		time.Sleep(20 * time.Millisecond)
		goroutines = min(goroutines, runtime.NumGoroutine())
	}
	runtime.GC()
	runtime.GC() // the second one completes the profile
	records := make([]runtime.MemProfileRecord, 20_000)
	n, _ := runtime.MemProfile(records, false)
	for _, r := range records[:n] {
		frames := runtime.CallersFrames(r.Stack())
		for more := true; more; {
			var f runtime.Frame
			if f, more = frames.Next(); strings.Contains(f.Function, "ratchet/pipeline/ops/") && !strings.Contains(f.File, "_test.go") {
				bytes += r.InUseBytes()
				break
			}
		}
	}
	return goroutines, bytes
}

// dealOf is the members of a deal about a book.
func dealOf(t *testing.T, d *desk.Desk, asin string) map[string]any {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	v := decide.Commit(desk.BuiltIn(t), w, decide.Answer{ID: "1", Key: asin, Body: d.Product(t, asin, true)}, nil, 6, desk.T0).Verdict
	var members map[string]any
	if err := json.Unmarshal(v.Deal, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// happens is what happens next: a call, now and then a pause, another price of a deal, heartbeats.
func happens(t *testing.T, d *desk.Desk, n int, deal map[string]any) {
	t.Helper()
	now := d.Env.Now()
	line := func(e pipeline.Entry) {
		e.At = now
		publish(t, d, pipeline.SubjectLedger(e.Stage, e.Event), pipeline.SchemaLedger, fmt.Sprint("week", n, e.Event), e)
	}
	line(pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 5, API: &pipeline.Reading{Left: n % 300, Rate: 5}})
	switch n % 24 {
	case 0:
		line(pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", Note: "burst to recharge"})
	case 12:
		line(pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", Note: "recharge to burst, ended by balance"})
	}
	deal["title"], deal["profit_cents"] = fmt.Sprintf("The collected works, printing %d", n), 1000+n%500
	publish(t, d, pipeline.SubjectDeal(1, 2, deal["asin"].(string)), pipeline.SchemaDeal, fmt.Sprint("printing", n), deal)
	put(t, d, pipeline.BucketTokens, pipeline.KeyBalance, token.Balance{Est: n % 300, At: now, Rate: 5, Cap: 300, State: string(token.Burst), Since: now})
	for _, name := range []string{"tokend", "watermarker", "peeker", "committer", "recorder"} {
		put(t, d, pipeline.BucketStatus, name+".test", pipeline.Heartbeat{Daemon: name, Instance: "host." + name, Build: "test", StartedAt: desk.T0, At: now, State: "idle", LastProgress: now})
	}
}
