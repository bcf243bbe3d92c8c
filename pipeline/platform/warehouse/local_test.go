package warehouse_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
)

// clickhouse-client needs a server, and the embedded engine is not one to it. But the engine's library contains
// clickhouse-local, which shares the client's command line and the reading of query files, parameters and output.

func TestClickHouseLocalAnswersEveryQuestionsFileUnchanged(t *testing.T) {
	t.Parallel()
	if !chtest.Embedded() {
		t.Skip("it is in the embedded engine")
	}
	e := chtest.Own(t)
	w := openAt(t, e.URL)
	seed(t, w)
	report := map[string][]byte{}
	for _, q := range warehouse.Questions() {
		report[q.Name] = answer(t, w, q)
	}
	must(t, w.Close())
	must(t, e.Stop())
	root := filepath.Join("..", "..", "..")
	for _, q := range warehouse.Questions() {
		args := []string{"--database", "ratchet", "--format", "JSONCompact", "--queries-file", filepath.Join("schemas", "clickhouse", "queries", q.Name+".sql")}
		for name, value := range given(q) {
			args = append(args, "--param_"+name, value)
		}
		out, err := runLocal(t, e.Data, root, args...)
		if err != nil {
			t.Errorf("%s: %v", q.Name, err)
		} else if got := asReport(t, []byte(out)); !bytes.Equal(got, report[q.Name]) {
			t.Errorf("%s from its file:\n%sby report:\n%s", q.Name, got, report[q.Name])
		}
	}
	for _, command := range examples(t, "clickhouse-client") {
		out, err := runLocal(t, e.Data, root, words(command)...)
		if err != nil || !strings.Contains(out, "glance") {
			t.Errorf("the arguments of\n%s\nprinted\n%s%v", command, out, err)
		}
	}
	for code, args := range map[string][]string{
		"Code: 456.": {"--queries-file", filepath.Join("schemas", "clickhouse", "queries", "funnel.sql")}, // a parameter is missing
		"Code: 60.":  {"--query", "SELECT 1; SELECT * FROM nope"},
		"Code: 107.": {"--queries-file", "nope.sql"},
	} {
		if _, err := runLocal(t, e.Data, root, append(args, "--database", "ratchet")...); err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%v: got %v, want %s", args, err, code)
		}
	}
}

// words splits a command into its arguments, as a shell does.
func words(command string) []string {
	var args []string
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(command, -1)[1:] {
		args = append(args, m[1]+m[2]+m[3])
	}
	return args
}
