package bus

import (
	"context"
	"time"
)

// A server that is cut off from its peers, or whose disk is full, answers pings
// and serves nothing. A client keeps such a connection, so guard closes it.
const (
	// servedEvery is how often a daemon that knows several servers checks that JetStream answers.
	servedEvery = time.Second
	// servedWithin bounds one such check.
	servedWithin = 2 * time.Second
	// unservedAtMost is how long JetStream may be silent before the client switches to another server.
	unservedAtMost = 5 * time.Second
)

// guard reconnects to another server when this one does not serve,
// until ctx ends. With a single known server it does nothing.
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

// served requests the account information, which the meta leader answers.
func (b *Bus) served(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, servedWithin)
	defer cancel()
	_, err := b.JS.AccountInfo(ctx)
	return err
}
