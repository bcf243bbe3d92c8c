package cli_test

import (
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/desk"
)

// TestAReaderOfAnEmptyStreamReadsItsFirstVerdict counts before VERDICTS has a message, and again after.
func TestAReaderOfAnEmptyStreamReadsItsFirstVerdict(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	const asin = "B000000001"
	publish := func(m bus.Message) {
		if _, err := d.Bus.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	publish(bus.Message{
		Subject: pipeline.SubjectDeal(1, 2, asin), Schema: pipeline.SchemaDeal, ID: "deal",
		Body: []byte(`{"domain":1,"asin":"` + asin + `","price_type":2,"profit_cents":5,"sale_price_cents":5}`),
	})
	v := cli.NewVisible(d.Bus, "")
	if counts, _, err := v.Count(t.Context()); err != nil || counts.Visible != 1 {
		t.Fatalf("at first: %+v, %v", counts, err)
	}
	publish(bus.Message{
		Subject: pipeline.SubjectVerdict(1, pipeline.LookCommit, pipeline.Reject, asin), Schema: pipeline.SchemaVerdict, ID: "verdict", WorkID: "later",
		Body: []byte(`{"domain":1,"asin":"` + asin + `","price_type":2,"look":"commit","outcome":"reject","reason":"other","decided_at":"2026-01-01T00:00:00Z"}`),
	})
	if counts, _, err := v.Count(t.Context()); err != nil || counts.Visible != 0 {
		t.Errorf("after the reject: %+v, %v", counts, err)
	}
}
