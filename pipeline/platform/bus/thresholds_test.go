package bus

import (
	"maps"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// apply is what applyStream makes of a configuration, without a server.
func apply(have, want jetstream.StreamConfig) (jetstream.StreamConfig, int) {
	have.Metadata = cloned(have.Metadata)
	changes := compareStream(have, want)
	for _, c := range changes {
		if !c.Lowers {
			c.set(&have)
		}
	}
	if len(changes) > 0 {
		expectPeers(&have)
	}
	return have, len(changes)
}

func TestThresholdsAreAddedAndThoseOfTheOperatorStay(t *testing.T) {
	t.Parallel()
	one := jetstream.StreamConfig{Name: "DEAD", Replicas: 1}
	mine := one
	mine.Metadata = map[string]string{"io.nats.monitor.subjects-warn": "7", "team": "books"}
	got, n := apply(mine, one)
	want := map[string]string{"io.nats.monitor.enabled": "true", "io.nats.monitor.subjects-warn": "7", "io.nats.monitor.subjects-critical": "100", "team": "books"}
	if !maps.Equal(got.Metadata, want) || n != 2 {
		t.Errorf("%v by %d changes, want %v by 2", got.Metadata, n, want)
	}
	if again, n := apply(got, one); n != 0 || !maps.Equal(again.Metadata, want) {
		t.Errorf("a second time it makes %d changes: %v", n, again.Metadata)
	}
}

func TestTheExpectedCopiesAreThoseOfTheStream(t *testing.T) {
	t.Parallel()
	s, _ := apply(jetstream.StreamConfig{Name: "DEALS", Replicas: 1}, jetstream.StreamConfig{Name: "DEALS"})
	if v, ok := s.Metadata[peersExpected]; ok {
		t.Errorf("one copy expects %s peers: its check would fail", v)
	}
	for _, step := range []struct {
		wants    int
		replicas int
		expects  string
	}{{0, 1, ""}, {3, 3, "3"}, {0, 3, "3"}, {5, 5, "5"}, {3, 5, "5"}} { // fewer only when asked, see Provision.Lower
		s, _ = apply(s, jetstream.StreamConfig{Name: "DEALS", Replicas: step.wants})
		if s.Replicas != step.replicas || s.Metadata[peersExpected] != step.expects {
			t.Errorf("asked for %d: %d copies expect %q", step.wants, s.Replicas, s.Metadata[peersExpected])
		}
		want := jetstream.StreamConfig{Name: "DEALS"}
		if _, n := apply(s, want); n != 0 {
			t.Errorf("asked for %d: %d changes are left", step.wants, n)
		}
	}
	s.Replicas = 1 // lowered by hand
	if s, _ = apply(s, jetstream.StreamConfig{Name: "DEALS"}); s.Metadata[peersExpected] != "" {
		t.Errorf("one copy expects %s peers", s.Metadata[peersExpected])
	}
}
