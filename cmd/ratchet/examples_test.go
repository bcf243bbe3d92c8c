package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/responses"
	"ratchet/test/desk"
)

// elsewhere is where the examples run that need more than a NATS; here they are only read.
var elsewhere = map[string]string{
	"init": "TestUpStartsWithWhatInitWroteByTheExamplesOfItsHelp", "up": "TestUpStartsWithWhatInitWroteByTheExamplesOfItsHelp",
	"rules apply": "TestRulesGoLiveWithoutARestartAndComeBack", "rules history": "TestRulesGoLiveWithoutARestartAndComeBack",
	"rules revert": "TestRulesGoLiveWithoutARestartAndComeBack", "queries apply": "TestRulesGoLiveWithoutARestartAndComeBack",
	"queries history": "TestRulesGoLiveWithoutARestartAndComeBack", "queries revert": "TestRulesGoLiveWithoutARestartAndComeBack",
	"notify test": "TestTheTestOfNotificationsReportsEachTarget", "forecast": "TestAForecastUsesTheOwnHistoryAndShowsIt",
	"drain":  "TestADrainedStageEndsAndTheNextOneDecidesTheRest of test/processes",
	"report": "test/newcomer", "sql": "test/newcomer", "doctor": "test/newcomer", "soak": ".ci/long", "clickhouse": "the step \"ClickHouse as a server\" of .ci/run",
}

// leaves are the commands that a user can call, by their names.
func leaves(t *testing.T) map[string]*kong.Node {
	t.Helper()
	parser, err := kong.New(&grammar{}, words(), details())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*kong.Node{}
	for _, n := range parser.Model.Leaves(true) {
		out[strings.TrimPrefix(n.Path(), "ratchet ")] = n
	}
	return out
}

var (
	called      = regexp.MustCompile(`^  (?:[A-Z_]+=\S+ )?ratchet (.*)`)
	quotedOrNot = regexp.MustCompile(`"[^"]*"|\S+`)
)

// examplesOf are the commands that a help shows, as arguments.
func examplesOf(help string) [][]string {
	var out [][]string
	for line := range strings.Lines(help) {
		if m := called.FindStringSubmatch(line); m != nil {
			var args []string
			for _, a := range quotedOrNot.FindAllString(m[1], -1) {
				args = append(args, strings.Trim(a, `"`))
			}
			out = append(out, args)
		}
	}
	return out
}

// said is what a command prints on a NATS.
func said(t *testing.T, nats string, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := run(append(args, "--nats-url", nats), &out, &errOut); code != 0 {
		t.Errorf("ratchet %s: exit %d, says %s", strings.Join(args, " "), code, errOut.String())
	}
	return out.String()
}

