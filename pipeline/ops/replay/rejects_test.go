package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// rejects has every look reject some good books, and returns the ASINs of each.
func rejects(t *testing.T, d *desk.Desk) map[pipeline.Look][]string {
	t.Helper()
	strict := map[pipeline.Look]*verdict.Judge{
		pipeline.LookGlance: judging(t, "min_rank_drops: 1", "min_rank_drops: 100000"),
		pipeline.LookPeek:   judging(t, "min_sales_in_year: 1", "min_sales_in_year: 100000"),
		pipeline.LookCommit: judging(t, "min_profit_cents: 300", "min_profit_cents: 1000000"),
	}
	looks := []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit}
	out := map[pipeline.Look][]string{}
	sequence := map[pipeline.Look]int{}
	for i, asin := range d.ASINs(keepasim.Good)[:12] {
		look := looks[i%3]
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		now := decide.Instant(d.Env.Now())
		u := worker.Unit{Work: w}
		var v pipeline.Verdict
		switch look {
		case pipeline.LookGlance:
			d.Offer(t, w)
			v = decide.Glance(strict[look], w, now).Verdict
			sequence[look]++
			u.Origin = fmt.Sprintf("CANDIDATES/%d", sequence[look])
		case pipeline.LookPeek:
			d.Survives(t, w, pipeline.LookGlance, "live")
			a := decide.Answer{Key: asin, Body: d.Product(t, asin, false)}
			a.ID = d.Store(t, pipeline.KindPeek, asin, w.ID, a.Body, time.Minute)
			v = decide.Peek(strict[look], w, a, 1, nil, now).Verdict
			sequence["survivor"]++
			u.Origin = fmt.Sprintf("SURVIVORS/%d", sequence["survivor"])
		default:
			d.Survives(t, w, pipeline.LookPeek, "a")
			a := decide.Answer{Key: asin, Body: d.Product(t, asin, true)}
			a.ID = d.Store(t, pipeline.KindCommit, asin, w.ID, a.Body, time.Minute)
			v = decide.Commit(strict[look], w, a, nil, 7, now).Verdict
			sequence["survivor"]++
			u.Origin = fmt.Sprintf("SURVIVORS/%d", sequence["survivor"])
		}
		if v.Outcome != pipeline.Reject {
			t.Fatalf("%s of %s: %s %s", look, asin, v.Outcome, v.Reason)
		}
		if err := worker.Apply(d.Bus)(t.Context(), []worker.Effect{u.Conclude(v, "")}); err != nil {
			t.Fatal(err)
		}
		out[look] = append(out[look], asin)
	}
	return out
}

