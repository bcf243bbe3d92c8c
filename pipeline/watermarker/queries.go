package watermarker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
)

// Queries returns the deal queries of a directory, in the order of their names, or of one file; an empty path
// means the built-in query for used books. Its error names everything that is wrong with any of them.
func Queries(ctx context.Context, path string) ([]keepa.Query, error) {
	if path == "" {
		q, err := keepa.ParseQuery("used-books", schemas.UsedBooksQuery)
		return []keepa.Query{q}, err
	}
	files, err := QueryFiles(path)
	if err != nil {
		return nil, process.Usagef("QUERIES: %w", err)
	}
	var out []keepa.Query
	var errs []error
	for _, f := range files {
		q, err := ReadQuery(ctx, f)
		if err != nil {
			errs = append(errs, fmt.Errorf("QUERIES: %w", err))
			continue
		}
		out = append(out, q)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &process.UsageError{Err: err}
	}
	return out, nil
}

// QueryFiles returns the query files of a directory; a path that is not a directory is the only file.
func QueryFiles(path string) ([]string, error) {
	if i, err := os.Stat(path); err == nil && !i.IsDir() {
		return []string{path}, nil
	}
	files, err := filepath.Glob(filepath.Join(path, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no *.json in %s", path)
	}
	slices.Sort(files)
	return files, nil
}

// ReadQuery reads one query file. A query that no look can decide is an error.
func ReadQuery(ctx context.Context, file string) (keepa.Query, error) {
	body, err := process.ReadFile(ctx, file)
	if err != nil {
		return keepa.Query{}, fmt.Errorf("read deal query: %w", err)
	}
	q, err := keepa.ParseQuery(strings.TrimSuffix(filepath.Base(file), ".json"), body)
	if err == nil {
		err = verdict.Decides(q.Selection)
	}
	if err != nil {
		return q, fmt.Errorf("%s: %w", file, err)
	}
	return q, nil
}
