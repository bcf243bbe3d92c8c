package bus

import (
	"time"

	"github.com/nats-io/nats.go"
)

// Hint calls f for every publish to a subject, at once and after each of the delays, because a subscriber sees a
// write before the stream has stored it. It subscribes to the publishes themselves: a watcher of a bucket misses
// seconds after a restart of the server. A hint may be lost, so a caller must also poll from time to time.
func (b *Bus) Hint(subject string, f func(), delays ...time.Duration) (stop func(), err error) {
	s, err := b.NC.Subscribe(subject, func(*nats.Msg) {
		f()
		for _, d := range delays {
			time.AfterFunc(d, f)
		}
	})
	return func() { _ = s.Unsubscribe() }, err // the connection ends it too
}
