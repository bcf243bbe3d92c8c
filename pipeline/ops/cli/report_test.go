package cli_test

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// Over captured answers most products are made up around a row. Decisions on them are counted, and what they seem
// to earn is not a deal.
func TestTheReportOverCapturedAnswersTellsCapturedProductsFromMadeOnes(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:3]
	for _, asin := range good {
		d.Accepts(t, asin, d.Env.Now())
	}
	say(t, d, d.ASINs(keepasim.AmazonCaps)[0], pipeline.LookGlance, pipeline.Reject, "amazon_caps_sale")
	v := cli.NewVisible(d.Bus, "")
	defer v.Close()
	var out bytes.Buffer
	made := func(asin string) bool { return slices.Contains(good[1:], asin) }
	desk.Await(t, "three visible deals", func() bool {
		deals, _, err := v.List(t.Context(), time.Time{})
		return err == nil && len(deals) == 3
	})
	if err := cli.Report(t.Context(), d.Bus, v, made, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`row alone +1\n`, `a captured product +1\n`, `made from a row +2 .*2 were accepted and are no deals`, `captured products: 1 visible`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	_, deals, _ := strings.Cut(out.String(), "Deals on captured")
	for i, asin := range good {
		if listed := strings.Contains(deals, asin); listed != (i == 0) {
			t.Errorf("deal %d of three is listed: %t\n%s", i, listed, deals)
		}
	}
}

// TestAQuestionAboutAnHourReadsNoOlderMessages counts what the server delivers.
func TestAQuestionAboutAnHourReadsNoOlderMessages(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	var all []bus.Message
	for i := range 500 {
		v := pipeline.Verdict{Identity: pipeline.Identity{Domain: 1, ASIN: fmt.Sprintf("B%09d", i)}, Look: pipeline.LookPeek, Outcome: pipeline.Reject, Reason: "no_profit", DecidedAt: d.Env.Now()}
		all = append(all, messages.Verdict(pipeline.RunLive, fmt.Sprint("w", i), "CANDIDATES/1", v))
	}
	if err := d.Bus.PublishAll(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	delivered := func(since time.Time) uint64 {
		before := d.Bus.NC.Stats().InMsgs
		if _, err := cli.ReadHistory(t.Context(), d.Bus, func(time.Time) time.Time { return since }); err != nil {
			t.Fatal(err)
		}
		return d.Bus.NC.Stats().InMsgs - before
	}
	if n := delivered(time.Now().Add(-time.Minute)); n < 500 {
		t.Errorf("%d messages are delivered for all that was stored, want 500", n)
	}
	if n := delivered(time.Now().Add(2 * time.Hour)); n >= 500 {
		t.Errorf("%d messages are delivered for a time in which none was stored", n)
	}
}
