package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/watermarker"
	"ratchet/pipeline/worker"
)

type queriesCmd struct {
	Check   queriesCheckCmd   `cmd:"" help:"Check deal query files, or a directory of them, as the watermarker reads them."`
	Apply   queriesApplyCmd   `cmd:"" help:"Apply deal queries without a restart; they replace the current ones."`
	History queriesHistoryCmd `cmd:"" help:"The applied queries, the newest first."`
	Revert  queriesRevertCmd  `cmd:"" help:"Apply the queries of an earlier version again."`
	Import  queriesImportCmd  `cmd:"" folds:"false" help:"Print as a query file what Keepa's web page shows as \"Show API query\"; what changed goes to standard error."`
}

// builtInRules returns the rules that will decide what queries list.
type builtInRules struct {
	Rules string `help:"The rule file in use (default: the built-in rules for used books)." env:"RULES" placeholder:"FILE"`
}

// serves returns why the rules in use may not decide what a query lists; nil if they may.
func (r builtInRules) serves(a *app, q keepa.Query) error {
	judge, err := worker.LoadRules(a.ctx, r.Rules)
	if err != nil {
		return fmt.Errorf("RULES: %w", err)
	}
	return judge.Serves(q.Selection)
}

// assumes prints what the built-in rules assume, if they are in use and the query is for something else.
func (r builtInRules) assumes(a *app, q keepa.Query) {
	if text := verdict.Assumes(q.Selection); text != "" && r.Rules == "" {
		fmt.Fprintf(a.errOut, "%s: %s\n", q.Name, text)
	}
}

type queriesCheckCmd struct {
	Files        []string `arg:"" help:"Files or directories." type:"path"`
	builtInRules `embed:""`
}

// Run reads deal queries as the watermarker would, and reports everything that is wrong
// with any of them.
func (c queriesCheckCmd) Run(a *app) error {
	var errs []error
	for _, path := range c.Files {
		files, err := watermarker.QueryFiles(path)
		if err != nil {
			return process.Usagef("%s: %w", path, err)
		}
		for _, f := range files {
			q, err := watermarker.ReadQuery(a.ctx, f)
			if err == nil {
				if err = c.serves(a, q); err != nil {
					err = fmt.Errorf("%s: %w", f, err)
				}
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if _, err := fmt.Fprintf(a.out, "%s: fine, %s: domain %d, price type %s, newest first: %t\n", f, q.ID(), q.Domain, q.PriceType, q.Sort == keepa.SortByAge); err != nil {
				return err
			}
			c.assumes(a, q)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return a.complete(&process.UsageError{Err: err})
	}
	return nil
}

type queriesImportCmd struct {
	File         string `arg:"" help:"The pasted query; - reads the standard input."`
	builtInRules `embed:""`
}

// Run prints what a pasted query becomes.
func (c queriesImportCmd) Run(a *app) error {
	q, err := importQuery(a, c.File)
	if err != nil {
		return err
	}
	if err := c.serves(a, q); err != nil {
		fmt.Fprintln(a.errOut, err)
	}
	c.assumes(a, q)
	_, err = a.out.Write(q.File())
	return err
}

// importQuery reads a query as Keepa's web page shows it, and prints on standard error what it changed.
func importQuery(a *app, file string) (keepa.Query, error) {
	body, err := process.ReadFile(a.ctx, file)
	if err != nil {
		return keepa.Query{}, a.complete(process.Usagef("read deal query: %w", err))
	}
	name := filepath.Base(file)
	if file == process.Stdin {
		name = "" // it has none
	}
	q, notes, err := keepa.ImportQuery(name, body)
	if err == nil {
		err = verdict.Decides(q.Selection)
	}
	if err != nil {
		return q, process.Usagef("%s: %w", file, err)
	}
	for _, note := range notes {
		fmt.Fprintln(a.errOut, note)
	}
	return q, nil
}

// importQueries reads the pasted queries of `up --query` and `queries apply`. Each needs a name of its own, since its
// watermark has that name.
func importQueries(a *app, files []string) ([]keepa.Query, error) {
	var queries []keepa.Query
	named := map[string]string{}
	for _, file := range files {
		q, err := importQuery(a, file)
		if err != nil {
			return nil, err
		}
		if other, twice := named[q.Name]; twice {
			return nil, process.Usagef("%s and %s are both named %s; rename one file", other, file, q.Name)
		}
		named[q.Name] = file
		queries = append(queries, q)
	}
	return queries, nil
}

// keepQueries writes the queries into the data directory, from where the watermarker reads them: a directory for each
// set, so that no other start's are among them.
func keepQueries(a *app, queries []keepa.Query, data string) (string, error) {
	set := sha256.New()
	for _, q := range queries {
		fmt.Fprintf(set, "%s\n", q.ID())
	}
	dir := filepath.Join(data, "query", hex.EncodeToString(set.Sum(nil)[:6]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create data directory: %w; choose another with --data", err)
	}
	for _, q := range queries {
		fmt.Fprintf(a.out, "Query: %s\n", q.ID())
		if err := os.WriteFile(filepath.Join(dir, q.Name+".json"), q.File(), 0o600); err != nil {
			return "", fmt.Errorf("keep the query: %w; choose another directory with --data", err)
		}
	}
	return dir, nil
}

// checkQueries rejects queries that cannot be read or that the rules may not decide, and prints what the built-in rules
// assume of them.
func checkQueries(ctx context.Context, a *app, path, rules string) error {
	queries, err := watermarker.Queries(ctx, path)
	if err != nil {
		return err
	}
	in := builtInRules{rules}
	for _, q := range queries {
		if err := in.serves(a, q); err != nil {
			return process.Usagef("%s: %w", q.ID(), err)
		}
		in.assumes(a, q)
	}
	return nil
}
