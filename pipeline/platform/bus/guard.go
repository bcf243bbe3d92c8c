package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
)

// A server that is cut off from its peers, or whose disk is full, answers pings
// and serves nothing. A client keeps such a connection, so guard closes it.
const (
	// servedEvery is how often a daemon that knows several servers checks that JetStream answers.
	servedEvery = time.Second
	// aloneEvery is how often one that knows a single server checks whether it has learned of others.
	aloneEvery = 10 * time.Second
	// servedWithin bounds one such check: a server that is merely slow is not left.
	servedWithin = 2 * time.Second
	// unservedAtMost is how long JetStream may fail to answer before the client switches servers: slightly less than
	// an interval and two checks, so that the second failed check decides.
	unservedAtMost = 4500 * time.Millisecond
	// silentPeer is how long a peer may be silent; it sends something every second.
	silentPeer = 4 * time.Second
	// othersWithin bounds one search among the other servers, otherEvery one request of it, and dialWithin one
	// connection. Peers take four to nine seconds to elect a leader and answer nothing meanwhile; the search must
	// find them soon after.
	othersWithin = 3 * time.Second
	otherEvery   = 300 * time.Millisecond
	dialWithin   = time.Second
	// movedWithin bounds one reconnect to another server.
	movedWithin = time.Second
)

// guard moves to a server that serves when this one does not, until ctx ends. While none
// does, as in an election, it stays. With a single known server it does nothing.
func (b *Bus) guard(ctx context.Context) {
	tick := time.NewTicker(servedEvery)
	defer tick.Stop()
	served := time.Now()
	for {
		if !several(b.NC) { // it may learn of others; meanwhile the ticker wakes nothing
			if process.Sleep(ctx, aloneEvery) != nil {
				return
			}
			served = time.Now()
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !b.NC.IsConnected() {
			served = time.Now()
			continue
		}
		err := serves(ctx, b.JS, servedWithin)
		if err == nil {
			if time.Since(served) > 2*servedEvery {
				b.hints.fire() // it was cut off, and may have missed what its peers passed on
			}
			served = time.Now()
			continue
		}
		b.unanswered(err)
		if time.Since(served) < unservedAtMost && !errors.Is(err, errAlone) {
			continue // a leader without its peers is left at once: silentPeer has passed
		}
		other := b.serving(ctx)
		if other != "" && serves(ctx, b.JS, otherEvery) != nil { // after an election this one serves too
			b.Log.Warn("the NATS server does not serve JetStream, trying another", "url", b.NC.ConnectedUrlRedacted(),
				"since", time.Since(served).Round(time.Second), "err", err)
			b.move(ctx, other)
			served = time.Now()
		}
	}
}

var errAlone = errors.New("its peers do not answer the leader")

// serves asks for a stream that every topology has. A leader that was cut off
// answers for a while as if nothing had happened; its peers are silent.
func serves(ctx context.Context, js jetstream.JetStream, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s, err := js.Stream(ctx, pipeline.BucketStream(pipeline.BucketTokens))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // nothing is provisioned, and the server knows it
	}
	if err != nil {
		return err
	}
	c := s.CachedInfo().Cluster
	if c == nil || len(c.Replicas) == 0 {
		return nil
	}
	active := 1 // the leader itself
	for _, peer := range c.Replicas {
		if !peer.Offline && peer.Active < silentPeer {
			active++
		}
	}
	if 2*active <= len(c.Replicas)+1 {
		return errAlone
	}
	return nil
}

// serving asks all other servers at once and returns the first that serves; empty if none does in time.
func (b *Bus) serving(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, othersWithin)
	defer cancel() // the other probes end within dialWithin
	servers, here := b.NC.Servers(), b.NC.ConnectedUrl()
	found := make(chan string, len(servers))
	for _, other := range servers {
		b.guards.Go(func() {
			if other == here {
				found <- ""
				return
			}
			if err := b.probe(ctx, other); err != nil {
				b.Log.Debug("another server does not serve either", "url", RedactURL(other), "err", err)
				other = ""
			}
			found <- other
		})
	}
	for range servers {
		if other := <-found; other != "" {
			return other
		}
	}
	return ""
}

// probe asks a server, on a connection of its own, until it serves or ctx ends.
func (b *Bus) probe(ctx context.Context, url string) error {
	nc, err := nats.Connect(url, append(b.opts[:len(b.opts):len(b.opts)], nats.NoReconnect(), nats.Timeout(dialWithin), nats.IgnoreDiscoveredServers())...)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	for {
		pause := time.NewTimer(otherEvery)
		err := serves(ctx, js, otherEvery)
		if err == nil {
			pause.Stop()
			return nil
		}
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// move reconnects until the client has come round to a server; it takes them in turn.
func (b *Bus) move(ctx context.Context, to string) {
	for range b.NC.Servers() {
		if err := b.NC.ForceReconnect(); err != nil {
			b.Log.Debug("leave a server", "err", err)
			return
		}
		for until := time.Now().Add(movedWithin); time.Now().Before(until) && ctx.Err() == nil; {
			if b.NC.IsConnected() {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if b.NC.ConnectedUrl() == to || ctx.Err() != nil {
			return
		}
	}
}
