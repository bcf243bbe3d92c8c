package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/watermarker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// optionsOf parses a command line of `up`, and is what it would start.
func optionsOf(t *testing.T, args ...string) (standalone.Options, string, error) {
	t.Helper()
	var c grammar
	parser, err := kong.New(&c, words(), kong.Resolvers(kong.ResolverFunc(fromEnvironment)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"up"}, args...)); err != nil {
		return standalone.Options{}, "", err
	}
	var out, errOut bytes.Buffer
	env, err := process.OSEnv(&errOut)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Up.options(&app{ctx: t.Context(), env: env, out: &out, errOut: &errOut})
	return o, out.String() + errOut.String(), err
}

// file writes a file of the test.
func file(t *testing.T, dir, name string, body []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// query is a deal query of one marketplace.
func query(domain string) []byte {
	return []byte(`{"domainId":` + domain + `,"priceTypes":[2],"dateRange":3,"sortType":1,"isFilterEnabled":true,"includeCategories":[283155]}`)
}

func TestUpTakesRulesAndSeveralQueriesAndChecksAllBeforeItStarts(t *testing.T) {
	unset(t, "KEEPA_API_KEY")
	t.Setenv("RULES", "")
	t.Setenv("QUERIES", "")
	data, dir := t.TempDir(), t.TempDir()
	mine := file(t, dir, "mine.yaml", schemas.UsedBooks)
	one, two := file(t, dir, "one.json", query("1")), file(t, dir, "two.json", query("1"))
	args := []string{"--data", data, "--clickhouse", "none"}
	o, said, err := optionsOf(t, append(args, "--rules", mine, "--query", one, "--query", two)...)
	if err != nil {
		t.Fatal(err, said)
	}
	queries, err := watermarker.Queries(t.Context(), o.Settings["QUERIES"])
	if err != nil || len(queries) != 2 || queries[0].Name != "one" || o.Settings["RULES"] != mine {
		t.Errorf("starts with %v, %v, %v", o.Settings, queries, err)
	}
	if o, _, err = optionsOf(t, append(args, "--query", two)...); err != nil {
		t.Fatal(err)
	}
	if queries, err = watermarker.Queries(t.Context(), o.Settings["QUERIES"]); err != nil || len(queries) != 1 {
		t.Errorf("the queries of an earlier start are read as well: %v, %v", queries, err)
	}

	if err := os.Mkdir(filepath.Join(dir, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"rules that do not load":         {[]string{"--rules", one}, "one.json"},
		"a query that does not load":     {[]string{"--query", one, "--query", mine}, "mine.yaml"},
		"two queries of one name":        {[]string{"--query", one, "--query", file(t, filepath.Join(dir, "other"), "one.json", query("1"))}, "both named one"},
		"a query of another marketplace": {[]string{"--rules", mine, "--query", file(t, dir, "buecher.json", query("3"))}, "set marketplace: de"},
	} {
		if _, _, err := optionsOf(t, append(args, c.args...)...); process.ExitCode(err) != process.ExitUsage || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", name, err, c.says)
		}
	}
}

func TestOnlyTheFlagKeepsUpFromItsOwnEngine(t *testing.T) {
	unset(t, "KEEPA_API_KEY")
	t.Setenv("RULES", "")
	t.Setenv("QUERIES", "")
	t.Setenv("CLICKHOUSE_URL", "http://elsewhere:8123/other")
	t.Setenv("CLICKHOUSE_PASSWORD", "hunter2")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, standalone.Embedded},
		{[]string{"--clickhouse", "none"}, standalone.None},
		{[]string{"--clickhouse", "http://writer@server:8123/mine"}, "http://writer:hunter2@server:8123/mine"},
	} {
		if o, _, err := optionsOf(t, append([]string{"--data", t.TempDir()}, c.args...)...); err != nil || o.ClickHouse != c.want {
			t.Errorf("%v: ClickHouse %q, %v; want %q", c.args, o.ClickHouse, err, c.want)
		}
	}
}

func TestUpNamesTheRulesAndTheTargetsThatItUses(t *testing.T) {
	d, _ := desk.Listening(t, 1)
	builtIn, err := loadRules(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	mine := file(t, t.TempDir(), "mine.yaml", bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: 350"), 1))
	own, err := loadRules(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	says := func(rules, targets string) string {
		var out bytes.Buffer
		say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
		t.Setenv("NOTIFY_TARGETS", targets)
		if targets == "" {
			unset(t, "NOTIFY_TARGETS")
		}
		env, err := process.OSEnv(&out)
		if err != nil {
			t.Fatal(err)
		}
		upCmd{Rules: rules}.sayRules(t.Context(), d.Bus, say)
		sayNotify(env, say)
		return out.String()
	}
	if got, want := says("", ""), "Rules: built in, version "+builtIn.Version()+"\nNotify: none; docs/notify.md\n"; got != want {
		t.Errorf("up says %q, want %q", got, want)
	}
	targets := "https://127.0.0.1/hook\nhttps://127.0.0.1/hook/hunter2"
	if got, want := says(mine, targets), "Rules: "+mine+", version "+own.Version()+"\nNotify: 2 targets; ratchet status shows each\n"; got != want {
		t.Errorf("up says %q, want %q", got, want)
	}
	applies(t, d.Bus, schemas.UsedBooks)
	if got := says(mine, targets); !strings.HasPrefix(got, "Rules: version 1, which was applied; they override "+mine) {
		t.Errorf("up says %q of applied rules", got)
	}
}
