package worker_test

import (
	"errors"
	"slices"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/worker"
	"ratchet/test/streams"
)

func TestWhatIsAppliedIsDecodedAgainOnceItIsRechecked(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketConfig)
	if err == nil {
		_, err = kv.PutString(t.Context(), pipeline.KeyQueries, `{"version":3}`)
	}
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	unsupported := false
	applied := worker.Applied[pipeline.AppliedQueries, string]{
		Cell: bus.NewCell(kv, pipeline.KeyQueries),
		Decode: func(a pipeline.AppliedQueries) (string, int, error) {
			if unsupported {
				return "", a.Version, errors.New("the rules do not support it")
			}
			return "queries", a.Version, nil
		},
		Use:    func(string, int) { events = append(events, "used") },
		Refuse: func(error) { events = append(events, "refused") },
	}
	for _, c := range []struct {
		what    string
		recheck bool
		refused bool // by the rules
		want    []string
	}{
		{"the first read", false, false, []string{"used"}},
		{"the same value, which the rules no longer support", false, true, nil},
		{"after a recheck", true, true, []string{"refused"}},
		{"refused for the same reason", false, true, nil},
		{"the reason has gone away", false, false, []string{"used"}},
	} {
		events, unsupported = nil, c.refused
		if c.recheck {
			applied.Recheck()
		}
		if err := applied.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(events, c.want) {
			t.Errorf("%s: %v, want %v", c.what, events, c.want)
		}
	}
}
