package daemon

import (
	"bytes"
	"context"
	"testing"

	"ratchet/pipeline/platform/process"
)

func TestCheckOpensTheDoorsAndStops(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	code := mainCode("peeker", func(ctx context.Context, env process.Env) error {
		env.AnnounceReady()
		<-ctx.Done()
		return ctx.Err()
	}, []string{"--check"}, &log)
	if code != process.ExitDone {
		t.Errorf("exit code %d, want %d: %s", code, process.ExitDone, log.String())
	}
}

func TestAnUnknownFlagIsWrongUsage(t *testing.T) {
	t.Parallel()
	never := func(context.Context, process.Env) error { t.Error("ran"); return nil }
	for _, args := range [][]string{{"--nonsense"}, {"stray"}} {
		var log bytes.Buffer
		if code := mainCode("peeker", never, args, &log); code != process.ExitUsage {
			t.Errorf("%v: exit code %d, want %d", args, code, process.ExitUsage)
		}
	}
}
