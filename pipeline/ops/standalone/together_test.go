package standalone_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// ceiling is the worst price of a commit, in tokens, by the operator's policy. The documented one is 13.
const ceiling = 17

// TestTwoPricesTwoWorkersAPolicyAPauseAndASellerCallWithoutAnAnswer has what a day has and a backlog has not, all at
// once: prices that change, two workers of each stage, an operator's policy, a pause, and an answer about a seller
// that is paid for and never comes. Nothing may be paid for twice, and every price is decided once.
func TestTwoPricesTwoWorkersAPolicyAPauseAndASellerCallWithoutAnAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("hours of a living list take half a minute")
	}
	t.Parallel()
	log := &journal{}
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: t.TempDir(), World: standalone.Simulated, ClickHouse: standalone.None, Speed: 600, Seed: 7, Rate: 20, Balance: 600,
		Workers: 2, Policy: `{"ceilings":{"commit":17}}`,
		Faults: keepasim.Faults{Rules: []keepasim.Rule{{Kind: keepasim.KindSeller, Times: 1, Do: keepasim.Cut}}},
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Stop(context.Background())
	desk.Await(t, "a seller call without an answer, and one with", func() bool {
		books := box.Sim.Account()
		return books.Faults[keepasim.Cut] == 1 && books.Calls[keepasim.KindSeller] >= 2
	})
	pauses(t, box)
	desk.Await(t, "a book that was decided at two prices, both paid for", func() bool { return bothPaid(t, box) })

	box.StopStages()
	paidOnce(t, box, token.PriceSeller)
	if err := bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamLedger, bus.From{}, func(_ bus.Read, e pipeline.Entry) error {
		if e.Event == pipeline.EventClaim && e.PriceKind == pipeline.KindCommit && e.Tokens < ceiling {
			t.Errorf("a commit claimed %d tokens, the operator's ceiling is %d", e.Tokens, ceiling)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	for price, n := range finals(t, box) {
		if n != 1 {
			t.Errorf("%s at its price of %d has %d final verdicts", price.asin, price.since, n)
		}
	}
}

// pauses pauses spending, and expects no paid call for a quarter of an hour after the last claim is closed.
func pauses(t *testing.T, box *standalone.Box) {
	t.Helper()
	tokens, err := box.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	put := func(mode string) {
		if _, err := tokens.Put(t.Context(), pipeline.KeyMode, []byte(mode)); err != nil {
			t.Fatal(err)
		}
	}
	put("paused")
	desk.Await(t, "the end of what was claimed before the pause", func() bool {
		s, err := cli.ReadStatus(t.Context(), box.Bus)
		open := 0
		for _, stage := range s.Stages {
			open += stage.Open
		}
		return err == nil && s.Balance.State == "paused" && open == 0
	})
	from := box.Env.Now()
	until := from.Add(15 * time.Minute)
	desk.Await(t, "the end of the pause", func() bool { return box.Env.Now().After(until) })
	put("run")
	for _, call := range box.Sim.Account().Paid {
		if call.Asked.After(from) && call.Asked.Before(until) && call.Cost > 0 {
			t.Errorf("a %s was paid for at %s, in the pause from %s to %s", call.Kind, call.Asked, from, until)
		}
	}
}

// price is a book at one price, which began at since.
type price struct {
	asin  string
	since int64
}

// bothPaid reports whether a book has verdicts of paid looks at two of its prices.
func bothPaid(t *testing.T, box *standalone.Box) bool {
	t.Helper()
	seen := map[string]int64{}
	both := false
	each(t, box, func(v pipeline.Verdict) {
		if v.Tokens == 0 || v.Look == pipeline.LookGlance {
			return
		}
		before, paid := seen[v.ASIN]
		both = both || paid && before != v.CreationDate
		seen[v.ASIN] = v.CreationDate
	})
	return both
}

// finals counts the final verdicts of candidates from the list by price.
func finals(t *testing.T, box *standalone.Box) map[price]int {
	t.Helper()
	out := map[price]int{}
	each(t, box, func(v pipeline.Verdict) {
		again := v.Source == pipeline.SourceRefresh || v.Source == pipeline.SourceRepair // of a deal, after hours
		if v.Outcome.Final() && v.Look != pipeline.LookList && !again {
			out[price{v.ASIN, v.CreationDate}]++
		}
	})
	return out
}

func each(t *testing.T, box *standalone.Box, f func(pipeline.Verdict)) {
	t.Helper()
	if err := box.Bus.Scan(t.Context(), pipeline.StreamVerdicts, bus.From{}, func(r bus.Read) error {
		var v pipeline.Verdict
		if err := json.Unmarshal(r.Body, &v); err != nil {
			return err
		}
		f(v)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
