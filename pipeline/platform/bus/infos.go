package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
)

// SilentError names streams that did not answer: they may have no leader.
type SilentError struct{ Streams []string }

func (e *SilentError) Error() string {
	return fmt.Sprintf("%s: no answer; they may have no leader", strings.Join(e.Streams, ", "))
}

// Silent returns the names in a SilentError; none of another error.
func Silent(err error) []string {
	if e, ok := errors.AsType[*SilentError](err); ok {
		return e.Streams
	}
	return nil
}

// Infos asks every stream of the topology, those of the buckets too, for its state, all at once. It
// returns those that answer until ctx ends, in the order of the topology; a SilentError names the others.
func (b *Bus) Infos(ctx context.Context) ([]*jetstream.StreamInfo, error) {
	want := b.streams(nil)
	infos, errs := b.infos(ctx, want)
	for i, s := range want { // the buckets of further plans, which the first bucket names
		if s.Name != pipeline.BucketStream(pipeline.BucketTokens) || infos[i] == nil {
			continue
		}
		plans, err := plansOf(infos[i])
		if err != nil {
			return nil, err
		}
		more := b.streams(plans)[len(want):]
		moreInfos, moreErrs := b.infos(ctx, more)
		want, infos, errs = append(want, more...), append(infos, moreInfos...), append(errs, moreErrs...)
		break
	}
	var out []*jetstream.StreamInfo
	var silent []string
	for i, s := range want {
		switch {
		case errs[i] == nil:
			out = append(out, infos[i])
		case !errors.Is(errs[i], jetstream.ErrStreamNotFound):
			silent = append(silent, s.Name)
		}
	}
	if len(silent) > 0 {
		return out, &SilentError{Streams: silent}
	}
	return out, nil
}

// infos asks for the state of streams, all at once.
func (b *Bus) infos(ctx context.Context, want []jetstream.StreamConfig) ([]*jetstream.StreamInfo, []error) {
	infos, errs := make([]*jetstream.StreamInfo, len(want)), make([]error, len(want))
	var all sync.WaitGroup
	for i, s := range want {
		all.Go(func() {
			stream, err := b.JS.Stream(ctx, s.Name)
			if errs[i] = err; err == nil {
				infos[i] = stream.CachedInfo()
			}
		})
	}
	all.Wait()
	return infos, errs
}
