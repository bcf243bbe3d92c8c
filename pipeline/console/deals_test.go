package console_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/console"
	"ratchet/pipeline/keepasim"
	"ratchet/pipeline/post"
	"ratchet/test/desk"
)

// judged publishes a verdict about a deal.
func judged(t *testing.T, d *desk.Desk, asin, run string, look pipeline.Look, o pipeline.Outcome) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceRefresh, pipeline.RefreshGeneration(d.Env.Now()))
	v := pipeline.Verdict{Identity: w.Survivor.Identity, Look: look, Outcome: o, Reason: "test", DecidedAt: d.Env.Now()}
	if _, err := d.Bus.Publish(t.Context(), post.Verdict(run, w.ID+run+string(look)+string(o), "", v)); err != nil {
		t.Fatal(err)
	}
}

// shown are the ASINs of the visible deals, sorted.
func shown(t *testing.T, d *desk.Desk) []string {
	t.Helper()
	deals, err := console.Deals(t.Context(), d.Bus, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var asins []string
	for _, deal := range deals {
		asins = append(asins, deal.ASIN)
	}
	slices.Sort(asins)
	return asins
}

func TestADealThatALaterLookRejectedIsHidden(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	good := d.ASINs(keepasim.Good)[:5]
	for _, asin := range good {
		d.Accepted(t, asin)
		judged(t, d, asin, pipeline.RunLive, pipeline.LookCommit, pipeline.Accept)
	}
	judged(t, d, good[0], pipeline.RunLive, pipeline.LookPeek, pipeline.Reject)
	judged(t, d, good[1], "a-replay", pipeline.LookPeek, pipeline.Reject)       // hides nothing
	judged(t, d, good[2], pipeline.RunLive, pipeline.LookGlance, pipeline.Shed) // says nothing
	judged(t, d, good[3], pipeline.RunLive, pipeline.LookPeek, pipeline.Reject)
	judged(t, d, good[3], pipeline.RunLive, pipeline.LookPeek, pipeline.Confirm)
	judged(t, d, good[4], pipeline.RunLive, pipeline.LookGlance, pipeline.Reject)
	judged(t, d, good[4], "a-replay", pipeline.LookGlance, pipeline.Reject) // stands in front of the live one
	if got := shown(t, d); !slices.Equal(got, good[1:4]) {
		t.Errorf("shown are %v, want %v", got, good[1:4])
	}
}

func TestADealSaysWhatItRestsOnInEveryFormat(t *testing.T) {
	t.Parallel()
	d, asins := worked(t, keepasim.Good)
	asin := asins[keepasim.Good]
	deals, err := console.Deals(t.Context(), d.Bus, time.Time{})
	if err != nil || len(deals) != 1 {
		t.Fatalf("%d deals, %v", len(deals), err)
	}
	deal := deals[0]
	if deal.ASIN != asin || deal.RuleSet != builtIn(t).Version() || deal.Tokens != d.Spent(t) || len(deal.ResponseIDs) < 2 ||
		deal.SaleCount == nil || *deal.SaleCount == 0 || deal.Triggers == nil || deal.WorkID == "" || deal.Source != pipeline.SourceLive ||
		deal.URL != "https://www.amazon.com/dp/"+asin || deal.ExpectedCents == nil {
		t.Errorf("got %+v, %d tokens spent", deal, d.Spent(t))
	}
	for format, check := range map[string]func(string) bool{
		"table": func(s string) bool { return strings.Contains(s, "SALES") && strings.Contains(s, deal.URL) },
		"json": func(s string) bool {
			var again []console.Deal
			return json.Unmarshal([]byte(s), &again) == nil && len(again) == 1 && again[0].RuleSet == deal.RuleSet && slices.Equal(again[0].ResponseIDs, deal.ResponseIDs)
		},
		"csv": func(s string) bool {
			rows, err := csv.NewReader(strings.NewReader(s)).ReadAll()
			return err == nil && len(rows) == 2 && slices.Contains(rows[0], "rule_set") && slices.Contains(rows[1], strings.Join(deal.ResponseIDs, " "))
		},
	} {
		var out bytes.Buffer
		if err := console.WriteDeals(&out, deals, format); err != nil || !check(out.String()) {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
	for format, want := range map[string]string{"json": "[]\n", "table": "No deals yet"} {
		var out bytes.Buffer
		if err := console.WriteDeals(&out, nil, format); err != nil || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s without deals: %q, %v", format, out.String(), err)
		}
	}
}

func TestFollowingShowsEachDealOnceAndEndsCleanly(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	good := d.ASINs(keepasim.Good)
	d.Accepted(t, good[0])
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := console.Follow(ctx, d.Bus, time.Time{}, "json", write)
		_ = write.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(read)
	next := func() string {
		if !lines.Scan() {
			return "the end"
		}
		var deal console.Deal
		if err := json.Unmarshal(lines.Bytes(), &deal); err != nil {
			t.Error(err)
		}
		return deal.ASIN
	}
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
	cancel()
	if got := next(); got != "the end" {
		t.Errorf("after the end: %s", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}
