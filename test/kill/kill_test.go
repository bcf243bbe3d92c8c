// Package kill_test kills daemons with SIGKILL around each of their statements and
// shows that what was paid for once is not paid for again: at most the one call whose
// answer had arrived and was not yet stored.
package kill_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
	"ratchet/test/desk"
)

// all runs every point of every daemon; without it each daemon dies at a few.
var all = os.Getenv("RATCHET_KILL") == "all"

// scene is one daemon and the work it has.
type scene struct {
	daemon string
	env    []string
	set    func(t *testing.T, d *desk.Desk)
	done   func(t *testing.T, d *desk.Desk) bool
	check  func(t *testing.T, d *desk.Desk)
	// paid is how often each answer was paid for.
	paid func(d *desk.Desk) map[string]int
	// beside are the daemons that work on while this one dies.
	beside []func(context.Context, process.Env) error
	// leases are the keys of TOKEND that a dead process leaves for a while.
	leases []string
}

var binaries = child.Binaries{Packages: []string{
	"ratchet/cmd/peeker", "ratchet/cmd/committer", "ratchet/cmd/watermarker", "ratchet/cmd/tokend", "ratchet/cmd/notifier",
}}

func TestMain(m *testing.M) { binaries.Main(m) }

// outcome is what a run with a trap came to.
type outcome struct {
	statements []string
	paid       map[string]int // answers, by what was asked
}

// run starts the daemon into the trap. When it has been killed, everything that only
// time would end is ended (leases, orders, deliveries), and a second one finishes.
func (s scene) run(t *testing.T, at point) outcome {
	t.Helper()
	d, address := desk.Listening(t, desk.Soon)
	s.set(t, d)
	for _, b := range s.beside {
		defer d.Run(t, b, nil)()
	}
	tr := &trap{spring: at}
	started := make(chan struct{})
	var first *child.Child
	tr.kill = func() { <-started; first.Kill() }
	first = s.start(t, d, tr.nats(t, address), tr.keepa(t, d.Keepa()))
	close(started)
	if at.n == 0 {
		desk.Await(t, s.daemon+" is done", func() bool { return s.done(t, d) })
		first.Kill()
	} else {
		if !s.sprung(t, d, first.Ended) {
			first.Kill()
			if at.n == 1 {
				t.Fatalf("the trap at %s did not spring; statements: %v", at, tr.seen)
			}
			t.Skipf("this run had fewer statements than %s; statements: %v", at, tr.seen)
		}
		s.expire(t, d)
		second := s.start(t, d, address, d.Keepa())
		desk.Await(t, s.daemon+" is done after its kill", func() bool { return s.done(t, d) })
		second.Kill()
	}
	s.check(t, d)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return outcome{statements: slices.Clone(tr.seen), paid: s.paid(d)}
}

// sprung waits for the kill; false when all is done and there is nothing left to kill
// at. The first statement of a name always comes.
func (s scene) sprung(t *testing.T, d *desk.Desk, dead chan struct{}) bool {
	t.Helper()
	over, patience := time.Now().Add(time.Minute), 10*time.Second
	for {
		select {
		case <-dead:
			return true
		case <-time.After(50 * time.Millisecond):
		}
		if now := time.Now(); patience > 0 && s.done(t, d) {
			over, patience = now.Add(patience), 0
		} else if now.After(over) {
			return false
		}
	}
}

// start runs the daemon.
func (s scene) start(t *testing.T, d *desk.Desk, nats, keepa string) *child.Child {
	t.Helper()
	env := append(d.Env.Clock.Environ(), "NATS_URL="+nats, "KEEPA_URL="+keepa, "KEEPA_API_KEY=k", "LOG_LEVEL=warn", "HOME="+t.TempDir())
	return child.Start(t, child.Command(t, append(env, s.env...), binaries.Path(t, s.daemon)))
}

