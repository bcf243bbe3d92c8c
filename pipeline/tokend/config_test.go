package tokend

import (
	"maps"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
)

func TestTheIncomeIsDividedAsConfigured(t *testing.T) {
	t.Parallel()
	cfg, err := process.Load[Config](t.Context(), envconfig.MapLookuper(map[string]string{
		"TOKEND_WEIGHT_WATERMARKER": "11", "TOKEND_WEIGHT_PEEKER": "31", "TOKEND_WEIGHT_COMMITTER": "61", "TOKEND_LIST_SHARE": "41",
		"KEEPA_API_KEY": testKey,
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[pipeline.Stage]int{pipeline.StageWatermarker: 11, pipeline.StagePeeker: 31, pipeline.StageCommitter: 61}
	if got := cfg.shares(); !maps.Equal(got.Weight, want) || got.ListPart != 41 {
		t.Errorf("weights %v and %d %% for the list, want %v and 41 %%", got.Weight, got.ListPart, want)
	}
}

func TestTheConfiguredFloorIsNotSpentUnlessThePolicyNamesAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, keepasim.Options{Rate: 5, Balance: 100})
	w.env.Lookup = envconfig.MultiLookuper(envconfig.MapLookuper(map[string]string{"TOKEND_FLOOR": "90"}), w.env.Lookup)
	w.survivors(pipeline.LookGlance, "live", 20)
	d := w.tokend()
	for _, c := range []struct {
		policy string
		issued int
	}{{"", 10}, {`{"floor":85}`, 15}, {"", 10}} {
		w.put(pipeline.KeyPolicy, c.policy)
		d.forget() // the hint of the change may come later
		w.turn(d)
		if got := w.grant(pipeline.StagePeeker).Credit(); got != c.issued {
			t.Errorf("policy %q: %d of 100 tokens issued, want %d", c.policy, got, c.issued)
		}
	}
}
