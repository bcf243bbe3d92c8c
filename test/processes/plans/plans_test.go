// Package plans_test runs the daemons of two Keepa keys side by side on one NATS, in this process.
package plans_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/tokend"
	"ratchet/pipeline/watermarker"
	"ratchet/schemas"
	"ratchet/test/streams"
)

var epoch = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// patience is how long something may take on a busy machine.
const patience = 2 * time.Minute

type run = func(context.Context, process.Env) error

// key is one of the two keys with its simulated Keepa.
type key struct {
	plan   pipeline.Plan
	domain keepa.Domain
	sim    *keepasim.Sim
	env    process.Env
}

// world is a deployment with two keys.
type world struct {
	t    *testing.T
	bus  *bus.Bus
	keys map[pipeline.Plan]*key
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env, b := streams.Open(t)
	env.Clock = process.NewClock(epoch, 60)
	if err := b.Apply(t.Context(), bus.Provision{Plans: plan.Map{"de": {keepa.DomainDE}}}); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, bus: b, keys: map[pipeline.Plan]*key{}}
	for i, k := range []*key{{domain: keepa.DomainCom}, {plan: "de", domain: keepa.DomainDE}} {
		k.sim = keepasim.New(keepasim.Options{
			Now: env.Now, Seed: 1, Rate: 3000, Balance: 3000, Catalogue: keepasim.Backlog400(uint64(i + 1)), Instant: true, //nolint:gosec // small
		})
		k.sim.Start(epoch)
		server := httptest.NewServer(k.sim)
		t.Cleanup(server.Close)
		k.env = env
		k.env.Lookup = envconfig.MapLookuper(k.files(t, map[string]string{
			"NATS_URL": streams.URL, "KEEPA_URL": server.URL, "KEEPA_API_KEY": "simulated", "KEEPA_PLAN": string(k.plan),
		}))
		w.keys[k.plan] = k
	}
	return w
}