func TestEveryCommandsHelpHasAnExampleThatRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every command")
	}
	t.Setenv("CLICKHOUSE_URL", "none")
	d, nats := desk.Listening(t, 1)
	good := d.ASINs(keepasim.Good)[0]
	d.Accepted(t, good)
	work := examplesOf(detailOf["answer"])[0][1]
	for _, kind := range []pipeline.Kind{pipeline.KindPeek, pipeline.KindCommit} {
		if err := responses.RecordAttempts(t.Context(), d.Bus, 1, kind, []string{work}, fmt.Sprintf("stored-%s-%s-0s", kind, work)); err != nil {
			t.Fatal(err)
		}
		d.Store(t, kind, bestseller, work, d.Product(t, good, kind == pipeline.KindCommit), 0)
	}
	listed := d.Work(t, good, pipeline.SourceLive, pipeline.FirstGeneration)
	listed.Survivor.ASIN = bestseller
	d.Offer(t, listed)
	letter := pipeline.Dead{Reason: "unreadable", Stream: pipeline.StreamSurvivors, Sequence: 1, Subject: pipeline.SubjectSurvivor(1, pipeline.LookPeek, "a", good), Body: []byte("{")}
	body, err := json.Marshal(letter)
	if err == nil {
		_, err = d.Bus.Publish(t.Context(), bus.Message{Subject: pipeline.SubjectDead("committer", "SURVIVORS-1"), Schema: pipeline.SchemaDead, ID: "dead", Body: body})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	says(t, "init", "mine")
	says(t, "init", "old")
	here := strings.NewReplacer("/backup", t.TempDir(), "/srv/ratchet", t.TempDir())
	all := leaves(t)
	for name := range detailOf {
		if all[name] == nil {
			t.Errorf("there is a help for %q, which is not a command", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) { // a backup before its restore
		command := all[name]
		examples := examplesOf(command.Detail)
		if !strings.HasPrefix(command.Detail, "Example") && !strings.Contains(command.Detail, "\n\nExample") || len(examples) == 0 {
			t.Errorf("%s has no example", name)
			continue
		}
		own := 0
		for _, args := range examples {
			is := slices.Equal(args[:min(len(args), strings.Count(name, " ")+1)], strings.Fields(name))
			if is {
				own++
			}
			if where := elsewhere[name]; where == "" && is {
				for i := range args {
					args[i] = here.Replace(args[i])
				}
				says(t, append(args, onNATS(command, nats)...)...)
			}
		}
		if own == 0 {
			t.Errorf("the examples of %s do not call it: %v", name, examples)
		}
	}
}

// onNATS are the flags for a command that asks a NATS.
func onNATS(command *kong.Node, nats string) []string {
	for _, f := range command.Flags {
		if f.Name == "nats-url" {
			return []string{"--nats-url", nats}
		}
	}
	return nil
}

func TestAChartInAPipeIsPlain(t *testing.T) {
	t.Setenv("CLICKHOUSE_URL", "none")
	d, nats := desk.Listening(t, 1)
	good := d.ASINs(keepasim.Good)[0]
	d.Store(t, pipeline.KindCommit, good, "work", d.Product(t, good, true), 0)
	got := said(t, nats, "why", good, "--chart", "--range", "all")
	for _, want := range []string{"over all time", "sales rank", "this copy $", "break-even $", "● "} {
		if !strings.Contains(got, want) || strings.Contains(got, "\x1b") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > pipeColumns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"why", "0593655036", "--chart", "--nats-url", nats}, &out, &errOut); code != 1 || !strings.Contains(errOut.String(), "nothing to draw") {
		t.Errorf("an ASIN of which nothing is stored: exit %d, says %s", code, errOut.String())
	}
}

func TestWhatIsBoughtOrIgnoredLeavesTheList(t *testing.T) {
	if testing.Short() {
		t.Skip("accepts deals and runs many commands")
	}
	t.Setenv("CLICKHOUSE_URL", "none")
	d, nats := desk.Listening(t, 1)
	good := d.ASINs(keepasim.Good)[:2]
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	listed := func() string { return said(t, nats, "deals", "--columns", "asin", "--format", "csv") }
	check := func(what string, first, second bool) {
		t.Helper()
		if list := listed(); strings.Contains(list, good[0]) != first || strings.Contains(list, good[1]) != second {
			t.Errorf("%s: listed are\n%s", what, list)
		}
	}
	check("at first", true, true)
	buy := []string{"buy", "https://www.amazon.com/dp/" + good[0], "--price", "9.99", "--condition", "good", "--on", "2026-03-02"}
	if got := said(t, nats, buy...); !strings.Contains(got, good[0]+" (amazon.com) was bought for $9.99 on 2026-03-02.") {
		t.Errorf("buy says %s", got)
	}
	check("bought", false, true)
	if got := said(t, nats, buy...); !strings.Contains(got, "counts once") {
		t.Errorf("bought again it says %s", got)
	}
	if got := status(t, "--nats-url", nats); !strings.Contains(got, "1 that you bought or ignored") {
		t.Errorf("status says %s", got)
	}
	said(t, nats, "buy", good[0], "--undo")
	check("undone", true, true)
	if got := said(t, nats, buy...); strings.Contains(got, "counts once") {
		t.Errorf("bought after the undo it says %s", got)
	}
	check("bought after the undo", false, true)
	said(t, nats, "buy", good[0], "--undo")
	check("undone a second time", true, true)
	said(t, nats, buy...)
	if got := said(t, nats, "sold", good[0], "--price", "39", "--on", "2026-03-03"); !strings.Contains(got, good[0]+" (amazon.com) was sold for $39.00 on 2026-03-03.") {
		t.Errorf("sold says %s", got)
	}
	if got := said(t, nats, "sold", good[0], "--undo"); !strings.Contains(got, "Undone: "+good[0]+" (amazon.com) was sold") {
		t.Errorf("undone, sold says %s", got)
	}
	check("bought, and its sale undone", false, true)
	if got := said(t, nats, "ignore", good[1], "--for", "30d"); !strings.Contains(got, "1 visible deal leaves") {
		t.Errorf("ignore says %s", got)
	}
	check("ignored", false, false)
	if got := said(t, nats, "ignore"); !strings.Contains(got, good[1]+" (amazon.com) is ignored until ") {
		t.Errorf("ignored are %s", got)
	}
	said(t, nats, "ignore", "--undo", good[1])
	check("not ignored any more", false, true)
	if got := said(t, nats, "ignore", "--undo", good[1]); !strings.Contains(got, "Nothing to undo") {
		t.Errorf("undone twice it says %s", got)
	}
}
