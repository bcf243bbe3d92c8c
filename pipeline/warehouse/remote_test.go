package warehouse_test

import (
	"bytes"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ratchet/pipeline/embedded/clickhouse/chtest"
	"ratchet/pipeline/warehouse"
)

// The engine is a library with ClickHouse's own clients in it: the connection that reads and writes another server's
// tables by remote(), and clickhouse-local. clickhouse-client is made of the two.

// elsewhere is what reads through the native door by ClickHouse's own connection: remote() with the address of native.
func elsewhere(t *testing.T, native, what string) string {
	t.Helper()
	at, err := url.Parse(native)
	must(t, err)
	password, _ := at.User.Password()
	return fmt.Sprintf("remote('%s', %s, '%s', '%s')", at.Host, what, at.User.Username(), password)
}

func TestEveryTableReadByClickHousesOwnConnectionIsWhatItIs(t *testing.T) {
	t.Parallel()
	dsn, native := chtest.Both(t)
	w := openAt(t, dsn)
	seed(t, w)
	tables := strings.Fields(ask(t, w, "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE '.%' AND name != 'pipeline_clock'")) // which says another time when asked again
	rows := 0
	for _, table := range tables {
		// The state of an aggregate does not travel natively; what it comes to does.
		columns := strings.Join(strings.Split(ask(t, w, "SELECT if(type LIKE 'Aggregate%', 'finalizeAggregation(' || name || ') AS ' || name, name) FROM system.columns "+
			"WHERE database = currentDatabase() AND table = '"+table+"' ORDER BY position"), "\n"), ", ")
		direct := ask(t, w, "SELECT "+columns+" FROM "+table+" ORDER BY ALL")
		through := ask(t, w, "SELECT "+columns+" FROM "+elsewhere(t, native, ask(t, w, "SELECT currentDatabase()")+", "+table)+" ORDER BY ALL")
		if through != direct {
			t.Errorf("%s through the door:\n%s\nwant\n%s", table, through, direct)
		}
		rows += strings.Count(direct, "\n")
	}
	if len(tables) < 20 || rows < 500 {
		t.Errorf("%d tables and %d rows prove little", len(tables), rows)
	}
}

func TestEveryQuestionsFileAsItStandsIsReadAndAnsweredByClickHousesOwnClients(t *testing.T) {
	t.Parallel()
	if !chtest.Embedded() {
		t.Skip("they are in the embedded engine")
	}
	e := chtest.Own(t)
	at, err := url.Parse(e.URL)
	must(t, err)
	w := openAt(t, e.URL)
	seed(t, w)
	report := map[string][]byte{}
	for _, q := range warehouse.Questions() {
		report[q.Name] = answer(t, w, q)
		there := elsewhere(t, e.Native, "view("+strings.TrimRight(q.SQL, "; \n")+"\n)")
		if got := asReport(t, posted(t, at, "SELECT * FROM "+there, given(q))); !bytes.Equal(got, report[q.Name]) {
			t.Errorf("%s through the native door:\n%sby report:\n%s", q.Name, got, report[q.Name])
		}
	}
	must(t, w.Close())
	must(t, e.Stop())
	root := filepath.Join("..", "..")
	for _, q := range warehouse.Questions() {
		args := []string{"--database", "ratchet", "--format", "JSONCompact", "--queries-file", filepath.Join("schemas", "clickhouse", "queries", q.Name+".sql")}
		for name, value := range given(q) {
			args = append(args, "--param_"+name, value)
		}
		out, err := e.Local(t, root, args...)
		if err != nil {
			t.Errorf("%s: %v", q.Name, err)
		} else if got := asReport(t, []byte(out)); !bytes.Equal(got, report[q.Name]) {
			t.Errorf("%s from its file:\n%sby report:\n%s", q.Name, got, report[q.Name])
		}
	}
	for _, command := range examples(t, "clickhouse-client") {
		out, err := e.Local(t, root, words(command)...)
		if err != nil || !strings.Contains(out, "glance") {
			t.Errorf("the arguments of\n%s\nprinted\n%s%v", command, out, err)
		}
	}
	for code, args := range map[string][]string{
		"Code: 456.": {"--queries-file", filepath.Join("schemas", "clickhouse", "queries", "funnel.sql")}, // a parameter is missing
		"Code: 60.":  {"--query", "SELECT 1; SELECT * FROM nope"},
		"Code: 107.": {"--queries-file", "nope.sql"},
	} {
		if _, err := e.Local(t, root, append(args, "--database", "ratchet")...); err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%v: got %v, want %s", args, err, code)
		}
	}
}

// words are a command's arguments as a shell takes them apart.
func words(command string) []string {
	var args []string
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(command, -1)[1:] {
		args = append(args, m[1]+m[2]+m[3])
	}
	return args
}
