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

// Lease is a leader key in TOKEND that vanishes 15 s after its holder stopped
// renewing it. It elects; it does not fence: what a leader writes carries an
// epoch or a revision of its own.
type Lease struct {
	b       *Bus
	key     string
	id      string
	rev     uint64    // of our key; 0 while we do not hold it
	renewed time.Time // machine time

	sawRev uint64 // of the holder's key, and since when it has not moved
	sawAt  time.Time

	now func() time.Time // the machine's clock
}

const renewEvery = LeaseTTL / 3

// NewLease is a lease nobody holds yet.
func NewLease(b *Bus, key string) *Lease {
	return &Lease{b: b, key: key, id: fmt.Sprintf("%s-%x", process.Instance(), time.Now().UnixNano()), now: time.Now}
}

// Hold takes the lease or renews it. leads says whether it is ours; fresh is true
// when it has just become ours. It asks the server only as often as it must.
func (l *Lease) Hold(ctx context.Context) (leads, fresh bool, err error) {
	if l.rev != 0 && l.now().Sub(l.renewed) < renewEvery {
		return true, false, nil
	}
	if l.rev != 0 {
		if err := l.renew(ctx, l.rev); err == nil {
			return true, false, nil
		} else if l.now().Sub(l.renewed) < LeaseTTL-renewEvery && !wrongSequence(err) {
			return true, false, nil // not renewed yet, and not lost: the next turn tries again
		}
		l.rev = 0
	}
	return l.contend(ctx)
}

// contend creates the key, or takes over one that has not moved for three lives:
// a key without a TTL, which somebody put by hand, would never vanish.
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
		return false, false, fmt.Errorf("look at lease %s: %w", l.key, err)
	}
	if e.Revision() != l.sawRev {
		l.sawRev, l.sawAt = e.Revision(), l.now()
	}
	mine := l.owns(e.Value())
	if !mine && held(e.Value()) && l.now().Sub(l.sawAt) < 3*LeaseTTL {
		return false, false, nil
	}
	if err := l.renew(ctx, e.Revision()); err != nil {
		return false, false, nil //nolint:nilerr // somebody else was faster, or the next turn finds out
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

// Drop forgets the lease without touching the key: the next Hold contends.
func (l *Lease) Drop() { l.rev = 0 }

// Release gives the lease up, so that a successor need not wait for the TTL.
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

// held reports whether a value names a holder: what nobody can have written is nobody's.
func held(raw []byte) bool {
	var h holder
	return json.Unmarshal(raw, &h) == nil && h.ID != ""
}

func (l *Lease) owns(raw []byte) bool {
	var h holder
	return json.Unmarshal(raw, &h) == nil && h.ID == l.id
}
