package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/watermarker"
)

type queriesApplyCmd struct {
	natsFlags `embed:""`
	planFlag  `embed:""`
	Files     []string `arg:"" help:"Query files, as files or as Keepa's web page shows them, or directories of them; - reads the standard input." type:"path"`
}

// Run puts query files live.
func (c queriesApplyCmd) Run(a *app) error {
	var files []string
	for _, path := range c.Files {
		found, err := watermarker.QueryFiles(path)
		if err != nil {
			return process.Usagef("%s: %w", path, err)
		}
		files = append(files, found...)
	}
	queries, err := importQueries(a, files)
	if err != nil {
		return err
	}
	var next pipeline.AppliedQueries
	for _, q := range queries {
		var file bytes.Buffer
		if err := json.Compact(&file, q.File()); err != nil {
			return fmt.Errorf("write query %s: %w", q.ID(), err)
		}
		next.Queries = append(next.Queries, pipeline.AppliedQuery{Name: q.Name, Query: file.Bytes()})
	}
	return c.applyQueries(a, c.planFlag, func(all []pipeline.AppliedQueries) (pipeline.AppliedQueries, error) {
		if n := len(all); n > 0 && sameQueries(all[n-1], next) {
			return all[n-1], nil
		}
		return next, nil
	})
}

func sameQueries(a, b pipeline.AppliedQueries) bool {
	was, err := json.Marshal(a.Queries)
	if err != nil {
		return false
	}
	is, err := json.Marshal(b.Queries)
	return err == nil && bytes.Equal(was, is)
}

type queriesHistoryCmd struct {
	natsFlags `embed:""`
	planFlag  `embed:""`
}

// Run lists what was applied.
func (c queriesHistoryCmd) Run(a *app) error {
	f, err := c.of(c.planFlag)
	if err != nil {
		return err
	}
	return f.with(a, func(ctx context.Context, b *bus.Bus) error {
		all, err := cli.AppliedQueries(ctx, b)
		if err != nil {
			return err
		}
		return cli.WriteQueryHistory(a.out, all)
	})
}

type queriesRevertCmd struct {
	natsFlags `embed:""`
	planFlag  `embed:""`
	Version   *int `arg:"" optional:"" help:"The version to go back to; 0 is the one that QUERIES names (default: the previous one)."`
}

// Run puts the queries of an earlier version live.
func (c queriesRevertCmd) Run(a *app) error {
	return c.applyQueries(a, c.planFlag, func(all []pipeline.AppliedQueries) (pipeline.AppliedQueries, error) {
		to, old, err := earlier("queries", all, func(a pipeline.AppliedQueries) int { return a.Version }, c.Version)
		if to == 0 {
			old.Queries = []pipeline.AppliedQuery{}
		}
		return pipeline.AppliedQueries{Reverts: &to, Queries: old.Queries}, err
	})
}

// applyQueries makes the queries of next current, waits for the watermarker and prints which lists change.
func (f natsFlags) applyQueries(a *app, p planFlag, next func([]pipeline.AppliedQueries) (pipeline.AppliedQueries, error)) error {
	return applyVersion(f, a, p, "queries", func(ctx context.Context, b *bus.Bus) (cli.Applied[pipeline.AppliedQueries], error) {
		return cli.ApplyNextQueries(ctx, b, next)
	}, func(b *bus.Bus, v cli.Applied[pipeline.AppliedQueries]) error {
		beats := cli.AwaitQueries(a.ctx, b, v.Version)
		cli.WriteReaders(a.errOut, v.Version, beats)
		var before []string
		if v.Before.Queries != nil {
			before = v.Before.Queries.IDs
		}
		after := cli.QueryIDs(v.Is)
		for _, h := range beats {
			if h.Queries.Version >= v.Version || h.Queries.Refused != "" {
				after = h.Queries.Queries
			}
		}
		return cli.Compare(before, after, v.Before.Watermarks).Write(a.out)
	})
}