// retried are the ASINs that were offered again, and how often.
func retried(t *testing.T, b *bus.Bus) map[string]int {
	t.Helper()
	out := map[string]int{}
	err := bus.ScanJSON(t.Context(), b, pipeline.StreamCandidates, bus.From{}, func(_ bus.Read, c pipeline.Candidate) error {
		if c.Source == pipeline.SourceRetry {
			out[c.ASIN]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatWasRejectedIsDecidedAgainAndWhatPassesIsOfferedOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	by := rejects(t, d)
	all := slices.Concat(by[pipeline.LookGlance], by[pipeline.LookPeek], by[pipeline.LookCommit])
	week := d.Env.Now().Add(-7 * 24 * time.Hour)
	again := func(ctx context.Context, rules []byte, version int, progress func(replay.Step)) (replay.Reconsidered, error) {
		return replay.Rejects(ctx, d.Bus, rules, version, week, progress)
	}
	// One was decided otherwise since, and of one there is no answer any more.
	later := by[pipeline.LookCommit][0]
	w := d.Work(t, later, pipeline.SourceLive, pipeline.FirstGeneration)
	if err := seen.Store(t.Context(), d.Bus, w.Survivor.Identity, pipeline.Seen{
		CreationDate: w.Survivor.CreationDate, Look: pipeline.LookCommit, Outcome: pipeline.Accept, Reason: "ok", DecidedAt: d.Env.Now(),
	}); err != nil {
		t.Fatal(err)
	}

	strict := bytes.Replace(schemas.UsedBooks, []byte("min_rank_drops: 1"), []byte("min_rank_drops: 100000"), 1)
	r, err := again(t.Context(), strict, 1, func(replay.Step) {})
	if err != nil || r.Rejected != len(all) || r.Still != len(all) || r.Passes+r.Offered+r.Lost != 0 {
		t.Errorf("rules that reject all: %+v, %v", r, err)
	}

	// An interruption anywhere, and then the rest.
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := again(ctx, schemas.UsedBooks, 2, func(s replay.Step) { cancel() }); err == nil {
		t.Error("an interrupted pass ends well")
	}
	for range 2 {
		last := replay.Step{}
		r, err = again(t.Context(), schemas.UsedBooks, 2, func(s replay.Step) { last = s })
		if err != nil || r.Rejected != len(all) || r.Passes != len(all) || r.Offered != len(all)-1 || r.Still+r.Lost != 0 {
			t.Errorf("rules that reject none: %+v, %v, last step %+v", r, err, last)
		}
		want := map[string]int{}
		for _, asin := range all {
			if asin != later {
				want[asin] = 1
			}
		}
		if got := retried(t, d.Bus); !maps.Equal(got, want) {
			t.Errorf("offered are %v, want %v", got, want)
		}
	}
	if spent := d.Spent(t); spent != 0 {
		t.Errorf("%d tokens were spent", spent)
	}

	// What is no longer stored is said, and nothing is offered.
	for _, stream := range []string{pipeline.StreamResponses, pipeline.StreamSurvivors} {
		s, err := d.Bus.JS.Stream(t.Context(), stream)
		if err == nil {
			err = s.Purge(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	other := bytes.Replace(schemas.UsedBooks, []byte("prep_cents: 275"), []byte("prep_cents: 276"), 1)
	if r, err = again(t.Context(), other, 3, func(replay.Step) {}); err != nil || r.Lost != len(all)-len(by[pipeline.LookGlance]) {
		t.Errorf("without answers: %+v, %v", r, err)
	}
}

func TestEachPlanReconsidersItsOwnRejectsUnderTheSameVersion(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	if err := d.Bus.Apply(t.Context(), bus.Provision{Plans: plan.Map{"eu": {keepa.DomainDE}}}); err != nil {
		t.Fatal(err)
	}
	now := decide.Instant(d.Env.Now())
	rules := map[pipeline.Plan][]byte{"": schemas.UsedBooks, "eu": bytes.Replace(schemas.UsedBooks, []byte("marketplace: com"), []byte("marketplace: de"), 1)}
	domains := map[pipeline.Plan]keepa.Domain{"": keepa.DomainCom, "eu": keepa.DomainDE}
	books := map[string]int{}
	for i, p := range []pipeline.Plan{"", "eu"} {
		asin := d.ASINs(keepasim.Good)[i]
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		w.Survivor.Domain = int(domains[p])
		w.ID = w.Survivor.WorkID(pipeline.FirstGeneration)
		d.Offer(t, w)
		v := decide.Glance(judging(t, "marketplace: com", "marketplace: "+domains[p].Suffix(), "min_rank_drops: 1", "min_rank_drops: 100000"), w, now).Verdict
		if v.Outcome != pipeline.Reject {
			t.Fatalf("%s of plan %s: %s", asin, p, v.Outcome)
		}
		u := worker.Unit{Work: w, Origin: fmt.Sprintf("CANDIDATES/%d", i+1)}
		if err := worker.Apply(d.Bus)(t.Context(), []worker.Effect{u.Conclude(v, "")}); err != nil {
			t.Fatal(err)
		}
		books[asin] = 1
	}
	for p, body := range rules {
		b, err := d.Bus.As(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := replay.Rejects(t.Context(), b, body, 1, now.Add(-time.Hour), func(replay.Step) {}); err != nil || r.Rejected != 1 || r.Offered != 1 {
			t.Errorf("version 1 of plan %q: %+v, %v", p, r, err)
		}
	}
	if got := retried(t, d.Bus); !maps.Equal(got, books) {
		t.Errorf("offered are %v, want %v", got, books)
	}
}
