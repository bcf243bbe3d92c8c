package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
)

// Lease is a leader key that expires LeaseTTL after the last renewal by its holder. It elects a
// leader but does not fence: what a leader writes carries an epoch or a revision of its own.
type Lease struct {
	b       *Bus
	key     string
	id      string
	rev     uint64    // of our key; 0 unless we hold it
	renewed time.Time // machine time

	sawRev uint64 // of the holder's key, with the time at which we first saw it
	sawAt  time.Time

	subject     string             // on which we answer as long as we live
	sub         *nats.Subscription // nil before the first Hold
	changed     *atomic.Bool       // somebody else wrote the key, or may have
	silentSince time.Time          // since when the holder does not answer; zero if it does
	silent      string             // that holder

	now func() time.Time // the machine's clock
}

const renewEvery = LeaseTTL / 3

// NewLease returns a lease that is not held yet; each plan has one of its own.
func NewLease(b *Bus, key string) *Lease {
	nano := time.Now().UnixNano()
	key = b.Own(key)
	return &Lease{
		b: b, key: key, id: fmt.Sprintf("%s-%x", process.Instance(), nano), now: time.Now,
		changed: new(atomic.Bool), subject: fmt.Sprintf("svc.%s.lease-%s-%x", b.name, key, nano),
	}
}

// Hold takes or renews the lease. leads reports whether we hold it, and fresh whether
// we have just acquired it. It contacts the server only when a renewal is due, or somebody else wrote the key.
func (l *Lease) Hold(ctx context.Context) (leads, fresh bool, err error) {
	changed := l.changed.Swap(false)
	if l.rev != 0 && !changed && l.now().Sub(l.renewed) < renewEvery {
		return true, false, nil
	}
	if l.rev != 0 {
		if err := l.renew(ctx, l.rev); err == nil {
			return true, false, nil
		} else if l.now().Sub(l.renewed) < LeaseTTL-renewEvery && !wrongSequence(err) {
			l.changed.Store(changed)
			return true, false, nil // not renewed yet, and not lost: the next turn retries
		}
		l.rev = 0
	}
	return l.contend(ctx)
}

// contend creates the key, or takes over one whose holder does not answer, or one that has not
// changed for three TTLs: a key without a TTL, written by hand, would never expire.
func (l *Lease) contend(ctx context.Context) (leads, fresh bool, err error) {
	l.answer()
	kv, err := l.b.Store(ctx, pipeline.BucketLeaders)
	if err != nil {
		return false, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, answer(l.b.NC)) // the holder is asked in it, too
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
	h := holderOf(e.Value())
	if h.ID != "" && h.ID != l.id && l.now().Sub(l.sawAt) < 3*LeaseTTL && !l.dead(ctx, h) {
		return false, false, nil
	}
	if err := l.renew(ctx, e.Revision()); err != nil {
		return false, false, nil //nolint:nilerr // another instance was faster, or the next turn retries
	}
	return true, true, nil
}

// renew replaces the value whose revision is rev.
func (l *Lease) renew(ctx context.Context, rev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	renewed, err := l.b.PutFor(ctx, pipeline.BucketLeaders, l.key, l.body(), LeaseTTL,
		jetstream.WithExpectLastSequencePerSubject(rev))
	if err != nil {
		return fmt.Errorf("renew lease %s: %w", l.key, err)
	}
	l.rev, l.renewed = renewed, l.now()
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
	ID      string `json:"id"`
	Subject string `json:"asks,omitempty"` // the subject on which it answers as long as it lives
}

func (l *Lease) body() []byte {
	h := holder{ID: l.id}
	if l.sub != nil {
		h.Subject = l.subject
	}
	raw, err := json.Marshal(h)
	if err != nil {
		panic(err) // strings always encode
	}
	return raw
}

// holderOf decodes a value; one that no build can have written names no holder.
func holderOf(raw []byte) holder {
	var h holder
	if json.Unmarshal(raw, &h) != nil {
		return holder{}
	}
	return h
}

// A holder that was killed or frozen keeps its key until the TTL ends, which is too long to wait. So another
// instance takes the lease after silentAtMost without an answer. Both may then lead for a moment, which is safe:
// what a leader writes is fenced.
const (
	silentAtMost = 4 * time.Second
	askWithin    = 500 * time.Millisecond
)

// dead reports whether the holder has not answered for silentAtMost. An instance that cannot reach itself over NATS
// returns false: its own connection or permissions may be the cause.
func (l *Lease) dead(ctx context.Context, h holder) bool {
	if h.Subject == "" || l.sub == nil || l.alive(ctx, h.Subject) || !l.alive(ctx, l.subject) {
		l.silentSince = time.Time{}
		return false
	}
	if l.silentSince.IsZero() || l.silent != h.ID {
		l.silentSince, l.silent = l.now(), h.ID
	}
	return l.now().Sub(l.silentSince) >= silentAtMost
}

func (l *Lease) alive(ctx context.Context, subject string) bool {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	_, err := l.b.NC.RequestWithContext(ctx, subject, nil)
	return err == nil
}

// answer replies to the question whether the leader lives, and watches for foreign writes of the key, so that an
// instance that was frozen notices at once that another took over. If it cannot subscribe, the lease only expires.
func (l *Lease) answer() {
	if l.sub != nil {
		return
	}
	sub, err := l.b.NC.Subscribe(l.subject, func(m *nats.Msg) {
		_ = m.Respond(nil) // the asker repeats its request
	})
	if err == nil {
		foreign := func(m *nats.Msg) bool { return holderOf(m.Data).ID != l.id }
		_, err = l.b.hintIf(pipeline.KeySubject(pipeline.BucketLeaders, l.key), foreign, func() { l.changed.Store(true) })
	}
	if err != nil {
		l.b.Log.Debug("answer for a lease", "key", l.key, "err", err)
		return
	}
	l.sub = sub
}
