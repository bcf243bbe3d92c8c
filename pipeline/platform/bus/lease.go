package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
)

// Lease is a leader key that expires 15 s after the last renewal by its holder. It elects a
// leader but does not fence: what a leader writes carries an epoch or a revision of its own.
type Lease struct {
	b       *Bus
	key     string
	id      string
	rev     uint64    // of our key; 0 unless we hold it
	renewed time.Time // machine time

	sawRev uint64 // of the holder's key, with the time at which we first saw it
	sawAt  time.Time

	now func() time.Time // the machine's clock
}

const renewEvery = LeaseTTL / 3

// NewLease returns a lease that is not held yet.
func NewLease(b *Bus, key string) *Lease {
	return &Lease{b: b, key: key, id: fmt.Sprintf("%s-%x", process.Instance(), time.Now().UnixNano()), now: time.Now}
}

// Hold takes or renews the lease. leads reports whether we hold it, and fresh whether
// we have just acquired it. It contacts the server only when a renewal is due.
func (l *Lease) Hold(ctx context.Context) (leads, fresh bool, err error) {
	if l.rev != 0 && l.now().Sub(l.renewed) < renewEvery {
		return true, false, nil
	}
	if l.rev != 0 {
		if err := l.renew(ctx, l.rev); err == nil {
			return true, false, nil
		} else if l.now().Sub(l.renewed) < LeaseTTL-renewEvery && !wrongSequence(err) {
			return true, false, nil // not renewed yet, and not lost: the next turn retries
		}
		l.rev = 0
	}
	return l.contend(ctx)
}

// contend creates the key, or takes over one that has not changed for
// three TTLs: a key without a TTL, written by hand, would never expire.
func (l *Lease) contend(ctx context.Context) (leads, fresh bool, err error) {
	kv, err := l.b.Store(ctx, pipeline.BucketLeaders)
	if err != nil {
		return false, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	e, err := kv.Get(ctx, l.key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		rev, err := kv.Create(ctx, l.key, l.body(), jetstream.KeyTTL(LeaseTTL))
		if errors.Is(err, jetstream.ErrKeyExists) || wrongSequence(err) {
			return false, false, nil
		}
		if err != nil {
			return false, false, fmt.Errorf("take lease %s: %w", l.key, err)
		}
		l.rev, l.renewed = rev, l.now()
		return true, true, nil
	case err != nil:
		return false, false, fmt.Errorf("read lease %s: %w", l.key, err)
	}
	if e.Revision() != l.sawRev {
		l.sawRev, l.sawAt = e.Revision(), l.now()
	}
	mine := l.owns(e.Value())
	if !mine && held(e.Value()) && l.now().Sub(l.sawAt) < 3*LeaseTTL {
		return false, false, nil
	}
	if err := l.renew(ctx, e.Revision()); err != nil {
		return false, false, nil //nolint:nilerr // another instance was faster, or the next turn retries
	}
	return true, true, nil
}

// renew publishes with the TTL: an update through the KV client would erase it.
func (l *Lease) renew(ctx context.Context, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	ack, err := l.b.JS.Publish(ctx, "$KV."+pipeline.BucketLeaders+"."+l.key, l.body(),
		jetstream.WithMsgTTL(LeaseTTL), jetstream.WithExpectLastSequencePerSubject(rev))
	if err != nil {
		return fmt.Errorf("renew lease %s: %w", l.key, err)
	}
	l.rev, l.renewed = ack.Sequence, l.now()
	return nil
}

// Drop gives up the lease without touching the key: the next Hold contends for it.
func (l *Lease) Drop() { l.rev = 0 }

// Release deletes the key, so that a successor need not wait for the TTL.
func (l *Lease) Release() {
	if l.rev == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	kv, err := l.b.Store(ctx, pipeline.BucketLeaders)
	if err == nil {
		err = kv.Delete(ctx, l.key, jetstream.LastRevision(l.rev))
	}
	if err != nil {
		l.b.Log.Debug("release lease", "key", l.key, "err", err)
	}
	l.rev = 0
}

type holder struct {
	ID string `json:"id"`
}

func (l *Lease) body() []byte {
	raw, err := json.Marshal(holder{ID: l.id})
	if err != nil {
		panic(err) // a string always encodes
	}
	return raw
}

// held reports whether a value names a holder; a value that no build can have written does not.
func held(raw []byte) bool {
	var h holder
	return json.Unmarshal(raw, &h) == nil && h.ID != ""
}

func (l *Lease) owns(raw []byte) bool {
	var h holder
	return json.Unmarshal(raw, &h) == nil && h.ID == l.id
}
