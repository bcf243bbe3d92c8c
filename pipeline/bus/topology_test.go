package bus

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestAReplicatedStreamIsNotCompressed(t *testing.T) {
	t.Parallel()
	for _, s := range (&Bus{cfg: Config{Replicas: 3}}).streams() {
		if s.Compression != jetstream.NoCompression {
			t.Errorf("%s with three replicas is compressed", s.Name)
		}
	}
	compressed := 0
	for _, s := range (&Bus{cfg: Config{Replicas: 1}}).streams() {
		if s.Compression == jetstream.S2Compression {
			compressed++
		}
	}
	if compressed == 0 {
		t.Error("no stream of a single server is compressed")
	}
}
