package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/platform/process"
)

// unset leaves a variable out of the environment until the test ends.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "") // which restores it at the end
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

func TestTheSimulationIsMarkedAsSuchEverywhere(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		says string
	}{
		"a key that is set and empty": {map[string]string{"KEEPA_API_KEY": ""}, nil, "set KEEPA_API_KEY"},
		"--live without a key":        {nil, []string{"--live"}, "set KEEPA_API_KEY"},
		"a file without a key":        {map[string]string{"KEEPA_API_KEY_FILE": empty}, nil, "set KEEPA_API_KEY"},
		"a file that is not there":    {map[string]string{"KEEPA_API_KEY_FILE": empty + "no"}, nil, "KEEPA_API_KEY_FILE"},
		"both worlds at once":         {nil, []string{"--live", "--simulate"}, "--simulate"},
		"plain http to another host":  {map[string]string{"KEEPA_API_KEY": "hunter2hunter2", "KEEPA_URL": "http://keepa.example"}, nil, "plain text"},
		"a key as a flag":             {nil, []string{"--key", "k"}, "--key"},
	} {
		t.Run(name, func(t *testing.T) {
			unset(t, "KEEPA_API_KEY")
			unset(t, "KEEPA_API_KEY_FILE")
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			var out, errOut bytes.Buffer
			args := append([]string{"up", "--data", t.TempDir(), "--for", "1s"}, c.args...)
			if code := run(args, &out, &errOut); code != process.ExitUsage || !strings.Contains(errOut.String(), c.says) {
				t.Errorf("exit code %d, says %q", code, errOut.String())
			}
		})
	}
}

