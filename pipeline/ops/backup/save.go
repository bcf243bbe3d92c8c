package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// Source is what is copied.
type Source struct {
	Bus *bus.Bus
	// ClickHouse is its URL; empty without one.
	ClickHouse string
	Build      string
	Say        func(format string, args ...any) // a line of progress
}

// Save copies everything into a directory that it creates. A directory that it leaves before the end is marked, and
// Read refuses it.
func Save(ctx context.Context, dir string, src Source) (Set, error) {
	s := Set{Format: format, Build: src.Build, Began: process.MachineNow().UTC()}
	if src.ClickHouse != "" {
		if err := warehouse.Copies(src.ClickHouse); err != nil {
			return s, err
		}
	}
	if err := begin(dir); err != nil {
		return s, err
	}
	// The recorder's first: the tables are copied next, and may take long.
	recorded, err := src.positions(ctx, isRecorder)
	if err != nil {
		return s, err
	}
	if err := src.saveTables(ctx, dir, &s); err != nil {
		return s, err
	}
	others, err := src.positions(ctx, func(durable string) bool { return !isRecorder(durable) })
	if err != nil {
		return s, err
	}
	plans, err := src.Bus.Plans(ctx)
	if err != nil {
		return s, err
	}
	for _, name := range order(plans) {
		one, err := src.saveStream(ctx, dir, name)
		if err != nil {
			return s, err
		}
		one.Positions = recorded[name]
		if one.Positions == nil {
			one.Positions = map[string]uint64{}
		}
		maps.Copy(one.Positions, others[name])
		s.Streams = append(s.Streams, one)
	}
	s.Ended = process.MachineNow().UTC()
	return s, s.finish(dir)
}

func isRecorder(durable string) bool { return strings.HasPrefix(durable, pipeline.DurableRecorder("")) }

// positions are those of the durables that are wanted, by stream.
func (src Source) positions(ctx context.Context, wanted func(durable string) bool) (map[string]map[string]uint64, error) {
	out := map[string]map[string]uint64{}
	for _, stream := range pipeline.Streams() {
		all, err := src.Bus.Positions(ctx, stream)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(all, func(durable string, _ uint64) bool { return !wanted(durable) })
		out[stream] = all
	}
	return out, nil
}

// every is the interval of a long copy's progress lines.
const every = 5 * time.Second

func (src Source) saveStream(ctx context.Context, dir, name string) (Stream, error) {
	saved, err := src.Bus.SaveStream(ctx, name, natsDir(dir, name), paced(src.Say, name))
	if err != nil {
		return Stream{}, err
	}
	src.Say("%-14s %d messages, %s", name, saved.Messages, size(saved.Bytes))
	return Stream{Name: name, Made: saved.Made, Last: saved.Last, Messages: saved.Messages, Bytes: saved.Bytes}, nil
}

// paced prints a copy's progress every few seconds.
func paced(say func(string, ...any), name string) func(int64) {
	last := process.MachineNow()
	return func(n int64) {
		if process.MachineSince(last) >= every {
			last = process.MachineNow()
			say("%-14s %s so far …", name, size(n))
		}
	}
}

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}

// saveTables copies what ClickHouse holds, a partition a file.
func (src Source) saveTables(ctx context.Context, dir string, s *Set) (err error) {
	if src.ClickHouse == "" {
		return nil
	}
	w, err := warehouse.Reach(ctx, src.ClickHouse)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Current(ctx); err != nil {
		return err
	}
	s.Schema = warehouse.Schema()
	parts, err := w.Parts(ctx)
	if err != nil {
		return err
	}
	for _, p := range parts {
		t := Table{Name: p.Table, Partition: p.Partition, File: filepath.Join("clickhouse", p.Table+"."+p.Partition+".native.zst")}
		n, err := export(ctx, w, p, filepath.Join(dir, t.File))
		if err != nil {
			return err
		}
		s.Tables = append(s.Tables, t)
		src.Say("%-14s partition %s, %s", p.Table, p.Partition, size(n))
	}
	if len(parts) == 0 {
		src.Say("ClickHouse     holds no rows")
	}
	return nil
}

// export writes a part into a file, and is its size.
func export(ctx context.Context, w *warehouse.Warehouse, p warehouse.Part, file string) (int64, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	z, err := zstd.NewWriter(f)
	if err == nil {
		err = errors.Join(w.Export(ctx, p, z), z.Close())
	}
	n, seekErr := f.Seek(0, io.SeekCurrent)
	return n, errors.Join(err, seekErr, f.Sync(), f.Close())
}
