package cli_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// alive keeps the deals of a desk current until the test ends.
func alive(t *testing.T, d *desk.Desk) *cli.Live {
	t.Helper()
	l := cli.NewLive(d.Bus, cli.NewVisible(d.Bus, ""), func([]visibility.DealKey) {})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return l
}

// equals waits until the live deals are those of the list, in every number.
func equals(t *testing.T, d *desk.Desk, l *cli.Live, after string) {
	t.Helper()
	v := cli.NewVisible(d.Bus, "")
	defer v.Close()
	var want, got string
	defer func() {
		if t.Failed() {
			t.Logf("after %s: want %s\ngot %s", after, want, got)
		}
	}()
	desk.Await(t, "the live deals are the list after "+after, func() bool {
		list, _, err := v.List(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		last, err := d.Bus.Last(t.Context(), pipeline.StreamDeals)
		if err != nil {
			t.Fatal(err)
		}
		s := l.Snapshot()
		want, got = text(t, list), text(t, s.Deals)
		return s.Err == nil && s.AsOf == last && want == got
	})
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestLiveDealsAreTheListAfterEveryMessage(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	l := alive(t, d)
	stocked(t, d)
	equals(t, d, l, "deals that stand in every way")
	good := d.ASINs(keepasim.Good)
	d.Accepts(t, good[10], d.Env.Now().Truncate(time.Millisecond))
	equals(t, d, l, "a deal")
	say(t, d, good[10], pipeline.LookList, pipeline.Fail, "stale_waiting")
	equals(t, d, l, "a mark")
	say(t, d, good[10], pipeline.LookPeek, pipeline.Reject, "low_roi")
	equals(t, d, l, "a reject")
	say(t, d, good[10], pipeline.LookPeek, pipeline.Confirm, "unchanged")
	equals(t, d, l, "a confirm")
	d.PublishUnreadable(t, good[10])
	first := l.Snapshot().Deals[0]
	act := func(a action.Action) {
		t.Helper()
		a.At = d.Env.Now()
		if _, err := cli.Act(t.Context(), d.Bus, a); err != nil {
			t.Fatal(err)
		}
	}
	itself := action.Target{By: action.ByASIN, Domain: 1, Value: first.ASIN}
	act(cli.Trade(action.Action{Kind: action.Buy, Target: itself}, 9.99, "good", d.Env.Now(), 1))
	equals(t, d, l, "a purchase")
	if slices.ContainsFunc(l.Snapshot().Deals, func(x cli.Deal) bool { return x.ASIN == first.ASIN }) {
		t.Error("what was bought is still shown")
	}
	seller := l.Snapshot().Deals[0].SellerID
	act(action.Action{Kind: action.Ignore, Target: action.Target{By: action.BySeller, Value: seller}})
	equals(t, d, l, "a seller that is ignored")
	if _, err := cli.Undo(t.Context(), d.Bus, action.Action{Of: action.Buy, Target: itself, At: d.Env.Now()}); err != nil {
		t.Fatal(err)
	}
	equals(t, d, l, "an undo")
	if !strings.Contains(l.Snapshot().Source.String(), "streams") {
		t.Error(l.Snapshot().Source)
	}
}
