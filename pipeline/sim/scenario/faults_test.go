package scenario

import (
	"slices"
	"testing"
)

func TestAFaultThatCannotBeTriedIsAFailureOnlyWhereAllAreWanted(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		var f Figures
		line := (&clustered{o: Options{All: all}}).suffer(t.Context(), fault{name: "a disk is full", skip: "no tmpfs"}, &f)
		if line.Skipped != "no tmpfs" || len(f.Failures) > 0 != all {
			t.Errorf("all wanted %t: skipped %q, failures %q", all, line.Skipped, f.Failures)
		}
	}
}

func TestClickHouseIsAwayOnceInEveryForm(t *testing.T) {
	t.Parallel()
	c := &clustered{Rig: &Rig{Ps: &fleet{procs: map[string]*proc{"clickhouse-1": {}}}}}
	if !slices.ContainsFunc(c.faults(), func(f fault) bool { return f.name == "ClickHouse is away" }) {
		t.Error("it never is where each fault is tried once")
	}
}
