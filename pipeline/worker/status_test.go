package worker_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/worker"
)

func TestWorkThatComesBackIsCountedByItsReasonUntilItIsDecided(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	p := worker.NewStatus(process.Env{Clock: process.RealClock()})
	for i, cause := range []error{worker.ErrNoSpend, worker.ErrOrdered, fmt.Errorf("x: %w", worker.ErrOrdered), &gateway.Error{Kind: gateway.Timeout}, errors.New("disk")} {
		p.Again(l, fmt.Sprintf("w%d", i), cause)
	}
	p.Again(l, "w1", worker.ErrOrdered) // it waits once
	before := p.Beat()
	waiting, _ := before.Detail["waiting"].(map[string]int)
	if waiting[worker.ErrNoSpend.Error()] != 1 || waiting[worker.ErrOrdered.Error()] != 2 || waiting["the call failed: timeout"] != 1 || waiting["a step failed"] != 1 {
		t.Errorf("waiting %v", waiting)
	}
	if c := before.Counters; c["again_ordered"] != 3 || c["again_nospend"] != 1 || c["again_call_failed"] != 1 || c["again_step_failed"] != 1 {
		t.Errorf("counters %v", c)
	}
	if n := strings.Count(log.String(), "work will be retried"); n != 4 {
		t.Errorf("%d warnings, want one for each reason", n)
	}
	p.Decided("w1")
	p.Decided("unknown")
	after, _ := p.Beat().Detail["waiting"].(map[string]int)
	if after[worker.ErrOrdered.Error()] != 1 || waiting[worker.ErrOrdered.Error()] != 2 {
		t.Errorf("after a decision %v wait, and the heartbeat from before says %v", after, waiting)
	}
	fast := worker.NewStatus(process.Env{Clock: process.NewClock(time.Now(), 1e12)})
	fast.Again(l, "w", worker.ErrNoSpend)
	time.Sleep(time.Millisecond) // years
	fast.Again(l, "w", worker.ErrNoSpend)
	if n := strings.Count(log.String(), "work will be retried"); n != 6 {
		t.Errorf("%d warnings, want another on each day", n)
	}
	if now, _ := fast.Beat().Detail["waiting"].(map[string]int); len(now) != 0 {
		t.Errorf("hours later %v still count as waiting: another worker has them", now)
	}
}

func TestADaemonIsStuckOnlyWithWorkTokensAndTheWishToRun(t *testing.T) {
	t.Parallel()
	fast := process.Env{Clock: process.NewClock(time.Now(), 1e9)} // ten minutes pass at once
	all := stall.Observation{Work: true, Tokens: true, Wish: true}
	stuck := func(p *worker.Status) bool { return p.Beat().Stuck != "" }
	see := func(p *worker.Status, s stall.Observation) { p.Observe("loop", s); time.Sleep(time.Microsecond) }

	p := worker.NewStatus(fast)
	if see(p, all); !stuck(p) {
		t.Error("a loop with everything that gets nothing done is not stuck")
	}
	if p.Stepped("loop"); stuck(p) {
		t.Error("it is stuck after a step")
	}
	broke := all
	broke.Tokens = false
	if see(p, broke); stuck(p) {
		t.Error("a loop without tokens is stuck")
	}
	p.Failed(errors.New("503"))
	p.Failed(errors.New("503"))
	if see(p, broke); stuck(p) {
		t.Error("two failures show that tokens were there")
	}
	p.Failed(errors.New("503"))
	if see(p, broke); !stuck(p) || !strings.Contains(p.Beat().Stuck, "503") {
		t.Errorf("three failures had their tokens each time: %q", p.Beat().Stuck)
	}
	p.Stepped("loop")
	if see(p, broke); stuck(p) {
		t.Error("failures from before a success count")
	}

	bad := &bus.BadCell{Bucket: "TOKENS", Key: "grant", Err: errors.New("no JSON")}
	p.Cell("grant", fmt.Errorf("read: %w", bad))
	if beat := p.Beat(); beat.State != "stuck" || !strings.Contains(beat.Stuck, "TOKENS/grant") {
		t.Errorf("a key that cannot be read: %q, %q", beat.State, beat.Stuck)
	}
	if p.Cell("grant", errors.New("timeout")); !stuck(p) {
		t.Error("an error of the network says that the key can be read")
	}
	if p.Cell("grant", nil); stuck(p) {
		t.Error("the key can be read again")
	}
}

func TestAHeartbeatReportsWhatWasDoneAndPaid(t *testing.T) {
	t.Parallel()
	p := worker.NewStatus(process.Env{Clock: process.RealClock()})
	before := p.Beat()
	p.Count("decided", 3)
	p.Paid(13)
	p.Failed(errors.New("first"))
	p.Failed(errors.New("last"))
	b := p.Beat()
	if c := b.Counters; c["decided"] != 3 || c["calls"] != 1 || c["tokens"] != 13 || c["failures"] != 2 || b.LastError != "last" {
		t.Errorf("%+v", b)
	}
	if b.LastPaid.IsZero() || b.LastProgress.IsZero() || len(before.Counters) != 0 {
		t.Errorf("%+v, and before %+v", b, before)
	}
}
