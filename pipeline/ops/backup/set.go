package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/process"
)

// Set is what a directory holds.
type Set struct {
	Format  int       `json:"format"`
	Build   string    `json:"build"`
	Began   time.Time `json:"began"` // machine time
	Ended   time.Time `json:"ended"`
	Schema  string    `json:"schema,omitempty"` // the last migration of the tables; empty without ClickHouse
	Streams []Stream  `json:"streams"`          // in the order in which they were copied
	Tables  []Table   `json:"tables,omitempty"`
}

// Stream is a stream or a bucket.
type Stream struct {
	Name     string `json:"name"`
	Made     uint32 `json:"made"` // when it was made, Unix seconds: half of the number of its rows in ClickHouse
	Last     uint64 `json:"last"` // sequence
	Messages uint64 `json:"messages"`
	Bytes    int64  `json:"bytes"`
	// Positions are the sequences up to which each consumer had settled everything.
	Positions map[string]uint64 `json:"positions,omitempty"`
}

// Table is a partition of a table.
type Table struct {
	Name      string `json:"name"`
	Partition string `json:"partition"`
	File      string `json:"file"`
}

const (
	format  = 1
	setFile = "set.json"
	// unfinished marks a directory that is being written, or whose writing was cut short.
	unfinished = "UNFINISHED"
)

// order is that of copying: see the package. The budgets of all plans stand where that of the first one does.
func order(plans plan.Map) []string {
	bucket := pipeline.BucketStream
	var tokens []string
	for _, p := range plans.All() {
		tokens = append(tokens, bucket(p.Own(pipeline.BucketTokens)))
	}
	return slices.Concat([]string{
		bucket(pipeline.BucketWatermarks), bucket(pipeline.BucketStock), bucket(pipeline.BucketSeen), bucket(pipeline.BucketWants), bucket(pipeline.BucketRuns),
		pipeline.StreamVerdicts, pipeline.StreamDeals, pipeline.StreamDead, pipeline.StreamActions, pipeline.StreamSurvivors, pipeline.StreamCandidates,
	}, tokens, []string{
		pipeline.StreamLedger, pipeline.StreamResponses,
		bucket(pipeline.BucketConfig), bucket(pipeline.BucketPosted),
	})
}

func natsDir(dir, stream string) string { return filepath.Join(dir, "nats", stream) }

// begin makes the directory and marks it.
func begin(dir string) error {
	left, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("inspect %s: %w", dir, err)
	}
	if len(left) > 0 {
		return process.Usagef("%s is not empty: name a new directory; one that an interrupted backup left can be deleted", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, "clickhouse"), 0o700); err != nil {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	return process.WriteSynced(filepath.Join(dir, unfinished), []byte("This backup was not finished; `ratchet restore` refuses it. Delete the directory.\n"))
}

// finish writes what the directory holds, and takes the mark away once all of it is on disk.
func (s Set) finish(dir string) error {
	body, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := process.WriteSynced(filepath.Join(dir, setFile), body); err != nil {
		return err
	}
	if err := syncDirs(dir); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, unfinished)); err != nil {
		return err
	}
	return process.SyncDir(dir)
}

// syncDirs returns when the names of everything below dir, and its own, are on disk.
func syncDirs(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return process.SyncDir(path)
	})
	return errors.Join(err, process.SyncDir(filepath.Dir(dir)))
}

// Read returns the set in a directory; a UsageError if it is missing or incomplete.
func Read(dir string) (Set, error) {
	var s Set
	if _, err := os.Stat(filepath.Join(dir, unfinished)); err == nil {
		return s, process.Usagef("%s holds a backup that was not finished: delete it and name another", dir)
	}
	body, err := os.ReadFile(filepath.Join(dir, setFile))
	if err != nil {
		return s, process.Usagef("%s holds no backup: %w; name the directory that `ratchet backup` wrote", dir, err)
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, process.Usagef("read %s: %w; the backup is damaged", filepath.Join(dir, setFile), err)
	}
	if s.Format != format {
		return s, process.Usagef("%s: the backup has format %d, this build reads %d: restore with build %s", dir, s.Format, format, s.Build)
	}
	for _, t := range s.Tables {
		if !filepath.IsLocal(t.File) {
			return s, process.Usagef("%s: file %q lies outside of the backup", dir, t.File)
		}
	}
	return s, s.known(dir)
}

// known refuses streams that no backup of ours holds.
func (s Set) known(dir string) error {
	for _, one := range s.Streams {
		_, budget := strings.CutPrefix(one.Name, pipeline.BucketStream(pipeline.BucketTokens)+"_")
		if !budget && !slices.Contains(order(nil), one.Name) {
			return process.Usagef("%s: the backup has a stream %q, which this build does not know: restore with build %s", dir, one.Name, s.Build)
		}
	}
	return nil
}
