package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
)

// live starts a simulated pipeline that commands reach, and waits for its first deals.
func live(t *testing.T, deals int, more ...string) (box *standalone.Box, stop func()) {
	t.Helper()
	box = begin(t, append([]string{"--clickhouse", "none", "--nats", "127.0.0.1:0"}, more...)...)
	stop = sync.OnceFunc(func() { box.Stop(context.WithoutCancel(t.Context())) })
	t.Cleanup(stop)
	awaitDeals(t, box, deals)
	return box, stop
}

// begin starts a simulated pipeline in a data directory of its own.
func begin(t *testing.T, args ...string) *standalone.Box {
	t.Helper()
	unset(t, "NATS_URL")
	unset(t, "CLICKHOUSE_URL")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	o, said, err := optionsOf(t, append(args, "--simulate", "--speed", "3000", "--rate", "60")...)
	if err != nil {
		t.Fatal(err, said)
	}
	o.Monitor = ""
	box, err := standalone.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func awaitDeals(t *testing.T, box *standalone.Box, deals int) {
	t.Helper()
	visible := cli.NewVisible(box.Bus, "")
	for late := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		list, _, err := visible.List(t.Context(), time.Time{})
		switch {
		case err == nil && len(list) >= deals:
			return
		case time.Now().After(late):
			t.Fatalf("%d deals, %v", len(list), err)
		}
	}
}

// says runs a command, and is what it prints.
func says(t *testing.T, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := run(args, &out, &errOut); code != process.ExitDone {
		t.Fatalf("%v: exit code %d: %s%s", args, code, &out, &errOut)
	}
	return out.String() + errOut.String()
}

// status returns the output of the command once every part of it has answered in time.
func status(t *testing.T, args ...string) string {
	t.Helper()
	for late := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text := says(t, append([]string{"status"}, args...)...)
		if !strings.HasPrefix(text, "No answer in time: ") || time.Now().After(late) {
			return text
		}
	}
}

