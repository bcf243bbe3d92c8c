package recorder

import (
	"context"
	"sync"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
)

const (
	openWithin   = 30 * time.Second // to connect
	insertWithin = time.Minute      // one insert
	firstPause   = time.Second      // after a first failure
	longestPause = 30 * time.Second // between two attempts
	pingEvery    = 30 * time.Second // machine time
	pingWithin   = 10 * time.Second

	// holdEvery is the interval at which the AckWait of the held messages is extended: one may be lost.
	holdEvery = bus.LeastAckWait / 3
)

// sink is the part of a warehouse that the recorder needs. A batch under a token that was stored already is dropped.
type sink interface {
	Stored(ctx context.Context, stream string, events []uint64) (map[uint64]uint64, error)
	InsertVerdicts(ctx context.Context, rows []warehouse.VerdictRow, token string) error
	InsertDeals(ctx context.Context, rows []warehouse.DealRow, token string) error
	InsertLedger(ctx context.Context, rows []warehouse.LedgerRow, token string) error
	InsertDead(ctx context.Context, rows []warehouse.DeadRow, token string) error
	InsertActions(ctx context.Context, rows []warehouse.ActionRow, token string) error
	Remember(ctx context.Context, stream string, seen []warehouse.Seen) error
	Tidy(ctx context.Context) (forgotten int, err error)
	Ping(ctx context.Context) error
	Close() error
}

// store connects to the warehouse when it is first needed, and again after forget.
type store struct {
	dial func(context.Context) (sink, error)

	mu   sync.Mutex
	sink sink
}

func newStore(dial func(context.Context) (sink, error)) *store { return &store{dial: dial} }

// open returns the warehouse, with its tables in place.
func (s *store) open(ctx context.Context) (sink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != nil {
		return s.sink, nil
	}
	opened, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.sink = opened
	return opened, nil
}

// opened returns the warehouse if it is open; nil if not, or while it is being opened.
func (s *store) opened() sink {
	if !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	return s.sink
}

// forget makes the next open connect again, after tables were missing.
func (s *store) forget(old sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink == old && old != nil {
		s.sink = nil
		_ = old.Close() // its inserts have returned, or will fail and be retried
	}
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != nil {
		_ = s.sink.Close() // every insert has returned
	}
}
