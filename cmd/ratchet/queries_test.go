package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/daemon"
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
	if code := run([]string{"queries", "check", dir}, &out, &errOut); code != daemon.ExitUsage {
		t.Errorf("exit code %d, want %d", code, daemon.ExitUsage)
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
	if code := run([]string{"queries", "check", filepath.Join("..", "..", "schemas", "queries-keepa")}, &out, &errOut); code != daemon.ExitDone {
		t.Errorf("the built-in query: exit code %d: %s", code, errOut.String())
	}
}
