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
	decidesWithin = 30 * time.Second // of the machine's clock: the first commit after the last part was started
	waitsWithin   = time.Minute      // until a part says that it waits for another
)

// parts are what a pipeline without ClickHouse consists of.
var parts = []string{"nats", "topology apply", "tokend", "watermarker", "peeker", "committer"}

// TestThePartsStartInAnyOrder starts them one after the other, each when the one before it says that it waits, or has
// what it needs.
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
	w := outside(t, keepasim.Backlog400(1), rate, keepasim.FullBucket)
	address := child.FreeAddress(t)
	w.nats = "nats://" + address
	w.sim.Start(w.clock.Now())
	var running []*child.Child
	var apply *child.Child
	for _, part := range order {
		switch part {
		case "nats":
			w.startNATS(t, address)
			w.watch(t)
		case "topology apply":
			if apply = start(t, "ratchet", w.environ(), "topology", "apply", "--clickhouse-url", "none"); w.natsd == nil {
				apply.Await(t, `waiting for NATS`, waitsWithin)
			}
		default:
			daemon := start(t, part, w.environ())
			if w.natsd == nil || apply == nil {
				daemon.Await(t, `"msg":"waiting for `, waitsWithin)
			}
			running = append(running, daemon)
		}
	}
	began, before := time.Now(), w.finals.committed()
	for w.finals.committed() == before {
		if time.Since(began) > decidesWithin {
			t.Fatalf("no commit decides anything %s after the last part was started", decidesWithin)
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Logf("the first commit after %s", time.Since(began).Round(time.Millisecond))
	apply.Done(t)
	child.Stop(t, running...)
}