func TestBadInputIsNamedAndExitsWithItsCode(t *testing.T) {
	unset(t, "KEEPA_API_KEY")
	t.Setenv("NATS_URL", "nats://127.0.0.1:9")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"nonsense"}, 2, "nonsense"},
		{[]string{"up", "--nonsense"}, 2, "--nonsense"},
		{[]string{"up", "--for", "banana"}, 2, "banana"},
		{[]string{"up", "--speed", "0.5"}, 2, "--speed"},
		{[]string{"up", "--rate", "-1"}, 2, "--rate"},
		{[]string{"up", "--nats", "4222"}, 2, "--nats: want host:port"},
		{[]string{"up", "--nats-monitor", "here:http"}, 2, "--nats-monitor: want a port"},
		{[]string{"up", "--clickhouse-addr", "127.0.0.1:70000"}, 2, "--clickhouse-addr: want a port"},
		{[]string{"up", "--clickhouse-native", "127.0.0.1:9000"}, 2, "--clickhouse-native"},
		{[]string{"clickhouse", "--addr", "bad"}, 2, "--addr: want host:port"},
		{[]string{"clickhouse", "--native", "127.0.0.1:9000"}, 2, "--native"},
		{[]string{"up", "--captured", "/no/such/directory"}, 2, "--captured"},
		{[]string{"up", "--data", "/proc/nope", "--clickhouse", "none"}, 1, "--data"},
		{[]string{"up", "--data", "/proc/nope", "--clickhouse", "none"}, 1, "Keepa is simulated: nobody sells what is found."},
		{[]string{"why", "xx"}, 2, "not an ASIN"},
		{[]string{"why", "0006120725", "--rules", "usage_test.go"}, 2, "--rules"},
		{[]string{"why", "0006120726"}, 2, "check digit would be 5, not 6"},
		{[]string{"why", "978-0-00-612072-7"}, 2, "check digit"},
		{[]string{"why", "https://amzn.to/x"}, 2, "must be opened first"},
		{[]string{"buy", "0006120725"}, 2, "--price"},
		{[]string{"buy", "0006120725", "--price", "-1"}, 2, "--price"},
		{[]string{"buy", "0006120726", "--price", "1"}, 2, "check digit"},
		{[]string{"buy", "0006120725", "--price", "1", "--on", "1.3.2026"}, 2, "want a day like"},
		{[]string{"buy", "0006120725", "--price", "1", "--condition", "fine"}, 2, "very good"},
		{[]string{"buy", "0006120725", "--price", "1", "--copy", "0"}, 2, "--copy"},
		{[]string{"sold", "0006120725"}, 2, "--price"},
		{[]string{"ignore", "xx"}, 2, "not an ASIN"},
		{[]string{"ignore", "seller", "x y"}, 2, "not the id of a seller"},
		{[]string{"ignore", "brand"}, 2, "want the name of a brand"},
		{[]string{"ignore", "words", "!"}, 2, "want words"},
		{[]string{"ignore", "--undo"}, 2, "--undo"},
		{[]string{"ignore", "0006120725", "--for", "-1d"}, 2, "--for"},
		{[]string{"deals", "--since", "-1h"}, 2, "--since"},
		{[]string{"deals", "--min-profit", "ten"}, 2, "want an amount like 12.50"},
		{[]string{"deals", "--max-loss-chance", "40"}, 2, "want odds like 30%"},
		{[]string{"deals", "--condition", "fine"}, 2, "like new, very good, good, acceptable"},
		{[]string{"deals", "--max-rank", "-1"}, 2, "--max-rank"},
		{[]string{"deals", "--sort", "colour"}, 2, "--sort"},
		{[]string{"deals", "--columns", "age", "--format", "csv"}, 2, "a csv has found"},
		{[]string{"deals", "--columns", "profit,colour"}, 2, "\"colour\""},
		{[]string{"status", "--nats-url", "nats://u:hunter2@127.0.0.1:9"}, 2, "NATS_PASSWORD_FILE"},
		{[]string{"status", "--nats-url=nats://127.0.0.1:9,hunter2@127.0.0.1:9"}, 2, "--nats-url: an address with a password"},
		{[]string{"status", "--nats-url", "nats://hunter2@127.0.0.1:9"}, 2, "NATS_URL_FILE"},
		{[]string{"up", "--clickhouse", "http://u:hunter2@127.0.0.1:9/x"}, 2, "CLICKHOUSE_PASSWORD_FILE"},
		{[]string{"up", "--clickhouse", "clickhouse://127.0.0.1:9/x?username=u&password=hunter2"}, 2, "CLICKHOUSE_PASSWORD_FILE"},
		{[]string{"report", "funnel", "--clickhouse-url=http://u:hunter2@127.0.0.1:9%zz/x"}, 2, "--clickhouse-url: an address with a password"},
		{[]string{"deals", "--format", "xml"}, 2, "--format"},
		{[]string{"rules", "explain"}, 2, "<asin>"},
		{[]string{"rules", "explain", "xx"}, 2, "not an ASIN"},
		{[]string{"rules", "explain", "0006120725", "--rules", "/no/such/file"}, 2, "--rules"},
		{[]string{"rules", "check", "/no/such/file"}, 2, "/no/such/file"},
		{[]string{"soak", "backlog400", "--rules", "usage_test.go"}, 2, "--rules"},
		{[]string{"report", "nosuch"}, 2, "ratchet report"},
		{[]string{"report", "nosuch", "--about"}, 2, "ratchet report"},
		{[]string{"report", "funnel", "--since", "-1h"}, 2, "--since"},
		{[]string{"report", "funnel", "--since", "banana"}, 2, "90m, 24h or 7d"},
		{[]string{"report", "funnel", "--since", "0"}, 2, "--since"},
		{[]string{"report", "funnel", "--since", "7d", "--param", "since=2026-01-01"}, 2, "--since"},
		{[]string{"report", "funnel", "--param", "since=banana"}, 2, "want a time"},
		{[]string{"report", "funnel", "--param", "nosuch=1"}, 2, "since, run"},
		{[]string{"report", "deals", "--param", "limit=-1"}, 2, "want a number"},
		{[]string{"report", "runs", "--since", "7d"}, 2, "no parameters"},
		{[]string{"report", "funnel", "--since", "7d", "--clickhouse-url", "http://127.0.0.1:9/ratchet"}, 1, "ratchet up"},
		{[]string{"report", "funnel", "--clickhouse-url", "127.0.0.1:8123"}, 2, "CLICKHOUSE_URL"},
		{[]string{"topology", "apply", "--plans", "eu"}, 2, "--plans: plan eu: want eu=MARKETPLACE"},
		{[]string{"topology", "roles", "--plans", "eu=3"}, 2, "--plans: plan eu: \"3\" is not the end"},
		{[]string{"rules", "history", "--plan", "No Plan"}, 2, "--plan: plan"},
		{[]string{"why", "--chart"}, 2, "--chart: want an ASIN"},
		{[]string{"why", "0593655036", "--chart", "--json"}, 2, "--json and --chart"},
		{[]string{"why", "0593655036", "--chart", "--range", "2y"}, 2, "--range must be one of"},
		{[]string{"report", "funnel", "--clickhouse-url", "none"}, 2, "none is not a ClickHouse"},
		{[]string{"sql", "SELECT 1", "--clickhouse-url", "ftp://h/x"}, 2, "ftp"},
		{[]string{"status", "--clickhouse-url", "x"}, 2, "CLICKHOUSE_URL"},
		{[]string{"status", "--nats-url", ""}, 2, "NATS_URL: not an address"},
		{[]string{"status", "--nats-url", "nats://u:hunter2@bad host"}, 2, "NATS_URL: not an address"},
		{[]string{"deals", "--clickhouse-url", "x"}, 2, "CLICKHOUSE_URL"},
		{[]string{"deals", "--since", "7 days"}, 2, "90m, 24h or 7d"},
		{[]string{"up", "--clickhouse", "127.0.0.1:8123"}, 2, "--clickhouse: want embedded, none or the URL"},
		{[]string{"report", "funnel", "--clickhouse-url", "http://127.0.0.1:9/ratchet"}, 1, "ratchet up"},
		{[]string{"rules", "check", "usage_test.go"}, 2, "usage_test.go"},
		{[]string{"replay", "--look", "glance", "--rules", "usage_test.go", "--run", "r"}, 2, "--look"},
		{[]string{"replay", "--look", "peek", "--rules", "usage_test.go", "--run", "live"}, 2, "--run"},
		{[]string{"replay", "--look", "peek", "--rules", "usage_test.go", "--run", "r", "--asin", "x"}, 2, "--asin"},
		{[]string{"replay", "--look", "peek", "--rules", "usage_test.go", "--run", "r", "--source", "x"}, 2, "--source"},
		{[]string{"replay", "--look", "peek", "--rules", "usage_test.go", "--run", "r", "--from", "x"}, 2, "--from"},
		{[]string{"replay", "--look", "peek", "--rules", "usage_test.go", "--run", "r", "--since", "1h", "--to", "2026-01-01"}, 2, "--to"},
		{[]string{"replay", "--look", "peek", "--rules", "/no/such/file", "--run", "r"}, 2, "--rules"},
		{[]string{"replay", "--look", "peek", "--run", "r"}, 1, "no pipeline runs"}, // by its rules
		{[]string{"backtest", "--captures", "/no/such/directory"}, 2, "--captures"},
		{[]string{"backtest", "--captures", "."}, 2, "no product of amazon.com"},
		{[]string{"backtest", "--captures", ".", "--without", "x"}, 2, "--without"},
		{[]string{"backtest", "--captures", ".", "--most", "-1"}, 2, "--most"},
		{[]string{"backtest", "--captures", ".", "--rules", "usage_test.go"}, 2, "--rules"},
		{[]string{"backtest", "--captures", ".", "--previous", "usage_test.go"}, 2, "--previous"},
		{[]string{"backtest", "extra"}, 2, "extra"},
		{[]string{"answer", "a b"}, 2, "dead show"},
		{[]string{"answer", "*"}, 2, "is not the ID"},
		{[]string{"dead", "retry"}, 2, "dead ls"},
		{[]string{"dead", "retry", "3", "--all"}, 2, "--all"},
		{[]string{"soak", "nothing"}, 2, "backlog400"},
		{[]string{"soak", "backlog400", "--data", "."}, 2, "not empty"},
	} {
		var out, errOut bytes.Buffer
		if code := run(c.args, &out, &errOut); code != c.code || !strings.Contains(errOut.String(), c.says) {
			t.Errorf("%v: exit %d, want %d; says %q, want %q in it", c.args, code, c.code, errOut.String(), c.says)
		}
		if strings.Contains(errOut.String()+out.String(), "hunter2") {
			t.Errorf("%v: says the password: %s", c.args, errOut.String())
		}
	}
}

