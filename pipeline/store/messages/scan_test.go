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
