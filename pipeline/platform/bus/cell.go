package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/platform/process"
)

// ErrConflict means that the cell changed after it was read: read and decide again.
var ErrConflict = errors.New("the key was changed after it was read")

// Cell is one key of a bucket: a value that several processes change, each only from the revision that it read.
type Cell struct {
	kv  jetstream.KeyValue
	key string
	b   *Bus // nil for a bucket that was not opened by one
}

// NewCell is the cell of a key.
func NewCell(kv jetstream.KeyValue, key string) Cell {
	c := Cell{kv: kv, key: key}
	if b, ours := kv.(boundedKV); ours {
		c.b = b.b
	}
	return c
}

// bounded bounds a request. end notes one that was not answered.
func (c Cell) bounded(ctx context.Context) (_ context.Context, end func(error)) {
	within := ackWithin
	if c.b != nil {
		within = c.b.answerWithin()
	}
	bounded, cancel := context.WithTimeout(ctx, within)
	return bounded, func(err error) {
		cancel()
		if c.b != nil && ctx.Err() == nil {
			c.b.unanswered(err)
		}
	}
}

// Key returns the key within the bucket.
func (c Cell) Key() string { return c.key }

// Read returns the value and its revision. An absent key is nil at revision 0, from which Swap creates it.
func (c Cell) Read(ctx context.Context) ([]byte, uint64, error) {
	ctx, end := c.bounded(ctx)
	e, err := c.kv.Get(ctx, c.key)
	end(err)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read %s/%s: %w", c.kv.Bucket(), c.key, err)
	}
	return e.Value(), e.Revision(), nil
}

// Swap writes value if the cell still has revision rev (0: if it is absent), and
// returns the new revision. ErrConflict means that the cell has another revision.
// After any other error the write may have been stored: read the cell and compare.
func (c Cell) Swap(ctx context.Context, rev uint64, value []byte) (uint64, error) {
	ctx, end := c.bounded(ctx)
	var next uint64
	var err error
	if rev == 0 {
		next, err = c.kv.Create(ctx, c.key, value)
	} else {
		next, err = c.kv.Update(ctx, c.key, value, rev)
	}
	end(err)
	switch {
	case err == nil:
		return next, nil
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(err, jetstream.ErrKeyRevisionMismatch), wrongSequence(err):
		return 0, ErrConflict
	default:
		return 0, fmt.Errorf("swap %s/%s: %w", c.kv.Bucket(), c.key, err)
	}
}

// wrongSequence recognises the server's two error codes for a
// stale revision; the second comes only from replicated streams.
func wrongSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == 10071 || api.ErrorCode == 10164)
}

// BadCell is the error for a key whose value no build can have written: it was
// overwritten by hand or damaged. Whatever depends on it stops until it is repaired.
type BadCell struct {
	Bucket, Key string
	Err         error
}

func (e *BadCell) Error() string {
	return fmt.Sprintf("%s/%s cannot be read: %v; nats kv history %s %s shows what it was", e.Bucket, e.Key, e.Err, e.Bucket, e.Key)
}
func (e *BadCell) Unwrap() error { return e.Err }

// IsBad reports whether an error is of a key whose value cannot be read.
func IsBad(err error) bool {
	_, bad := errors.AsType[*BadCell](err)
	return bad
}

// Decode decodes a value of the cell; an absent one is the zero value. A type with a method Validate rejects values
// that no build can have written. The error is a BadCell.
func Decode[T any](c Cell, raw []byte) (T, error) {
	var v T
	if raw == nil {
		return v, nil
	}
	err := json.Unmarshal(raw, &v)
	if s, ok := any(v).(interface{ Validate() error }); ok && err == nil {
		err = s.Validate()
	}
	if err != nil {
		var none T
		return none, &BadCell{Bucket: c.kv.Bucket(), Key: c.key, Err: err}
	}
	return v, nil
}

// listWithin is how long a server may take to list the keys of a bucket.
const listWithin = 5 * time.Second

// Keys returns the keys of a bucket. The client library ends a list silently when its context ends, so an
// incomplete list is an error.
func Keys(ctx context.Context, kv jetstream.KeyValue) ([]string, error) {
	within := listWithin
	if ours, ok := kv.(boundedKV); ok && ours.b.electing() {
		within = ackWithinCluster
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	list, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = list.Stop() }() // it has ended already
	var keys []string
	for key := range list.Keys() {
		keys = append(keys, key)
	}
	return keys, ctx.Err()
}

// ChangeOwn is Change for a cell that only the caller writes and can rebuild: an unreadable value counts as absent.
func ChangeOwn[T any](ctx context.Context, c Cell, f func(T) (T, bool, error)) (T, error) {
	return repeat(ctx, c, f, true)
}

// Change reads the cell, calls f, and swaps, until the write is stored or rejected or ctx ends. f must
// be pure, because it runs again on the newest value after a conflict and after a write whose outcome
// is unknown; it returns false to leave the cell unchanged. A missing key is the zero value.
func Change[T any](ctx context.Context, c Cell, f func(T) (T, bool, error)) (T, error) {
	return repeat(ctx, c, f, false)
}

// repeat is Change; with own set, an unreadable value counts as absent.
func repeat[T any](ctx context.Context, c Cell, f func(T) (T, bool, error), own bool) (next T, err error) {
	w := write{b: c.b, to: c.kv.Bucket()}
	defer func() { w.end(err) }()
	backoff := process.Backoff{First: 2 * time.Millisecond, Most: 500 * time.Millisecond}
	for done := false; ; {
		next, done, err = change(ctx, c, f, own)
		if done || ctx.Err() != nil {
			return next, err
		}
		if !errors.Is(err, ErrConflict) {
			w.failed(err)
		}
		if err := backoff.Sleep(ctx); err != nil {
			return next, fmt.Errorf("change %s: %w", c.key, err)
		}
	}
}

// change is one attempt; done is false if it should be retried.
func change[T any](ctx context.Context, c Cell, f func(T) (T, bool, error), own bool) (v T, done bool, err error) {
	raw, rev, err := c.Read(ctx)
	if err != nil {
		return v, final(err), err
	}
	if v, err = Decode[T](c, raw); err != nil && !own {
		return v, true, err
	}
	next, write, err := f(v)
	if err != nil || !write {
		return next, true, err
	}
	body, err := json.Marshal(next)
	if err != nil {
		return next, true, fmt.Errorf("encode %s: %w", c.key, err)
	}
	_, err = c.Swap(ctx, rev, body)
	return next, final(err), err
}

// final reports whether the change succeeded, or failed in a way that no repetition changes.
func final(err error) bool {
	return err == nil || !errors.Is(err, ErrConflict) && !transient(err)
}
