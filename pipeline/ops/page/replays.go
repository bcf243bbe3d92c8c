package page

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/replay"
)

func replaysView() view {
	return view{
		name: replaysName, title: func(asked) string { return "Replays" },
		topics:   func(asked) []string { return []string{aboutOdds} },
		fresh:    10 * time.Minute,
		fragment: func(ctx context.Context, s *Server, _ asked) (any, error) { return s.replays(ctx) },
	}
}

// replaysModel is the comparison of predictions with results, and the runs.
type replaysModel struct {
	pictured
	Runs []run
}

// run is a replay and how it compares with what was decided.
type run struct {
	Name, Look, Rules, Live, Span, State, Began string
	Alike, Otherwise                            int
	Lost                                        []counted
	Changes                                     []change
	NewName, Bound                              string // Bound is before its profits
	NewCount                                    int
	New                                         []example
}

type counted struct {
	Says string
	N    int
}

type change struct {
	Before, After string
	N             int
	Examples      []example
}

type example struct{ ASIN, Title, Profit string }

// runsShown is how many runs are shown; each is a record in RUNS.
const runsShown = 50

func (s *Server) replays(ctx context.Context) (replaysModel, error) {
	out := replaysModel{pictured: s.calibrations(ctx)}
	records, err := replay.Runs(ctx, s.b)
	if err != nil {
		return out, err
	}
	for i := range records[:min(len(records), runsShown)] {
		out.Runs = append(out.Runs, runOf(&records[i]))
	}
	return out, nil
}

func runOf(r *replay.Record) run {
	out := run{
		Name: r.Run, Look: string(r.Look), Rules: r.RuleSet, Live: strings.Join(slices.Sorted(maps.Keys(r.Sums.RuleSets)), ", "), Span: r.Span, State: r.State(),
		Began: r.Began.Format("2006-01-02 15:04"), Alike: r.Sums.Same, Otherwise: r.Sums.Changed,
		NewName: r.Passing(), Bound: r.Look.Bound(), NewCount: r.Sums.NewCount, New: examplesOf(r.Sums.New),
	}
	for _, why := range slices.Sorted(maps.Keys(r.Sums.Lost)) {
		out.Lost = append(out.Lost, counted{why, r.Sums.Lost[why]})
	}
	for _, c := range r.Changes() {
		out.Changes = append(out.Changes, change{c.Before, c.After, c.N, examplesOf(c.Examples)})
	}
	return out
}

func examplesOf(all []replay.Example) []example {
	var out []example
	for _, e := range all {
		out = append(out, example{e.ASIN, e.Title.Short(100).String(), keepa.Domain(e.Domain).Money(e.Profit)})
	}
	return out
}
