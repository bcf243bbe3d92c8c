package odd_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

// speed makes what is postponed for 30 to 120 s of pipeline time come back at once.
const speed = 300

// credit is more than any test claims: without a tokend nobody issues again what a
// claim reserved and did not use.
const credit = 1_000_000

// bench is a desk with an odd Keepa, and a case on it: books with a shape, among others without.
type bench struct {
	*desk.Desk
	keepa *odd.Keepa
	judge *verdict.Judge
	good  []string // books to make odd
	rest  []string // their neighbours
}

func newBench(t *testing.T, speed float64) *bench {
	t.Helper()
	d := desk.New(t, speed)
	b := &bench{Desk: d, keepa: odd.Serve(t, d.Sim), judge: desk.BuiltIn(t), good: d.ASINs(keepasim.Good)}
	for _, asin := range d.World.ASINs() {
		if !slices.Contains(b.good, asin) {
			b.rest = append(b.rest, asin)
		}
	}
	slices.Sort(b.rest)
	return b
}

// start runs a daemon against the odd Keepa.
func (b *bench) start(t *testing.T, run func(context.Context, process.Env) error, settings map[string]string) func() {
	t.Helper()
	set := map[string]string{"KEEPA_URL": b.keepa.URL}
	for k, v := range settings {
		set[k] = v
	}
	return b.Run(t, run, set)
}

