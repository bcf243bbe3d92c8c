package messages_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/test/streams"
)

func TestAVerdictOfAReplayOrOfAnotherPriceTypeDoesNotHideTheLiveOneOnItsSubject(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	var all []pipeline.Identity
	price := 2 // the price type
	put := func(run, asin string, look pipeline.Look, outcome pipeline.Outcome, n int) {
		t.Helper()
		id := pipeline.Identity{Domain: 1, ASIN: asin, PriceType: price, CreationDate: 7_000_000 + int64(n)}
		if price == 2 {
			all = append(all, id)
		}
		v := pipeline.Verdict{Identity: id, Look: look, Outcome: outcome, Reason: "ok", DecidedAt: time.Date(2026, 3, 2, 9, n, 0, 0, time.UTC)}
		if err := b.PublishAll(t.Context(), []bus.Message{messages.Verdict(run, id.WorkID("1"), "", v)}); err != nil {
			t.Fatal(err)
		}
	}
	const gone, only, other = "B000000001", "B000000002", "B000000003"
	put(pipeline.RunLive, gone, pipeline.LookCommit, pipeline.Accept, 1)
	put(pipeline.RunLive, gone, pipeline.LookPeek, pipeline.Reject, 2)
	put(pipeline.RunLive, gone, pipeline.LookPeek, pipeline.Reject, 3)
	put("trial", gone, pipeline.LookPeek, pipeline.Reject, 4)
	put("trial", gone, pipeline.LookCommit, pipeline.Accept, 5)
	put("trial", only, pipeline.LookCommit, pipeline.Reject, 6)
	put(pipeline.RunLive, other, pipeline.LookPeek, pipeline.Reject, 7)
	price = 1
	put(pipeline.RunLive, other, pipeline.LookPeek, pipeline.Reject, 8)

	last, err := messages.LastVerdicts(t.Context(), b, all)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range last {
		var v pipeline.Verdict
		if err := json.Unmarshal(m.Body, &v); err != nil {
			t.Fatal(err)
		}
		if v.PriceType == 2 {
			got = append(got, v.ASIN+" "+string(v.Outcome)+v.DecidedAt.Format(" 4"))
		}
	}
	slices.Sort(got)
	if want := []string{gone + " accept 1", gone + " reject 3", other + " reject 7"}; !slices.Equal(got, want) {
		t.Errorf("the last live verdicts: %q, want %q", got, want)
	}
}

func TestEveryVerdictThatShowsOrHidesADealIsRead(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	id := pipeline.Identity{Domain: 1, ASIN: "B000000001", PriceType: 2, CreationDate: 7_000_000}
	var want, got []string
	for n, c := range []struct {
		look    pipeline.Look
		outcome pipeline.Outcome
		counts  bool
	}{
		{pipeline.LookCommit, pipeline.Accept, true},
		{pipeline.LookPeek, pipeline.Confirm, true},
		{pipeline.LookList, pipeline.Reject, true}, // it expired
		{pipeline.LookGlance, pipeline.Reject, true},
		{pipeline.LookPeek, pipeline.Reject, true},
		{pipeline.LookCommit, pipeline.Reject, true},
		{pipeline.LookList, pipeline.Fail, false}, // it is stale
		{pipeline.LookPeek, pipeline.Survive, false},
		{pipeline.LookPeek, pipeline.Shed, false},
	} {
		v := pipeline.Verdict{Identity: id, Look: c.look, Outcome: c.outcome, Reason: "ok", DecidedAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
		if err := b.PublishAll(t.Context(), []bus.Message{messages.Verdict(pipeline.RunLive, id.WorkID(pipeline.AttemptGeneration(pipeline.SourceRetry, n)), "", v)}); err != nil {
			t.Fatal(err)
		}
		if c.counts {
			want = append(want, pipeline.SubjectVerdict(1, c.look, c.outcome, id.ASIN))
		}
	}
	last, err := messages.LastVerdicts(t.Context(), b, []pipeline.Identity{id})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range last {
		got = append(got, m.Subject)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}
