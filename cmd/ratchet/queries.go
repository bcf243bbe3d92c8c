package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ratchet/pipeline/daemon"
	"ratchet/pipeline/keepa"
)

type queriesCmd struct {
	Check queriesCheckCmd `cmd:"" help:"Check deal query files, or a directory of them, as the watermarker reads them."`
}

type queriesCheckCmd struct {
	Files []string `arg:"" help:"Files or directories." type:"path"`
}

// Run reads deal queries as the watermarker would, and tells everything that is wrong
// with any of them.
func (c queriesCheckCmd) Run(a *app) error {
	files, err := c.expand()
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("read deal query: %w", err))
			continue
		}
		q, err := keepa.ParseQuery(strings.TrimSuffix(filepath.Base(f), ".json"), body)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f, err))
			continue
		}
		if _, err := fmt.Fprintf(a.out, "%s: fine, %s: domain %d, price type %s, newest first: %t\n", f, q.ID(), q.Domain, q.PriceType, q.Sort == keepa.SortByAge); err != nil {
			return err
		}
	}
	if err := errors.Join(errs...); err != nil {
		return &daemon.UsageError{Err: err}
	}
	return nil
}

// expand replaces a directory by its query files.
func (c queriesCheckCmd) expand() ([]string, error) {
	var out []string
	for _, f := range c.Files {
		if i, err := os.Stat(f); err != nil || !i.IsDir() {
			out = append(out, f)
			continue
		}
		inside, err := filepath.Glob(filepath.Join(f, "*.json"))
		if err != nil || len(inside) == 0 {
			return nil, daemon.Usagef("%s: no *.json in it", f)
		}
		slices.Sort(inside)
		out = append(out, inside...)
	}
	return out, nil
}
