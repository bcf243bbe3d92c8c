package processes_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
)

const (
	decidesWithin = 30 * time.Second // of the machine's clock: the first decision after the last part was started
	saysWithin    = time.Minute      // a part that it waits, or what it does
)

// parts are what a pipeline without ClickHouse consists of.
var parts = []string{"nats", "topology apply", "tokend", "watermarker", "peeker", "committer"}

// TestThePartsStartInAnyOrder starts them one after the other, each when the one before has said that it waits, or
// what it does.
func TestThePartsStartInAnyOrder(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs six processes, several times")
	}
	backwards := slices.Clone(parts)
	slices.Reverse(backwards)
	orders := [][]string{backwards}
	for seed := range uint64(4) {
		order := slices.Clone(parts)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		orders = append(orders, order)
	}
	for _, order := range orders {
		t.Run(strings.Join(order, ", "), func(t *testing.T) { startsIn(t, order) })
	}
}

func startsIn(t *testing.T, order []string) {
	t.Helper()
	w := outside(t, keepasim.Backlog400(1), rate)
	address := child.FreeAddress(t)
	w.nats = "nats://" + address
	w.sim.Start(w.clock.Now())
	var running []*child.Child
	for _, part := range order {
		switch part {
		case "nats":
			w.startNATS(t, address)
			w.watch(t)
		case "topology apply":
			apply := start(t, "ratchet", w.environ(), "topology", "apply", "--clickhouse-url", "none")
			apply.Await(t, `\S`, saysWithin)
		default:
			daemon := start(t, part, w.environ())
			daemon.Await(t, `\S`, saysWithin)
			running = append(running, daemon)
		}
	}
	began := time.Now()
	for w.finals.count() == 0 {
		if time.Since(began) > decidesWithin {
			t.Fatalf("nothing is decided %s after the last part was started", decidesWithin)
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Logf("the first decision after %s", time.Since(began).Round(time.Millisecond))
	child.Stop(t, running...)
}
