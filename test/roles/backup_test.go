package roles_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/backup"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/roles"
)

func TestTheOperatorBacksUpAndTheProvisionerRestores(t *testing.T) {
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock()}
	from, refused := serve(t)
	provision(t, from, env)
	operator := connect(t, from, env, roles.Operator)
	kv, err := operator.Store(t.Context(), pipeline.BucketRuns)
	if err == nil {
		_, err = kv.Put(t.Context(), "mine", []byte("{}"))
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "set")
	saved, err := backup.Save(t.Context(), dir, backup.Source{Bus: operator, Say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	to, refusedThere := serve(t)
	if err := saved.Restore(t.Context(), dir, backup.Target{Bus: connect(t, to, env, roles.Provisioner), Say: t.Logf}); err != nil {
		t.Fatal(err)
	}
	if kv, err = connect(t, to, env, roles.Reader).Store(t.Context(), pipeline.BucketRuns); err == nil {
		_, err = kv.Get(t.Context(), "mine")
	}
	if err != nil {
		t.Error(err)
	}
	for _, line := range append(refused.all(), refusedThere.all()...) {
		t.Errorf("refused: %s", line)
	}
}
