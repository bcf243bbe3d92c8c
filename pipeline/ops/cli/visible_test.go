package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// say publishes a live verdict of its own work about a deal, for a reason.
func say(t *testing.T, d *desk.Desk, asin string, look pipeline.Look, o pipeline.Outcome, reason string) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceRefresh, pipeline.Generation(fmt.Sprint(look, o, reason, d.Env.Now().UnixNano())))
	v := pipeline.Verdict{Identity: w.Survivor.Identity, Look: look, Outcome: o, Reason: reason, DecidedAt: d.Env.Now().Truncate(time.Millisecond)}
	if _, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, w.ID, "", v)); err != nil {
		t.Fatal(err)
	}
}

// versioned publishes a version of a book's deal with exactly these members.
func versioned(t *testing.T, d *desk.Desk, asin string, members map[string]any) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	members["domain"], members["asin"], members["price_type"] = 1, asin, w.Survivor.PriceType
	m, err := bus.Encode(pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), pipeline.SchemaDeal, fmt.Sprint("deal:", asin, len(members)), w.ID, members)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bus.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// stocked publishes deals that stand in every way there is; visible are those shown.
func stocked(t *testing.T, d *desk.Desk) (visible []string, want visibility.Counts) {
	t.Helper()
	good := d.ASINs(keepasim.Good)[:10]
	d.Accepts(t, good[9], d.Env.Now().Truncate(time.Millisecond))
	ignored := action.Action{Kind: action.Ignore, Target: action.Target{By: action.ByASIN, Domain: 1, Value: good[9]}, At: d.Env.Now()}
	if isNew, err := cli.Act(t.Context(), d.Bus, ignored); err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	for _, asin := range good[:8] {
		d.Accepts(t, asin, d.Env.Now().Truncate(time.Millisecond))
	}
	takenBack := ignored
	takenBack.Value = good[0]
	if isNew, err := cli.Act(t.Context(), d.Bus, takenBack); err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	takenBack.Of = action.Ignore
	if done, err := cli.Undo(t.Context(), d.Bus, takenBack); err != nil || !done {
		t.Fatal(done, err)
	}
	say(t, d, good[1], pipeline.LookList, pipeline.Fail, "stale_waiting")
	say(t, d, good[2], pipeline.LookList, pipeline.Fail, "stale_over_capacity")
	say(t, d, good[2], pipeline.LookList, pipeline.Reject, "expired_over_capacity")
	say(t, d, good[3], pipeline.LookPeek, pipeline.Reject, "low_roi")
	say(t, d, good[4], pipeline.LookGlance, pipeline.Reject, "no_used_price")
	say(t, d, good[4], pipeline.LookPeek, pipeline.Confirm, "unchanged")
	judged(t, d, good[5], "lax", pipeline.LookPeek, pipeline.Reject)
	versioned(t, d, good[6], map[string]any{"profit_cents": 0})
	versioned(t, d, good[7], map[string]any{"title": "Another title", "rank": nil, "response_ids": []string{}}) // a partial refresh
	versioned(t, d, good[8], map[string]any{"profit_cents": 900, "list_price_cents": 5000})                     // of an earlier estimate
	return []string{good[0], good[1], good[4], good[5], good[7]}, visibility.Counts{Found: 9, Stored: 10, Visible: 5, Stale: 1, Expired: 2, Invalid: 2, SetAside: 1}
}

func TestListCountStatusReportAndSummaryAgreeInClickHouseAndInTheStreams(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	dsn := chtest.Database(t)
	d.Run(t, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn, "RECORDER_FLUSH": "200ms"})
	d.Grant(t, pipeline.StagePeeker, 0) // the status wants a pipeline that has run
	asins, want := stocked(t, d)

	var texts []string
	for _, address := range []string{dsn, ""} {
		v := cli.NewVisible(d.Bus, address)
		v.Patience, v.Within = 10*time.Minute, 5*time.Minute // whatever else the machine does
		defer v.Close()
		// What was decided a moment ago is in every answer.
		deals, from, err := v.List(t.Context(), time.Time{})
		if err != nil || (address != "") != (from.From == "clickhouse") {
			t.Fatalf("listed %s: %v", from, err)
		}
		var listed []string
		for _, deal := range deals {
			listed = append(listed, deal.ASIN)
		}
		if got, all := sorted(listed), sorted(asins); got != all {
			t.Errorf("listed %s: %s, want %s", from, got, all)
		}
		counts, from, err := v.Count(t.Context())
		if err != nil || counts != want {
			t.Errorf("counted %s: %+v, %v; want %+v", from, counts, err, want)
		}
		checkStatus(t, d, v, want)
		checkSummary(t, d, v, want)
		raw, err := json.Marshal(deals)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(raw))
		if text, err := v.Examine(t.Context()); err != nil || !strings.Contains(text, "9 found, 10 stored, 5 visible, 1 of them stale; 2 expired, 2 invalid and 1 that you bought or ignored are hidden (from ") {
			t.Errorf("the doctor prints %s, %v", text, err)
		}
	}
	if texts[0] != texts[1] {
		t.Errorf("ClickHouse lists\n%s\nthe streams list\n%s", texts[0], texts[1])
	}
	w, err := warehouse.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a, err := w.Ask(t.Context(), "deal-counts", map[string]string{"since": "2026-01-01 00:00:00"})
	if err != nil || fmt.Sprint(a.Rows[0][:4]) != fmt.Sprint([]any{1, 9, 10, 5}) {
		t.Errorf("deal-counts shows %v, %v", a, err)
	}
	if a, err = w.Ask(t.Context(), "deals", map[string]string{"since": "2026-01-01 00:00:00"}); err != nil || len(a.Rows) != want.Visible {
		t.Errorf("the question deals lists %v, %v", a, err)
	}
}

