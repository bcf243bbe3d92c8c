package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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
		if rapid.Bool().Draw(r, "many") { // so that their verdicts are found by a scan
			for n := range 30 {
				ms = append(ms, bus.Message{
					Subject: pipeline.SubjectDeal(1, 2, fmt.Sprintf("C%07d%02d", left, n)), Schema: pipeline.SchemaDeal,
					Body: fmt.Appendf(nil, `{"domain":1,"asin":"C%07d%02d","price_type":2,"profit_cents":5,"sale_price_cents":5}`, left, n),
				})
			}
		}
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
				if name := rapid.SampledFrom([]string{pipeline.StreamDeals, pipeline.StreamVerdicts, "", "", "", ""}).Draw(r, "ages"); name != "" {
					age(t, d.Bus, name, rapid.IntRange(1, 3).Draw(r, "of the messages"))
				}
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

// age deletes the oldest messages of a stream, as their age does.
func age(t *testing.T, b *bus.Bus, name string, n int) {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), name)
	if err == nil {
		err = stream.Purge(t.Context(), jetstream.WithPurgeSequence(stream.CachedInfo().State.FirstSeq+uint64(n)))
	}
	if err != nil {
		t.Fatal(err)
	}
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
		asin, work := fmt.Sprintf("B%09d", n), fmt.Sprint("work", n)
		v := pipeline.Verdict{
			Identity: pipeline.Identity{Domain: 1, ASIN: asin, PriceType: 2}, Look: pipeline.LookCommit, Outcome: pipeline.Accept, Reason: "ok", DecidedAt: desk.T0,
		}
		m, err := bus.Encode(pipeline.SubjectVerdict(1, v.Look, v.Outcome, asin), pipeline.SchemaVerdict, "verdict:"+work, work, v)
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, m)
		ms = append(ms, bus.Message{
			Subject: pipeline.SubjectDeal(1, 2, asin), Schema: pipeline.SchemaDeal, ID: asin,
			Body: fmt.Appendf(nil, `{"domain":1,"asin":%q,"price_type":2,"profit_cents":5,"sale_price_cents":5}`, asin),
		})
	}
	if err := d.Bus.PublishAll(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if c, _, err := cli.NewVisible(d.Bus, "").Count(t.Context()); err != nil || c.Stored != deals || c.Found != deals {
		t.Fatalf("%+v, %v", c, err)
	}
	for within := time.Since(began) / 4; ; within /= 2 { // the machine may be faster than a moment ago
		v := cli.NewVisible(d.Bus, "")
		for cut := 0; ; cut++ {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			c, _, err := v.Count(ctx)
			cancel()
			switch {
			case err == nil && (c.Stored != deals || c.Found != deals):
				t.Fatalf("%+v after %d that were cut short, want %d deals", c, cut, deals)
			case err == nil && cut > 0:
				return
			case cut == 100:
				t.Fatalf("not counted after %d times %s: %v", cut, within, err)
			}
			if err == nil {
				break
			}
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
