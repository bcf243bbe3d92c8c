package peeker_test

import (
	"slices"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// flooded stores n live survivors of the glance, each worth its number in dollars, on a plan of one token a minute.
func flooded(t *testing.T, d *desk.Desk, n int) []decide.Work {
	t.Helper()
	return floodedFrom(t, d, pipeline.SourceLive, n)
}

func floodedFrom(t *testing.T, d *desk.Desk, source pipeline.Source, n int) []decide.Work {
	t.Helper()
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyBalance, []byte(`{"est":0,"rate":1}`)); err != nil {
		t.Fatal(err)
	}
	asins := slices.Concat(d.ASINs(keepasim.Good), d.ASINs(keepasim.NoProfit))[:n]
	out := make([]decide.Work, n)
	for i, asin := range asins {
		w := d.Work(t, asin, source, pipeline.FirstGeneration)
		worth := int64(100 * ((i * 7) % n)) // n is not a multiple of 7: each worth once
		w.Survivor.ExpectedValueCents = &worth
		out[i] = w
		d.Survives(t, w, pipeline.LookGlance, string(source))
	}
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	return out
}

func bodies(vs []desk.Verdict) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = v.Body
	}
	return out
}

// anHour of one token a minute decides 22 of them: 51 tokens for deciding, 2.3 each.
var anHour = map[string]string{"PEEKER_PATIENCE": "1h"}

const decidable = 22

func TestTheLeastValuableOfTooMuchIsShedForNothingAndTheRestIsDecided(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	works := flooded(t, d, 60)
	d.Run(t, peeker.Run, anHour)
	shed := 0
	for _, v := range d.AwaitVerdicts(t, len(works)) {
		worth := *v.ExpectedValueCents / 100
		if i := slices.IndexFunc(works, func(w decide.Work) bool { return w.ID == v.WorkID }); v.Outcome == pipeline.Shed {
			shed++
			if v.Reason != "shed_over_capacity" || v.Tokens != 0 || v.Look != pipeline.LookPeek || worth >= int64(60-decidable) {
				t.Errorf("shed %+v", v.Verdict)
			}
		} else if worth = *works[i].Survivor.ExpectedValueCents / 100; worth < int64(60-decidable) {
			t.Errorf("%s was worth %d and decided", v.ASIN, worth)
		}
	}
	if want := len(works) - decidable; shed != want {
		t.Errorf("shed %d, want %d", shed, want)
	}
	if n := d.Spent(t); n != decidable {
		t.Errorf("spent %d tokens, want %d", n, decidable)
	}
}

// In three hours 66 can be decided.
func TestBackfillMayWaitThreeTimesAsLong(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	works := floodedFrom(t, d, pipeline.SourceBackfill, 60)
	d.Run(t, peeker.Run, anHour)
	d.AwaitVerdicts(t, len(works))
	if n := d.Spent(t); n != len(works) {
		t.Errorf("spent %d tokens, want one for each of %d", n, len(works))
	}
}

func TestRedeliveredWorkIsShedAgainAndNotPaidFor(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	works := flooded(t, d, 60)
	stop := d.Run(t, peeker.Run, anHour)
	before := bodies(d.AwaitVerdicts(t, len(works)))
	stop()
	d.Redeliver(t, pipeline.DurablePeek(pipeline.SourceLive))
	d.Run(t, peeker.Run, nil) // more patient, but the line holds
	d.AwaitSettled(t, pipeline.DurablePeek(pipeline.SourceLive))
	if after := bodies(d.Verdicts(t)); !slices.Equal(after, before) {
		t.Error("the verdicts changed")
	}
	if n := d.Spent(t); n != decidable {
		t.Errorf("spent %d tokens, want %d", n, decidable)
	}
}

func TestWhatWasPaidForIsNotShed(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	works := flooded(t, d, 60)
	w := works[0] // worth nothing
	d.Store(t, pipeline.KindPeek, w.Survivor.ASIN, w.ID, d.Product(t, w.Survivor.ASIN, false), 0)
	d.Run(t, peeker.Run, anHour)
	for _, v := range d.AwaitVerdicts(t, len(works)) {
		if v.WorkID == w.ID && v.Outcome == pipeline.Shed {
			t.Error("its answer was stored, and it was shed")
		}
	}
}

func TestARowThatWasShedAndIsListedWithANewPriceIsDecided(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	works := flooded(t, d, 60)
	d.Run(t, peeker.Run, anHour)
	d.AwaitVerdicts(t, len(works))
	w := works[0] // worth nothing: it was shed
	w.Survivor.CreationDate++
	w.ID = w.Survivor.WorkID(pipeline.FirstGeneration)
	d.Survives(t, w, pipeline.LookGlance, "live")
	for _, v := range d.AwaitVerdicts(t, len(works)+1) {
		if v.WorkID == w.ID && (v.Outcome == pipeline.Shed || v.Tokens != 1) {
			t.Errorf("its new price: %s for %d tokens", v.Outcome, v.Tokens)
		}
	}
}

func TestRefreshesAreNeverShed(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	works := flooded(t, d, 60)
	worth := int64(0)
	r := d.Work(t, d.ASINs(keepasim.NoRecentSale)[0], pipeline.SourceRefresh, pipeline.RefreshGeneration(desk.T0))
	r.Survivor.ExpectedValueCents = &worth
	d.Survives(t, r, pipeline.LookGlance, "refresh")
	d.Run(t, peeker.Run, anHour)
	for _, v := range d.AwaitVerdicts(t, len(works)+1) {
		if v.Source == pipeline.SourceRefresh && v.Outcome == pipeline.Shed {
			t.Error("a refresh was shed")
		}
	}
}

func TestWithoutSheddingEverythingIsDecided(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	works := flooded(t, d, 60)
	d.Run(t, peeker.Run, map[string]string{"PEEKER_PATIENCE": "1h", "PEEKER_SHED": "false"})
	d.AwaitVerdicts(t, len(works))
	if n := d.Spent(t); n != len(works) {
		t.Errorf("spent %d tokens, want one for each of %d", n, len(works))
	}
}
