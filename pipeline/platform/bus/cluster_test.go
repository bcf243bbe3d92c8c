package bus_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/test/child"
	"ratchet/test/streams"
)

// member is one server of a cluster of three whose routes are these addresses.
func member(t *testing.T, n int, routes []string) *server.Server {
	t.Helper()
	host, port, err := process.Address("route", routes[n])
	if err != nil {
		t.Fatal(err)
	}
	o := &server.Options{
		ServerName: fmt.Sprintf("n%d", n), Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), JetStream: true, NoSigs: true, NoLog: true,
		JetStreamMaxStore: 80 << 30, JetStreamMaxMemory: 256 << 20, Cluster: server.ClusterOpts{Name: "c", Host: host, Port: port},
	}
	for _, r := range routes {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: r})
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// TestAClusterThatFormsIsWaitedForAndKeepsItsReplicas provisions while one of three servers runs.
func TestAClusterThatFormsIsWaitedForAndKeepsItsReplicas(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("forms a cluster of three servers")
	}
	routes := []string{child.FreeAddress(t), child.FreeAddress(t), child.FreeAddress(t)}
	first := member(t, 0, routes)
	env, said := logged(process.Env{Clock: process.RealClock(), Version: "test"})
	connect := func(replicas int) *bus.Bus {
		cfg := streams.Config()
		cfg.URL, cfg.Replicas = first.ClientURL(), replicas
		b, err := bus.Connect(t.Context(), cfg, env, "provisioner")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	b := connect(3)
	done := make(chan error, 1)
	go func() { done <- b.Ensure(t.Context()) }()
	until(t, "it says that it waits for the cluster", func() bool { return said.count("waiting for the NATS cluster") > 0 })
	select {
	case err := <-done:
		t.Fatalf("provisioned one of three servers: %v", err)
	default:
	}
	member(t, 1, routes)
	member(t, 2, routes)
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Minute): // under the race detector on a busy machine
		t.Fatal("not provisioned five minutes after the cluster is there")
	}
	if n := said.count("waiting for the NATS cluster"); n != 1 {
		t.Errorf("said %d times that it waits, want once", n)
	}
	replicas := func(name string) int {
		s, err := b.JS.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config.Replicas
	}
	for _, asked := range []int{0, 1} { // a variable that is unset, and one that is set by mistake
		if err := connect(asked).Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{pipeline.StreamCandidates, pipeline.StreamResponses, pipeline.BucketStream(pipeline.BucketTokens)} {
			if got := replicas(name); got != 3 {
				t.Errorf("NATS_REPLICAS=%d left %s with %d replicas, want 3", asked, name, got)
			}
		}
	}
	found, err := connect(0).Differences(t.Context())
	if err != nil || len(found) > 0 {
		t.Errorf("without NATS_REPLICAS %v differs (%v), want nothing", found, err)
	}
	found, err = connect(1).Differences(t.Context())
	if err != nil || len(found) == 0 || !strings.Contains(found[0].String(), "replicas is 3, want 1") || !found[0].Lowers {
		t.Errorf("got %v (%v), want that the replicas would be lowered", found, err)
	}
	compressedByHand(t, connect(0))
}

// compressedByHand compresses a stream, as with the nats command, and expects a warning.
func compressedByHand(t *testing.T, b *bus.Bus) {
	t.Helper()
	s, err := b.JS.Stream(t.Context(), pipeline.StreamCandidates)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Compression = jetstream.S2Compression
	if _, err := b.JS.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	found, err := b.Differences(t.Context())
	if err != nil || len(found) != 1 || found[0].Field != "compression" || found[0].Severity != bus.Tolerable {
		t.Errorf("got %v (%v), want a warning of the compression, and of nothing else", found, err)
	}
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := b.Differences(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("after it was provisioned again %v differs (%v), want nothing", found, err)
	}
}