// number is the one before some words.
func number(t *testing.T, text, words string) int {
	t.Helper()
	m := regexp.MustCompile(`(\d+)\s+` + words).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no number of %q in:\n%s", words, text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// listed are the deals that are shown.
func listed(t *testing.T) []cli.Deal {
	t.Helper()
	var out bytes.Buffer
	if code := run([]string{"deals", "--format", "json"}, &out, &bytes.Buffer{}); code != process.ExitDone {
		t.Fatal("deals: ", code)
	}
	var deals []cli.Deal
	if err := json.Unmarshal(out.Bytes(), &deals); err != nil {
		t.Fatal(err, out.String())
	}
	return deals
}

// explainsBy expects an ASIN to be explained by the rules of a file.
func explainsBy(t *testing.T, asin, file, because string, flags ...string) {
	t.Helper()
	judge, err := worker.LoadRules(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if text := says(t, append([]string{"rules", "explain", asin}, flags...)...); !strings.Contains(text, "version "+judge.Version()) {
		t.Errorf("%s, and %s is not explained by them: %.200s", because, asin, text)
	}
}

func TestRulesGoLiveWithoutARestartAndComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole pipeline until it has found deals")
	}
	unset(t, "KEEPA_API_KEY")
	t.Setenv("RULES", "")
	t.Setenv("QUERIES", "")
	t.Chdir(t.TempDir())
	if err := os.Mkdir("mine", 0o700); err != nil {
		t.Fatal(err)
	}
	own := file(t, "mine", "own.yaml", bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: 350"), 1))
	box, stop := live(t, 4, "--rules", own)
	says(t, "pause")
	before := listed(t)
	const least = 1500
	file(t, "mine", "rules.yaml", bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: "+strconv.Itoa(least)), 1))

	if text := says(t, examples(t, detailOf["rules history"])[0]...); !strings.Contains(text, "No rules were applied") {
		t.Errorf("before: %s", text)
	}
	explainsBy(t, before[0].ASIN, own, "the daemons were started with them")
	begin := time.Now()
	text := says(t, examples(t, detailOf["rules apply"])[0]...)
	t.Logf("applied in %s:\n%s", time.Since(begin).Round(time.Millisecond), text)
	hidden := number(t, text, "hidden now")
	for _, d := range listed(t) {
		if *d.ProfitCents < least {
			t.Errorf("a deal with a profit of %d is still listed", *d.ProfitCents)
		}
	}
	if !strings.Contains(text, "Version 1 is live") || number(t, text, "stored deals") < len(before) || number(t, text, "still rejected") == 0 || strings.Contains(text, "still decides") {
		t.Errorf("apply says: %s", text)
	}
	applied := filepath.Join("mine", "rules.yaml")
	explainsBy(t, before[0].ASIN, applied, "they are applied")
	explainsBy(t, before[0].ASIN, own, "they are asked for", "--rules", own)
	if text := status(t); !strings.Contains(text, "Rules: version 1") || !strings.Contains(text, "rules.yaml") || strings.Contains(text, "decides by version 0") {
		t.Errorf("status says: %s", text)
	}
	if text := says(t, examples(t, detailOf["rules apply"])[0]...); !strings.Contains(text, "already current") || number(t, text, "hidden now") != 0 {
		t.Errorf("the same again: %s", text)
	}
	if text := says(t, examples(t, detailOf["rules revert"])[0]...); !strings.Contains(text, "Version 2 is live") || number(t, text, "offered again") != hidden {
		t.Errorf("revert says, after %d were hidden: %s", hidden, text)
	}
	if text := says(t, examples(t, detailOf["rules revert"])[1]...); !strings.Contains(text, "Version 3 is live") || number(t, text, "hidden now") != hidden {
		t.Errorf("revert to 1 says, after %d were hidden: %s", hidden, text)
	}
	if text := says(t, "rules", "history"); strings.Count(text, "current") != 1 || !strings.Contains(text, "version 1 again") || !strings.Contains(text, "built-in") {
		t.Errorf("history says: %s", text)
	}

	queriesGoLive(t, box)

	// Another shell finds it by its directory, and does not find one that has stopped.
	data := filepath.Join(os.Getenv("XDG_DATA_HOME"), "ratchet")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	if text := status(t, "--up-data", data); !strings.Contains(text, "Rules: version 3") {
		t.Errorf("status of another directory says: %s", text)
	}
	t.Setenv("XDG_DATA_HOME", filepath.Dir(data))

	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"rules", "apply", "nosuch.yaml"}, "nosuch.yaml"},
		{[]string{"rules", "apply", file(t, "mine", "bad.yaml", []byte("name: x\n"))}, "bad.yaml"},
		{[]string{"rules", "apply", file(t, "mine", "de.yaml", bytes.Replace(schemas.UsedBooks, []byte("marketplace: com"), []byte("marketplace: de"), 1))}, "no list of it is read"},
		{[]string{"rules", "revert", "17"}, "version 17 does not exist"},
	} {
		var out, errOut bytes.Buffer
		if code := run(c.args, &out, &errOut); code != process.ExitUsage || !strings.Contains(errOut.String(), c.says) {
			t.Errorf("%v: exit code %d, %s", c.args, code, &errOut)
		}
	}
	all, err := cli.AppliedRules(t.Context(), box.Bus)
	if err != nil || len(all) != 3 {
		t.Errorf("a refused file left a version: %v, %v", all, err)
	}
	stop()
	if r, ok := standalone.FindRunning(data); ok {
		t.Errorf("one that has stopped is found: %+v", r)
	}
}

func TestRevertReturnsToTheVersionBeforeTheCurrentOne(t *testing.T) {
	t.Parallel()
	ptr := func(n int) *int { return &n }
	all := []pipeline.AppliedRules{{Version: 3, Rules: "c"}, {Version: 4, Rules: "d"}, {Version: 5, Rules: "e"}} // versions 1 and 2 were dropped
	for _, c := range []struct {
		all   []pipeline.AppliedRules
		asked *int
		to    int
		rules string
		says  string
	}{
		{all, nil, 4, "d", ""},
		{all[:2], nil, 3, "c", ""},
		{all, ptr(3), 3, "c", ""},
		{all, ptr(0), 0, "", ""}, // those of RULES
		{[]pipeline.AppliedRules{{Version: 1, Rules: "a"}}, nil, 0, "", ""},
		{all, ptr(2), 2, "", "version 2 does not exist"},
		{nil, nil, 0, "", "nothing to revert"},
	} {
		to, old, err := earlier("rules", c.all, func(a pipeline.AppliedRules) int { return a.Version }, c.asked)
		if to != c.to || old.Rules != c.rules || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("of %v, asked for %v: version %d with %q, %v; want %d with %q, %q", c.all, c.asked, to, old.Rules, err, c.to, c.rules, c.says)
		}
	}
}

