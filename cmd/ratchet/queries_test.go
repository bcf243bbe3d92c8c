package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
)

func TestQueriesCheckNamesTheFileAndTheFieldAndExitsWith2(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, body := range map[string]string{
		"fine.json":   `{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":1}`,
		"string.json": `{"domainId":1,"priceTypes":[2],"dateRange":"3","sortType":1}`,
		"range.json":  `{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":1,"isRangeEnabled":true,"currentRange":[9,2]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"queries", "check", dir}, &out, &errOut); code != process.ExitUsage {
		t.Errorf("exit code %d, want %d", code, process.ExitUsage)
	}
	for _, want := range []string{"string.json", "dateRange: must be a whole number", "range.json", "currentRange: [9, 2]: the lower end is above the upper"} {
		if !strings.Contains(errOut.String(), want) {
			t.Errorf("says %q, want %q in it", errOut.String(), want)
		}
	}
	if !strings.Contains(out.String(), "fine.json: fine, fine@") {
		t.Errorf("says %q of the file that is fine", out.String())
	}
	out.Reset()
	if code := run([]string{"queries", "check", filepath.Join("..", "..", "schemas", "queries-keepa")}, &out, &errOut); code != process.ExitDone {
		t.Errorf("the built-in query: exit code %d: %s", code, errOut.String())
	}
}

// pasted is what Keepa's web page shows as the API query of a search for used books.
const pasted = `{"page":0,"domainId":"1","excludeCategories":[],"includeCategories":[283155],"priceTypes":["2"],"currentRange":[2000,30100],
"deltaRange":[-1,-1],"salesRankRange":["50000","1500000"],"minRating":"10","isRangeEnabled":true,"isFilterEnabled":true,"hasAmazonOffer":false,
"singleVariation":true,"sortType":"4","dateRange":"3"}`

func TestQueriesImportPrintsWhatAPastedQueryBecame(t *testing.T) {
	t.Setenv("RULES", "")
	dir := t.TempDir()
	from := filepath.Join(dir, "My query.txt")
	if err := os.WriteFile(from, []byte(pasted), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"queries", "import", from}, &out, &errOut); code != process.ExitDone {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	for _, want := range []string{"page: dropped", "hasAmazonOffer: dropped", "deltaRange: dropped: [-1,-1] is off", `sortType: "4" became 4`} {
		if !strings.Contains(errOut.String(), want) {
			t.Errorf("says %q, want %q in it", errOut.String(), want)
		}
	}
	to := filepath.Join(dir, "mine.json")
	if err := os.WriteFile(to, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	errOut.Reset()
	if code := run([]string{"queries", "check", to}, &out, &errOut); code != process.ExitDone || errOut.Len() > 0 {
		t.Errorf("the file that it became: exit code %d: %s", code, errOut.String())
	}
}

func TestWhatTheLooksCannotDecideIsRefusedBeforeATokenIsSpent(t *testing.T) {
	unset(t, "KEEPA_API_KEY")
	t.Setenv("RULES", "")
	dir := t.TempDir()
	file := filepath.Join(dir, "new.json")
	if err := os.WriteFile(file, []byte(`{"domainId":1,"priceTypes":[1],"dateRange":3,"sortType":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("QUERIES", dir)
	for _, args := range [][]string{
		{"queries", "check", dir},
		{"queries", "import", file},
		{"up", "--data", t.TempDir(), "--clickhouse", "none"},
		{"up", "--data", t.TempDir(), "--clickhouse", "none", "--query", file},
		{"daemon", "watermarker"},
	} {
		if args[0] == "daemon" {
			t.Setenv("KEEPA_API_KEY", "k")
		}
		var out, errOut bytes.Buffer
		if code := run(args, &out, &errOut); code != process.ExitUsage || !strings.Contains(errOut.String(), "priceTypes: 1 (new)") ||
			!strings.Contains(errOut.String(), "only used copies can be decided") {
			t.Errorf("%v: exit code %d, says %q", args, code, errOut.String())
		}
	}
}

func TestAQueryForAnotherCategoryShowsWhatTheBuiltInRulesAssume(t *testing.T) {
	t.Setenv("RULES", "")
	file := filepath.Join(t.TempDir(), "tools.json")
	body := `{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":1,"isFilterEnabled":true,"includeCategories":[228013]}`
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	if code := run([]string{"queries", "check", file}, &out, &errOut); code != process.ExitDone || !strings.Contains(errOut.String(), "tools: the built-in rules assume books") {
		t.Errorf("exit code %d, says %q", code, errOut.String())
	}
	errOut.Reset()
	rules := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(rules, schemas.UsedBooks, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"queries", "check", file, "--rules", rules}, &out, &errOut); code != process.ExitDone || errOut.Len() > 0 {
		t.Errorf("by rules of one's own: exit code %d, says %q", code, errOut.String())
	}
}

func TestReadingASilentPipeEndsWithTheCommand(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip("no pipes here")
	}
	for name, command := range map[string]func(*app) error{
		"rules check":    rulesCheckCmd{File: fifo}.Run,
		"queries check":  queriesCheckCmd{Files: []string{fifo}}.Run,
		"queries import": queriesImportCmd{File: fifo}.Run,
	} {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		var out, errOut bytes.Buffer
		begin := time.Now()
		if err := command(&app{ctx: ctx, out: &out, errOut: &errOut}); err == nil || time.Since(begin) > time.Second {
			t.Errorf("%s: %v after %s", name, err, time.Since(begin))
		}
	}
}

func TestRulesOfOneMarketplaceAreRefusedForAnother(t *testing.T) {
	t.Setenv("RULES", "")
	file := filepath.Join(t.TempDir(), "buecher.json")
	body := `{"domainId":3,"priceTypes":[2],"dateRange":3,"sortType":1,"isFilterEnabled":true,"includeCategories":[186606]}`
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(t.TempDir(), "mine.yaml")
	german := bytes.Replace(schemas.UsedBooks, []byte("marketplace: com"), []byte("marketplace: de"), 1)
	if err := os.WriteFile(rules, german, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"queries", "check", file}, process.ExitUsage, "set marketplace: de"},
		{[]string{"queries", "check", file, "--rules", rules}, process.ExitDone, ""},
	} {
		var out, errOut bytes.Buffer
		if code := run(c.args, &out, &errOut); code != c.code || !strings.Contains(errOut.String(), c.says) {
			t.Errorf("%v: exit code %d, says %q", c.args, code, errOut.String())
		}
	}
}
