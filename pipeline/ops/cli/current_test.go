package cli_test

import (
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// TestADealThatWasDeliveredIsCurrentWhereTheStreamLacksItStill: in a cluster one server delivers a message, and another
// one that is a moment behind is read.
func TestADealThatWasDeliveredIsCurrentWhereTheStreamLacksItStill(t *testing.T) {
	t.Parallel()
	ahead, behind := desk.New(t, 1), desk.New(t, 1)
	good := ahead.ASINs(keepasim.Good)[0]
	ahead.Accepted(t, good)
	var delivered pipeline.Stored
	if err := ahead.Bus.Scan(t.Context(), pipeline.StreamDeals, bus.From{}, func(r bus.Read) error { delivered = r.Stored(); return nil }); err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*desk.Desk{"ahead": ahead, "behind": behind} {
		c, err := cli.CurrentOf(t.Context(), d.Bus, delivered)
		if err != nil || !c.Visible || c.ASIN != good {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if c, err := cli.CurrentOn(t.Context(), behind.Bus, delivered.Subject); err != nil || c.Visible || c.Awaits {
		t.Errorf("not delivered: %+v, %v", c, err)
	}
}