// letters are the dead letters by ASIN.
func (b *bench) letters(t *testing.T) map[string][]pipeline.Dead {
	t.Helper()
	out := map[string][]pipeline.Dead{}
	err := bus.ScanJSON(t.Context(), b.Bus, pipeline.StreamDead, bus.From{}, func(_ bus.Read, d pipeline.Dead) error {
		asin := d.Subject[strings.LastIndexByte(d.Subject, '.')+1:]
		out[asin] = append(out[asin], d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// balance holds the books of the odd Keepa against the ledger and RESPONSES: every token is on a close, and every paid
// call has its bytes stored under its id.
func (b *bench) balance(t *testing.T) {
	t.Helper()
	spent, cost := 0, 0
	for range 1000 { // a claim is closed before its verdict, but for one that ends in a dead letter of a later step
		if spent, cost = b.Spent(t), b.keepa.Tokens(); spent == cost {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if spent != cost {
		t.Errorf("the ledger says %d tokens, Keepa %d", spent, cost)
	}
	stored := map[string]bool{}
	err := b.Bus.Scan(t.Context(), pipeline.StreamResponses, bus.From{Headers: true}, func(r bus.Read) error {
		if !strings.Contains(r.Subject, ".attempt.") {
			stored[strings.TrimSuffix(r.Header.Get(pipeline.HeaderRequestID), ".s")] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = bus.ScanJSON(t.Context(), b.Bus, pipeline.StreamLedger, bus.From{Subjects: []string{"ledger.*.close"}}, func(_ bus.Read, e pipeline.Entry) error {
		if e.Tokens > 0 && !stored[e.Claim] {
			t.Errorf("call %s cost %d tokens and nothing of it is stored", e.Claim, e.Tokens)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// look is one of the two looks at products.
type look struct {
	kind  string
	look  pipeline.Look
	lane  string
	stage pipeline.Stage
	run   func(context.Context, process.Env) error
	batch map[string]string
}

var (
	aPeek   = look{odd.Peek, pipeline.LookGlance, "live", pipeline.StagePeeker, peeker.Run, nil}
	aCommit = look{odd.Commit, pipeline.LookPeek, "a", pipeline.StageCommitter, committer.Run, nil}
)

// wants is the verdict that a good product gets.
func (l look) wants(t *testing.T, b *bench, w decide.Work) pipeline.Verdict {
	t.Helper()
	a := decide.Answer{ID: "1", Key: w.Survivor.ASIN, Body: b.Product(t, w.Survivor.ASIN, l.kind == odd.Commit)}
	if l.kind == odd.Commit {
		return decide.Commit(b.judge, w, a, nil, 6, b.Env.Now()).Verdict
	}
	return decide.Peek(b.judge, w, a, 1, nil, b.Env.Now()).Verdict
}

// alone looks at every shape in a call of its own.
func (l look) alone(t *testing.T, shapes []shape) figures { return l.cases(t, shapes, 1, 20) }

// among looks at every shape as one of 40: of a call, or where a call asks for one, of what waits.
func (l look) among(t *testing.T, shapes []shape) figures {
	if l.kind == odd.Commit {
		return l.cases(t, shapes, 4, 10)
	}
	return l.cases(t, shapes, 40, 9)
}

// figures are what a table came to.
type figures struct{ shapes, elements, tokens, odd int }

func (f *figures) add(g figures) {
	f.shapes, f.elements, f.tokens, f.odd = f.shapes+g.shapes, f.elements+g.elements, f.tokens+g.tokens, f.odd+g.odd
}

// cases looks at shapes in batches of a size, so many of them on a desk.
func (l look) cases(t *testing.T, shapes []shape, size, each int) (sum figures) {
	t.Helper()
	for part := range slices.Chunk(shapes, each) {
		sum.add(l.desk(t, part, size))
	}
	return sum
}

// desk puts batches with one odd element each before a daemon, and looks at what becomes of all.
func (l look) desk(t *testing.T, shapes []shape, size int) figures {
	t.Helper()
	b := newBench(t, speed)
	b.Grant(t, l.stage, credit)
	want, works := map[string]pipeline.Verdict{}, map[string]string{}
	n := 0
	offer := func(asin string) {
		w := b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		want[asin], works[asin] = l.wants(t, b, w), w.ID
		b.Survives(t, w, l.look, l.lane)
		n++
	}
	shapeOf := map[string]shape{}
	for i, s := range shapes {
		asin := b.good[i]
		shapeOf[asin] = s
		b.keepa.Edit(l.kind, asin, s.edit)
		at := (7 * i) % size // the odd one stands anywhere in its batch
		for k := range size {
			if k == at {
				offer(asin)
				continue
			}
			offer(b.rest[i*(size-1)+k-min(1, max(0, k-at))])
		}
	}
	b.start(t, l.run, map[string]string{"PEEKER_BATCH": fmt.Sprint(size), "COMMITTER_WORKERS": "8", "COMMITTER_SELLERS": "false", "PEEKER_SHED": "false"})
	vs := b.AwaitVerdicts(t, n)
	b.balance(t)
	var letters map[string][]pipeline.Dead
	expected := 0
	for _, s := range shapes {
		if s.want == dead || s.want == leftOut {
			expected++
		}
	}
	// A letter is stored when its work is settled, which is after its verdict.
	desk.Await(t, "every dead letter", func() bool { letters = b.letters(t); return len(letters) >= expected })
	paid := 0
	for _, v := range vs {
		s, isOdd := shapeOf[v.ASIN]
		times := b.keepa.Paid(l.kind, v.ASIN)
		if isOdd {
			paid += times
			l.judge(t, s, v, want[v.ASIN], times, letters[v.ASIN])
			continue
		}
		if v.Outcome != want[v.ASIN].Outcome || v.Reason != want[v.ASIN].Reason || times != 1 || len(letters[v.ASIN]) > 0 {
			t.Errorf("%s: a neighbour is %s (%s) after %d payments, %d letters; want %s (%s) after 1", v.ASIN, v.Outcome, v.Reason, times,
				len(letters[v.ASIN]), want[v.ASIN].Outcome, want[v.ASIN].Reason)
		}
	}
	return figures{shapes: len(shapes), elements: n, tokens: b.keepa.Tokens(), odd: paid}
}

// judge holds the verdict on an odd element against what is right.
func (l look) judge(t *testing.T, s shape, v desk.Verdict, good pipeline.Verdict, paid int, letters []pipeline.Dead) {
	t.Helper()
	times, wantLetters := 1, 0
	ok := v.Outcome != pipeline.Fail
	switch s.want {
	case asGood:
		ok = v.Outcome == good.Outcome && v.Reason == good.Reason
	case decided:
	case dead:
		wantLetters = 1
		ok = v.Outcome == pipeline.Fail && v.Reason == verdict.ReasonUnreadable
	case leftOut:
		wantLetters = 1
		ok, times = v.Outcome == pipeline.Fail && v.Reason == decide.ReasonNotFound, paid // of a batch: what the others cost
		if paid > pipeline.MaxPaid {
			t.Errorf("%s %s: paid %d times", l.kind, s.name, paid)
		}
	}
	if !ok || paid != times || len(letters) != wantLetters {
		t.Errorf("%s %s: %s (%s) after %d payments, letters %v; good is %s (%s)", l.kind, s.name, v.Outcome, v.Reason, paid, letters, good.Outcome, good.Reason)
	}
	for _, d := range letters {
		if s.want == dead && (!strings.Contains(d.Error.String(), "call ") || !strings.Contains(d.Error.String(), "position ")) || d.Reason != v.Reason {
			t.Errorf("%s %s: the letter says %s: %s", l.kind, s.name, d.Reason, d.Error)
		}
	}
}

// every is each n-th shape of a table in part, and all of them where the whole is asked for.
func every(shapes []shape, at, n int) []shape {
	if !inPart() {
		return shapes
	}
	var out []shape
	for i := at; i < len(shapes); i += n {
		out = append(out, shapes[i])
	}
	return out
}

func TestEveryShapeOfAProductIsDecidedOrADeadLetterAndItsNeighboursAreDecided(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a desk for every 20 shapes")
	}
	t.Parallel()
	offers := slices.Concat(ofProduct, ofOffer)
	// In part each shape is tried once, in one of the four ways.
	share := func(shapes []shape, n int) []shape { return every(shapes, n, 4) }
	for _, l := range []struct {
		name string
		do   func(*testing.T) figures
	}{
		{"peek alone", func(t *testing.T) figures { t.Helper(); return aPeek.alone(t, share(ofProduct, 0)) }},
		{"peek among 40", func(t *testing.T) figures { t.Helper(); return aPeek.among(t, share(ofProduct, 1)) }},
		{"commit alone", func(t *testing.T) figures { t.Helper(); return aCommit.alone(t, share(offers, 2)) }},
		{"commit among 40", func(t *testing.T) figures { t.Helper(); return aCommit.among(t, share(offers, 3)) }},
	} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			got := l.do(t)
			t.Logf("%-16s %3d shapes, %5d elements decided, %5d tokens, %3d payments for the odd ones", l.name, got.shapes, got.elements, got.tokens, got.odd)
		})
	}
}
