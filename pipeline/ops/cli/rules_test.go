package cli_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

func TestADaemonThatIsSlowToAnswerIsWaitedForAfterRulesAreApplied(t *testing.T) {
	t.Parallel()
	env, b := streams.Open(t)
	free := make(chan struct{})
	var asked atomic.Int32
	for name, beat := range map[string]func(){
		"peeker": func() {
			if asked.Add(1) == 4 { // its heartbeat, and three rounds
				close(free)
			}
		},
		"committer": func() { <-free },
	} {
		first := true
		stop, err := bus.StartService(t.Context(), b, env, name, func() pipeline.Heartbeat {
			version := 1
			if first { // the heartbeat
				first, version = false, 0
			} else {
				beat()
			}
			return pipeline.Heartbeat{Rules: &pipeline.CurrentRules{Version: version}}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	kv, err := b.Store(t.Context(), pipeline.BucketStatus)
	if err != nil {
		t.Fatal(err)
	}
	desk.Await(t, "both heartbeats", func() bool {
		keys, err := kv.Keys(t.Context())
		return err == nil && len(keys) == 2
	})
	var taken []string
	for _, h := range cli.AwaitRules(t.Context(), b, 1) {
		if h.Rules.Version == 1 {
			taken = append(taken, h.Daemon)
		}
	}
	if !slices.Equal(taken, []string{"peeker", "committer"}) {
		t.Errorf("it goes on when %v have taken them", taken)
	}
}
