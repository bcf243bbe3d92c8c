package bus_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestTheTopologyIsAsItIsWrittenDown compares what a real server made of it, field by field, so that no setting
// changes unseen. -update writes the file again; read the difference before you commit it.
func TestTheTopologyIsAsItIsWrittenDown(t *testing.T) {
	t.Parallel()
	b := open(t)
	var lines []string
	streams := b.JS.ListStreams(t.Context())
	for info := range streams.Info() {
		lines = append(lines, streamLine(info.Config))
		s, err := b.JS.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		consumers := s.ListConsumers(t.Context())
		for c := range consumers.Info() {
			lines = append(lines, consumerLine(info.Config.Name, c.Config))
		}
		if err := consumers.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := streams.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	got, name := strings.Join(lines, "\n")+"\n", filepath.Join("testdata", "topology.txt")
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(lines) && line != "" || i < len(lines) && lines[i] != line {
			t.Fatalf("line %d of %s:\n got %s\nwant %s", i+1, name, append(lines, "")[min(i, len(lines))], line)
		}
	}
	if n := strings.Count(string(want), "\n"); n != len(lines) {
		t.Errorf("%d lines, want %d", len(lines), n)
	}
}

func streamLine(c jetstream.StreamConfig) string {
	var on []string
	for name, set := range map[string]bool{
		"direct": c.AllowDirect, "atomic": c.AllowAtomicPublish, "ttl": c.AllowMsgTTL, "rollup": c.AllowRollup, "deny_delete": c.DenyDelete, "deny_purge": c.DenyPurge,
	} {
		if set {
			on = append(on, name)
		}
	}
	slices.Sort(on)
	return fmt.Sprintf("stream %s subjects %v retention %s storage %s discard %s compression %s max_age %s max_bytes %d per_subject %d dedup %s marker_ttl %s allows %v%s",
		c.Name, c.Subjects, c.Retention, c.Storage, c.Discard, c.Compression, c.MaxAge, c.MaxBytes, c.MaxMsgsPerSubject, c.Duplicates, c.SubjectDeleteMarkerTTL, on, thresholds(c.Metadata))
}

// thresholds are those of `nats server check`.
func thresholds(metadata map[string]string) string {
	out := ""
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if name, ours := strings.CutPrefix(key, "io.nats.monitor."); ours {
			out += " " + name + "=" + metadata[key]
		}
	}
	return out
}

func consumerLine(stream string, c jetstream.ConsumerConfig) string {
	return fmt.Sprintf("consumer %s %s filter %q ack %s wait %s max_deliver %d max_ack_pending %d backoff %v%s",
		stream, c.Durable, c.FilterSubject, c.AckPolicy, c.AckWait, c.MaxDeliver, c.MaxAckPending, c.BackOff, thresholds(c.Metadata))
}