// files adds a rule file and a query for the marketplace.
func (k *key) files(t *testing.T, env map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string][]byte{
		"RULES":   bytes.Replace(schemas.UsedBooks, []byte("marketplace: com"), []byte("marketplace: "+k.domain.Suffix()), 1),
		"QUERIES": bytes.Replace(schemas.UsedBooksQuery, []byte(`"domainId": 1`), fmt.Appendf(nil, `"domainId": %d`, k.domain), 1),
	} {
		env[name] = filepath.Join(dir, map[string]string{"RULES": "rules.yaml", "QUERIES": "used-books.json"}[name])
		if err := os.WriteFile(env[name], body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return env
}

// start runs daemons of a plan until stop is called, or the test ends.
func (w *world) start(p pipeline.Plan, daemons ...run) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var all sync.WaitGroup
	for _, f := range daemons {
		all.Go(func() {
			if err := f(ctx, w.keys[p].env); err != nil && ctx.Err() == nil {
				w.t.Errorf("a daemon of plan %s ended: %v", p, err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	w.t.Cleanup(stop)
	return stop
}

// decided is how many works of a marketplace have a final verdict, and how many of them were looked at for tokens.
func (w *world) decided(d keepa.Domain) (all, paid int) {
	w.t.Helper()
	finals := map[string]bool{}
	err := w.bus.Scan(w.t.Context(), pipeline.StreamVerdicts, bus.From{Headers: true, Subjects: []string{fmt.Sprintf("verdict.%d.>", d)}}, func(r bus.Read) error {
		parts := strings.Split(r.Subject, ".")
		if id := r.Header.Get(pipeline.HeaderWorkID); pipeline.Outcome(parts[3]).Final() && !finals[id] {
			finals[id] = true
			if parts[2] != string(pipeline.LookGlance) {
				paid++
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(finals), paid
}

func (w *world) await(what string, done func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !done() {
		if process.Sleep(ctx, 50*time.Millisecond) != nil {
			w.t.Fatalf("it does not come about that %s", what)
		}
	}
}

func TestOneKeyGoesOnWhileTheOtherHasNoTokend(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("decides 800 candidates")
	}
	w := newWorld(t)
	w.start("", tokend.Run, watermarker.Run, peeker.Run, committer.Run)
	stop := w.start("de", tokend.Run)
	w.start("de", watermarker.Run, peeker.Run, committer.Run)
	w.await("the list of de is read", func() bool { all, _ := w.decided(keepa.DomainDE); return all > 0 })
	stop()
	// What was granted may still be spent; the rest waits for the tokend, and for nobody else's tokens.
	w.await("amazon.com is decided", func() bool { all, _ := w.decided(keepa.DomainCom); return all == 400 })
	if all, _ := w.decided(keepa.DomainDE); all == 400 {
		t.Log("the grants sufficed for all of de")
	}
	stop = w.start("de", tokend.Run)
	w.await("amazon.de is decided", func() bool { all, _ := w.decided(keepa.DomainDE); return all == 400 })

	for p, k := range w.keys {
		w.booksAgree(k)
		if n := len(k.sim.Account().Repeated()); n > 0 {
			t.Errorf("plan %s paid for %d answers again", p, n)
		}
	}
	w.statusShowsBoth()
	w.aReplayIsOfOnePlan()
	stop()
	w.aLostGrantIsRebuiltFromItsOwnLines()
}

// aLostGrantIsRebuiltFromItsOwnLines deletes a grant of plan de while no tokend of it runs.
func (w *world) aLostGrantIsRebuiltFromItsOwnLines() {
	w.t.Helper()
	kv, err := w.bus.Store(w.t.Context(), "TOKENS_de")
	if err != nil {
		w.t.Fatal(err)
	}
	settled := func() int {
		var g token.Grant
		if e, err := kv.Get(w.t.Context(), pipeline.KeyGrant(pipeline.StagePeeker)); err != nil || json.Unmarshal(e.Value(), &g) != nil {
			return -1
		}
		return g.Settled
	}
	before := settled()
	if err := kv.Delete(w.t.Context(), pipeline.KeyGrant(pipeline.StagePeeker)); err != nil {
		w.t.Fatal(err)
	}
	w.start("de", tokend.Run)
	w.await("the grant is there again", func() bool { return settled() >= 0 })
	if got := settled(); got != before || before == 0 {
		w.t.Errorf("the grant has settled %d tokens, want the %d of before", got, before)
	}
}

// booksAgree compares what a key was charged with the plan's lines of the ledger, and
// what it bought with the candidates of its marketplace.
func (w *world) booksAgree(k *key) {
	w.t.Helper()
	issued := 0
	booked := func() int {
		n := 0
		err := bus.ScanJSON(w.t.Context(), w.bus, pipeline.StreamLedger, bus.From{}, func(r bus.Read, e pipeline.Entry) error {
			if want := strings.HasSuffix(r.Subject, ".de"); want != (e.Plan == "de") {
				w.t.Errorf("the line %s says plan %q", r.Subject, e.Plan)
			}
			if e.Plan == k.plan && e.Event == pipeline.EventIssue {
				issued++
			}
			if e.Plan == k.plan && (e.Event == pipeline.EventClose || e.Event == pipeline.EventDrift) {
				n += e.Tokens
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	w.await(fmt.Sprintf("the ledger of plan %s has what its key was charged", k.plan), func() bool { return booked() == k.sim.Account().Consumed() })
	if issued == 0 {
		w.t.Errorf("the ledger has no grant of plan %s", k.plan)
	}
	own := map[string]bool{}
	err := w.bus.Scan(w.t.Context(), pipeline.StreamCandidates, bus.From{Headers: true, Subjects: []string{fmt.Sprintf("candidate.%d.>", k.domain)}}, func(r bus.Read) error {
		own[r.Subject[strings.LastIndexByte(r.Subject, '.')+1:]] = true
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, bought := range []map[string]int{k.sim.Account().Peeks, k.sim.Account().Commits} {
		for asin := range bought {
			if !own[asin] {
				w.t.Errorf("plan %s bought %s, which is not a candidate of amazon.%s", k.plan, asin, k.domain.Suffix())
			}
		}
	}
}

// aReplayIsOfOnePlan decides again by the rules of de, whose amounts are those of no other marketplace.
func (w *world) aReplayIsOfOnePlan() {
	w.t.Helper()
	k := w.keys["de"]
	b, err := bus.OpenFor(w.t.Context(), streams.Config(), k.env, "test", "de")
	if err != nil {
		w.t.Fatal(err)
	}
	defer b.Close()
	rules := bytes.Replace(schemas.UsedBooks, []byte("marketplace: com"), []byte("marketplace: de"), 1)
	o := replay.Options{Look: pipeline.LookPeek, Rules: rules, Run: "of-de", ChangedOnly: true}
	r, err := replay.Open(w.t.Context(), b, nil, o, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := r.Run(w.t.Context(), nil); err != nil {
		w.t.Fatal(err)
	}
	want := 0
	if err := w.bus.Scan(w.t.Context(), pipeline.StreamVerdicts, bus.From{Headers: true, Subjects: []string{"verdict.3.peek.>"}}, func(r bus.Read) error {
		if r.Header.Get(pipeline.HeaderRunID) == pipeline.RunLive {
			want++
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	if r.Sums.Selected != want || want == 0 {
		w.t.Errorf("%d verdicts are decided again, want the %d of amazon.de", r.Sums.Selected, want)
	}
	o.Resume = true
	if _, err := replay.Open(w.t.Context(), w.bus, nil, o, nil); err == nil || !strings.Contains(err.Error(), "--plan") {
		w.t.Errorf("the run of de is resumed without its plan: %v", err)
	}
}

func (w *world) statusShowsBoth() {
	w.t.Helper()
	s, err := cli.ReadStatus(w.t.Context(), w.bus)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(s.Stuck) > 0 || len(s.Bad) > 0 {
		w.t.Errorf("stuck: %v; unreadable: %v", s.Stuck, s.Bad)
	}
	var out strings.Builder
	if err := s.Write(&out); err != nil {
		w.t.Fatal(err)
	}
	for _, says := range []string{"Plan main: Balance ", "Plan de (de): Balance ", "peeker de", "tokend de"} {
		if !strings.Contains(out.String(), says) {
			w.t.Errorf("the status lacks %q:\n%s", says, out.String())
		}
	}
}

func TestAPausedPlanPausesNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kv, err := w.bus.Store(t.Context(), "TOKENS_de")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyMode, []byte(token.Paused)); err != nil {
		t.Fatal(err)
	}
	w.start("de", tokend.Run, watermarker.Run)
	w.start("", tokend.Run, watermarker.Run)
	w.await("the list of com is read", func() bool {
		n, err := w.bus.Held(t.Context(), pipeline.StreamCandidates)
		return err == nil && n >= 400
	})
	if n := w.keys["de"].sim.Account().Consumed(); n != 0 {
		t.Errorf("the paused plan spent %d tokens", n)
	}
}

func TestAWatermarkerRefusesAQueryOfAnotherPlansMarketplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for p, other := range map[pipeline.Plan]string{"": "plan de", "de": "plan main"} {
		env := w.keys["de"].env
		if p == "de" {
			env = w.keys[""].env
		}
		env.Lookup = envconfig.MultiLookuper(envconfig.MapLookuper(map[string]string{"KEEPA_PLAN": string(p)}), env.Lookup)
		var usage *process.UsageError
		if err := watermarker.Run(t.Context(), env); !errors.As(err, &usage) || !strings.Contains(err.Error(), "served by "+other) {
			t.Errorf("a query of %s in plan %s: %v", other, p, err)
		}
	}
}
