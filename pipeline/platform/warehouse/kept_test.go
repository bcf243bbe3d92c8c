package warehouse_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

// TestAReplayReadsTheVerdictsThatItSelectsAndNoOther: with several keys the rules of a plan are for its marketplaces.
func TestAReplayReadsTheVerdictsThatItSelectsAndNoOther(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(30) // every third is of a peek, six minutes apart
	rows[4].Domain, rows[7].Domain, rows[10].Source, rows[13].Reason, rows[16].Run = 3, 8, pipeline.SourceRefresh, "low_roi", "a-replay"
	must(t, w.InsertVerdicts(t.Context(), rows, "all"))
	all := []int{1, 4, 7, 10, 13, 19, 22, 25, 28}
	without := func(out ...int) []int {
		return slices.DeleteFunc(slices.Clone(all), func(i int) bool { return slices.Contains(out, i) })
	}
	row := func(i int) uint64 { return rows[i].RowID() }
	for name, c := range map[string]struct {
		q     warehouse.KeptQuery
		after uint64
		want  []int
	}{
		"all of a look":        {warehouse.KeptQuery{}, 0, all},
		"one marketplace":      {warehouse.KeptQuery{Marketplaces: []int{3}}, 0, []int{4}},
		"two marketplaces":     {warehouse.KeptQuery{Marketplaces: []int{1, 8}}, 0, without(4)},
		"one without verdicts": {warehouse.KeptQuery{Marketplaces: []int{9}}, 0, nil},
		"a source":             {warehouse.KeptQuery{Source: pipeline.SourceRefresh}, 0, []int{10}},
		"a reason":             {warehouse.KeptQuery{Reason: "low_roi"}, 0, []int{13}},
		"a product":            {warehouse.KeptQuery{ASIN: rows[19].ASIN}, 0, []int{19}},
		"from, which is in it": {warehouse.KeptQuery{From: rows[22].DecidedAt}, 0, []int{22, 25, 28}},
		"to, which is not":     {warehouse.KeptQuery{To: rows[7].DecidedAt}, 0, []int{1, 4}},
		"behind a row":         {warehouse.KeptQuery{}, row(22), []int{25, 28}},
		"until a row":          {warehouse.KeptQuery{Until: row(4)}, 0, []int{1, 4}},
	} {
		c.q.Look = pipeline.LookPeek
		if c.q.Until == 0 {
			c.q.Until = math.MaxUint64
		}
		var got []int
		must(t, w.KeptInputs(t.Context(), c.q, noon.Add(-24*time.Hour), noon.Add(24*time.Hour), c.after, func(line string) error {
			id, _, _ := strings.Cut(line, "\t")
			n, err := strconv.ParseUint(id, 10, 64)
			got = append(got, slices.IndexFunc(rows, func(r warehouse.VerdictRow) bool { return r.RowID() == n }))
			return err
		}))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
