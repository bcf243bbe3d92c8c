package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/desk"
)

// TestWhatIsReadOfTheStreamsIsAllThatDecides publishes random versions and verdicts on a real NATS: of several price
// types, of replays that stand in front of live ones, some published again, some unreadable. Of the verdicts only a
// few are read; they must say what all of them say.
func TestWhatIsReadOfTheStreamsIsAllThatDecides(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	left := 100
	if testing.Short() {
		left = 20
	}
	rapid.Check(t, func(r *rapid.T) {
		if left--; left < 0 {
			return
		}
		for _, name := range []string{pipeline.StreamDeals, pipeline.StreamVerdicts} {
			stream, err := d.Bus.JS.Stream(t.Context(), name)
			if err == nil {
				err = stream.Purge(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var ms []bus.Message
		noisy := noise{rapid.Bool().Draw(r, "price types"), rapid.Bool().Draw(r, "replays"), rapid.Bool().Draw(r, "broken")}
		for i := range rapid.IntRange(1, 40).Draw(r, "messages") {
			ms = append(ms, drawMessage(r, left, noisy, desk.T0.Add(time.Duration(i)*time.Minute)))
		}
		v := cli.NewVisible(d.Bus, "")
		before := rapid.IntRange(0, len(ms)).Draw(r, "counted before") // what was read then is kept, and read on
		for i, m := range ms {
			m.ID = fmt.Sprint(left, "/", i)
			if _, err := d.Bus.Publish(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if i == before {
				if _, _, err := v.Count(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if i > before {
				cutShort(t, v, time.Duration(rapid.IntRange(0, 5000).Draw(r, "cut after µs"))*time.Microsecond)
			}
		}
		all := readCompletely(t, d)
		counts, _, err := v.Count(t.Context())
		if want := visibility.Count(all.States()); err != nil || counts != want {
			r.Errorf("counted %+v, %v; all messages give %+v", counts, err, want)
		}
		deals, _, err := v.List(t.Context(), time.Time{})
		listed, want := map[string]string{}, map[string]string{}
		for _, deal := range deals {
			listed[fmt.Sprint(deal.Domain, deal.ASIN, deal.PriceType)] = deal.Stale
		}
		for _, s := range all.Visible(time.Time{}) {
			want[fmt.Sprint(s.Domain, s.ASIN, s.PriceType)] = s.StaleBecause
		}
		if err != nil || fmt.Sprint(listed) != fmt.Sprint(want) {
			r.Errorf("listed %v, %v; all messages give %v", listed, err, want)
		}
	})
}

// cutShort counts and lists for a moment, which may be too short.
func cutShort(t *testing.T, v *cli.Visible, moment time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), moment)
	defer cancel()
	_, _, _ = v.Count(ctx)
	_, _, _ = v.List(ctx, time.Time{})
}

// TestACountThatIsCutShortContinuesWhereItWas counts in a quarter of the time that reading takes, again and again.
func TestACountThatIsCutShortContinuesWhereItWas(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("stores thousands of deals")
	}
	const deals = 5000
	d := desk.New(t, desk.Soon)
	var ms []bus.Message
	for n := range deals {
		asin := fmt.Sprintf("B%09d", n)
		ms = append(ms, bus.Message{
			Subject: pipeline.SubjectDeal(1, 2, asin), Schema: pipeline.SchemaDeal, ID: asin,
			Body: fmt.Appendf(nil, `{"domain":1,"asin":%q,"price_type":2,"profit_cents":5,"sale_price_cents":5}`, asin),
		})
	}
	if err := d.Bus.PublishAll(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if c, _, err := cli.NewVisible(d.Bus, "").Count(t.Context()); err != nil || c.Stored != deals {
		t.Fatalf("%+v, %v", c, err)
	}
	whole, v := time.Since(began), cli.NewVisible(d.Bus, "")
	for cut := 0; ; cut++ {
		ctx, cancel := context.WithTimeout(t.Context(), whole/4)
		c, _, err := v.Count(ctx)
		cancel()
		if err == nil {
			if c.Stored != deals || cut == 0 {
				t.Errorf("%+v after %d that were cut short, want %d deals", c, cut, deals)
			}
			return
		}
		if cut == 100 {
			t.Fatalf("not counted after %d times a quarter of the time: %v", cut, err)
		}
	}
}

// noise is what a round has beside verdicts about one price type.
type noise struct{ priceTypes, replays, broken bool }

// drawMessage is a version or a verdict about one of a few deals; every round has deals of its own.
func drawMessage(r *rapid.T, round int, n noise, at time.Time) bus.Message {
	one := func(of int, label string) bool { return rapid.IntRange(1, of).Draw(r, label) == 1 }
	asin, priceType := fmt.Sprintf("B%07d%02d", round, rapid.IntRange(0, 2).Draw(r, "asin")), 2
	if n.priceTypes && one(3, "other price type") {
		priceType = 0
	}
	broken := n.broken && one(8, "broken")
	if one(5, "deal") {
		m := bus.Message{Subject: pipeline.SubjectDeal(1, priceType, asin), Schema: pipeline.SchemaDeal}
		m.Body = fmt.Appendf(nil, `{"domain":1,"asin":%q,"price_type":%d,"profit_cents":%d,"sale_price_cents":5}`,
			asin, priceType, rapid.SampledFrom([]int{5, 5, 5, 5, 0}).Draw(r, "profit"))
		if broken {
			m.Body = []byte(`{"domain":1`)
		}
		return m
	}
	v := pipeline.Verdict{Identity: pipeline.Identity{Domain: 1, ASIN: asin, PriceType: priceType}, Reason: "other", DecidedAt: at}
	work := fmt.Sprint(asin, priceType, rapid.IntRange(0, 2).Draw(r, "work"))
	if one(2, "the refresher's") {
		v.Look, v.Outcome = pipeline.LookList, rapid.SampledFrom([]pipeline.Outcome{pipeline.Fail, pipeline.Fail, pipeline.Fail, pipeline.Reject}).Draw(r, "refresher")
		v.Reason = rapid.SampledFrom([]string{"stale_waiting", "stale_paused", "other"}).Draw(r, "reason")
		work += v.Reason + string(v.Outcome) // as the refresher makes it
	} else {
		v.Look = rapid.SampledFrom([]pipeline.Look{pipeline.LookPeek, pipeline.LookPeek, pipeline.LookCommit}).Draw(r, "look")
		v.Outcome = rapid.SampledFrom([]pipeline.Outcome{pipeline.Accept, pipeline.Confirm, pipeline.Reject, pipeline.Survive}).Draw(r, "outcome")
	}
	m := bus.Message{Subject: pipeline.SubjectVerdict(1, v.Look, v.Outcome, asin), Schema: pipeline.SchemaVerdict, WorkID: work}
	m.Body, _ = json.Marshal(v) // of strings and numbers
	if broken {
		m.Schema = "verdict.v0"
	}
	if n.replays && one(3, "replay") {
		m.Run = "lax"
	}
	return m
}

// readCompletely returns a book with every message of the streams.
func readCompletely(t *testing.T, d *desk.Desk) *visibility.Fold {
	t.Helper()
	var book visibility.Fold
	scan := func(stream string, apply func(pipeline.Stored)) {
		t.Helper()
		if err := d.Bus.Scan(t.Context(), stream, bus.From{}, func(r bus.Read) error { apply(r.Stored()); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	scan(pipeline.StreamDeals, func(m pipeline.Stored) {
		if v, err := visibility.ReadVersion(m); err == nil {
			book.Version(v)
		}
	})
	scan(pipeline.StreamVerdicts, func(m pipeline.Stored) {
		if v, err := visibility.ReadVerdict(m); err == nil {
			book.Verdict(v)
		}
	})
	return &book
}
