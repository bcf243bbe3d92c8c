// Package roles_test holds the table of roles against a real NATS server with the configuration of
// deploy/nats: the pipeline runs without a violation, and what no row allows is refused.
package roles_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/roles"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/tokend"
	"ratchet/pipeline/watermarker"
	"ratchet/schemas"
)

// violations are what a server refused and logged.
type violations struct {
	mu   sync.Mutex
	said []string
}

func (v *violations) note(f string, args ...any) {
	if line := fmt.Sprintf(f, args...); strings.Contains(line, " Violation - ") {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.said = append(v.said, line)
	}
}

func (v *violations) Noticef(f string, args ...any) { v.note(f, args...) }
func (v *violations) Warnf(f string, args ...any)   { v.note(f, args...) }
func (v *violations) Fatalf(f string, args ...any)  { v.note(f, args...) }
func (v *violations) Errorf(f string, args ...any)  { v.note(f, args...) }
func (v *violations) Debugf(string, ...any)         {}
func (v *violations) Tracef(string, ...any)         {}

// all are the violations so far, each once, without what differs by connection.
func (v *violations) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	short := map[string]bool{}
	for _, line := range v.said {
		if i := strings.Index(line, "\""); i >= 0 {
			line = line[i:]
		}
		if i := strings.Index(line, " - "); i >= 0 {
			line = line[i+3:]
		}
		short[line] = true
	}
	return slices.Sorted(maps.Keys(short))
}

