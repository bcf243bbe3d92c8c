package refresher

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// stock is what a refresher keeps in memory of every holding, by key: what decides when it is looked at again. The
// list's row, which is most of a holding and only needed when it is offered, stays in STOCK.
type stock struct {
	all    map[string]*brief
	common map[string]*common // by its JSON
}

// brief is a holding without its row, packed: a hundred thousand of them take 20 MB.
type brief struct {
	*common

	asin                                                               string // the end of the key
	revision                                                           uint64 // in STOCK
	seq                                                                uint64
	created, cents, ran                                                int64
	written                                                            int64 // to STOCK, machine time; see instant
	since, found, confirmed, checked, due, offered, repaired, listedAt int64 // see instant
	failed, attempt, domain, priceType                                 int32
}

// common is the part of a holding that many have alike. It is immutable.
type common struct {
	State   refresh.State
	Why     string
	GaveUp  string
	Missing []string
	Queries []string
}

func newStock() stock { return stock{all: map[string]*brief{}, common: map[string]*common{}} }

// put keeps a holding that was just written to STOCK, at a revision.
func (s stock) put(key string, h refresh.Holding, revision uint64) {
	c, err := s.shared(common{State: h.State, Why: h.Why, GaveUp: h.GaveUp, Missing: h.Missing, Queries: h.Queries})
	if err != nil {
		panic(err) // strings always encode
	}
	b, known := s.all[key]
	if !known {
		b = &brief{}
		s.all[strings.Clone(key)] = b
		b.asin = h.ASIN
	}
	*b = brief{
		common: c, asin: b.asin, revision: revision, seq: h.Seq, created: h.CreationDate, cents: h.Cents, ran: int64(h.Ran),
		written: micros(process.MachineNow()),
		since:   micros(h.Since), found: micros(h.Found), confirmed: micros(h.Confirmed), checked: micros(h.Checked),
		due: micros(h.Due), offered: micros(h.Offered), repaired: micros(h.Repaired), listedAt: micros(h.ListedAt),
		failed: int32(h.Failed), attempt: int32(h.Attempt), domain: int32(h.Domain), priceType: int32(h.PriceType), //nolint:gosec // small
	}
}

// read keeps a holding as STOCK has it.
func (s stock) read(key string, h refresh.Holding, r bus.Read) {
	s.put(key, h, r.Sequence)
	s.all[key].written = micros(r.StoredAt)
}

// A deal that is hidden, or that waits for a look, is written by nothing else, and STOCK drops a key by its age. So it
// is rewritten long before that, at most so many in a step.
const (
	rewriteAfter = 7 * 24 * time.Hour // machine time
	rewriteMost  = 500
)

// aged returns the keys of shown deals that were not written for rewriteAfter, the first of them.
func (s stock) aged(now time.Time) []string {
	var out []string
	for key, b := range s.all {
		if b.State.Shown() && now.Sub(instant(b.written)) >= rewriteAfter {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), rewriteMost)]
}

// drop forgets a holding that STOCK no longer has, or not in a readable form.
func (s stock) drop(key string) { delete(s.all, key) }

// shared returns the one copy of what many holdings have alike.
func (s stock) shared(c common) (*common, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if known := s.common[string(raw)]; known != nil {
		return known, nil
	}
	s.common[string(raw)] = &c
	return &c, nil
}

// holding returns what is kept of a holding, which has no row; the zero holding where the key has none.
func (s stock) holding(key string) refresh.Holding {
	b := s.all[key]
	if b == nil {
		return refresh.Holding{}
	}
	return b.holding()
}

func (b *brief) holding() refresh.Holding {
	return refresh.Holding{
		Identity: pipeline.Identity{Domain: int(b.domain), ASIN: b.asin, PriceType: int(b.priceType), CreationDate: b.created},
		State:    b.State, Why: b.Why, Since: instant(b.since), Found: instant(b.found), Confirmed: instant(b.confirmed),
		Checked: instant(b.checked), Cents: b.cents, Due: instant(b.due), Offered: instant(b.offered), Failed: int(b.failed),
		Ran: time.Duration(b.ran), Missing: b.Missing, Attempt: int(b.attempt), Repaired: instant(b.repaired), GaveUp: b.GaveUp,
		Seq: b.seq, Queries: b.Queries, ListedAt: instant(b.listedAt),
	}
}

// revision returns the last known revision of a key; 0 if the stock does not have it.
func (s stock) revision(key string) uint64 {
	if b := s.all[key]; b != nil {
		return b.revision
	}
	return 0
}

// with returns all holdings by key, those of news in place of the older ones.
func (s stock) with(news map[string]refresh.Holding) iter.Seq[refresh.Holding] {
	keys := make([]string, 0, len(s.all)+len(news))
	keys = slices.AppendSeq(keys, maps.Keys(s.all))
	for key := range news {
		if s.all[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return func(yield func(refresh.Holding) bool) {
		for _, key := range keys {
			h, newer := news[key]
			if !newer {
				h = s.holding(key)
			}
			if !yield(h) {
				return
			}
		}
	}
}

// micros and instant pack an instant, to the microsecond; 0 is the absent one.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// withRows adds the list's rows to what is offered, from STOCK. One that
// another process has replaced since is errMoved, and the stock is read again.
func (k *refresher) withRows(ctx context.Context, offers []refresh.Work) error {
	byKey := map[string]*refresh.Work{}
	var subjects []string
	for i := range offers {
		if w := &offers[i]; w.Holding.Row == nil {
			key := pipeline.KeySeen(w.Holding.Identity)
			byKey[key], subjects = w, append(subjects, stockPrefix+key)
		}
	}
	if len(subjects) == 0 {
		return nil
	}
	stored, err := k.bus.Newest(ctx, stockStream, subjects, bus.Until{})
	if err != nil {
		return fmt.Errorf("read the rows of %d deals: %w", len(subjects), err)
	}
	for _, r := range stored {
		key := strings.TrimPrefix(r.Subject, stockPrefix)
		h, err := readHolding(key, r.Body, k.env.Now())
		if err == nil && h.Identity != byKey[key].Holding.Identity {
			err = errMoved // the row is of another price
		}
		if err != nil {
			return fmt.Errorf("read the row of %s: %w", key, err)
		}
		byKey[key].Holding.Row = h.Row
		delete(byKey, key)
	}
	for key := range byKey {
		return fmt.Errorf("read the row of %s: %w", key, errMoved) // deleted by hand
	}
	return nil
}
