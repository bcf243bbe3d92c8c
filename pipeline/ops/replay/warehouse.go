package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// Warehouse is what a replay needs of ClickHouse.
type Warehouse interface {
	KeptDays(ctx context.Context, q warehouse.KeptQuery) ([]warehouse.KeptDay, error)
	KeptInputs(ctx context.Context, q warehouse.KeptQuery, from, to time.Time, after uint64, f func(line string) error) error
	KeptVerdicts(ctx context.Context, look pipeline.Look, from, to time.Time, ids []uint64) (map[uint64]warehouse.VerdictRow, error)
}

const (
	// manyInputs is the default number of verdicts that a step decides from ClickHouse.
	manyInputs = 4096
	// fewRows and manyRows bound the verdicts of one query to ClickHouse:
	// short days are queried together, long ones hour by hour.
	fewRows  = 50_000
	manyRows = 400_000
)

// warehouseSource reads kept inputs from ClickHouse, window by window; a goroutine reads
// ahead by one batch.
type warehouseSource struct {
	all    int
	ahead  chan warehouseBatch
	cancel context.CancelFunc
}

type warehouseBatch struct {
	ps   []original
	at   place
	more bool
	err  error
}

// window is a span of pipeline time.
type window struct{ from, to time.Time }

func openWarehouse(ctx context.Context, ch Warehouse, o Options, r *Record, marketplaces []int) (*warehouseSource, error) {
	q := warehouse.KeptQuery{
		Look: o.Look, ASIN: o.ASIN, Source: o.Source, Reason: o.Reason, From: o.From, To: o.To, Until: rowID(r.Made, r.Until), Marketplaces: marketplaces,
	}
	days, err := ch.KeptDays(ctx, q)
	if err != nil {
		return nil, err
	}
	s := &warehouseSource{ahead: make(chan warehouseBatch, 1)}
	for _, d := range days {
		s.all += d.Rows
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go s.run(ctx, ch, q, windows(days), o.Batch, r.Place)
	return s, nil
}

// windows joins days that have few verdicts and cuts those that have many.
func windows(days []warehouse.KeptDay) []window {
	const day = 24 * time.Hour
	var out []window
	rows := fewRows // of the last window
	for _, d := range days {
		switch {
		case d.Rows > manyRows:
			for h := range 24 {
				from := d.Day.Add(time.Duration(h) * time.Hour)
				out = append(out, window{from, from.Add(time.Hour)})
			}
			rows = fewRows
		case rows+d.Rows <= fewRows:
			out[len(out)-1].to = d.Day.Add(day)
			rows += d.Rows
		default:
			out = append(out, window{d.Day, d.Day.Add(day)})
			rows = d.Rows
		}
	}
	return out
}

// resumed returns the windows from a place on. The window of the place itself is unchanged,
// whatever days have since been joined or cut.
func resumed(ws []window, at place) []window {
	if at.From.IsZero() {
		return ws
	}
	out := []window{{at.From, at.To}}
	for _, w := range ws {
		if w.from.Before(at.To) {
			w.from = at.To
		}
		if w.from.Before(w.to) {
			out = append(out, w)
		}
	}
	return out
}

func (s *warehouseSource) run(ctx context.Context, ch Warehouse, q warehouse.KeptQuery, ws []window, many int, from place) {
	many = cmp.Or(many, manyInputs)
	next := warehouseBatch{at: from, more: true}
	flush := func(more bool) error {
		next.more = more
		select {
		case s.ahead <- next:
			next = warehouseBatch{at: next.at, more: true}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, w := range resumed(ws, from) {
		after := uint64(0)
		if w.from.Equal(from.From) {
			after = from.Next
		}
		last := after
		err := ch.KeptInputs(ctx, q, w.from, w.to, after, func(line string) error {
			p, id, err := readLine(line)
			if err != nil || id == last {
				return err // the same row, not merged yet
			}
			last, next.ps = id, append(next.ps, p)
			next.at = place{From: w.from, To: w.to, Next: id}
			if len(next.ps) < many {
				return nil
			}
			return flush(true)
		})
		if err != nil {
			select {
			case s.ahead <- warehouseBatch{err: err}:
			case <-ctx.Done():
			}
			return
		}
	}
	_ = flush(false) // it fails only if the reader has stopped
}

func (s *warehouseSource) total() int { return s.all }

func (s *warehouseSource) next(ctx context.Context) (ps []original, at place, seen int, more bool, err error) {
	select {
	case b := <-s.ahead:
		return b.ps, b.at, len(b.ps), b.more, b.err
	case <-ctx.Done():
		return nil, at, 0, false, ctx.Err()
	}
}

func (s *warehouseSource) stop() { s.cancel() }

// rowID returns a verdict's row id in ClickHouse.
func rowID(made uint32, seq uint64) uint64 {
	return warehouse.Origin{Epoch: made, Origin: pipeline.Origin{Sequence: seq}}.RowID()
}

// readLine reads one line of kept inputs.
func readLine(line string) (original, uint64, error) {
	var f [warehouse.KeptFields]string
	rest := line
	for i := range f[:len(f)-1] {
		var ok bool
		if f[i], rest, ok = strings.Cut(rest, "\t"); !ok {
			return original{}, 0, fmt.Errorf("read kept inputs: %w", io.ErrUnexpectedEOF)
		}
	}
	f[len(f)-1] = rest
	id, err := strconv.ParseUint(f[0], 10, 64)
	ms, err2 := strconv.ParseInt(f[9], 10, 64)
	if err = errors.Join(err, err2); err != nil {
		return original{}, 0, fmt.Errorf("read kept inputs: %w", err)
	}
	p := original{
		made: uint32(id >> 32), seq: id & 0xffffffff, work: f[8], asin: f[7], outcome: pipeline.Outcome(f[1]), reason: f[2], ruleID: f[3], ruleSet: f[4],
		heuristic: f[5] == "true", source: pipeline.Source(f[6]), decidedAt: time.UnixMilli(ms).UTC(), inputs: []byte(f[11]),
	}
	if f[10] != "" {
		cents, err := strconv.ParseInt(f[10], 10, 64)
		if err != nil {
			return p, id, fmt.Errorf("read kept inputs: %w", err)
		}
		p.profit = &cents
	}
	return p, id, nil
}

// completer reads the rest of verdicts of which only the inputs were read: from VERDICTS
// while that holds them, else from ClickHouse.
type completer struct {
	look     pipeline.Look
	made     uint32
	verdicts *bus.Fetcher
	ch       Warehouse
}

func (c completer) complete(ctx context.Context, ps []*original) error {
	var seqs []uint64
	for _, p := range ps {
		if p.made == c.made {
			seqs = append(seqs, p.seq)
		}
	}
	stored, err := c.verdicts.Read(ctx, seqs)
	if err != nil {
		return err
	}
	var gone []*original
	for _, p := range ps {
		m, ok := stored[p.seq]
		if !ok || p.made != c.made {
			gone = append(gone, p)
			continue
		}
		made := p.made
		if *p, err = readOriginal(m); err != nil {
			p.lost = lostBroken
		}
		p.made = made
	}
	return c.fromWarehouse(ctx, gone)
}

func (c completer) fromWarehouse(ctx context.Context, ps []*original) error {
	if len(ps) == 0 {
		return nil
	}
	ids := make([]uint64, len(ps))
	from, to := ps[0].decidedAt, ps[0].decidedAt
	for i, p := range ps {
		ids[i] = rowID(p.made, p.seq)
		if p.decidedAt.Before(from) {
			from = p.decidedAt
		}
		if p.decidedAt.After(to) {
			to = p.decidedAt
		}
	}
	rows, err := c.ch.KeptVerdicts(ctx, c.look, from, to, ids)
	if err != nil {
		return err
	}
	for i, p := range ps {
		row, ok := rows[ids[i]]
		if !ok {
			p.lost = lostBroken
			continue
		}
		v := row.Verdict
		p.full, p.stored, p.domain, p.tokens, p.responses, p.unknown, p.title = &v, row.StoredAt, v.Domain, v.Tokens, v.ResponseIDs, v.Unknown, v.Title
		p.inputs = []byte(row.InputsJSON)
	}
	return nil
}

const (
	// catchUpLimit is the maximum time that a replay waits for the recorder, machine time.
	catchUpLimit = 10 * time.Second
	catchUpPoll  = 100 * time.Millisecond
)

// recorded reports whether ClickHouse has every verdict that was stored when the run
// began. It waits a little for the recorder.
func (r *Replay) recorded(ctx context.Context) (bool, error) {
	over := process.MachineNow().Add(catchUpLimit)
	for {
		c, err := r.b.JS.Consumer(ctx, pipeline.StreamVerdicts, pipeline.DurableRecorder(pipeline.StreamVerdicts))
		if err != nil {
			return false, fmt.Errorf("read the recorder's consumer: %w", err)
		}
		i := c.CachedInfo()
		if i.AckFloor.Stream >= r.Until || i.NumPending == 0 && i.NumAckPending == 0 {
			return true, nil
		}
		if process.MachineSince(over) > 0 {
			return false, nil
		}
		if process.Sleep(ctx, catchUpPoll) != nil { // the recorder is behind: machine time
			return false, ctx.Err()
		}
	}
}

func (r *Replay) source(ctx context.Context, ch Warehouse) (source, error) {
	if !r.ReadsCH {
		return openStream(ctx, r.b, r.o, &r.Record)
	}
	if ch == nil {
		return nil, fmt.Errorf("resume run %s: it reads ClickHouse, which is unavailable; start one with `ratchet up`, or set CLICKHOUSE_URL", r.o.Run)
	}
	return openWarehouse(ctx, ch, r.o, &r.Record, r.b.Marketplaces())
}