// serve starts a server with the generated configuration; every password is the user's name.
func serve(t *testing.T) (*server.Server, *violations) {
	t.Helper()
	dir := t.TempDir()
	conf, err := os.ReadFile(filepath.Join("..", "..", "deploy", "nats", "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	passwords := roles.Variable("sys") + ": sys\n"
	for _, r := range roles.Table() {
		passwords += fmt.Sprintf("%s: %s\n", roles.Variable(r.Name), r.Name)
	}
	for name, body := range map[string]string{"nats.conf": string(conf), "passwords.conf": passwords} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.HTTPPort, o.StoreDir, o.NoSigs, o.SyncAlways = "127.0.0.1", server.RANDOM_PORT, 0, t.TempDir(), true, false
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	v := &violations{}
	s.SetLoggerV2(v, false, false, false)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s, v
}

// as is the configuration of somebody in a role.
func as(s *server.Server, role string) bus.Config {
	return bus.Config{URL: s.ClientURL(), User: role, Password: process.Secret(role), MaxStore: 50e9, MaxAge: 90 * 24 * time.Hour, Wait: time.Minute}
}

func connect(t *testing.T, s *server.Server, env process.Env, role string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(t.Context(), as(s, role), env, role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func provision(t *testing.T, s *server.Server, env process.Env) {
	t.Helper()
	if err := connect(t, s, env, roles.Provisioner).Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheWholePipelineRunsWithoutAViolation(t *testing.T) {
	if testing.Short() {
		t.Skip("decides a few hundred candidates")
	}
	s, refused := serve(t)
	data := provisioned(t)
	tables, stop := engineFor(t, "writer", data)
	stop = sync.OnceFunc(stop)
	defer stop()
	clock := process.NewClock(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), 240)
	sim := keepasim.New(keepasim.Options{
		Now: clock.Now, After: clock.After, Seed: 1, Key: "a-key", Rate: 60, Balance: keepasim.FullBucket, Catalogue: keepasim.Backlog400(1),
	})
	sim.Start(clock.Now())
	keepa := httptest.NewServer(sim)
	t.Cleanup(keepa.Close)
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: clock, Version: "test"}
	provision(t, s, env)
	var notified atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { notified.Add(1) }))
	t.Cleanup(hook.Close)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for name, run := range map[string]func(context.Context, process.Env) error{
		"tokend": tokend.Run, "watermarker": watermarker.Run, "peeker": peeker.Run, "committer": committer.Run, "recorder": recorder.Run, "notifier": notifier.Run,
	} {
		env := env.Named(name)
		env.Lookup = envconfig.MapLookuper(map[string]string{
			"NATS_URL": s.ClientURL(), "NATS_USER": name, "NATS_PASSWORD": name, "KEEPA_URL": keepa.URL, "KEEPA_API_KEY": "a-key",
			"CLICKHOUSE_URL": tables, "REFRESH_PERIOD": "2h", "WATERMARKER_SHORTEST": "5m",
			"NOTIFY_TARGETS": hook.URL, "NOTIFY_SINCE": "24h",
		})
		running.Go(func() {
			if err := run(ctx, env); process.ExitCode(err) != process.ExitDone {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	reader := connect(t, s, env, roles.Reader)
	// All are decided, and a stored deal was offered again.
	over := func() bool {
		n, again := 0, 0
		if err := bus.ScanJSON(ctx, reader, pipeline.StreamVerdicts, bus.From{}, func(_ bus.Read, v pipeline.Verdict) error {
			if v.Outcome.Final() {
				n++
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := reader.Scan(ctx, pipeline.StreamCandidates, bus.From{Subjects: []string{"candidate.*.refresh.*"}, Headers: true}, func(bus.Read) error {
			again++
			return nil
		}); err != nil {
			t.Error(err)
		}
		return n >= 400 && again > 0
	}
	for late := time.Now().Add(4 * time.Minute); !over() && !t.Failed() && len(refused.all()) == 0; <-time.After(time.Second) {
		if time.Now().After(late) {
			t.Fatal("not all candidates are decided, or no stored deal was offered again")
		}
	}
	looks(t, reader)
	intervenes(t, connect(t, s, env, roles.Operator), reader)
	presses(t, connect(t, s, env, "page"), env)
	w := reach(t, tables)
	records(t, w, reader)
	cancel()
	running.Wait()
	for _, line := range refused.all() {
		t.Errorf("refused: %s", line)
	}
	if notified.Load() == 0 {
		t.Error("nothing was notified")
	}
	tidies(t, w)
	written := count(t, w, "verdicts")
	stop()
	answers(t, data, written)
}

// records waits until each stream has rows in its tables, by a recorder that never failed.
func records(t *testing.T, w *warehouse.Warehouse, reader *bus.Bus) {
	t.Helper()
	for late := time.Now().Add(time.Minute); ; <-time.After(200 * time.Millisecond) {
		status, err := cli.ReadStatus(t.Context(), reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range status.Daemons {
			if h.Daemon != "recorder" {
				continue
			}
			if h.Counters["failures"] > 0 {
				t.Fatalf("the recorder failed: %s", h.LastError)
			}
			if h.Counters["recorded"] >= 400 && !slices.ContainsFunc([]string{"deal_versions", "dead", "ledger"}, func(table string) bool { return count(t, w, table) == "0" }) {
				return
			}
		}
		if time.Now().After(late) {
			t.Fatal("the recorder has not written everything")
		}
	}
}

// tidies does what the recorder does now and then, and nothing that a writer may not.
func tidies(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	if _, err := w.ForgetRejects(t.Context(), 0); err != nil {
		t.Errorf("forget rejects as the writer: %v", err)
	}
	if _, err := w.Tidy(t.Context()); err != nil {
		t.Errorf("tidy as the writer: %v", err)
	}
	if _, err := w.SQL(t.Context(), "ALTER TABLE ratchet.deal_facts DELETE WHERE 0", false); err != nil {
		t.Errorf("as when there are rejects to forget: %v", err)
	}
	refuses(t, w, "writer", definitions...)
}

func TestTheProvisionerMayAskUnderAnyName(t *testing.T) {
	s, refused := serve(t)
	b, err := bus.Connect(t.Context(), as(s, roles.Provisioner), process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock()}, "ratchet-cli")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	found, err := b.Differences(t.Context())
	if err != nil || len(found) == 0 {
		t.Errorf("topology diff: %v, %v, want what is missing", found, err)
	}
	allOfIt(t, found)
	for _, line := range refused.all() {
		t.Errorf("refused: %s", line)
	}
}

// looks does what a reader's commands do.
func looks(t *testing.T, b *bus.Bus) {
	t.Helper()
	if _, err := cli.ReadStatus(t.Context(), b); err != nil {
		t.Errorf("status: %v", err)
	}
	visible := cli.NewVisible(b, "")
	defer visible.Close()
	if err := cli.Report(t.Context(), b, visible, nil, io.Discard); err != nil {
		t.Errorf("report: %v", err)
	}
	if _, err := b.Differences(t.Context()); err != nil {
		t.Errorf("topology diff: %v", err)
	}
	for _, asin := range keepasim.Backlog400(1).ASINs()[:3] {
		if _, err := cli.Why(t.Context(), b, asin); err != nil {
			t.Errorf("why %s: %v", asin, err)
		}
	}
}

// intervenes does what an operator's commands do.
func intervenes(t *testing.T, b, reader *bus.Bus) {
	t.Helper()
	ctx := t.Context()
	if _, err := b.Publish(ctx, bus.Message{Subject: "candidate.1.live.B000000000", Schema: pipeline.SchemaCandidate, ID: "bad", Body: []byte("bad")}); err != nil {
		t.Fatal(err)
	}
	var letters []cli.Letter
	for over := time.Now().Add(time.Minute); len(letters) == 0 && time.Now().Before(over); <-time.After(100 * time.Millisecond) {
		var err error
		if letters, err = cli.DeadLetters(ctx, reader, cli.DeadFilter{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(letters) == 0 {
		t.Fatal("what cannot be read is not on DEAD")
	}
	if _, err := cli.Retry(ctx, b, letters[0], false); err != nil {
		t.Errorf("dead retry: %v", err)
	}
	run, err := replay.Open(ctx, b, nil, replay.Options{Look: pipeline.LookPeek, Rules: schemas.UsedBooks, Run: "roles"}, nil)
	if err == nil {
		err = run.Run(ctx, nil)
	}
	if err != nil {
		t.Errorf("replay: %v", err)
	}
	kv, err := b.Store(ctx, pipeline.BucketTokens)
	if err == nil {
		_, err = kv.Put(ctx, pipeline.KeyMode, []byte("paused"))
	}
	if err != nil {
		t.Errorf("pause: %v", err)
	}
}

// allOfIt holds the table against the topology: a reader reads everything in it, and nobody but the provisioner creates
// or deletes its consumers.
func allOfIt(t *testing.T, topology []bus.Difference) {
	t.Helper()
	for _, r := range roles.Table() {
		p := r.Permissions()
		for _, d := range topology {
			kind, name, _ := strings.Cut(d.On, " ")
			switch kind {
			case "bucket":
				name = pipeline.BucketStream(name)
				fallthrough
			case "stream":
				if r.Person && !p.MayPublish("$JS.API.DIRECT.GET."+name) {
					t.Errorf("%s may not read %s", r.Name, d.On)
				}
			case "consumer":
				durable, stream, _ := strings.Cut(name, " on ")
				for _, verb := range []string{"CREATE", "DELETE"} {
					if subject := "$JS.API.CONSUMER." + verb + "." + stream + "." + durable; p.MayPublish(subject) && r.Name != roles.Provisioner {
						t.Errorf("%s may publish to %s", r.Name, subject)
					}
				}
			default:
				t.Errorf("%s is neither a stream nor a bucket nor a consumer", d.On)
			}
		}
	}
}

// subjects are one subject of everything that some row allows: a wildcard is a word that nothing else is called.
func subjects(list func(roles.Permissions) []string) []string {
	all := map[string]bool{}
	for _, r := range roles.Table() {
		for _, s := range list(r.Permissions()) {
			all[strings.NewReplacer("*", "any", ">", "any").Replace(s)] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// last is a subject that no row allows.
const last = "nobody.may"

func TestWhatNoRowAllowsIsRefused(t *testing.T) {
	s, _ := serve(t)
	publish := subjects(func(p roles.Permissions) []string { return append(p.Publish, p.NotPublish...) })
	subscribe := subjects(func(p roles.Permissions) []string { return p.Subscribe })
	for _, r := range roles.Table() {
		t.Run(r.Name, func(t *testing.T) {
			p := r.Permissions()
			errs := make(chan string, len(publish)+len(subscribe)+1)
			nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(r.Name, r.Name), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				errs <- err.Error()
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			want := map[string]bool{}
			for _, subject := range publish {
				if !p.MayPublish(subject) {
					want[fmt.Sprintf("Publish to %q", subject)] = true
				}
				if err := nc.Publish(subject, nil); err != nil {
					t.Fatal(err)
				}
			}
			for _, subject := range subscribe {
				if !slices.ContainsFunc(p.Subscribe, func(pattern string) bool { return roles.Covers(pattern, subject) }) {
					want[fmt.Sprintf("Subscription to %q", subject)] = true
				}
				if _, err := nc.SubscribeSync(subject); err != nil {
					t.Fatal(err)
				}
			}
			// What is refused comes back in the order in which it was asked.
			if err := nc.Publish(last, nil); err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for over := time.After(20 * time.Second); ; {
				var what string
				select {
				case line := <-errs:
					_, what, _ = strings.Cut(line, "Permissions Violation for ")
				case <-over:
					t.Fatalf("%d of %d were refused; not %v", len(got), len(want), missing(want, got))
				}
				if what == fmt.Sprintf("Publish to %q", last) {
					break
				}
				got[what] = true
			}
			if allowed := missing(want, got); len(allowed) > 0 {
				t.Errorf("no row allows it and it is not refused: %v", allowed)
			}
			if extra := missing(got, want); len(extra) > 0 {
				t.Errorf("refused although the table allows it: %v", extra)
			}
			if len(want) < 20 {
				t.Errorf("only %d refusals: the table proves nothing", len(want))
			}
		})
	}
}

func missing(all, found map[string]bool) []string {
	var out []string
	for s := range all {
		if !found[s] {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}
