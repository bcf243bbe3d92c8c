package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/watermarker"
)

// examples are the lines of a command's help that show how it is called, without the name.
func examples(t *testing.T, help string) (out [][]string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^ +ratchet (.*)$`).FindAllStringSubmatch(help, -1) {
		out = append(out, strings.Fields(m[1]))
	}
	if len(out) == 0 {
		t.Fatalf("no example: %s", help)
	}
	return out
}

func TestUpStartsWithWhatInitWroteByTheExamplesOfItsHelp(t *testing.T) {
	unset(t, "KEEPA_API_KEY")
	t.Setenv("RULES", "")
	t.Setenv("QUERIES", "")
	unset(t, "LOG_LEVEL")
	t.Chdir(t.TempDir())
	var out, errOut bytes.Buffer
	lines := examples(t, detailOf["init"])
	if code := run(lines[0], &out, &errOut); code != process.ExitDone || !strings.Contains(out.String(), "ratchet up --rules ") {
		t.Fatalf("exit code %d: %s%s", code, &out, &errOut)
	}
	copied(t, "mine/.env.example", ".env", "#LOG_LEVEL", "LOG_LEVEL")
	for _, line := range append(lines[1:], examples(t, detailOf["up"])...) {
		if err := readEnv(line, t.Output()); err != nil {
			t.Fatal(err)
		}
		if asked := slices.Contains(line, "--env-file"); os.Getenv("LOG_LEVEL") == "warn" && !asked {
			t.Errorf("%v reads .env unasked", line)
		}
		o, said, err := optionsOf(t, append(line[1:], "--data", t.TempDir(), "--clickhouse", "none")...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", line, err, said)
		}
		if queries, err := watermarker.Queries(t.Context(), o.Settings["QUERIES"]); err != nil || len(queries) != 1 {
			t.Errorf("%v, %v", queries, err)
		}
		starts(t, o)
	}
	if os.Getenv("LOG_LEVEL") != "warn" {
		t.Error("--env-file was not read")
	}

	body, err := os.ReadFile("mine/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	j, err := verdict.NewJudge(body)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"min_profit_cents": 500, "max_loss_chance": 0.3, "max_landed_cents": 4000} {
		if got, _ := j.Threshold(name); got != want {
			t.Errorf("%s is %g, want %g", name, got, want)
		}
	}
}

// copied copies a file as a user does, and then edits the copy.
func copied(t *testing.T, from, to, before, after string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	body, err := os.ReadFile(to)
	if err != nil || !bytes.Contains(body, []byte(before)) {
		t.Fatalf("%v, or no %q: %s", err, before, body)
	}
	if err := os.WriteFile(to, bytes.ReplaceAll(body, []byte(before), []byte(after)), 0o600); err != nil { // which keeps the mode
		t.Fatal(err)
	}
}

func TestTheKeyInACopyOfTheExampleIsReadableByItsUserAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("this system has no modes")
	}
	dir := t.TempDir()
	example, env := file(t, dir, ".env.example", nil), filepath.Join(dir, ".env")
	for _, mode := range []os.FileMode{0, 0o644} { // a new file, and one that an earlier build has written
		if err := errors.Join(os.Remove(example), os.RemoveAll(env)); err != nil {
			t.Fatal(err)
		}
		if mode != 0 {
			if err := errors.Join(os.WriteFile(example, nil, mode), os.Chmod(example, mode)); err != nil {
				t.Fatal(err)
			}
		}
		var out, errOut bytes.Buffer
		if code := run([]string{"init", dir, "--force"}, &out, &errOut); code != process.ExitDone {
			t.Fatalf("exit code %d: %s", code, &errOut)
		}
		copied(t, example, env, "#KEEPA_API_KEY=", "KEEPA_API_KEY=hunter2")
		fi, err := os.Stat(env)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("the copy of an example with mode %o has mode %o, want 600", mode, fi.Mode().Perm())
		}
	}
}

// starts starts and ends a pipeline.
func starts(t *testing.T, o standalone.Options) {
	t.Helper()
	o.NATSAddr, o.Monitor = "", ""
	box, err := standalone.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	box.Stop(t.Context())
}

func TestInitWritesOverNothingUnlessForced(t *testing.T) {
	t.Parallel()
	all := []string{"rules.yaml", "used-books.json", ".env.example"}
	for _, name := range all {
		dir := t.TempDir()
		mine := file(t, dir, name, []byte("mine"))
		for _, c := range []struct {
			args []string
			code int
		}{{nil, process.ExitUsage}, {[]string{"--force"}, process.ExitDone}} {
			var out, errOut bytes.Buffer
			if code := run(append([]string{"init", dir}, c.args...), &out, &errOut); code != c.code || c.code != 0 && !strings.Contains(errOut.String(), name) {
				t.Errorf("%s is there, %v: exit code %d, %s", name, c.args, code, &errOut)
			}
			body, err := os.ReadFile(mine)
			if err != nil || (string(body) == "mine") != (c.code != 0) {
				t.Errorf("%s is there, %v: %v, %q", name, c.args, err, body)
			}
			for _, other := range all {
				if _, err := os.Stat(filepath.Join(dir, other)); other != name && (err == nil) != (c.code == 0) {
					t.Errorf("%s is there, %v: %s: %v", name, c.args, other, err)
				}
			}
		}
	}
}

func TestInitAsksForWhatTheFlagsDoNotSay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cmd     initCmd
		answers string
		fails   string
		has     []string
	}{
		"the defaults":       {initCmd{}, strings.Repeat("\n", 8), "", []string{"marketplace: com", "max_landed_cents: 45100"}},
		"answers":            {initCmd{}, "amazon.DE\n186606\n40\nmuch\n5.5\n0.3\n1\n2\n3\n0\n", "", []string{"marketplace: de", "max_landed_cents: 4000", "min_profit_cents: 550", "prep_cents: 100", "tax_percent: 0"}},
		"flags and yen":      {initCmd{Marketplace: "co.jp", Category: "465392", Budget: "4000"}, strings.Repeat("\n", 6), "", []string{"max_landed_cents: 4000"}},
		"no terminal to ask": {initCmd{Marketplace: "de"}, "", "no answer to --category", nil},
		"no such place":      {initCmd{}, "nowhere\n", "--marketplace", nil},
		"a flag is wrong":    {initCmd{Budget: "12.345"}, "\n", "--budget", nil},
		"it makes no sense":  {initCmd{MaxLossChance: "2"}, strings.Repeat("\n", 8), "max-loss-chance", nil},
		"a wrong answer leaves the default": {
			initCmd{},
			"\n40\nmuch\n\nlikely\n\nx\n\n\n\n?\n\n", "",
			[]string{"max_landed_cents: 4000", "min_profit_cents: 300", "max_loss_chance: 0.4", "prep_cents: 275", "tax_percent: 5"},
		},
		"every flag": {
			initCmd{Marketplace: "co.uk", Category: "266239", Budget: "41", MinProfit: "6.50", MaxLossChance: "25%", Prep: "1.01", Inbound: "1.02", Other: "1.03", Tax: "7.5"},
			"", "",
			[]string{
				"marketplace: co.uk", `"domainId": 2,`, `"includeCategories": [266239],`, `"currentRange": [2000, 4100],`, "max_landed_cents: 4100", "min_profit_cents: 650",
				"max_loss_chance: 0.25", "prep_cents: 101", "inbound_cents: 102", "other_cents: 103", "tax_percent: 7.5",
			},
		},
		"odds in percent": {initCmd{MaxLossChance: "25%"}, strings.Repeat("\n", 8), "", []string{"max_loss_chance: 0.25"}},
	} {
		c.cmd.Dir = t.TempDir()
		var out, errOut bytes.Buffer
		err := c.cmd.write(&app{ctx: t.Context(), out: &out, errOut: &errOut}, strings.NewReader(c.answers))
		if c.fails != "" {
			if process.ExitCode(err) != process.ExitUsage || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", name, err, c.fails)
			}
			continue
		}
		body, readErr := os.ReadFile(filepath.Join(c.cmd.Dir, "rules.yaml"))
		query, queryErr := os.ReadFile(filepath.Join(c.cmd.Dir, "used-books.json"))
		if err != nil || readErr != nil || queryErr != nil {
			t.Fatalf("%s: %v, %v, %v\n%s", name, err, readErr, queryErr, &errOut)
		}
		for _, line := range c.has {
			if !strings.Contains(string(body)+string(query), "\n  "+line+"\n") {
				t.Errorf("%s: no line %q", name, line)
			}
		}
	}
}