func TestAnEngineBesideTheDataOfUpIsRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	engine := filepath.Join(data, "simulated", "clickhouse")
	if err := os.MkdirAll(engine, 0o700); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"clickhouse", "--data", data}, &out, &errOut); code != 2 || !strings.Contains(errOut.String(), "--data "+engine) {
		t.Errorf("exit %d, want 2; says %q, want %q in it", code, errOut.String(), engine)
	}
}

func TestAQuestionTellsOfItself(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	code := run([]string{"report", "funnel", "--about"}, &out, &errOut)
	for _, says := range []string{"tokens_per_deal", "Parameters:", "since  DateTime"} {
		if code != 0 || !strings.Contains(out.String(), says) {
			t.Errorf("exit %d, want 0; says %q, want %q in it", code, out.String(), says)
		}
	}
}

func TestAnIncompleteAnswerIsNotASuccess(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	a := &app{ctx: ctx}
	if err := a.complete(errUnwell); !errors.Is(err, errUnwell) {
		t.Errorf("got %v, want the cause", err)
	}
	stop()
	if err := a.complete(ctx.Err()); process.ExitCode(err) != process.ExitFailed {
		t.Errorf("a stopped command ends with %d (%v), want %d", process.ExitCode(err), err, process.ExitFailed)
	}
	if err := a.complete(nil); err != nil {
		t.Errorf("got %v of an answer that was whole", err)
	}
}

func TestADaemonNamesTheVariableThatIsWrongAndExitsWithItsCode(t *testing.T) {
	t.Setenv("KEEPA_API_KEY", "k")
	for _, c := range []struct{ daemon, variable, value string }{
		{"tokend", "TOKEND_LIST_SHARE", "0"},
		{"watermarker", "WATERMARKER_BACKLOG", "0"},
		{"watermarker", "QUERIES", "/no/such/directory"},
		{"peeker", "PEEKER_BATCH", "many"},
		{"peeker", "RULES", "/no/such/file"},
		{"committer", "COMMITTER_WORKERS", "65"},
		{"committer", "RULES", "usage_test.go"},
		{"recorder", "RECORDER_FLUSH", "1h"},
		{"recorder", "CLICKHOUSE_URL", "not a URL"},
		{"recorder", "NATS_MAX_RESPONSES", "-1"},
	} {
		t.Run(c.daemon+" "+c.variable, func(t *testing.T) {
			t.Setenv(c.variable, c.value)
			var out, errOut bytes.Buffer
			code := run([]string{"daemon", c.daemon}, &out, &errOut)
			for _, says := range []string{c.variable, c.value} {
				if code != 2 || !strings.Contains(errOut.String(), says) {
					t.Errorf("exit %d, want 2; says %q, want %q in it", code, errOut.String(), says)
				}
			}
		})
	}
}
