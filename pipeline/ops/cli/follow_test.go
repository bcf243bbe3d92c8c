package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// follow follows the visible deals: next is the next that is shown, end stops it.
func follow(t *testing.T, v *cli.Visible) (next func() string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := v.Follow(ctx, time.Time{}, cli.Show{Format: "json"}, write, func(cli.Source) {})
		_ = write.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(read)
	next = func() string {
		if !lines.Scan() {
			return "the end"
		}
		var deal cli.Deal
		if err := json.Unmarshal(lines.Bytes(), &deal); err != nil {
			t.Error(err)
		}
		return deal.ASIN
	}
	return next, func() {
		t.Helper()
		cancel()
		if got := next(); got != "the end" {
			t.Errorf("after the end: %s", got)
		}
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
}

// refound publishes a further version of a book's deal under other work, whose price
// began so many minutes later.
func refound(t *testing.T, d *desk.Desk, asin, work string, later int64) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	w.Survivor.CreationDate += later
	r := decide.Commit(desk.BuiltIn(t), w, decide.Answer{ID: "1", Key: asin, Body: d.Product(t, asin, true)}, nil, 6, d.Env.Now())
	var deal map[string]any
	if err := json.Unmarshal(r.Verdict.Deal, &deal); err != nil {
		t.Fatal(err)
	}
	deal["creation_date"] = w.Survivor.CreationDate
	m, err := bus.Encode(pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), pipeline.SchemaDeal, "deal:"+asin+work, asin+work, deal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bus.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestFollowingShowsEachDealOnceAndEndsCleanly(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	good := d.ASINs(keepasim.Good)
	d.Accepted(t, good[0])
	next, end := follow(t, cli.NewVisible(d.Bus, ""))
	if got := next(); got != good[0] {
		t.Errorf("first %s, want what is there: %s", got, good[0])
	}
	refound(t, d, good[0], "again", 0) // a refresh that finds it again
	d.Accepted(t, good[1])
	if got := next(); got != good[1] {
		t.Errorf("then %s, want the new one: %s", got, good[1])
	}
	refound(t, d, good[0], "cheaper", 60) // a new price
	if got := next(); got != good[0] {
		t.Errorf("then %s, want the one with a new price: %s", got, good[0])
	}
	end()
}

// reaccept publishes in turn that a hidden book is a deal at a later price: the deal,
// and with accepted the verdict that makes it visible.
func reaccept(t *testing.T, d *desk.Desk, asin string) (accepted func()) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	w.Survivor.CreationDate += 60
	w.Row.CreationDate += 60
	w.ID = w.Survivor.Identity.WorkID(pipeline.FirstGeneration)
	v := decide.Commit(desk.BuiltIn(t), w, decide.Answer{ID: "1", Key: asin, Body: d.Product(t, asin, true)}, nil, 6, d.Env.Now().Truncate(time.Millisecond)).Verdict
	publish := func(m bus.Message) {
		t.Helper()
		if _, err := d.Bus.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	publish(messages.Deal(w.ID, v))
	return func() { publish(messages.Verdict(pipeline.RunLive, w.ID, "", v)) }
}

func TestADealThatWasHiddenIsShownOnceTheVerdictThatAcceptsItIsThere(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)
	d.Accepts(t, good[0], d.Env.Now().Truncate(time.Millisecond))
	say(t, d, good[0], pipeline.LookList, pipeline.Reject, "expired_over_capacity")
	next, end := follow(t, cli.NewVisible(d.Bus, ""))
	accepted := reaccept(t, d, good[0])
	d.Accepted(t, good[1]) // what is visible at once overtakes it
	if got := next(); got != good[1] {
		t.Errorf("first %s, want %s", got, good[1])
	}
	accepted()
	if got := next(); got != good[0] {
		t.Errorf("then %s, want %s", got, good[0])
	}
	end()
}

func TestFollowingClickHouseMissesAndDoublesNothingWhileDealsComeIn(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	dsn := chtest.Database(t)
	d.Run(t, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn, "RECORDER_FLUSH": "300ms"})
	good := d.ASINs(keepasim.Good)
	for _, asin := range good[:5] {
		d.Accepts(t, asin, d.Env.Now().Truncate(time.Millisecond))
	}
	v := cli.NewVisible(d.Bus, dsn)
	defer v.Close()
	desk.Await(t, "ClickHouse answers", func() bool {
		_, from, err := v.Count(t.Context())
		return err == nil && from.From == "clickhouse"
	})
	published := make(chan struct{})
	go func() {
		defer close(published)
		for _, asin := range good[5:] {
			d.Accepts(t, asin, d.Env.Now().Truncate(time.Millisecond))
		}
	}()
	next, end := follow(t, v)
	shown := map[string]int{}
	for range good {
		shown[next()]++
	}
	<-published
	end() // fails on a deal that is shown twice
	if got := slices.Sorted(maps.Keys(shown)); !slices.Equal(got, good) {
		t.Errorf("shown %v, want %v", shown, good)
	}
}
