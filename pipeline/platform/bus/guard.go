package bus

import (
	"context"
	"time"
)

// A server that is cut off from its peers, or whose disk is full, answers pings and serves nothing. A
// client stays with it for as long as the connection lives, so the connection is left.
const (
	// servedEvery is how often a daemon that knows several servers asks whether JetStream answers.
	servedEvery = time.Second
	// servedWithin bounds one such question.
	servedWithin = 2 * time.Second
	// unservedAtMost is how long JetStream may not answer before another server is tried.
	unservedAtMost = 5 * time.Second
)

// guard leaves a server that does not serve, until ctx ends. Where only one server is known it asks nothing.
func (b *Bus) guard(ctx context.Context) {
	tick := time.NewTicker(servedEvery)
	defer tick.Stop()
	served := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if len(b.NC.Servers()) < 2 || !b.NC.IsConnected() {
			served = time.Now()
			continue
		}
		err := b.served(ctx)
		switch {
		case err == nil:
			served = time.Now()
		case time.Since(served) >= unservedAtMost:
			b.Log.Warn("the NATS server does not serve JetStream, trying another", "url", b.NC.ConnectedUrlRedacted(),
				"since", time.Since(served).Round(time.Second), "err", err)
			if err := b.NC.ForceReconnect(); err != nil {
				b.Log.Debug("leave a server", "err", err)
			}
			served = time.Now()
		}
	}
}

// served asks for the account, which the leader of the servers answers.
func (b *Bus) served(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, servedWithin)
	defer cancel()
	_, err := b.JS.AccountInfo(ctx)
	return err
}
