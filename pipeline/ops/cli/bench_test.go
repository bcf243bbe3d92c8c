package cli_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/desk"
)

// BenchmarkTheStreamsListAndCount asks the streams about 3,000 deals, a third of them gone, among 100,000 verdicts.
func BenchmarkTheStreamsListAndCount(b *testing.B) {
	d := desk.New(b, desk.Soon)
	const deals, verdicts = 3000, 100_000
	var ms []bus.Message
	flush := func() {
		if err := d.Bus.PublishAll(b.Context(), ms); err != nil {
			b.Fatal(err)
		}
		ms = nil
	}
	asin := func(i int) string { return fmt.Sprintf("B%09d", i) }
	say := func(i int, look pipeline.Look, o pipeline.Outcome, n int) {
		v := pipeline.Verdict{
			Identity: pipeline.Identity{Domain: 1, ASIN: asin(i), PriceType: 2}, Look: look, Outcome: o, Reason: "r",
			DecidedAt: desk.T0.Add(time.Duration(n) * time.Second), Inputs: map[string]any{"used_cents": 1000, "sale_price_cents": 4000},
		}
		body, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		work := fmt.Sprint("w", n)
		ms = append(ms, bus.Message{Subject: pipeline.SubjectVerdict(1, look, o, v.ASIN), Schema: pipeline.SchemaVerdict, ID: v.ID(pipeline.RunLive, work), WorkID: work, Body: body})
	}
	for i := range deals {
		ms = append(ms, bus.Message{
			Subject: pipeline.SubjectDeal(1, 2, asin(i)), Schema: pipeline.SchemaDeal, ID: fmt.Sprint("deal", i), WorkID: "w",
			Body: fmt.Appendf(nil, `{"domain":1,"asin":%q,"price_type":2,"profit_cents":5,"sale_price_cents":5,"title":"%0200d"}`, asin(i), i),
		})
		say(i, pipeline.LookCommit, pipeline.Accept, i)
		if len(ms) >= 500 {
			flush()
		}
	}
	for n := deals; n < verdicts; n++ {
		switch of := n % 50; {
		case of == 0:
			say(n/50%deals, pipeline.LookPeek, pipeline.Confirm, n)
		case of == 1 && n/50%3 == 0:
			say(n/50%deals, pipeline.LookPeek, pipeline.Reject, n)
		default:
			say(deals+n, pipeline.LookGlance, pipeline.Reject, n)
		}
		if len(ms) >= 500 {
			flush()
		}
	}
	flush()
	v := cli.NewVisible(d.Bus, "")
	for b.Loop() {
		if c, _, err := v.Count(b.Context()); err != nil || c.Stored != deals {
			b.Fatal(c, err)
		}
	}
}
