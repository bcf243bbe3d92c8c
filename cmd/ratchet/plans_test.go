package main

import (
	"bytes"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

func TestAnOperatorAddsAPlanAndPausesOneOrAll(t *testing.T) {
	if testing.Short() {
		t.Skip("applies the topology of two plans")
	}
	env, srv := streams.Start(t, "127.0.0.1:0")
	b := streams.Connect(t, env)
	t.Setenv("NATS_URL", srv.URL())
	unset(t, "KEEPA_PLAN")
	command := func(code int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if got := run(args, &out, &out); got != code {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, code, &out)
		}
		return out.String()
	}
	modes := func() string {
		var all []string
		for _, bucket := range []string{"TOKENS", "TOKENS_eu"} {
			kv, err := b.Store(t.Context(), bucket)
			if err != nil {
				t.Fatal(err)
			}
			if e, err := kv.Get(t.Context(), pipeline.KeyMode); err == nil {
				all = append(all, string(e.Value()))
			} else {
				all = append(all, "none")
			}
		}
		return strings.Join(all, " ")
	}
	if says := command(process.ExitUsage, "rules", "history", "--plan", "eu"); !strings.Contains(says, "there is no plan eu") {
		t.Errorf("before it exists: %s", says)
	}
	if says := command(process.ExitDone, "pause"); says != "mode: paused\n" {
		t.Errorf("with a single key: %s", says)
	}
	if says := command(process.ExitDone, "topology", "apply", "--clickhouse-url", "none", "--plans", "eu=de,fr"); !strings.Contains(says, "created bucket TOKENS_eu") {
		t.Errorf("apply says %s", says)
	}
	if got, err := b.Plans(t.Context()); err != nil || got.String() != (plan.Map{"eu": {keepa.DomainDE, keepa.DomainFR}}).String() {
		t.Errorf("the plans are %v, %v", got, err)
	}
	for _, step := range []struct{ args, want string }{
		{"resume", "run run"}, {"pause --plan eu", "run paused"}, {"nospend --plan main", "nospend paused"}, {"resume", "run run"},
	} {
		if command(process.ExitDone, strings.Fields(step.args)...); modes() != step.want {
			t.Errorf("after %s the modes are %s, want %s", step.args, modes(), step.want)
		}
	}
	command(process.ExitUsage, "pause", "--plan", "jp")
	command(process.ExitUsage, "topology", "apply", "--clickhouse-url", "none", "--plans", "eu=de")
	if err := b.Apply(t.Context(), bus.Provision{}); err != nil {
		t.Fatal(err)
	}
	if says := command(process.ExitDone, "topology", "diff", "--clickhouse-url", "none"); !strings.Contains(says, "nothing differs") {
		t.Errorf("afterwards: %s", says)
	}
	if says := command(process.ExitDone, "topology", "roles", "--plans", "eu=de"); !strings.Contains(says, "$KV.TOKENS_eu.balance") {
		t.Error("the rights lack those of the plan")
	}
}

func TestUpLeavesNoKeyIdleInSilence(t *testing.T) {
	for name, value := range map[string]string{"KEEPA_PLANS": "eu=de", "KEEPA_PLAN": "eu"} {
		t.Run(name, func(t *testing.T) {
			unset(t, "KEEPA_PLAN")
			unset(t, "KEEPA_PLANS")
			t.Setenv(name, value)
			var out bytes.Buffer
			if code := run([]string{"up", "--simulate", "--data", t.TempDir()}, &out, &out); code != process.ExitUsage || !strings.Contains(out.String(), "topology apply --plans") {
				t.Errorf("exit code %d: %s", code, &out)
			}
		})
	}
}
