package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
)

// beatEvery is the interval of the heartbeat, machine time.
const beatEvery = StatusTTL / 3

// StartService makes a daemon visible: as a micro service of its name with a `status`
// endpoint (nats req svc.NAME.status with an empty body, or AskOwn), and with a heartbeat in STATUS
// that expires with the daemon. beat is called for every answer; StartService fills in
// the fields that identify the process. stop ends both and removes the heartbeat.
func StartService(ctx context.Context, b *Bus, env process.Env, name string, beat func() pipeline.Heartbeat) (stop func(), err error) {
	started := env.Now()
	all := func() pipeline.Heartbeat {
		h := beat()
		h.Daemon, h.Instance, h.Plan, h.Build = name, process.Instance(), b.Plan(), env.Version
		h.StartedAt, h.At = started, env.Now()
		return h
	}
	full := func() pipeline.Heartbeat { return withoutOwn(all()) }
	svc, err := micro.AddService(b.NC, micro.Config{
		Name: name, Version: semver(env.Version), Description: "Ratchet " + name,
		QueueGroupDisabled: true, // every instance answers for itself
		StatsHandler:       func(*micro.Endpoint) any { return full().Counters },
	})
	if err != nil {
		return nil, fmt.Errorf("register micro service %s: %w", name, err)
	}
	if err := svc.AddEndpoint("status", micro.HandlerFunc(func(r micro.Request) {
		answer := full
		if string(r.Data()) == pipeline.AskOwn {
			answer = all
		}
		if err := r.RespondJSON(answer()); err != nil {
			env.Log.Debug("answer status", "err", err)
		}
	}), micro.WithEndpointSubject("svc."+name+".status")); err != nil {
		return nil, errors.Join(fmt.Errorf("register endpoint svc.%s.status: %w", name, err), svc.Stop())
	}
	beating, stopBeating := context.WithCancel(context.WithoutCancel(ctx)) // the daemon finishes its step after ctx ends
	h := heart{b: b, key: full().Key(), beat: full}
	if err := addDrain(svc, env, name, func() (pipeline.Heartbeat, error) { return full(), h.write(beating) }); err != nil {
		stopBeating()
		return nil, errors.Join(err, svc.Stop())
	}
	unreport := env.Health.Report(name, func() string { return notReady(b, beat()) })
	unmeasure := env.Health.Metrics().Add(name, func(put metric.Put) { metric.Beat(put, full(), b.NC.IsConnected()) })
	h.wait.Go(func() { h.run(beating) })
	return func() {
		unreport()
		unmeasure()
		stopBeating()
		h.wait.Wait()
		if err := svc.Stop(); err != nil {
			env.Log.Debug("stop micro service", "err", err)
		}
	}, nil
}

// addDrain lets an operator end a daemon that is a process of its own. It stores its heartbeat, which is removed when
// it has ended, answers with it, takes no more work, finishes its step and exits. It stays down until something starts
// it; the drain is not stored. A request may be for one plan.
func addDrain(svc micro.Service, env process.Env, name string, beat func() (pipeline.Heartbeat, error)) error {
	if env.End == nil {
		return nil
	}
	err := svc.AddEndpoint("drain", micro.HandlerFunc(func(r micro.Request) {
		h, err := beat()
		if plan := string(r.Data()); plan != "" && plan != h.Plan.String() {
			return
		}
		if err == nil {
			err = r.RespondJSON(h)
		}
		if err != nil {
			env.Log.Debug("answer drain", "err", err)
			return
		}
		env.Log.Info("drain requested")
		env.End()
	}), micro.WithEndpointSubject("svc."+name+".drain"))
	if err != nil {
		return fmt.Errorf("register endpoint svc.%s.drain: %w", name, err)
	}
	return nil
}

// withoutOwn leaves out the rule file, which is long.
func withoutOwn(h pipeline.Heartbeat) pipeline.Heartbeat {
	if h.Rules != nil {
		rules := *h.Rules
		rules.Own = ""
		h.Rules = &rules
	}
	return h
}

