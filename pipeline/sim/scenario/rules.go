package scenario

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
)

// Books are simulated books of known value, with everything that any look can
// know of them, so that rules can be measured without a pipeline.
type Books struct {
	now   time.Time
	rows  []keepa.DealRow
	cheap map[string]keepa.Product // without offers
	full  map[string]keepa.Product
	truth keepasim.Catalogue
}

// NewBooks returns the 400 books of backlog400 at a seed.
func NewBooks(seed uint64) (Books, error) {
	world := keepasim.Backlog400(seed)
	b := Books{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), truth: world}
	sim := keepasim.New(keepasim.Options{Now: func() time.Time { return b.now }, Seed: seed, Rate: 10_000, Catalogue: world, Instant: true})
	sim.Start(b.now)
	query, err := keepa.ParseQuery("used-books", schemas.UsedBooksQuery)
	if err != nil {
		return b, err
	}
	for n := range keepa.MaxPages {
		body, err := ask(sim, "/deal", url.Values{"selection": {string(query.Encode(n))}})
		if err != nil {
			return b, err
		}
		page, err := keepa.DecodeDealPage(body)
		if err != nil {
			return b, err
		}
		b.rows = append(b.rows, page.Rows...)
		if len(page.Rows) < keepa.RowsPerPage {
			break
		}
	}
	if b.cheap, err = products(sim, b.rows, url.Values{"stats": {"365"}, "history": {"1"}}); err != nil {
		return b, err
	}
	b.full, err = products(sim, b.rows, url.Values{"stats": {"365"}, "history": {"1"}, "offers": {"20"}, "only-live-offers": {"1"}})
	return b, err
}

// Decide takes every book through the looks, until ctx ends.
func (b Books) Decide(ctx context.Context, j *verdict.Judge) Quality {
	final := map[string]pipeline.Verdict{}
	for _, row := range b.rows {
		if ctx.Err() != nil {
			break
		}
		look, f := pipeline.LookGlance, j.Glance(row, b.now)
		if f.Outcome == pipeline.Survive {
			look, f = pipeline.LookPeek, j.Peek(row, b.cheap[row.ASIN], b.now)
		}
		if f.Outcome == pipeline.Survive {
			look, f = pipeline.LookCommit, j.Commit(row, b.full[row.ASIN], nil, b.now)
		}
		final[row.ASIN] = pipeline.Verdict{
			Identity: pipeline.Identity{ASIN: row.ASIN}, Look: look, Outcome: f.Outcome, Reason: f.Reason, RuleID: f.RuleID, Heuristic: f.Heuristic,
			DecidedAt: b.now, ProfitCents: &f.ProfitCents,
		}
	}
	return qualityOf(final, b.truth)
}

// HeuristicEffect is the effect of one heuristic rule on the decisions.
type HeuristicEffect struct {
	Rule    string
	On      bool // in the rule file
	Rejects int  // of the books, as the rule that decided
	Good    int  // of them would have become deals
	Peeks   int  // books that are no longer peeked at
	Commits int  // books for which offers are no longer bought
}

// HeuristicEffects measures each heuristic rule alone, including those that are switched off.
func (b Books) HeuristicEffects(ctx context.Context, j *verdict.Judge) []HeuristicEffect {
	rules := slices.DeleteFunc(j.Rules(), func(r verdict.Rule) bool { return !r.Heuristic })
	none := j
	for _, r := range rules {
		none = none.Switched(r.ID, false)
	}
	without := b.Decide(ctx, none)
	var out []HeuristicEffect
	for _, r := range rules {
		q := b.Decide(ctx, none.Switched(r.ID, true))
		out = append(out, HeuristicEffect{
			Rule: r.ID, On: r.On(), Rejects: q.ByHeuristic[r.ID].Rejects, Good: q.ByHeuristic[r.ID].Good,
			Peeks: reached(without, "peek") - reached(q, "peek"), Commits: reached(without, "commit") - reached(q, "commit"),
		})
	}
	return out
}

// reached returns how many books got as far as a paid look.
func reached(q Quality, look pipeline.Look) int {
	n := 0
	for _, ends := range q.Classes {
		n += ends["commit reject"] + ends["commit accept"]
		if look == pipeline.LookPeek {
			n += ends["peek reject"]
		}
	}
	return n
}

// WriteMeasure prints the decisions of a rule set on the books.
func (b Books) WriteMeasure(ctx context.Context, w io.Writer, j *verdict.Judge) error {
	q := b.Decide(ctx, j)
	text := fmt.Sprintf("On %d simulated books, %d of them good:\n", len(b.rows), b.good())
	for _, l := range q.lines() {
		text += "  " + strings.TrimRight(l, " ") + "\n"
	}
	for _, t := range b.HeuristicEffects(ctx, j) {
		state := "off"
		if t.On {
			state = "on"
		}
		text += fmt.Sprintf("  heuristic rule %s (%s): alone it rejects %d books, %d of them good deals; it saves %d peeks and %d commits\n",
			t.Rule, state, t.Rejects, t.Good, t.Peeks, t.Commits)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}

func (b Books) good() int {
	n := 0
	for _, row := range b.rows {
		if b.truth.Truth(row.ASIN) == keepasim.Good {
			n++
		}
	}
	return n
}

// products requests the rows' products, a hundred at a time.
func products(sim http.Handler, rows []keepa.DealRow, options url.Values) (map[string]keepa.Product, error) {
	out := map[string]keepa.Product{}
	for batch := range slices.Chunk(rows, 100) {
		var asins []string
		for _, row := range batch {
			asins = append(asins, row.ASIN)
		}
		form := maps.Clone(options)
		form.Set("asin", strings.Join(asins, ","))
		body, err := ask(sim, "/product", form)
		if err != nil {
			return nil, err
		}
		_, all, err := keepa.DecodeProducts(body)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			out[p.ASIN] = p
		}
	}
	return out, nil
}

// ask sends one request to a simulated Keepa in this process.
func ask(sim http.Handler, path string, form url.Values) ([]byte, error) {
	form.Set("key", "k")
	form.Set("domain", "1")
	req, err := http.NewRequest(http.MethodGet, path+"?"+form.Encode(), nil) //nolint:noctx // it does not leave the process
	if err != nil {
		return nil, err
	}
	w := &answer{code: http.StatusOK, head: http.Header{}}
	sim.ServeHTTP(w, req)
	if w.code != http.StatusOK {
		return nil, fmt.Errorf("ask the simulated Keepa for %s: status %d", path, w.code)
	}
	return w.Bytes(), nil
}

// answer records a handler's response.
type answer struct {
	bytes.Buffer
	code int
	head http.Header
}

// Header returns the response's headers.
func (a *answer) Header() http.Header { return a.head }

// WriteHeader records the status.
func (a *answer) WriteHeader(code int) { a.code = code }