// expire ends what would end by itself with time: the deliveries in the dead
// worker's hands, its orders, its lease.
func (s scene) expire(t *testing.T, d *desk.Desk) {
	t.Helper()
	for _, name := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors} {
		if s.beside != nil {
			break // the work is in the hands of those that live
		}
		stream, err := d.Bus.JS.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		list := stream.ListConsumers(t.Context())
		for c := range list.Info() {
			if c.NumAckPending == 0 {
				continue
			}
			if _, err := stream.ResetConsumer(t.Context(), c.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for bucket, keys := range map[string][]string{pipeline.BucketOrders: nil, pipeline.BucketLeaders: s.leases} {
		kv, err := d.Bus.Store(t.Context(), bucket)
		if err != nil {
			t.Fatal(err)
		}
		if bucket == pipeline.BucketOrders {
			held, err := kv.ListKeys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for k := range held.Keys() {
				keys = append(keys, k)
			}
		}
		for _, k := range keys {
			if err := kv.Delete(t.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// mayRepeat reports whether a kill at this point may cost a call again: only between
// the answer's arrival and its acknowledgement by the stream.
func mayRepeat(name string, ph phase) bool {
	return strings.HasPrefix(name, "call ") && ph != before || name == "response"
}

// points are where the daemon is killed: around every statement, or around a few,
// with those that matter most always among them.
func (s scene) points(statements []string) []point {
	many := 3 // of each kind of statement
	if s.beside != nil {
		many = 1
	}
	var out []point
	seen := map[string]int{}
	for _, name := range statements {
		seen[name]++
		phases := []phase{before, landed}
		if strings.HasPrefix(name, "call ") {
			phases = append(phases, heard)
		}
		for _, ph := range phases {
			if all && seen[name] <= many || mayRepeat(name, ph) && seen[name] == 1 {
				out = append(out, point{name, seen[name], ph})
			}
		}
	}
	return out
}

func (s scene) test(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("kills processes many times over")
	}
	if s.beside != nil && !all {
		t.Skip("set RATCHET_KILL=all (make kill) to kill every daemon at every statement")
	}
	t.Parallel()
	unharmed := s.run(t, point{})
	if len(unharmed.paid) == 0 {
		t.Fatal("nothing is paid for, so this proves nothing")
	}
	t.Logf("%d statements: %v", len(unharmed.statements), unharmed.statements)
	for _, at := range s.points(unharmed.statements) {
		t.Run(at.String(), func(t *testing.T) {
			got := s.run(t, at)
			name := at.name
			for what, n := range unharmed.paid {
				switch again := got.paid[what] - n; {
				case again > 1, again == 1 && (s.beside != nil || !mayRepeat(name, at.phase)):
					t.Errorf("killed at %q, %s: %s was paid for %d times", name, at.phase, what, got.paid[what])
				case again < 0:
					t.Errorf("killed at %q, %s: %s was paid for %d times, unharmed %d", name, at.phase, what, got.paid[what], n)
				}
			}
			if len(got.paid) != len(unharmed.paid) {
				t.Errorf("killed at %q, %s: paid for %v, unharmed %v", name, at.phase, got.paid, unharmed.paid)
			}
		})
	}
}

// decided are the verdicts that end what is to be done, by work; no work may have
// two. What survives last is not looked at further.
func decided(t *testing.T, d *desk.Desk, last pipeline.Look) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, v := range d.Verdicts(t) {
		if v.Outcome.Final() || v.Look == last {
			out[v.WorkID]++
		}
	}
	return out
}

// all reports whether n works are decided and none is in anybody's hands.
func decidedAll(n int, last pipeline.Look) func(t *testing.T, d *desk.Desk) bool {
	return func(t *testing.T, d *desk.Desk) bool { return len(decided(t, d, last)) == n && settled(t, d) }
}

func once(n int, last pipeline.Look) func(t *testing.T, d *desk.Desk) {
	return func(t *testing.T, d *desk.Desk) {
		t.Helper()
		got := decided(t, d, last)
		if len(got) != n {
			t.Errorf("%d works are decided, want %d", len(got), n)
		}
		for work, times := range got {
			if times != 1 {
				t.Errorf("work %s is decided %d times", work, times)
			}
		}
	}
}

func TestThePeekerDies(t *testing.T) {
	scene{
		daemon: "peeker",
		set: func(t *testing.T, d *desk.Desk) {
			d.Grant(t, pipeline.StagePeeker, desk.Credit)
			for _, asin := range slices.Concat(d.ASINs(keepasim.Good)[:1], d.ASINs(keepasim.NoProfit)[:1], d.ASINs(keepasim.AmazonCaps)[:1]) {
				d.Offer(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration))
			}
		},
		done:  decidedAll(3, pipeline.LookPeek),
		check: once(3, pipeline.LookPeek),
		paid:  func(d *desk.Desk) map[string]int { return d.Sim.Account().Peeks },
	}.test(t)
}

func TestTheCommitterDies(t *testing.T) {
	scene{
		daemon: "committer", env: []string{"COMMITTER_WORKERS=1"},
		set: func(t *testing.T, d *desk.Desk) {
			d.Grant(t, pipeline.StageCommitter, desk.Credit)
			for _, asin := range slices.Concat(d.ASINs(keepasim.Good)[:1], d.ASINs(keepasim.LandedPrice)[:1]) {
				d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookPeek, "a")
			}
		},
		done: decidedAll(2, pipeline.LookCommit),
		check: func(t *testing.T, d *desk.Desk) {
			once(2, pipeline.LookCommit)(t, d)
			deals := 0
			if err := d.Bus.Scan(t.Context(), pipeline.StreamDeals, bus.From{}, func(bus.Read) error { deals++; return nil }); err != nil || deals != 1 {
				t.Errorf("%d deals (%v), want one", deals, err)
			}
		},
		paid: func(d *desk.Desk) map[string]int {
			out := d.Sim.Account().Commits
			out["the seller"] = d.Sim.Account().Tokens[keepasim.KindSeller]
			return out
		},
	}.test(t)
}

// products are the paid looks by ASIN.
func products(d *desk.Desk) map[string]int {
	out := map[string]int{}
	books := d.Sim.Account()
	for asin, n := range books.Peeks {
		out["peek "+asin] = n
	}
	for asin, n := range books.Commits {
		out["commit "+asin] = n
	}
	return out
}

func TestTokendDies(t *testing.T) {
	scene{
		daemon: "tokend", leases: []string{pipeline.KeyLeader},
		beside: []func(context.Context, process.Env) error{peeker.Run, committer.Run},
		set: func(t *testing.T, d *desk.Desk) {
			for _, asin := range slices.Concat(d.ASINs(keepasim.Good)[:3], d.ASINs(keepasim.NoProfit)[:3], d.ASINs(keepasim.LandedPrice)[:2]) {
				d.Offer(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration))
			}
		},
		done: decidedAll(8, pipeline.LookCommit), check: once(8, pipeline.LookCommit), paid: products,
	}.test(t)
}

func TestTheWatermarkerDies(t *testing.T) {
	scene{
		daemon: "watermarker", leases: []string{pipeline.KeyWatermarkerLeader, pipeline.KeyRefresherLeader},
		beside: []func(context.Context, process.Env) error{peeker.Run, committer.Run},
		set: func(t *testing.T, d *desk.Desk) {
			for _, s := range pipeline.Stages() {
				d.Grant(t, s, desk.Credit)
			}
		},
		done: decidedAll(400, pipeline.LookCommit), check: once(400, pipeline.LookCommit), paid: products,
	}.test(t)
}

// TestTheRefresherDies kills the refresher, which runs in the watermarker: a
// deal whose refresh is due is offered once and paid for once. The list is not read,
// for that has no tokens.
func TestTheRefresherDies(t *testing.T) {
	scene{
		daemon: "watermarker", leases: []string{pipeline.KeyWatermarkerLeader, pipeline.KeyRefresherLeader},
		env:    []string{"REPAIR_ATTEMPTS=0"},
		beside: []func(context.Context, process.Env) error{peeker.Run},
		set: func(t *testing.T, d *desk.Desk) {
			kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
			if err == nil {
				_, err = kv.Put(t.Context(), pipeline.KeyBalance, []byte(`{"est":100,"rate":5,"state":"burst"}`))
			}
			if err != nil {
				t.Fatal(err)
			}
			d.Grant(t, pipeline.StagePeeker, desk.Credit)
			d.Accepts(t, d.ASINs(keepasim.Good)[0], desk.T0.Add(-30*time.Hour))
		},
		done: func(t *testing.T, d *desk.Desk) bool { return len(refreshed(t, d)) > 0 },
		check: func(t *testing.T, d *desk.Desk) {
			if n := len(refreshed(t, d)); n != 1 {
				t.Errorf("%d verdicts of refreshes, want 1", n)
			}
			s, err := d.Bus.JS.Stream(t.Context(), pipeline.StreamCandidates)
			if err != nil {
				t.Fatal(err)
			}
			if n := s.CachedInfo().State.Msgs; n != 1 {
				t.Errorf("%d candidates, want 1", n)
			}
		},
		paid: products,
	}.test(t)
}

// refreshed are the verdicts that end a refresh.
func refreshed(t *testing.T, d *desk.Desk) []desk.Verdict {
	t.Helper()
	var out []desk.Verdict
	for _, v := range d.Verdicts(t) {
		if v.Source == pipeline.SourceRefresh && v.Look == pipeline.LookPeek {
			out = append(out, v)
		}
	}
	return out
}

// settled reports whether no work is in anybody's hands.
func settled(t *testing.T, d *desk.Desk) bool {
	t.Helper()
	for _, name := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors} {
		backlogs, err := d.Bus.Backlogs(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range backlogs {
			if b.Unsettled > 0 {
				return false
			}
		}
	}
	return true
}
