package worker_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/streams"
)

// applyRules stores rules as the operator's, under a version.
func applyRules(t *testing.T, b *bus.Bus, version int, text string) {
	t.Helper()
	kv, err := b.Store(t.Context(), pipeline.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(pipeline.AppliedRules{Version: version, Rules: text})
	if err == nil {
		_, err = kv.Put(t.Context(), pipeline.KeyRules, body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// awaitRules waits until a daemon reports the rules that are wanted.
func awaitRules(t *testing.T, status *worker.Status, what string, want func(pipeline.CurrentRules) bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !want(*status.Beat().Rules); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("%s: %+v", what, *status.Beat().Rules)
		}
	}
}

func TestAppliedRulesAreTakenAsTheyComeAndBadOnesLeaveTheLastGoodInForce(t *testing.T) {
	t.Parallel()
	env, b := streams.Open(t)
	own, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := b.Store(t.Context(), pipeline.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	rules := func(profit string) []byte {
		return bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: "+profit), 1)
	}
	version := func(body []byte) string {
		j, err := verdict.NewJudge(body)
		if err != nil {
			t.Fatal(err)
		}
		return j.Version()
	}
	apply := func(n int, text string) {
		t.Helper()
		applyRules(t, b, n, text)
	}
	status := worker.NewStatus(env)
	fits := func(j *verdict.Judge) error {
		if n, _ := j.Threshold("min_profit_cents"); n > 1000 {
			return errors.New("too much")
		}
		return nil
	}
	r, err := worker.Follow(t.Context(), b, env, own, status, fits)
	if err != nil {
		t.Fatal(err)
	}
	inForce := func(what string, want func(pipeline.CurrentRules) bool) {
		t.Helper()
		awaitRules(t, status, what, want)
		if got := status.Beat().Rules.RuleSet; got != r.Judge().Version() {
			t.Errorf("%s: the heartbeat says %s, and %s decides", what, got, r.Judge().Version())
		}
	}
	good := version(rules("500"))
	inForce("nothing applied", func(i pipeline.CurrentRules) bool { return i.RuleSet == own.Version() && i.Version == 0 })
	apply(1, string(rules("500")))
	inForce("applied", func(i pipeline.CurrentRules) bool { return i.RuleSet == good && i.Version == 1 && i.Refused == "" })
	for n, bad := range []string{"name: [", string(rules("2000"))} {
		apply(n+2, bad)
		inForce("bad", func(i pipeline.CurrentRules) bool { return i.RuleSet == good && i.Version == n+1 && i.Refused != "" })
		apply(n+2, string(rules("500")))
		inForce("good again", func(i pipeline.CurrentRules) bool { return i.Version == n+2 && i.Refused == "" })
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyRules, []byte("not JSON")); err != nil {
		t.Fatal(err)
	}
	inForce("damaged", func(i pipeline.CurrentRules) bool { return i.RuleSet == good && i.Refused != "" })
	late := worker.NewStatus(env)
	started, err := worker.Follow(t.Context(), b, env, own, late, fits)
	if err != nil || started.Judge().Version() != own.Version() || late.Beat().Rules.Refused == "" {
		t.Errorf("a start over a damaged value: %v, %+v", err, late.Beat().Rules)
	}
	apply(9, "")
	inForce("its own again", func(i pipeline.CurrentRules) bool {
		return i.RuleSet == own.Version() && i.Version == 9 && i.Refused == ""
	})
}

func TestOtherRulesAreInForceOnceWhatWasDecidedIsStored(t *testing.T) {
	t.Parallel()
	env, b := streams.Open(t)
	own, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	follow := func() (*worker.Rules, *worker.Status) {
		t.Helper()
		status := worker.NewStatus(env)
		r, err := worker.Follow(t.Context(), b, env, own, status, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r, status
	}
	deciding, status := follow()
	_, idle := follow()
	judge, stored := deciding.Use()
	applyRules(t, b, 1, "")
	for _, after := range []struct {
		what string
		of   *worker.Status
	}{{"the one that decides nothing", idle}, {"the one that has stored it", status}} {
		awaitRules(t, after.of, after.what, func(i pipeline.CurrentRules) bool { return i.Version == 1 })
		if v := status.Beat().Rules.Version; after.of == idle && (v != 0 || judge != own) {
			t.Errorf("something decided by the rules before is not stored, and version %d is current", v)
		}
		stored()
	}
}
