package verdict

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden is a file of our decisions, one line for each captured answer that existed when it was written. Answers are
// named by a hash, so the file contains nothing of them; an unknown answer is decided and not compared.
const goldenFile = "testdata/verdicts.golden"

// mark names an answer in the golden file.
func mark(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:6])
}

// line is our finding in words.
func line(look pipeline.Look, f Finding) string {
	s := fmt.Sprintf("%s=%s/%s", look, f.Outcome, f.Reason)
	if f.ProfitKnown {
		s += fmt.Sprintf(" profit=%d", f.ProfitCents)
	}
	if f.ExpectedKnown {
		s += fmt.Sprintf(" expected=%d tier=%s", f.ExpectedValueCents, f.Tier)
	}
	if len(f.Unknown) > 0 {
		s += " unknown=" + strings.Join(f.Unknown, ",")
	}
	return s
}

// decidedProducts returns a line for each captured product.
func decidedProducts(t *testing.T, j *Judge) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, body := range capturedFiles(t, "product/*.gz") {
		inner := body
		if _, raws, err := keepa.SplitProducts(body); err == nil && len(raws) > 0 {
			inner = raws[0].Body
		}
		p, err := keepa.DecodeProduct(inner)
		if err != nil {
			t.Fatal(err)
		}
		row, at := rowOf(p), p.LastUpdate.Time().Add(time.Hour)
		parts := []string{line(pipeline.LookGlance, j.Glance(row, at)), line(pipeline.LookPeek, j.Peek(row, withoutOffers(p), at))}
		commit := j.Commit(row, p, nil, at)
		parts = append(parts, line(pipeline.LookCommit, commit))
		if views, err := j.copies(&row, &p, nil, at); err == nil && views[0].Evidence != nil {
			e := views[0].Evidence
			parts = append(parts, fmt.Sprintf("copies=%d sales=%d/%d year=%d n_eff=%.2f", views[0].Copies, e.SaleCount, e.Falls, e.SalesInYear, e.NEff))
		}
		if f, err := j.explained(pipeline.LookCommit, &row, &p, nil, at); err == nil && f.view.Outcome != nil {
			o := f.view.Outcome
			parts = append(parts, fmt.Sprintf("sale=%d..%d..%d even=%d loss=%.4f cap=%s", o.LowCents, o.SaleCents, o.HighCents, o.BreakevenCents, o.LossChance, o.CapBy))
		}
		out["product "+mark(body)] = strings.Join(parts, "; ")
	}
	return out
}

// decidedPages returns a line for each captured page of the deal list: the number of
// rows by outcome, and a hash of every finding in the order of the rows.
func decidedPages(t *testing.T, j *Judge) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, body := range capturedFiles(t, "deal/*.gz") {
		page, err := keepa.DecodeDealPage(body)
		if err != nil {
			t.Fatal(err)
		}
		ends, all := map[string]int{}, sha256.New()
		for _, row := range page.Rows {
			f := j.Glance(row, page.At())
			ends[string(f.Outcome)+"/"+f.Reason+"/"+string(f.Tier)]++
			inputs, err := json.Marshal(f.Inputs)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(all, line(pipeline.LookGlance, f), string(inputs))
		}
		var parts []string
		for _, end := range slices.Sorted(maps.Keys(ends)) {
			parts = append(parts, fmt.Sprintf("%s=%d", end, ends[end]))
		}
		out["page "+mark(body)] = fmt.Sprintf("rows=%d %s findings=%s", len(page.Rows), strings.Join(parts, " "), hex.EncodeToString(all.Sum(nil))[:12])
	}
	return out
}

func TestCapturedAnswersAreDecidedAsBefore(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	got := decidedProducts(t, j)
	maps.Copy(got, decidedPages(t, j))
	if *update {
		var b strings.Builder
		fmt.Fprintf(&b, "# What the rules decided about captured answers, by a hash of each. Written by go test ./pipeline/domain/verdict -update.\n")
		for _, key := range slices.Sorted(maps.Keys(got)) {
			fmt.Fprintf(&b, "%s: %s\n", key, got[key])
		}
		if err := os.MkdirAll(filepath.Dir(goldenFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, []byte(b.String()), 0o644); err != nil { //nolint:gosec // a golden file is for all to read
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for l := range strings.Lines(string(file)) {
		key, want, ok := strings.Cut(strings.TrimSpace(l), ": ")
		if _, here := got[key]; !ok || !here {
			continue // a comment, or an answer that is not here
		}
		compared++
		if got[key] != want {
			t.Errorf("%s:\ngot  %s\nwant %s", key, got[key], want)
		}
	}
	t.Logf("%d of %d captured answers are in the golden file", compared, len(got))
}
