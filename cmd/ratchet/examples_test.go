package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// helped are the commands whose help has examples.
func helped() map[string]interface{ Help() string } {
	return map[string]interface{ Help() string }{
		"deals": dealsCmd{}, "why": whyCmd{}, "buy": buyCmd{}, "sold": soldCmd{}, "ignore": ignoreCmd{},
		"status": statusCmd{}, "top": topCmd{}, "spend": spendCmd{}, "rules cost": rulesCostCmd{},
	}
}

var quotedOrNot = regexp.MustCompile(`"[^"]*"|\S+`)

// examplesOf are the commands that a help shows, as arguments.
func examplesOf(help string) [][]string {
	var out [][]string
	for line := range strings.Lines(help) {
		if command, is := strings.CutPrefix(line, "  ratchet "); is {
			var args []string
			for _, a := range quotedOrNot.FindAllString(command, -1) {
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

func TestTheExamplesOfTheHelpRun(t *testing.T) {
	t.Setenv("CLICKHOUSE_URL", "none")
	d, nats := desk.Listening(t, 1)
	good := d.ASINs(keepasim.Good)[0]
	d.Accepted(t, good)
	d.Store(t, pipeline.KindPeek, "0593655036", "work", d.Product(t, good, false), 0)
	for name, command := range helped() {
		examples := examplesOf(command.Help())
		if len(examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, args := range examples {
			said(t, nats, args...)
		}
		var out, errOut bytes.Buffer
		if code := run(append(strings.Fields(name), "--help"), &out, &errOut); code != 0 || !strings.Contains(out.String(), "ratchet "+strings.Join(examples[0][:min(2, len(examples[0]))], " ")) {
			t.Errorf("%s --help shows no example: %s", name, out.String())
		}
	}
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
	if got := said(t, nats, buy...); !strings.Contains(got, good[0]+" (amazon.com) is bought for $9.99 on 2026-03-02.") {
		t.Errorf("buy says %s", got)
	}
	check("bought", false, true)
	if got := said(t, nats, buy...); !strings.Contains(got, "counts once") {
		t.Errorf("bought again it says %s", got)
	}
	if got := said(t, nats, "status"); !strings.Contains(got, "1 that you bought or ignored") {
		t.Errorf("status says %s", got)
	}
	said(t, nats, "buy", good[0], "--undo")
	check("undone", true, true)
	if got := said(t, nats, buy...); strings.Contains(got, "counts once") {
		t.Errorf("bought after the undo it says %s", got)
	}
	check("bought after the undo", false, true)
	if got := said(t, nats, "ignore", good[1], "--for", "30d"); !strings.Contains(got, "1 visible deals leave") {
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
