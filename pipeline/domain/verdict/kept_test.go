package verdict

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/schemas"
)

// variant returns the default rule set with other thresholds, which uses the same inputs.
func variant(t testing.TB, pairs ...string) *Judge {
	t.Helper()
	body := schemas.UsedBooks
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(body, []byte(pairs[i])) {
			t.Fatalf("the default rules have no %q", pairs[i])
		}
		body = bytes.Replace(body, []byte(pairs[i]), []byte(pairs[i+1]), 1)
	}
	j, err := NewJudge(body)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func encode(t rapid.TB, inputs map[string]any) []byte {
	body, err := json.Marshal(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// sameThought compares a second decision with that of the answer itself.
func sameThought(t rapid.TB, name string, s *Redecider, kept map[string]any, want Finding) {
	got, ok := s.Decide(encode(t, kept))
	if !ok {
		t.Fatalf("%s: the kept inputs do not suffice: %v", name, kept)
	}
	if got.Outcome != want.Outcome || got.Reason != want.Reason || got.RuleID != want.RuleID || got.Heuristic != want.Heuristic ||
		!slices.Equal(got.Unknown, want.Unknown) {
		t.Fatalf("%s: from kept inputs %+v, from the answer %s %s %s %v", name, got, want.Outcome, want.Reason, want.RuleID, want.Unknown)
	}
	if again := encode(t, s.Kept()); !bytes.Equal(again, encode(t, want.Kept)) {
		t.Fatalf("%s: keeps %s, want %s", name, again, encode(t, want.Kept))
	}
}

func TestKeptInputsDecideAsTheAnswerDoesUnderAnyRulesOverThem(t *testing.T) {
	t.Parallel()
	live := defaultJudge(t)
	others := []*Judge{
		live, variant(t, "min_profit_cents: 300", "min_profit_cents: 700"), variant(t, "min_sales: 1", "min_sales: 4"),
		variant(t, "min_roi_percent: 0", "min_roi_percent: 40", "min_rank_drops: 1", "min_rank_drops: 4"),
	}
	several := 0
	many(t, func(t *rapid.T) {
		p := decodeDrawn(t, drawProduct(t).body)
		row := rowOf(p)
		for _, j := range others {
			sameThought(t, "peek", j.Redecider(pipeline.LookPeek), live.Peek(row, withoutOffers(p), now).Kept, j.Peek(row, withoutOffers(p), now))
			was := live.Commit(row, p, nil, now)
			if n, _ := was.Kept[copyCount].(int64); n > 1 {
				// Other rules may choose another copy: the answer has to be read again.
				if _, ok := j.Redecider(pipeline.LookCommit).Decide(encode(t, was.Kept)); ok {
					t.Fatalf("kept inputs of one copy of %d suffice", n)
				}
				several++
				continue
			}
			sameThought(t, "commit", j.Redecider(pipeline.LookCommit), was.Kept, j.Commit(row, p, nil, now))
		}
	})
	if several == 0 {
		t.Error("no product had several copies")
	}
}

func TestKeptInputsOfCapturedProductsDecideAsTheAnswerDoes(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	names, products := capturedProducts(t)
	for i, p := range products {
		f := j.Commit(rowOf(p), p, nil, p.LastUpdate.Time().Add(time.Hour))
		if n, _ := f.Kept[copyCount].(int64); f.Kept != nil && n <= 1 {
			sameThought(t, names[i], j.Redecider(pipeline.LookCommit), f.Kept, f)
		}
	}
}

func TestInputsThatAreNotKeptAskForTheAnswer(t *testing.T) {
	t.Parallel()
	s := defaultJudge(t).Redecider(pipeline.LookPeek)
	p := keepa.Product{ASIN: "A"}
	kept := defaultJudge(t).Peek(rowOf(p), p, now).Kept
	for _, broken := range []string{`{}`, ``, `null`, `[]`, `{"has_used":"yes"}`, `{"has_used":`} {
		if _, ok := s.Decide([]byte(broken)); ok {
			t.Errorf("%q suffices", broken)
		}
	}
	for name := range kept {
		less := map[string]any{}
		for n, v := range kept {
			if n != name {
				less[n] = v
			}
		}
		if _, ok := s.Decide(encode(t, less)); ok {
			t.Errorf("without %s they suffice", name)
		}
	}
	kept["another_input"] = 5
	if _, ok := s.Decide(encode(t, kept)); !ok {
		t.Error("an input that no rule needs prevents the decision")
	}
}

func TestRuleSetsReadTheSameInputsWhileTheirSettingsAreTheSame(t *testing.T) {
	t.Parallel()
	live := defaultJudge(t)
	for name, c := range map[string]struct {
		j    *Judge
		same bool
	}{
		"itself":            {live, true},
		"another threshold": {variant(t, "min_profit_cents: 300", "min_profit_cents: 1"), true},
		"another setting":   {variant(t, "prep_cents: 275", "prep_cents: 300"), false},
	} {
		if got := SameInputs(live.Version(), c.j.Version()); got != c.same {
			t.Errorf("%s: %s and %s: same is %t", name, live.Version(), c.j.Version(), got)
		}
	}
	if SameInputs("", "") || SameInputs("a12ba8", "a12") {
		t.Error("an invalid version has the same inputs")
	}
}

// keptDigest is the hash of the inputs of drawn products under Extraction.
const keptDigest = "d0803b1a0ceef486"

// A change of an input's meaning must raise Extraction, or a replay would mix old numbers with new ones.
func TestAnInputChangesOnlyWithTheExtraction(t *testing.T) {
	t.Parallel()
	j, err := NewJudge([]byte(oneRule("glance", "has_used", "pass"))) // the default settings
	if err != nil {
		t.Fatal(err)
	}
	draw := rapid.Custom(drawProduct)
	h := sha256.New()
	for n := range 300 {
		p := decodeDrawn(t, draw.Example(n).body)
		row := rowOf(p)
		views, err := j.copies(&row, &p, nil, now)
		if err != nil {
			t.Fatal(err)
		}
		f := &facts{view: views[0], s: j.file.Settings}
		for _, in := range catalogue {
			fmt.Fprintf(h, "%d %s=%v\n", n, in.Name, in.value(f))
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != keptDigest {
		t.Errorf("inputs have digest %s, want %s: raise deal.Extraction, now %d, and write the new digest here", got, keptDigest, deal.Extraction)
	}
}

func BenchmarkSecond(b *testing.B) {
	j := defaultJudge(b)
	_, products := capturedProducts(b)
	var kept [][]byte
	for _, p := range products {
		kept = append(kept, encode(b, j.Peek(rowOf(p), p, now).Kept))
	}
	s := j.Redecider(pipeline.LookPeek)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := s.Decide(kept[i%len(kept)]); !ok {
			b.Fatal("not kept")
		}
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

func TestInputsOfAnAnswerAboutAnEarlierPriceDoNotSuffice(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	kept := map[string]any{}
	for _, name := range j.Needs(pipeline.LookPeek) {
		kept[name] = nil
	}
	if _, ok := j.Redecider(pipeline.LookPeek).Decide(encode(t, kept)); !ok {
		t.Fatal("the inputs of a peek do not suffice")
	}
	kept[InputAnswerAge] = int64(60)
	if _, ok := j.Redecider(pipeline.LookPeek).Decide(encode(t, kept)); ok {
		t.Error("what an earlier answer decided is decided again without it")
	}
	if _, is := inputNamed(InputAnswerAge); is {
		t.Error("a rule can use it")
	}
}