// notReady returns why a daemon is not ready, in words without
// secrets; empty if it is ready. `ratchet status` has the details.
func notReady(b *Bus, h pipeline.Heartbeat) string {
	store, _ := h.Detail["clickhouse"].(string) // the recorder's
	switch {
	case b.NotReady() != "":
		return b.NotReady()
	case strings.HasPrefix(store, "unreachable"):
		return "ClickHouse does not answer"
	case h.Stuck != "" || h.State == "stuck":
		return "no step succeeds; see ratchet status"
	}
	return ""
}

// NotReady returns that NATS does not answer, in the words of a probe; empty while it is connected.
func (b *Bus) NotReady() string {
	if b.NC.IsConnected() {
		return ""
	}
	return "NATS does not answer"
}

// AskAll requests the status of every instance of the named daemons and returns the answers that arrive in time.
func (b *Bus) AskAll(ctx context.Context, daemons []string, within time.Duration) [][]byte {
	return b.AskAllFor(ctx, daemons, "", within)
}

// Drain asks every instance of a daemon to end, of one plan or, if that is "", of all, and returns the status of each
// that answers in time. Those that share their process with other daemons do not.
func (b *Bus) Drain(ctx context.Context, daemon, plan string, within time.Duration) [][]byte {
	return b.gather(ctx, []string{"svc." + daemon + ".drain"}, plan, within)
}

// AskAllFor is AskAll with a body, such as AskOwn.
func (b *Bus) AskAllFor(ctx context.Context, daemons []string, body string, within time.Duration) [][]byte {
	subjects := make([]string, len(daemons))
	for i, name := range daemons {
		subjects[i] = "svc." + name + ".status"
	}
	return b.gather(ctx, subjects, body, within)
}

// gather sends a request to all subjects and returns the answers that arrive in time.
func (b *Bus) gather(ctx context.Context, subjects []string, body string, within time.Duration) [][]byte {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	inbox := b.NC.NewInbox()
	sub, err := b.NC.SubscribeSync(inbox)
	if err != nil {
		return nil
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection ends it too
	for _, subject := range subjects {
		if b.NC.PublishRequest(subject, inbox, []byte(body)) != nil {
			return nil
		}
	}
	var out [][]byte
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders): // a daemon that does not run; the others still answer
		case err != nil:
			return out
		case len(m.Data) > 0:
			out = append(out, m.Data)
		}
	}
}

// heart writes the heartbeat. Every renewal is a publish with the TTL: an
// ordinary put would erase the TTL and leave a key that never expires.
type heart struct {
	b    *Bus
	key  string
	beat func() pipeline.Heartbeat
	wait sync.WaitGroup
}

func (h *heart) run(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := h.write(ctx); err != nil && ctx.Err() == nil {
			h.b.Log.Debug("write heartbeat", "err", err)
		}
		select {
		case <-ctx.Done():
			h.remove()
			return
		case <-tick.C:
		}
	}
}

func (h *heart) write(ctx context.Context) error {
	body, err := json.Marshal(h.beat())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.b.answerWithin())
	defer cancel()
	_, err = h.b.PutFor(ctx, pipeline.BucketStatus, h.key, body, StatusTTL)
	return err
}

// remove deletes the heartbeat on a clean stop; after a crash it expires. Its marker expires too, because every
// instance has a key of its own. A server that forgets the purge when it is killed has a heartbeat with a TTL.
func (h *heart) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	kv, err := h.b.Store(ctx, pipeline.BucketStatus)
	if err == nil {
		err = kv.Purge(ctx, h.key, jetstream.PurgeTTL(markerTTL))
	}
	if err != nil {
		h.b.Log.Debug("remove heartbeat", "err", err)
	}
}

// semver formats the build as the micro protocol requires.
func semver(build string) string {
	build = cmp.Or(build, "dev")
	clean := []byte(build)
	for i, c := range clean {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '.' {
			clean[i] = '-'
		}
	}
	return "0.1.0+" + string(clean)
}
