package bus_test

import (
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/streams"
)

// The probes answer everybody, so they say one of a few sentences, whatever a heartbeat says.
func TestAProbeSaysNothingOfWhatADaemonSays(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	const secret = "unreachable: http://writer:hunter2@10.0.0.1/ A Title"
	fixed := []string{"", "NATS does not answer", "ClickHouse does not answer", "no step succeeds; see ratchet status"}
	check := func(h pipeline.Heartbeat) {
		t.Helper()
		if said := bus.NotReady(b, h); !slices.Contains(fixed, said) {
			t.Errorf("%+v: it says %q, want one of %q", h, said, strings.Join(fixed, ", "))
		}
	}
	all := []pipeline.Heartbeat{
		{}, {State: "stuck", LastError: secret}, {Stuck: secret, LastError: secret}, {LastError: secret, Detail: map[string]any{"clickhouse": secret}},
	}
	for _, h := range all {
		check(h)
	}
	b.Close()
	for _, h := range all {
		check(h)
	}
}