// queriesGoLive applies queries, takes them back and has bad ones refused.
func queriesGoLive(t *testing.T, box *standalone.Box) {
	t.Helper()
	mine := file(t, "mine", "used-books.json", schemas.UsedBooksQuery)
	other := file(t, "mine", "cheap.json", bytes.Replace(schemas.UsedBooksQuery, []byte("[2000, 45100]"), []byte("[2000, 9000]"), 1))
	if text := says(t, examples(t, detailOf["queries history"])[0]...); !strings.Contains(text, "No queries were applied") {
		t.Errorf("before: %s", text)
	}
	// The built-in query under its own name continues.
	if text := says(t, examples(t, detailOf["queries apply"])[0]...); !strings.Contains(text, "Version 1 is live") || number(t, text, "read as before") != 1 {
		t.Errorf("apply says: %s", text)
	}
	if text := says(t, "queries", "apply", other); !strings.Contains(text, "Version 2 is live") || number(t, text, "new: read") != 1 || number(t, text, "no longer read") != 1 {
		t.Errorf("apply of another says: %s", text)
	}
	if text := says(t, "queries", "apply", other); !strings.Contains(text, "already current") || number(t, text, "read as before") != 1 {
		t.Errorf("the same again: %s", text)
	}
	for late := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text := says(t, "status")
		if strings.Contains(text, "Queries: version 2 (cheap@") && strings.Contains(text, "no longer read: used-books@") {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("status says: %s", text)
		}
	}
	if text := says(t, examples(t, detailOf["queries revert"])[0]...); !strings.Contains(text, "Version 3 is live") || number(t, text, "read again, from where") != 1 {
		t.Errorf("revert says: %s", text)
	}
	if text := says(t, examples(t, detailOf["queries revert"])[1]...); !strings.Contains(text, "Version 4 is live") || number(t, text, "read as before") != 1 {
		t.Errorf("revert to 1 says: %s", text)
	}
	if text := says(t, "queries", "revert", "0"); !strings.Contains(text, "Version 5 is live") || number(t, text, "read as before") != 1 {
		t.Errorf("revert to 0 says: %s", text)
	}
	if text := says(t, "queries", "history"); strings.Count(text, "current") != 1 || !strings.Contains(text, "version 1 again") || !strings.Contains(text, "built-in") {
		t.Errorf("history says: %s", text)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"queries", "apply", "nosuch.json"}, "nosuch.json"},
		{[]string{"queries", "apply", file(t, "mine", "bad.json", []byte("{"))}, "bad.json"},
		{[]string{"queries", "apply", mine, mine}, "both named"},
		{[]string{"queries", "apply", file(t, "mine", "de.json", bytes.Replace(schemas.UsedBooksQuery, []byte(`"domainId": 1`), []byte(`"domainId": 3`), 1))}, "marketplace"},
		{[]string{"queries", "revert", "17"}, "version 17 does not exist"},
	} {
		var out, errOut bytes.Buffer
		if code := run(c.args, &out, &errOut); code != process.ExitUsage || !strings.Contains(errOut.String(), c.says) {
			t.Errorf("%v: exit code %d, %s", c.args, code, &errOut)
		}
	}
	if all, err := cli.AppliedQueries(t.Context(), box.Bus); err != nil || len(all) != 5 {
		t.Errorf("refused files left a version: %v, %v", all, err)
	}
}

func TestTheLeftoversOfAKilledUpAreNotARunningUp(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	left := file(t, data, "up.json", []byte(`{"nats":"nats://127.0.0.1:1","clickhouse":"none"}`))
	if r, ok := standalone.FindRunning(data); ok {
		t.Errorf("found %+v", r)
	}
	f, err := os.Open(left)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if r, ok := standalone.FindRunning(data); !ok || r.NATS != "nats://127.0.0.1:1" {
		t.Errorf("found %+v, %v while it is held", r, ok)
	}
}
