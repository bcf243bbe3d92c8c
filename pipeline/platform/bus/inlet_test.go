package bus_test

import (
	"errors"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/test/streams"
)

func TestOfEachMessageThatAStageGivesUpThereIsOneDeadLetter(t *testing.T) {
	t.Parallel()
	b := open(t)
	for range 2 { // the second time is a redelivery after a crash
		for _, stream := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors} {
			it := loop.Item{Stream: stream, Sequence: 5, Body: []byte("{}")}
			if err := b.DeadLetter(t.Context(), "peeker", it, "unreadable", errors.New("odd")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := b.Last(t.Context(), pipeline.StreamDead); err != nil || n != 2 {
		t.Errorf("%d dead letters (%v) of message 5 of CANDIDATES and message 5 of SURVIVORS, want one of each", n, err)
	}
}

func TestWhatWaitedAMomentAgoStandsInWhileAClusterElects(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	for url, stands := range map[string]bool{streams.URL: false, streams.URL + ",nats://127.0.0.1:1": true} {
		cfg := streams.Config()
		cfg.URL = url
		b, err := bus.Connect(t.Context(), cfg, env, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		if err := b.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		lanes, isNew, err := b.RecentBacklogs(t.Context(), pipeline.StreamSurvivors)
		if err != nil || !isNew || len(lanes) == 0 {
			t.Fatalf("%s: %v, new %t, %v", url, lanes, isNew, err)
		}
		if err := b.JS.DeleteStream(t.Context(), pipeline.StreamSurvivors); err != nil { // it cannot be listed
			t.Fatal(err)
		}
		again, isNew, err := b.RecentBacklogs(t.Context(), pipeline.StreamSurvivors)
		if (err == nil) != stands || isNew || stands && len(again) != len(lanes) {
			t.Errorf("%s: %v, new %t, %v", url, again, isNew, err)
		}
	}
}
