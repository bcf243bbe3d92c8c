// Package notifier notifies targets of deals and alarms.
//
//	          ┌ notify-HASH ─▶ as it stands now ─▶ wanted? due? ─▶ send ─▶ POSTED ─▶ acknowledged
//	DEALS ────┼ notify-HASH ─▶ …                                     └─ refused ─▶ set aside, counted
//	          └ one sender a target                                    └─ not now ─▶ back to the consumer, with backoff
//	STATUS ───── what is wrong for 30 s ─▶ every sender: once when it begins, once when it ends
//
// The consumer of a target keeps what was not sent yet, so that a restart loses nothing; POSTED keeps what was
// sent. Only a crash between the target's answer and POSTED sends a message twice, under the same key: a digest is
// listed in POSTED before it is sent, and sent again as it is listed. Each target has its own goroutine, so a slow
// one delays no other.
package notifier

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// Run notifies until ctx ends.
func Run(ctx context.Context, env process.Env) error {
	cfg, err := process.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	n, err := newNotifier(cfg.Settings, env, time.Local)
	if err != nil {
		return err
	}
	if n.b, err = bus.Open(ctx, cfg.NATS, env, "notifier"); err != nil {
		return err
	}
	defer n.b.Close()
	if err := n.open(ctx); err != nil {
		return err
	}
	stop, err := bus.StartService(ctx, n.b, env, "notifier", n.beat)
	if err != nil {
		return err
	}
	defer stop()
	defer env.Health.Metrics().Add("notifications", n.metrics)()
	env.Log.Info("notifying", "targets", len(n.senders), "digest", n.policy.Digest, "quiet", n.policy.Quiet, "zone", zoneName(n.policy.Zone, env.Now()))
	env.AnnounceReady()
	return n.run(ctx)
}

// Configured reports whether there is anything to notify, and what is wrong with how it is configured.
func Configured(ctx context.Context, env process.Env) (bool, error) {
	_, set, err := process.Find(env.Lookup, "NOTIFY_TARGETS")
	if err == nil && set {
		_, err = process.Load[Settings](ctx, env.Lookup)
	}
	return set, err
}

// zoneName is a zone for people: the machine's own has no name but its abbreviation and offset.
func zoneName(zone *time.Location, now time.Time) string {
	if zone == time.Local {
		return now.In(zone).Format("MST -07:00")
	}
	return zone.String()
}

type notifier struct {
	env     process.Env
	self    string // distinguishes this run from others with the same targets
	b       *bus.Bus
	posted  jetstream.KeyValue
	since   time.Duration // how far back a new target goes, pipeline time
	choice  cli.Choice
	policy  notify.Policy
	senders []*sender
	alarms  alarms

	ackWait, settleWithin time.Duration // the constants, but for tests
}

func newNotifier(s Settings, env process.Env, zone *time.Location) (*notifier, error) {
	targets, err := ParseTargets(s.Targets)
	if err == nil && len(targets) == 0 {
		err = errors.New("NOTIFY_TARGETS: name at least one target, in NOTIFY_TARGETS or in the file NOTIFY_TARGETS_FILE; docs/notify.md has the forms")
	}
	n := &notifier{env: env, self: rand.Text(), since: s.Since, ackWait: ackWait, settleWithin: settleWithin}
	if err == nil {
		n.choice, err = s.choice()
	}
	if err == nil {
		n.policy, err = s.policy(zone)
	}
	if err != nil {
		return nil, &process.UsageError{Err: err}
	}
	for _, t := range targets {
		n.senders = append(n.senders, &sender{n: n, target: t})
	}
	return n, nil
}

// open opens the state and the consumer of every target.
func (n *notifier) open(ctx context.Context) (err error) {
	if n.posted, err = n.b.Store(ctx, pipeline.BucketPosted); err != nil {
		return err
	}
	for _, l := range n.senders {
		if err := l.open(ctx); err != nil {
			return err
		}
	}
	return nil
}

// run owns a goroutine for each target and one that looks for alarms, and waits for them.
func (n *notifier) run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, l := range n.senders {
		all.Go(func() { l.run(ctx) })
	}
	all.Go(func() { n.watch(ctx) })
	all.Wait()
	return ctx.Err()
}

// beat is the heartbeat.
func (n *notifier) beat() pipeline.Heartbeat {
	h := pipeline.Heartbeat{State: "idle", Counters: map[string]int64{"sent": 0, "refused": 0, "failures": 0}}
	targets := make([]cli.Notified, 0, len(n.senders))
	for _, l := range n.senders {
		s := l.status()
		targets = append(targets, s.Notified)
		h.Counters["sent"] += int64(s.Sent)
		h.Counters["refused"] += int64(s.Refused)
		h.Counters["failures"] += int64(s.failures)
		if s.Waiting > 0 {
			h.State = "working"
		}
		if s.LastError != "" {
			h.LastError = s.Target + ": " + s.LastError
		}
		if s.at.After(h.LastProgress) {
			h.LastProgress = s.at
		}
	}
	h.Detail = map[string]any{"targets": targets}
	return h
}
