package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// root is the module's root.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func kept(t *testing.T) []Mutant {
	t.Helper()
	all, err := Read("kept")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryPlantedErrorAppliesAndItsTestExists(t *testing.T) {
	t.Parallel()
	if err := Check(root(t), kept(t)); err != nil {
		t.Error(err)
	}
}

// deciding are the packages that decide, store or pay.
var deciding = []string{
	"domain/action", "domain/backtest", "domain/deal", "domain/decide", "domain/keepa", "domain/notify", "domain/refresh", "domain/shedding", "domain/stall",
	"domain/target", "domain/token", "domain/token/plan", "domain/verdict", "domain/visibility", "domain/watermark",
	"platform/bus", "platform/loop", "store/messages", "store/responses", "store/seen", "spend/claims", "spend/gateway", "worker",
	"tokend", "watermarker", "peeker", "committer", "recorder", "refresher", "ops/replay",
}

func TestTheListStandsForEveryPackageThatDecidesStoresOrPays(t *testing.T) {
	t.Parallel()
	all, second, own := kept(t), 0, 0
	in, said := map[string]int{}, map[string]string{}
	for _, m := range all {
		in[strings.TrimPrefix(filepath.ToSlash(filepath.Dir(m.File)), "pipeline/")]++
		if m.Second != "" {
			second++
		}
		if m.Own() {
			own++
		}
		if other, twice := said[m.File+m.Func+m.Old+m.New]; twice {
			t.Errorf("%s plants what %s plants", m.Where, other)
		}
		said[m.File+m.Func+m.Old+m.New] = m.Where
	}
	if len(all) < 150 || 100*second < 40*len(all) || 100*own < 90*len(all) {
		t.Errorf("%d entries, %d of them need a second event, %d are left to the package's own tests; want 150, 40 %% and 90 %%", len(all), second, own)
	}
	for _, pkg := range deciding {
		if in[pkg] == 0 {
			t.Errorf("no error is planted in %s", pkg)
		}
	}
}

func TestTheThreeThirdsAreTheList(t *testing.T) {
	t.Parallel()
	all := kept(t)
	in := map[string]int{}
	for _, m := range slices.Concat(everyThird(all, 0), everyThird(all, 1), everyThird(all, 2)) {
		in[m.Where]++
	}
	for _, m := range all {
		if in[m.Where] != 1 {
			t.Errorf("%s is in %d of the thirds", m.Where, in[m.Where])
		}
	}
}

func TestAListSaysWhereItIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"in a.go": "x.txt:1:", "package p\n== what\nby Test\nwith care": "x.txt:4:",
	} {
		if _, err := parse("x.txt", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	all, err := parse("x.txt", []byte("package p\n\n# a remark\n== what goes wrong\nin a.go T.F\n-  a - b\n+  a + b\nsecond a restart\nby q TestX\n"))
	want := Mutant{Where: "x.txt:4", What: "what goes wrong", File: "p/a.go", Func: "T.F", Old: "a - b", New: "a + b", Second: "a restart", Pkg: "q", Test: "TestX"}
	if err != nil || len(all) != 1 || all[0] != want || all[0].Own() {
		t.Errorf("%+v, %v", all, err)
	}
}

// tiny is an error in the module that the runner is tested with.
func tiny(in, old, planted, test string) Mutant {
	return Mutant{Where: "here", What: old, File: "sum.go", Func: in, Old: old, New: planted, Pkg: ".", Test: test}
}

func TestAnEntryThatDoesNotApplyIsAnError(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "tiny")
	for name, c := range map[string]struct {
		m    Mutant
		want string
	}{
		"moved":        {tiny("Sum", "a * b", "b", "TestSum"), "the code moved"},
		"ambiguous":    {tiny("Max", "return", "panic(1)", "TestSum"), "2 times"},
		"no function":  {tiny("Min", "a", "b", "TestSum"), "has no function Min"},
		"no file":      {Mutant{Where: "here", File: "min.go", Old: "a", New: "b", Pkg: ".", Test: "TestSum"}, "the code moved"},
		"no change":    {tiny("Sum", "a + b", "a + b", "TestSum"), "needs"},
		"no such test": {tiny("Sum", "a + b", "a", "TestMin"), `no test "TestMin"`},
	} {
		if err := Check(dir, []Mutant{c.m}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := Check(dir, []Mutant{tiny("Sum", "a + b", "a", "TestSum")}); err != nil {
		t.Error(err)
	}
}

func TestOnlyAFailureOfItsTestKillsAPlantedError(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a package a few times")
	}
	t.Parallel()
	r := Runner{Root: filepath.Join(root(t), "test", "mutants", "testdata", "tiny"), Timeout: time.Minute}
	for name, c := range map[string]struct {
		m      Mutant
		killed bool
		err    string
	}{
		"noticed":             {tiny("Sum", "a + b", "a - b", "TestSum"), true, ""},
		"not noticed":         {tiny("Max", "return b", "return a", "TestMaxOfTheFirst"), false, ""},
		"a panic":             {tiny("Sum", "a + b", "a - b", "TestPanics"), true, ""},
		"does not compile":    {tiny("Sum", "a + b", "a +", "TestSum"), false, "does not compile"},
		"skipped":             {tiny("Sum", "a + b", "a - b", "TestSkips"), false, "skipped"},
		"no test ran":         {tiny("Sum", "a + b", "a - b", "TestNone"), false, "no test ran"},
		"a test without end":  {tiny("Count", "n++", "n = 2; f = func() bool { return true }", "TestCount"), false, "does not end"},
		"noticed by no other": {tiny("Sum", "a + b", "a - b", "TestMaxOfTheFirst"), false, ""},
	} {
		r.Timeout = time.Minute
		if c.m.Test == "TestCount" {
			r.Timeout = time.Second
		}
		o := r.Run(t.Context(), c.m, "")
		if o.Killed() != c.killed || (o.Err == nil) != (c.err == "") || o.Err != nil && !strings.Contains(o.Err.Error(), c.err) {
			t.Errorf("%s: killed %t, failed %v, %v", name, o.Killed(), o.Failed, o.Err)
		}
	}
	if err := r.Clean(t.Context(), ".", []string{"TestSum", "TestFails"}); err == nil || !strings.Contains(err.Error(), "TestFails") {
		t.Errorf("a test that fails anyway: %v", err)
	}
	s := sweep{runner: r, many: 2}
	if err := s.over(t.Context(), []Mutant{tiny("Sum", "a + b", "a - b", "TestSum"), tiny("Max", "return b", "return a", "TestMaxOfTheFirst")}); err == nil || !strings.Contains(err.Error(), "no test noticed") {
		t.Errorf("a sweep with a survivor: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := (&sweep{runner: r, many: 2}).over(stopped, []Mutant{tiny("Sum", "a + b", "a - b", "TestSum")}); err == nil {
		t.Error("a sweep that was stopped succeeds")
	}
}
