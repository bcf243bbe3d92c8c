package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// shown is what `rules show` writes to standard output, which is all of the file.
func shown(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := run(append([]string{"rules", "show"}, args...), &out, &errOut); code != process.ExitDone {
		t.Fatalf("%v: exit code %d: %s", args, code, &errOut)
	}
	return out.String()
}

// applies puts a rule file live without a daemon.
func applies(t *testing.T, b *bus.Bus, text []byte) {
	t.Helper()
	_, err := cli.ApplyNextRules(t.Context(), b, func([]pipeline.AppliedRules) (pipeline.AppliedRules, error) {
		return pipeline.AppliedRules{Rules: string(text), RuleSet: "set", File: "mine.yaml"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRulesShowWritesTheFileOfTheCurrentAndOfAnEarlierVersion(t *testing.T) {
	t.Setenv("RULES", "")
	d, nats := desk.Listening(t, 1)
	t.Setenv("NATS_URL", nats)
	if got := shown(t); got != string(schemas.UsedBooks) {
		t.Errorf("before anything was applied it shows %.80q, want the built-in file", got)
	}
	first := bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: 350"), 1)
	second := bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: 400"), 1)
	applies(t, d.Bus, first)
	applies(t, d.Bus, second)
	for args, want := range map[string][]byte{"": second, "1": first, "2": second} {
		if got := shown(t, strings.Fields(args)...); got != string(want) {
			t.Errorf("version %q: it shows another file: %.80q", args, got)
		}
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"rules", "show", "7"}, &out, &errOut); code != process.ExitUsage || !strings.Contains(errOut.String(), "version 7 does not exist") {
		t.Errorf("version 7: exit code %d: %s", code, &errOut)
	}
	if code := run([]string{"rules", "show", "0"}, &out, &errOut); code != process.ExitFailed || out.Len() > 0 || !strings.Contains(errOut.String(), "no committer reports") {
		t.Errorf("version 0 without a committer: exit code %d: %s%s", code, &out, &errOut)
	}
}

func TestAReplayWithoutRulesDecidesByThoseOfThePipeline(t *testing.T) {
	t.Setenv("RULES", "")
	d, nats := desk.Listening(t, 1)
	live := bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: 350"), 1)
	applies(t, d.Bus, live)
	judge, err := cli.NewRuleFile(live, "")
	if err != nil {
		t.Fatal(err)
	}
	text := says(t, "replay", "--look", "peek", "--run", "r", "--nats-url", nats, "--clickhouse-url", "none")
	if !strings.Contains(text, "under rules "+judge.Judge.Version()) {
		t.Errorf("it says: %s", text)
	}
}

func TestTheCommandThatResumesAReplayReachesTheSameOne(t *testing.T) {
	for name, c := range map[string]struct{ args, want string }{
		"all given": {
			"--publish --plan eu --nats-url nats://h:1 --clickhouse-url http://h:2/x?a=1&b=2",
			"ratchet replay --run r --resume --publish --plan eu --nats-url nats://h:1 --clickhouse-url 'http://h:2/x?a=1&b=2'",
		},
		"a password":    {"--nats-url nats://me:hunter2@h:1", "ratchet replay --run r --resume --nats-url nats://me:xxxxx@h:1"},
		"none given":    {"", "ratchet replay --run r --resume"},
		"no ClickHouse": {"--clickhouse-url=none", "ratchet replay --run r --resume --clickhouse-url none"},
	} {
		var g grammar
		parser, err := kong.New(&g, words(), details(), kong.Vars{"version": ""})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NATS_URL", "nats://me:hunter2@elsewhere:1") // of the environment, where it stays
		if _, err := parser.Parse(append([]string{"replay", "--run", "r", "--rules", filepath.Join(t.TempDir(), "f")}, strings.Fields(c.args)...)); err != nil {
			t.Fatal(name, err)
		}
		if got := g.Replay.again(); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}
