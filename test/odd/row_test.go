package odd_test

import (
	"slices"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/watermarker"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

// listSpeed leaves hundreds of polls within the two days for which a list may stand still.
const listSpeed = 60

// polls reads the whole list every minute.
var polls = map[string]string{"WATERMARKER_SHORTEST": "1m", "WATERMARKER_LONGEST": "1m", "WATERMARKER_SWEEP": "1m"}

// list makes the deal list one page of these books.
func (b *bench) list(t *testing.T, asins ...string) {
	t.Helper()
	rows := make([][]byte, len(asins))
	for i, asin := range asins {
		rows[i] = b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration).Survivor.Row
	}
	b.keepa.List(rows)
}

// rowLetters are the dead letters of rows, by the position in the page and the reason.
func rowLetters(t *testing.T, b *bench) (all []pipeline.Dead) {
	t.Helper()
	err := bus.ScanJSON(t.Context(), b.Bus, pipeline.StreamDead, bus.From{}, func(_ bus.Read, d pipeline.Dead) error {
		all = append(all, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// glances are the verdicts of the glance by ASIN.
func glances(t *testing.T, b *bench) map[string]desk.Verdict {
	t.Helper()
	out := map[string]desk.Verdict{}
	for _, v := range b.Verdicts(t) {
		if v.Look == pipeline.LookGlance {
			out[v.ASIN] = v
		}
	}
	return out
}

func TestEveryShapeOfARowIsDecidedOrADeadLetterAndItsNeighboursAreDecided(t *testing.T) {
	if testing.Short() {
		t.Skip("polls a list for every shape")
	}
	for at, name := range []string{"alone", "among 40"} {
		size := []int{1, 40}[at]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			elements, tokens := 0, 0
			for part := range slices.Chunk(every(ofRow, at, 2), 20) {
				e, n := rows(t, part, size)
				elements, tokens = elements+e, tokens+n
			}
			t.Logf("row %-9s %3d shapes, %5d elements decided, %5d tokens for pages", name, len(every(ofRow, at, 2)), elements, tokens)
		})
	}
}

// rows lists one shape after the other, each on a page of so many rows.
func rows(t *testing.T, shapes []shape, size int) (elements, tokens int) {
	t.Helper()
	b := newBench(t, listSpeed)
	b.Grant(t, pipeline.StageWatermarker, credit)
	b.list(t, b.rest[0])
	b.start(t, watermarker.Run, polls)
	b.start(t, peeker.Run, nil) // it has no grant: it glances
	for i, s := range shapes {
		asin := b.good[i]
		b.keepa.Edit(odd.Row, asin, s.edit)
		page := []string{asin}
		for k := range size - 1 {
			page = append(page, b.rest[(i*(size-1)+k)%len(b.rest)])
		}
		before := len(rowLetters(t, b))
		b.list(t, page...)
		desk.Await(t, "the row "+s.name, func() bool {
			known := glances(t, b)
			for _, neighbour := range page[1:] {
				if _, ok := known[neighbour]; !ok {
					return false
				}
			}
			if s.want == dead {
				return len(rowLetters(t, b)) > before
			}
			_, ok := known[asin]
			return ok
		})
		judgeRow(t, b, s, asin, before)
		elements += size
	}
	b.balance(t)
	return elements, b.keepa.Tokens()
}

// judgeRow holds what became of an odd row against what is right.
func judgeRow(t *testing.T, b *bench, s shape, asin string, before int) {
	t.Helper()
	letters := rowLetters(t, b)[before:]
	v, known := glances(t, b)[asin]
	if s.want == dead {
		if known || len(letters) != 1 || letters[0].Header[pipeline.HeaderRequestID] == nil || letters[0].Error.IsZero() {
			t.Errorf("row %s: decided %t, letters %+v", s.name, known, letters)
		}
		return
	}
	good := decide.Glance(b.judge, b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), b.Env.Now()).Verdict
	if len(letters) > 0 || v.Outcome == pipeline.Fail || s.want == asGood && (v.Outcome != good.Outcome || v.Reason != good.Reason) {
		t.Errorf("row %s: %s (%s), letters %+v; good is %s (%s)", s.name, v.Outcome, v.Reason, letters, good.Outcome, good.Reason)
	}
}

func TestARowFromTheFutureIsDecidedOnceAndMovesNoMark(t *testing.T) {
	if testing.Short() {
		t.Skip("polls several times")
	}
	t.Parallel()
	b := newBench(t, listSpeed)
	b.Grant(t, pipeline.StageWatermarker, credit)
	b.list(t, append([]string{b.good[0]}, b.rest[:39]...)...)
	b.keepa.Edit(odd.Row, b.good[0], odd.Set("9000000", "creationDate")) // 2028
	b.start(t, watermarker.Run, polls)
	b.start(t, peeker.Run, nil)
	desk.Await(t, "everything", func() bool { return len(glances(t, b)) == 40 })
	calls := len(b.keepa.Calls())
	desk.Await(t, "three more polls", func() bool { return len(b.keepa.Calls()) >= calls+3 })
	if n := len(b.Verdicts(t)); n != 40 {
		t.Errorf("%d verdicts, want 40", n)
	}
}
