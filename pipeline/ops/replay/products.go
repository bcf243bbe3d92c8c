package replay

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/responses"
)

// StoredProduct is one product with its stored answers.
type StoredProduct struct {
	ASIN    string
	Answers []func(context.Context) (keepa.Product, error) // the oldest first; each reads its answer when called
}

// Unreadable is the permanent error of an answer. Other errors are temporary.
type Unreadable struct{ Err error }

func (e *Unreadable) Error() string { return e.Err.Error() }
func (e *Unreadable) Unwrap() error { return e.Err }

// errGone is the error of an answer that is no longer stored.
var errGone = &Unreadable{errors.New("the answer is no longer stored")}

func decode(body []byte) (keepa.Product, error) {
	p, err := keepa.DecodeProduct(body)
	if err != nil {
		return p, &Unreadable{err}
	}
	return p, nil
}

// ProductsOn returns the products of a marketplace of which RESPONSES holds peeks or commits. It reads only headers;
// the answers are read when they are needed.
func ProductsOn(ctx context.Context, b *bus.Bus, domain keepa.Domain) ([]StoredProduct, error) {
	fetcher, err := b.Fetcher(ctx, pipeline.StreamResponses)
	if err != nil {
		return nil, err
	}
	var subjects []string
	for _, k := range []pipeline.Kind{pipeline.KindPeek, pipeline.KindCommit} {
		subjects = append(subjects, pipeline.SubjectResponse(int(domain), k, "*"))
	}
	var held collection
	err = b.Scan(ctx, pipeline.StreamResponses, bus.From{Subjects: subjects, Headers: true}, func(m bus.Read) error {
		held.add(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], func(ctx context.Context) (keepa.Product, error) {
			return readStored(ctx, fetcher, m.Sequence)
		})
		return nil
	})
	return held.all, err
}

func readStored(ctx context.Context, fetcher *bus.Fetcher, seq uint64) (keepa.Product, error) {
	found, err := fetcher.Read(ctx, []uint64{seq})
	if err != nil {
		return keepa.Product{}, err
	}
	m, ok := found[seq]
	if !ok {
		return keepa.Product{}, errGone
	}
	body, err := responses.Unpack(m.Body)
	if err != nil {
		return keepa.Product{}, &Unreadable{fmt.Errorf("unpack answer %d: %w", seq, err)}
	}
	return decode(body)
}

// collection gathers answers by product, the products in the order in which they came.
type collection struct {
	all []StoredProduct
	at  map[string]int
}

func (c *collection) add(asin string, answer func(context.Context) (keepa.Product, error)) {
	i, ok := c.at[asin]
	if !ok {
		if c.at == nil {
			c.at = map[string]int{}
		}
		i = len(c.all)
		c.at[asin] = i
		c.all = append(c.all, StoredProduct{ASIN: asin})
	}
	c.all[i].Answers = append(c.all[i].Answers, answer)
}

// ProductsIn returns the products of a marketplace in the files of a directory tree: answers of Keepa (with any
// number of products) or product objects, .json or .json.gz. Other answers are skipped.
func ProductsIn(dir string, domain keepa.Domain) ([]StoredProduct, error) {
	type found struct {
		asin string
		at   keepa.Minute
		file string
		n    int
	}
	var all []found
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(strings.TrimSuffix(file, ".gz"), ".json") {
			return err
		}
		products, err := rawProductsIn(file)
		if err != nil {
			return err
		}
		for n, raw := range products {
			// One that cannot be decoded is counted when it is scored.
			p, err := keepa.DecodeProduct(raw.Body)
			if err != nil || p.Domain == domain {
				all = append(all, found{raw.ASIN, p.LastUpdate, file, n})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(a.at, b.at) })
	var held collection
	for _, f := range all {
		held.add(f.asin, func(context.Context) (keepa.Product, error) {
			products, err := rawProductsIn(f.file)
			if err != nil {
				return keepa.Product{}, err
			}
			if f.n >= len(products) {
				return keepa.Product{}, errGone
			}
			return decode(products[f.n].Body)
		})
	}
	return held.all, nil
}

// rawProductsIn returns the products of a file, not decoded.
func rawProductsIn(file string) ([]keepa.RawProduct, error) {
	body, err := readFile(file)
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, fmt.Errorf("%s: is not JSON", file)
	}
	if _, products, err := keepa.SplitProducts(body); err == nil && len(products) > 0 {
		return products, nil
	}
	var p struct {
		ASIN string `json:"asin"`
	}
	if json.Unmarshal(body, &p) != nil || p.ASIN == "" {
		return nil, nil
	}
	return []keepa.RawProduct{{ASIN: p.ASIN, Body: body}}, nil
}

func readFile(file string) ([]byte, error) {
	body, err := os.ReadFile(file)
	if err != nil || !strings.HasSuffix(file, ".gz") {
		return body, err
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(z)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return body, nil
}
