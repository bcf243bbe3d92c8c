package watermarker_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/watermarker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

func TestAppliedQueriesAreReadWithoutARestartAndThoseLeftOutAreSetAside(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 20)
	d.Grant(t, pipeline.StageWatermarker, credit)
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketConfig)
	if err != nil {
		t.Fatal(err)
	}
	marks, err := d.Bus.Store(t.Context(), pipeline.BucketWatermarks)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(version int, names ...string) {
		t.Helper()
		a := pipeline.AppliedQueries{Version: version, Queries: []pipeline.AppliedQuery{}}
		for _, name := range names {
			a.Queries = append(a.Queries, pipeline.AppliedQuery{Name: name, Query: schemas.UsedBooksQuery})
		}
		body, err := json.Marshal(a)
		if err == nil {
			_, err = kv.Put(t.Context(), pipeline.KeyQueries, body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	state := func(name string) (s watermark.State) {
		t.Helper()
		raw, _, err := bus.NewCell(marks, pipeline.KeyWatermark(1, name)).Read(t.Context())
		if err == nil && raw != nil {
			err = json.Unmarshal(raw, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	read := func(name string) bool { s := state(name); return s.Mark > 0 && s.Read == nil && !s.NextPoll.IsZero() }
	aside := func(name string) bool { s := state(name); return s.NextPoll.IsZero() && s.Why == watermark.Retired }

	stop := d.Run(t, watermarker.Run, map[string]string{"QUERIES": queries(t, "first", "second")})
	desk.Await(t, "the queries of QUERIES to be read", func() bool { return read("first") && read("second") })
	was, second := state("first"), state("second")
	apply(1, "first", "third")
	desk.Await(t, "the new one to be due and the removed one to be set aside", func() bool {
		return !state("third").NextPoll.IsZero() && aside("second")
	})
	if is := state("first"); is.Mark < was.Mark || is.LastSweep != was.LastSweep || is.Query != was.Query {
		t.Errorf("the query that stays does not go on: %+v, was %+v", is, was)
	}
	if is := state("second"); is.Mark != second.Mark || is.Query != second.Query || !is.LastSweep.Equal(second.LastSweep) {
		t.Errorf("a query that was set aside lost its watermark: %+v, was %+v", is, second)
	}

	// What cannot be read, or what the rules may not decide, leaves those that were read last.
	for version, text := range map[int]string{
		2: `not JSON`, 3: `{"version":3,"queries":[{"name":"Bad Name","query":{}}]}`,
		4: `{"version":4,"queries":[{"name":"german","query":` + strings.Replace(string(schemas.UsedBooksQuery), `"domainId": 1`, `"domainId": 3`, 1) + `}]}`,
	} {
		if _, err := kv.Put(t.Context(), pipeline.KeyQueries, []byte(text)); err != nil {
			t.Fatal(err)
		}
		desk.Await(t, "the refusal to be reported", func() bool { return beat(t, d).Refused != "" })
		if q := beat(t, d); q.Version != 1 || !slices.Equal(names(q.Queries), []string{"first", "third"}) {
			t.Errorf("version %d left %+v current", version, q)
		}
		apply(1, "first", "third")
		desk.Await(t, "the refusal to be over", func() bool { return beat(t, d).Refused == "" })
	}
	stop()

	// A restart takes what was applied, and a query that returns continues.
	apply(5, "second")
	d.Run(t, watermarker.Run, map[string]string{"QUERIES": queries(t, "first")})
	desk.Await(t, "the one that came back to be due and the others to be set aside", func() bool {
		return !state("second").NextPoll.IsZero() && aside("first") && aside("third")
	})
	if is := state("second"); is.Mark < second.Mark || is.LastSweep.Before(second.LastSweep) {
		t.Errorf("the query that was applied again began again: %+v, was %+v", is, second)
	}
	apply(6)
	desk.Await(t, "its own to be read again", func() bool { return aside("second") && !state("first").NextPoll.IsZero() })
}

// beat returns the current queries in the watermarker's heartbeat, once it answers.
func beat(t *testing.T, d *desk.Desk) (q pipeline.CurrentQueries) {
	t.Helper()
	desk.Await(t, "the watermarker to answer", func() bool {
		beats := d.Bus.AskAll(t.Context(), []string{"watermarker"}, 50*time.Millisecond)
		if len(beats) == 0 {
			return false
		}
		var h pipeline.Heartbeat
		if err := json.Unmarshal(beats[0], &h); err != nil || h.Queries == nil {
			t.Fatalf("%s, %v", beats[0], err)
		}
		q = *h.Queries
		return true
	})
	return q
}

// names are those of NAME@VERSION.
func names(ids []string) []string {
	var out []string
	for _, id := range ids {
		name, _, _ := strings.Cut(id, "@")
		out = append(out, name)
	}
	return out
}
