package worker

import (
	"bytes"
	"context"
	"fmt"

	"ratchet/pipeline/platform/bus"
)

// Applied is what an operator applied last to a key of CONFIG: a message A, which makes a T current. If it cannot be
// used, what was used before remains.
type Applied[A, T any] struct {
	Cell   bus.Cell
	Decode func(A) (current T, version int, err error)
	Use    func(current T, version int)
	Refuse func(err error) // is called once for each reason

	read    []byte // the last value of CONFIG
	refused string // why that is not used
}

// Load uses what is applied if it has changed. It returns only errors of NATS.
func (a *Applied[A, T]) Load(ctx context.Context) error {
	raw, _, err := a.Cell.Read(ctx)
	if err != nil || bytes.Equal(raw, a.read) && a.refused == "" {
		return err
	}
	a.read = raw
	current, version, err := a.decode(raw)
	if err == nil {
		a.refused = ""
		a.Use(current, version)
		return nil
	}
	if a.refused != err.Error() {
		a.refused = err.Error() // it is decoded again each time, because the reason may go away
		a.Refuse(err)
	}
	return nil
}

func (a *Applied[A, T]) decode(raw []byte) (current T, version int, err error) {
	message, err := bus.Decode[A](a.Cell, raw)
	if err != nil {
		return current, 0, err
	}
	if current, version, err = a.Decode(message); err != nil {
		err = fmt.Errorf("version %d: %w", version, err)
	}
	return current, version, err
}

// Recheck makes the next Load decode the value again although it is the same.
func (a *Applied[A, T]) Recheck() { a.read = nil }
