package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// SilentError names streams that did not answer: they may have no leader.
type SilentError struct{ Streams []string }

func (e *SilentError) Error() string {
	return fmt.Sprintf("%s: no answer; they may have no leader", strings.Join(e.Streams, ", "))
}

// Silent returns the names in a SilentError; none of another error.
func Silent(err error) []string {
	var e *SilentError
	if errors.As(err, &e) {
		return e.Streams
	}
	return nil
}

// Infos asks every stream of the topology, those of the buckets too, for its state, all at once. It
// returns those that answer until ctx ends, in the order of the topology; a SilentError names the others.
func (b *Bus) Infos(ctx context.Context) ([]*jetstream.StreamInfo, error) {
	want := b.streams()
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