func checkStatus(t *testing.T, d *desk.Desk, v *cli.Visible, want visibility.Counts) {
	t.Helper()
	s, err := cli.ReadStatus(t.Context(), d.Bus)
	if err != nil {
		t.Fatal(err)
	}
	s.Count(t.Context(), v)
	var out bytes.Buffer
	if err := s.Write(&out); err != nil || s.Deals == nil || s.Deals.Counts != want || !strings.Contains(out.String(), "Deals: 9 found, 10 stored, 5 visible, 1 of them stale;") {
		t.Errorf("the status shows %+v, %v\n%s", s.Deals, err, out.String())
	}
}

func checkSummary(t *testing.T, d *desk.Desk, v *cli.Visible, want visibility.Counts) {
	t.Helper()
	var out bytes.Buffer
	done := make(chan struct{})
	close(done)
	cli.NewSummary(d.Bus, d.Env, v, &out).Run(t.Context(), done)
	if !strings.Contains(out.String(), fmt.Sprintf("visible %d", want.Visible)) {
		t.Errorf("the summary shows %s", out.String())
	}
	out.Reset()
	if err := cli.Report(t.Context(), d.Bus, v, nil, &out); err != nil || !strings.Contains(out.String(), "Deals: 9 found, 10 stored, 5 visible (from ") {
		t.Errorf("the report shows %v\n%s", err, out.String())
	}
}

func sorted(asins []string) string {
	asins = slices.Clone(asins)
	slices.Sort(asins)
	return fmt.Sprint(asins)
}

func TestTheStreamsAnswerWithTheReasonWhenClickHouseCannot(t *testing.T) {
	t.Parallel()
	d, other := desk.New(t, desk.Soon), desk.New(t, desk.Soon)
	d.Accepted(t, d.ASINs(keepasim.Good)[0])
	empty, full := chtest.Database(t), chtest.Database(t)
	stop := other.Run(t, recorder.Run, map[string]string{"CLICKHOUSE_URL": full, "RECORDER_FLUSH": "50ms"})
	other.Accepted(t, other.ASINs(keepasim.Good)[0])
	other.Accepted(t, other.ASINs(keepasim.Good)[1])
	asked := func(d *desk.Desk, address, because string) {
		t.Helper()
		v := cli.NewVisible(d.Bus, address)
		defer v.Close()
		v.Patience = 300 * time.Millisecond
		deals, from, err := v.List(t.Context(), time.Time{})
		if err != nil || from.From != "streams" || !strings.Contains(from.Because, because) {
			t.Errorf("%q: %s, %v; want the streams because of %q", address, from, err, because)
		}
		if counts, _, err := v.Count(t.Context()); err != nil || counts.Visible != len(deals) || len(deals) == 0 {
			t.Errorf("%q: %+v for %d deals, %v", address, counts, len(deals), err)
		}
	}
	asked(d, "none", "there is no ClickHouse")
	asked(d, "http://127.0.0.1:9", "connection refused")
	asked(d, "nonsense", "not a URL")
	asked(d, empty, "ClickHouse is 1 messages behind DEALS")
	v := cli.NewVisible(other.Bus, full)
	defer v.Close()
	desk.Await(t, "everything is recorded", func() bool {
		_, from, err := v.List(t.Context(), time.Time{})
		return err == nil && from.From == "clickhouse"
	})
	// The recorder of these streams has stored all there is, elsewhere.
	asked(other, empty, "no tables yet")
	w, err := warehouse.Open(t.Context(), empty)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked(other, empty, "ClickHouse holds 0 deals and the streams 2")
	body := []byte(`{"domain":1,"asin":"B000000000","price_type":2}`)
	foreign, err := visibility.ReadVersion(pipeline.Stored{
		Sequence: 1, StoredAt: desk.T0, Body: body, Header: map[string][]string{pipeline.HeaderSchema: {pipeline.SchemaDeal}},
	})
	if err != nil {
		t.Fatal(err)
	}
	row := warehouse.DealOf(warehouse.Origin{Stream: pipeline.StreamDeals, Epoch: 1_700_000_000}, foreign, body)
	if err := w.InsertDeals(t.Context(), []warehouse.DealRow{row}, "foreign"); err != nil {
		t.Fatal(err)
	}
	asked(other, empty, "the deals of other streams")
	stop()
	other.Accepted(t, other.ASINs(keepasim.Good)[2])
	asked(other, full, "ClickHouse is 1 messages behind DEALS")
}
