package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
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
	if _, err := asks.history(&app{ctx: t.Context(), env: env}); !errors.Is(err, cli.ErrShortHistory) {
		t.Errorf("nothing is a history: %v", err)
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

func TestAForecastOfAHistoryThatCannotBeReadIsAnErrorAndNoSimulation(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	code := run([]string{"forecast", "--nats-url", withoutJetStream(t, "u", "p")}, &out, &errOut)
	if code == process.ExitDone || out.Len() > 0 || !strings.Contains(errOut.String(), "--rate") {
		t.Errorf("exit %d; prints %s%s", code, &out, &errOut)
	}
}
