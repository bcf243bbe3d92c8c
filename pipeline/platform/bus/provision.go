package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/process"
)

// Provision controls how Apply changes the topology.
type Provision struct {
	Lower bool // also apply what keeps less: fewer replicas, a lower age or size
	// Plans are those that there are to be; nil: those that there are.
	Plans plan.Map
	// Done is called for every difference; made reports whether it was removed.
	Done func(d Difference, made bool)
}

// Ensure creates what is missing and changes what differs, but
// lowers nothing. Only the provisioner calls it; daemons call Await.
func (b *Bus) Ensure(ctx context.Context) error { return b.Apply(ctx, Provision{}) }

// Apply changes the topology to what this build and configuration want. Additions of a newer build stay.
func (b *Bus) Apply(ctx context.Context, p Provision) error {
	if p.Done == nil {
		p.Done = func(Difference, bool) {}
	}
	var plans plan.Map
	err := b.again(ctx, func(ctx context.Context) (err error) {
		plans, err = b.grown(ctx, p.Plans)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range b.streams(plans) {
		if err := b.again(ctx, func(ctx context.Context) error { return b.applyStream(ctx, s, p) }); err != nil {
			return streamError(s.Name, err)
		}
	}
	for _, d := range durables(b.wait, plans) {
		err := b.again(ctx, func(ctx context.Context) error {
			if err := b.applyDurable(ctx, d, p); err != nil {
				return err
			}
			return b.behind(ctx, d)
		})
		if damagedStore(err) {
			return &DamagedConsumer{Stream: d.stream, Durable: d.cfg.Durable, Err: err}
		}
		if err != nil {
			return fmt.Errorf("ensure %s: %w", consumerOn(d), err)
		}
	}
	return nil
}

func (b *Bus) applyStream(ctx context.Context, want jetstream.StreamConfig, p Provision) error {
	s, err := b.JS.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		want.Replicas = max(want.Replicas, 1)
		metadata := streamThresholds(want.Name, want.Replicas)
		maps.Copy(metadata, want.Metadata)
		want.Metadata = metadata
		if _, err = b.JS.CreateOrUpdateStream(ctx, want); err == nil {
			p.Done(Difference{On: nameOf(want.Name), Severity: Missing}, true)
		}
		return err
	}
	if err != nil {
		return err
	}
	cfg, made := s.CachedInfo().Config, []Difference{}
	cfg.Metadata = cloned(cfg.Metadata)
	for _, c := range compareStream(cfg, want) {
		if c.set == nil || c.Lowers && !p.Lower {
			p.Done(c.Difference, false)
			continue
		}
		c.set(&cfg)
		made = append(made, c.Difference)
	}
	if len(made) == 0 {
		return nil
	}
	expectPeers(&cfg) // the replicas may have changed
	if _, err := b.JS.UpdateStream(ctx, cfg); err != nil {
		return err
	}
	for _, d := range made {
		p.Done(d, true)
	}
	return nil
}

func (b *Bus) applyDurable(ctx context.Context, want durable, p Provision) error {
	c, err := b.JS.Consumer(ctx, want.stream, want.cfg.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if err = b.inherit(ctx, &want); err != nil {
			return err
		}
		if _, err = b.JS.CreateOrUpdateConsumer(ctx, want.stream, want.cfg); err == nil {
			p.Done(Difference{On: consumerOn(want), Severity: Missing}, true)
		}
		return err
	}
	if err != nil {
		return err
	}
	cfg := c.CachedInfo().Config
	changes := compareDurable(cfg, want)
	if len(changes) == 0 {
		return nil
	}
	cfg.Metadata = cloned(cfg.Metadata)
	for _, c := range changes {
		c.set(&cfg)
	}
	if _, err := b.JS.CreateOrUpdateConsumer(ctx, want.stream, cfg); err != nil {
		return err
	}
	for _, c := range changes {
		p.Done(c.Difference, true)
	}
	return nil
}

// Differences compares NATS with what this build and configuration want. It writes nothing.
func (b *Bus) Differences(ctx context.Context) ([]Difference, error) {
	plans, err := bounded(ctx, b, b.Plans)
	if err != nil {
		return nil, err
	}
	var out []Difference
	for _, want := range b.streams(plans) {
		s, err := bounded(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.JS.Stream(ctx, want.Name) })
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			out = append(out, Difference{On: nameOf(want.Name), Severity: Missing})
		case err != nil:
			return nil, fmt.Errorf("compare %s: %w", nameOf(want.Name), err)
		default:
			for _, c := range compareStream(s.CachedInfo().Config, want) {
				out = append(out, c.Difference)
			}
		}
	}
	for _, want := range durables(b.wait, plans) {
		c, err := bounded(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
			return b.JS.Consumer(ctx, want.stream, want.cfg.Durable)
		})
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
			out = append(out, Difference{On: consumerOn(want), Severity: Missing})
		case err != nil:
			return nil, fmt.Errorf("compare %s: %w", consumerOn(want), err)
		default:
			for _, c := range compareDurable(c.CachedInfo().Config, want) {
				out = append(out, c.Difference)
			}
		}
	}
	return out, nil
}

// bounded is one request: a forming cluster loses requests, and a caller may have more time than one of them deserves.
func bounded[T any](ctx context.Context, b *Bus, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, b.answerWithin())
	defer cancel()
	return ask(ctx)
}

// again retries a request that timed out, or that the server could not serve at the moment;
// creation is idempotent. It waits for a cluster that is still forming until ctx ends.
func (b *Bus) again(ctx context.Context, f func(context.Context) error) error {
	for try := 1; ; try++ {
		bounded, cancel := context.WithTimeout(ctx, ackWithin)
		err := f(bounded)
		cancel()
		if err == nil || ctx.Err() != nil || refused(err) || damagedStore(err) || !errors.Is(err, context.DeadlineExceeded) && !transient(err) && !forming(err) {
			return err
		}
		if try == 8 {
			if b.cfg.Replicas <= 1 {
				return err
			}
			b.Log.Warn("waiting for the NATS cluster", "replicas", b.cfg.Replicas, "err", err)
		}
		if process.Sleep(ctx, min(time.Duration(try)*100*time.Millisecond, 2*time.Second)) != nil {
			return err
		}
	}
}

// refused recognises a configuration that the server rejects permanently.
func refused(err error) bool { return hasCode(err, 10052, noStorage) }

// unready are the error codes of an incomplete cluster: no
// suitable peers, no meta leader, replicas > 1 without a cluster.
var unready = []jetstream.ErrorCode{10005, 10008, 10074}

// forming recognises a cluster whose servers have not all joined yet.
func forming(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && slices.Contains(unready, api.ErrorCode) {
		return true
	}
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// cloned returns a copy that can be written.
func cloned(m map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, m)
	return out
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
