package keepasim

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// CapturedCatalogue serves captured answers: the sweeps of the deal list one after the
// other, and the products. A product without a capture is made from its row.
type CapturedCatalogue struct {
	sweeps   []sweep
	products map[string]*capturedProduct

	mu   sync.Mutex
	made map[string]*madeProduct
}

// sweep is one complete reading of the list.
type sweep struct {
	at   time.Time // capture of its first page
	rows []*row
	by   map[string]*row
}

// Captured reads the directory that holds deal/ and product/. It needs at least
// one sweep: pages named sweep-NAME-pN.
func Captured(dir string) (*CapturedCatalogue, error) {
	c := &CapturedCatalogue{products: map[string]*capturedProduct{}, made: map[string]*madeProduct{}}
	var errs []error
	pages := map[string][]string{}
	files, err := filepath.Glob(filepath.Join(dir, "deal", "sweep-*"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		name, _, _ := strings.Cut(filepath.Base(f), "-p")
		pages[name] = append(pages[name], f)
	}
	for _, files := range pages {
		s, err := readSweep(files)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.sweeps = append(c.sweeps, s)
	}
	files, err = filepath.Glob(filepath.Join(dir, "product", "*"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := c.readProducts(f); err != nil {
			errs = append(errs, err)
		}
	}
	if len(c.sweeps) == 0 {
		errs = append(errs, fmt.Errorf("no sweep of the deal list in %q: want files deal/sweep-NAME-pN.json.gz", dir))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortFunc(c.sweeps, func(a, b sweep) int { return a.at.Compare(b.at) })
	return c, nil
}

func readFile(name string) ([]byte, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, ".gz") {
		return raw, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("unpack %q: %w", name, err)
	}
	return io.ReadAll(z)
}

// readSweep merges the pages of a sweep; a row that was read twice counts once.
func readSweep(files []string) (sweep, error) {
	s := sweep{by: map[string]*row{}}
	slices.Sort(files)
	for _, f := range files {
		body, err := readFile(f)
		if err != nil {
			return s, err
		}
		var page struct {
			Timestamp int64 `json:"timestamp"`
			Deals     struct {
				Rows []json.RawMessage `json:"dr"`
			} `json:"deals"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return s, fmt.Errorf("read deal page %q: %w", filepath.Base(f), err)
		}
		if at := time.UnixMilli(page.Timestamp).UTC(); s.at.IsZero() || at.Before(s.at) {
			s.at = at
		}
		for _, raw := range page.Deals.Rows {
			r := &row{raw: raw}
			if err := json.Unmarshal(raw, r); err != nil {
				return s, fmt.Errorf("read a row of %q: %w", filepath.Base(f), err)
			}
			if s.by[r.ASIN] == nil {
				s.rows, s.by[r.ASIN] = append(s.rows, r), r
			}
		}
	}
	return s, nil
}

// Epoch returns the capture time of the first sweep, where pipeline time starts.
func (c *CapturedCatalogue) Epoch() time.Time { return c.sweeps[0].at }

// Sweeps returns the instants from which each sweep is served.
func (c *CapturedCatalogue) Sweeps() []time.Time {
	out := make([]time.Time, len(c.sweeps))
	for i, s := range c.sweeps {
		out[i] = s.at
	}
	return out
}

// Truth returns Unknown: these are real books.
func (c *CapturedCatalogue) Truth(string) Class { return Unknown }

// Sells returns false: the outcome is unknown.
func (c *CapturedCatalogue) Sells(string, time.Time) (Sale, bool) { return Sale{}, false }

func (c *CapturedCatalogue) begin(time.Time) {}

// sweepAt returns the index of the sweep that is served at now.
func (c *CapturedCatalogue) sweepAt(now time.Time) int {
	i, _ := slices.BinarySearchFunc(c.sweeps, now, func(s sweep, t time.Time) int {
		return cmp.Or(s.at.Compare(t), -1)
	})
	return max(0, i-1)
}

func (c *CapturedCatalogue) list(now time.Time) []*row {
	return slices.Clone(c.sweeps[c.sweepAt(now)].rows)
}

// find prefers a captured product; else it makes one from the newest row up to now.
func (c *CapturedCatalogue) find(asin string, now time.Time) (product, bool) {
	var r *row
	for i := c.sweepAt(now); i >= 0 && r == nil; i-- {
		r = c.sweeps[i].by[asin]
	}
	if p, ok := c.products[asin]; ok {
		return p, true
	}
	if r == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.made[asin]
	if p == nil || p.row != r {
		p = makeProduct(r)
		c.made[asin] = p
	}
	return p, true
}

// capturedProduct is a product object as captured: with offers, without,
// or both.
type capturedProduct struct{ with, without map[string]json.RawMessage }

func (c *CapturedCatalogue) readProducts(file string) error {
	body, err := readFile(file)
	if err != nil {
		return err
	}
	var env struct {
		Products []map[string]json.RawMessage `json:"products"`
		ASIN     string                       `json:"asin"`
	}
	if err := json.Unmarshal(body, &env); err != nil {
		return fmt.Errorf("read product %q: %w", filepath.Base(file), err)
	}
	if env.ASIN != "" {
		var one map[string]json.RawMessage
		if err := json.Unmarshal(body, &one); err != nil {
			return fmt.Errorf("read product %q: %w", filepath.Base(file), err)
		}
		env.Products = append(env.Products, one)
	}
	for _, p := range env.Products {
		var asin string
		if err := json.Unmarshal(p["asin"], &asin); err != nil {
			return fmt.Errorf("read product %q: no asin: %w", filepath.Base(file), err)
		}
		k := c.products[asin]
		if k == nil {
			k = &capturedProduct{}
			c.products[asin] = k
		}
		if raw := p["offers"]; len(raw) > 0 && string(raw) != "null" {
			k.with = p
		} else {
			k.without = p
		}
	}
	return nil
}

func (p *capturedProduct) creation() int64 { return 0 }
func (p *capturedProduct) synthetic() bool { return false }
func (p *capturedProduct) surcharge() int  { return 0 }

func (p *capturedProduct) found() int {
	var live []int
	if p.with != nil {
		_ = json.Unmarshal(p.with["liveOffersOrder"], &live) // null or absent gives an empty one
	}
	return len(live)
}

// encode returns the capture without what the question excludes.
func (p *capturedProduct) encode(q question) []byte {
	from := p.with
	if q.offers == 0 && p.without != nil || from == nil {
		from = p.without
	}
	out := map[string]json.RawMessage{}
	maps.Copy(out, from)
	null := json.RawMessage("null")
	if q.offers == 0 {
		delete(out, "offers")
		out["liveOffersOrder"] = null
	}
	if !q.history {
		for _, k := range []string{"csv", "salesRankReferenceHistory", "buyBoxSellerIdHistory"} {
			out[k] = null
		}
	}
	if q.stats == 0 {
		delete(out, "stats")
	}
	if q.offers == 0 && p.without == nil {
		gate(out, q)
	}
	return mustJSON(out)
}

// gate removes from a product captured with offers what an answer without them lacks.
func gate(out map[string]json.RawMessage, q question) {
	hidden := func(p int) bool {
		return needsOffers(p) && !(q.rating && (p == pRating || p == pReviews)) && !(q.buybox && p == pBuyBox)
	}
	blank := func(raw json.RawMessage, with string) json.RawMessage {
		var all []json.RawMessage
		if json.Unmarshal(raw, &all) != nil || all == nil {
			return raw
		}
		for p := range all {
			if hidden(p) {
				all[p] = json.RawMessage(with)
			}
		}
		return mustJSON(all)
	}
	if raw, ok := out["csv"]; ok {
		out["csv"] = blank(raw, "null")
	}
	var st map[string]json.RawMessage
	if json.Unmarshal(out["stats"], &st) != nil || st == nil {
		return
	}
	for k, v := range st {
		switch {
		case k == "current" || k == "atIntervalStart" || strings.HasPrefix(k, "avg") || strings.HasPrefix(k, "outOfStockPercentage"):
			st[k] = blank(v, "-1")
		case k == "min" || k == "max" || k == "minInInterval" || k == "maxInInterval":
			st[k] = blank(v, "null")
		case k == "isLowest" || k == "isLowest90":
			st[k] = blank(v, "false")
		case k == "retrievedOfferCount" || k == "offerCountFBA" || k == "offerCountFBM" || k == "tradeInPrice" || k == "buyBoxPrice" || k == "buyBoxShipping":
			st[k] = json.RawMessage("-2")
		case strings.HasPrefix(k, "buyBox"):
			st[k] = json.RawMessage("null")
		case k == "sellerIdsLowestFBA" || k == "sellerIdsLowestFBM":
			st[k] = json.RawMessage("null")
		}
	}
	out["stats"] = mustJSON(st)
}
