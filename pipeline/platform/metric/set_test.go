package metric_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/metric"
)

// read returns every series of ours, by name and label values, as a scrape receives them.
func read(t *testing.T, s *metric.Set) map[string]float64 {
	t.Helper()
	families, err := s.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			out[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

func TestOfTwoSourcesThatSayTheSameTheScrapeHasOne(t *testing.T) {
	t.Parallel()
	s := metric.New()
	s.Add("a", func(put metric.Put) { put(metric.Balance, 1) })
	end := s.Add("b", func(put metric.Put) { put(metric.Balance, 2); put(metric.Drift, 3); put(metric.Stuck, 1, "\xfe") })
	got := read(t, s)
	if got["ratchet_balance_tokens"] != 1 || got["ratchet_drift_tokens"] != 3 {
		t.Errorf("got %v", got)
	}
	s.Add("b", func(put metric.Put) { put(metric.Drift, 4) })
	end() // of the one that was replaced
	if got := read(t, s); got["ratchet_drift_tokens"] != 4 {
		t.Errorf("the source in its place is gone: %v", got)
	}
}

func TestTheProcessesOfANamedPlanSaySoInEveryMetric(t *testing.T) {
	t.Parallel()
	s := metric.New()
	s.Add("a", func(put metric.Put) { put(metric.Balance, 1) })
	s.Count(metric.Spent, 2, "peeker", "peek")
	want := map[string]float64{"ratchet_balance_tokens": 1, "ratchet_tokens_spent_total peek peeker": 2}
	has := func(want map[string]float64) {
		t.Helper()
		got := read(t, s)
		for key, n := range want {
			if got[key] != n {
				t.Errorf("%s is %g, want %g", key, got[key], n)
			}
		}
	}
	has(want)
	s.Label("plan", "eu")
	has(map[string]float64{"ratchet_balance_tokens eu": 1, "ratchet_balance_tokens": 0, "ratchet_tokens_spent_total peek eu peeker": 2})
}

func TestACounterOfTooManyLabelsGoesOnAsOther(t *testing.T) {
	t.Parallel()
	s := metric.New()
	for i := range 1000 {
		s.Count(metric.Decisions, 1, "glance", "reject", fmt.Sprint("reason_", i))
	}
	s.Count(metric.Decisions, 1, "glance", "reject", "reason_0")
	got, n, sum := read(t, s), 0, 0.0
	for key, v := range got {
		if len(key) > 23 && key[:23] == "ratchet_decisions_total" {
			n, sum = n+1, sum+v
		}
	}
	if n != 201 || sum != 1001 || got["ratchet_decisions_total glance other reject"] != 0 || got["ratchet_decisions_total other other other"] != 800 {
		t.Errorf("%d series with %v in all", n, sum)
	}
}

func TestACounterOfAHeartbeatBeginsAt0(t *testing.T) {
	t.Parallel()
	s := metric.New()
	s.Add("peeker", func(put metric.Put) {
		metric.Beat(put, pipeline.Heartbeat{Daemon: "peeker", State: "idle", Counters: map[string]int64{"again_price": 2}}, true)
	})
	got := read(t, s)
	for key, want := range map[string]float64{
		"ratchet_retries_total peeker price": 2, "ratchet_retries_total peeker part": 0, "ratchet_failures_total peeker": 0,
		"ratchet_daemon_state peeker idle": 1, "ratchet_daemon_state peeker stuck": 0, "ratchet_nats_connected peeker": 1,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v (%t), want %v", key, v, ok, want)
		}
	}
	if _, ok := got["ratchet_daemon_paid_age_seconds peeker"]; ok {
		t.Error("a call that never was has an age")
	}
}

func TestAFigureIsReadAtIntervalsAndDroppedWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	asked, away := 0, error(nil)
	s := metric.New()
	s.Add("x", metric.Cached(time.Minute, time.Second, func() time.Time { return now }, func(_ context.Context, put metric.Put) error {
		asked++
		put(metric.DeadLetters, float64(asked))
		return away
	}))
	for _, step := range []struct {
		after time.Duration
		away  error
		asked int
		want  float64
		says  bool
	}{
		{0, nil, 1, 1, true},
		{59 * time.Second, nil, 1, 1, true},
		{time.Second, errors.New("away"), 2, 1, true},
		{9 * time.Second, errors.New("away"), 2, 1, true},
		{time.Second, errors.New("away"), 3, 1, true}, // earlier than after an answer
		{2 * time.Minute, errors.New("away"), 4, 0, false},
		{time.Minute, nil, 5, 5, true},
	} {
		now, away = now.Add(step.after), step.away
		v, ok := read(t, s)["ratchet_dead_letters"]
		if asked != step.asked || ok != step.says || v != step.want {
			t.Errorf("after %s: asked %d times and got %v (%t), want %d, %v (%t)", step.after, asked, v, ok, step.asked, step.want, step.says)
		}
	}
}

func TestWithoutAScraperNothingIsKept(t *testing.T) {
	t.Parallel()
	var s *metric.Set
	s.Count(metric.Spent, 1, "peeker", "peek")
	s.Add("x", func(metric.Put) { t.Error("asked") })()
}
