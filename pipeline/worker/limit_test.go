package worker_test

import (
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/worker"
)

func TestAnAnswerServesOtherWorkOnlyWhileItMayHoldThePrice(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name   string
		source pipeline.Source
		pay    bool
		began  time.Duration // how long ago the price began
		want   time.Duration
	}{
		{"an old price", pipeline.SourceLive, false, 24 * time.Hour, time.Hour},
		{"a young price", pipeline.SourceGap, false, 10 * time.Minute, 10 * time.Minute},
		{"a price that begins later", pipeline.SourceBackfill, false, -time.Minute, 0},
		{"a refresh", pipeline.SourceRefresh, false, 24 * time.Hour, 0},
		{"a repair", pipeline.SourceRepair, false, 24 * time.Hour, 0},
		{"a retry", pipeline.SourceRetry, false, 24 * time.Hour, time.Hour},
		{"a retry that pays again", pipeline.SourceRetry, true, 24 * time.Hour, 0},
	} {
		u := worker.Unit{Work: decide.Work{
			Survivor: pipeline.Survivor{Candidate: pipeline.Candidate{Source: tc.source, Pay: tc.pay}},
			Row:      keepa.DealRow{CreationDate: keepa.FromTime(now.Add(-tc.began))},
		}}
		if got := u.Limit(time.Hour, now); got != tc.want {
			t.Errorf("%s: an answer of %s serves, want %s", tc.name, got, tc.want)
		}
	}
}
