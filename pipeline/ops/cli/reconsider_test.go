package cli_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

func TestWhatWasRejectedInTheWeekBeforeOtherRulesIsDecidedAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	strict, err := verdict.NewJudge(bytes.Replace(schemas.UsedBooks, []byte("min_rank_drops: 1"), []byte("min_rank_drops: 100000"), 1))
	if err != nil {
		t.Fatal(err)
	}
	now := decide.Instant(d.Env.Now())
	for i, ago := range []time.Duration{time.Hour, 6 * 24 * time.Hour, 8 * 24 * time.Hour} {
		w := d.Work(t, d.ASINs(keepasim.Good)[i], pipeline.SourceLive, pipeline.FirstGeneration)
		d.Offer(t, w)
		v := decide.Glance(strict, w, now.Add(-ago)).Verdict
		if v.Outcome != pipeline.Reject {
			t.Fatalf("%s %s", v.Outcome, v.Reason)
		}
		u := worker.Unit{Work: w, Origin: fmt.Sprintf("CANDIDATES/%d", i+1)}
		if err := worker.Apply(d.Bus)(t.Context(), []worker.Effect{u.Conclude(v, "")}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := cli.Reconsider(t.Context(), d.Bus, pipeline.AppliedRules{Version: 1, At: now}, schemas.UsedBooks, func(replay.Step) {})
	if err != nil || r.Rejected != 2 || r.Offered != 2 {
		t.Errorf("of three rejections, one of them eight days old: %+v, %v", r, err)
	}
	if spent := d.Spent(t); spent != 0 {
		t.Errorf("%d tokens were spent", spent)
	}
}
