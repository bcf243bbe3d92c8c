package standalone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/desk"
)

// journal is a log that many goroutines write and the test reads.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) holds(s string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Contains(j.b.Bytes(), []byte(s))
}

func start(t *testing.T, dir string, log *journal) *standalone.Box {
	t.Helper()
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: dir, World: standalone.Backlog, ClickHouse: standalone.None, Speed: 300, Seed: 1, Rate: 5, Balance: 300, Tick: time.Minute,
		Settings: map[string]string{"REPAIR_ATTEMPTS": "0"}, // which would decide a deal again after six hours, on a slow machine a minute
		Log:      slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestABacklogIsDecidedOncePaidOnceAndPoisonIsDeadLettered(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole backlog takes ten seconds")
	}
	t.Parallel()
	log := &journal{}
	box := start(t, t.TempDir(), log)
	defer box.Stop(context.Background())
	poison := bus.Message{Subject: "candidate.1.live.B00POISON0", Schema: "candidate.v999", ID: "poison", WorkID: "poison", Body: []byte("{")}
	if _, err := box.Bus.Publish(t.Context(), poison); err != nil {
		t.Fatal(err)
	}
	desk.Await(t, "400 decided", func() bool {
		sum, err := cli.ReadReport(t.Context(), box.Bus)
		return err == nil && sum.Decided() >= 400
	})
	box.StopStages()
	sum, err := cli.ReadReport(t.Context(), box.Bus)
	if err != nil {
		t.Fatal(err)
	}
	if got := sum.Decided(); got != 400 {
		t.Errorf("decided %d, want 400", got)
	}
	if got := len(sum.Accepted()); got != 20 {
		t.Errorf("accepted %d, want 20", got)
	}
	paidOnce(t, box, 0)
	onlyGivenUpClaimsDrift(t, sum)
	dead := 0
	desk.OneFinalEach(t, box.Bus)

	if err := box.Bus.Scan(t.Context(), pipeline.StreamDead, bus.From{}, func(bus.Read) error { dead++; return nil }); err != nil {
		t.Fatal(err)
	}
	if dead != 1 {
		t.Errorf("%d dead letters, want the poison alone", dead)
	}
	secretFree(t, box, log)
}

// onlyGivenUpClaimsDrift fails if tokens moved that no claim explains. On a slow machine a claim is given up while its
// worker is alive: what its call cost is then taken for drift or, if the bucket was full, for expired, and counts the
// other way round once the worker closes the claim after all.
func onlyGivenUpClaimsDrift(t *testing.T, sum *report.Report) {
	t.Helper()
	if drift := sum.Drift(); max(drift, -drift) > sum.Lost() {
		t.Errorf("%d tokens are unaccounted for, and the claims that were given up held %d", drift, sum.Lost())
	}
}

// secretFree looks for the key's own parameter in everything that was stored or
// logged: it is in the URL of every request.
func secretFree(t *testing.T, box *standalone.Box, log *journal) {
	t.Helper()
	const inURL = "key=simulated"
	for _, stream := range []string{
		pipeline.StreamCandidates, pipeline.StreamSurvivors, pipeline.StreamResponses, pipeline.StreamVerdicts, pipeline.StreamDeals,
		pipeline.StreamLedger, pipeline.StreamDead, pipeline.BucketStream(pipeline.BucketTokens), pipeline.BucketStream(pipeline.BucketStatus),
	} {
		if err := box.Bus.Scan(t.Context(), stream, bus.From{}, func(r bus.Read) error {
			for name, values := range r.Header {
				for _, v := range values {
					if bytes.Contains([]byte(v), []byte(inURL)) {
						t.Errorf("%s #%d: header %s holds the key", stream, r.Sequence, name)
					}
				}
			}
			if bytes.Contains(r.Body, []byte(inURL)) {
				t.Errorf("%s #%d holds the key", stream, r.Sequence)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if log.holds(inURL) {
		t.Error("the log holds the key")
	}
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("two starts of everything take seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, &journal{})
	desk.Await(t, "something decided", func() bool {
		sum, err := cli.ReadReport(t.Context(), first.Bus)
		return err == nil && sum.Decided() > 100
	})
	stopped := first.Env.Now()
	first.StopStages()
	before, err := cli.ReadReport(t.Context(), first.Bus)
	if err != nil {
		t.Fatal(err)
	}
	first.Stop(context.Background())
	second := start(t, dir, &journal{})
	defer second.Stop(context.Background())
	if now := second.Env.Now(); now.Before(stopped) {
		t.Errorf("time went back from %v to %v", stopped, now)
	}
	after, err := cli.ReadReport(t.Context(), second.Bus)
	if err != nil {
		t.Fatal(err)
	}
	for id, v := range before.Final() {
		if w, ok := after.Final()[id]; !ok || w.Outcome != v.Outcome {
			t.Errorf("%s was %s and is %s", v.ASIN, v.Outcome, w.Outcome)
		}
	}
}

// TestAfterACrashSimulatedTimeDoesNotGoBack starts from the place that a process which dies at some instant leaves.
func TestAfterACrashSimulatedTimeDoesNotGoBack(t *testing.T) {
	if testing.Short() {
		t.Skip("two starts of everything take seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir, &journal{})
	file := filepath.Join(dir, string(standalone.Backlog), "place.json")
	began, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	desk.Await(t, "something decided", func() bool {
		sum, err := cli.ReadReport(t.Context(), first.Bus)
		return err == nil && sum.Decided() > 20
	})
	desk.Await(t, "its time to be saved again", func() bool {
		now, err := os.ReadFile(file)
		return err == nil && !bytes.Equal(now, began)
	})
	died := first.Env.Now()
	left, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// What the second start says first is later, by the time that it takes; so the file is asked as well.
	var saved struct {
		At time.Time `json:"at"`
	}
	if err := json.Unmarshal(left, &saved); err != nil || saved.At.Before(died) {
		t.Errorf("at %v the saved time is %v, %v", died, saved.At, err)
	}
	first.Stop(context.Background())
	if err := os.WriteFile(file, left, 0o600); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir, &journal{})
	defer second.Stop(context.Background())
	if now := second.Env.Now(); now.Before(died) {
		t.Errorf("time went back from %v to %v", died, now)
	}
}

// TestARestartLosesNoToken has the box stop at any instant between two refills.
func TestARestartLosesNoToken(t *testing.T) {
	if testing.Short() {
		t.Skip("several starts of everything take seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	decided := 0
	for range 4 {
		box := start(t, dir, &journal{})
		desk.Await(t, "more decided, or all", func() bool {
			sum, err := cli.ReadReport(t.Context(), box.Bus)
			more := err == nil && sum.Decided() >= min(decided+10, 400)
			if more {
				decided = sum.Decided()
				onlyGivenUpClaimsDrift(t, sum)
			}
			return more
		})
		box.Stop(context.Background())
	}
}
