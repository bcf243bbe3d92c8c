package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

func TestAForecastUsesTheOwnHistoryAndShowsIt(t *testing.T) {
	d, nats := desk.Listening(t, 1)
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err == nil {
		_, err = kv.Put(t.Context(), pipeline.KeyBalance, []byte(`{"est":20,"rate":5,"cap":300,"state":"burst"}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	env, err := process.OSEnv(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	asks := forecastCmd{natsFlags: natsFlags{NATSURL: nats}, Since: span(28 * 24 * time.Hour)}
	if _, ok, why := asks.history(&app{ctx: t.Context(), env: env}); ok || !strings.Contains(why, "less than a day of history") {
		t.Errorf("nothing is a history: %t, %s", ok, why)
	}
	var ms []bus.Message
	for i := range 120 {
		w := d.Work(t, d.ASINs(keepasim.Good)[0], pipeline.SourceLive, pipeline.FirstGeneration)
		v := pipeline.Verdict{
			Identity: w.Survivor.Identity, Look: pipeline.LookCommit, Outcome: pipeline.Reject, Reason: "no_profit", RuleID: "no_profit",
			Source: pipeline.SourceLive, TokensSpent: 8, DecidedAt: time.Now().UTC().Add(-time.Duration(120-i) * 30 * time.Minute),
		}
		ms = append(ms, messages.Verdict(pipeline.RunLive, fmt.Sprint("w", i), "SURVIVORS/1", v))
		ms = append(ms, messages.Verdict("lax", fmt.Sprint("replayed", i), "SURVIVORS/1", v)) // a replay does not count as history
	}
	if err := d.Bus.PublishAll(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	for _, args := range examplesOf(detailOf["forecast"]) {
		text := said(t, nats, args...)
		if !strings.HasPrefix(text, "Your plan is not the bottleneck: 5 tokens a minute decide 48 of 48 new prices a day.") || !strings.Contains(text, "your own last") {
			t.Errorf("%v says:\n%s", args, text)
		}
	}
}
