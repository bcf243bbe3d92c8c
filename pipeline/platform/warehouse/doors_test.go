package warehouse_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/pipeline/platform/warehouse"
)

// The files of the questions are for all clients: ratchet report, curl,
// Grafana and, against a server, clickhouse-client send them unchanged.

// given returns the parameters with which answer runs a question.
func given(q warehouse.Question) map[string]string {
	set := map[string]string{}
	for _, p := range q.Params {
		switch p.Name {
		case "since":
			set[p.Name] = "2026-03-05 00:00:00"
		case "until":
			set[p.Name] = "2026-03-07 00:00:00"
		case "other":
			set[p.Name] = "stricter"
		default:
			set[p.Name] = p.Default
		}
	}
	return set
}

func TestEveryQuestionsFileAnswersByHTTPLikeReport(t *testing.T) {
	t.Parallel()
	dsn := chtest.Database(t)
	at, err := url.Parse(dsn)
	must(t, err)
	if !strings.HasPrefix(at.Scheme, "http") {
		t.Skip("this server is reached by its native protocol")
	}
	w := openAt(t, dsn)
	seed(t, w)
	for _, q := range warehouse.Questions() {
		body := posted(t, at, q.SQL, given(q))
		if got, report := asReport(t, body), answer(t, w, q); !bytes.Equal(got, report) {
			t.Errorf("%s by HTTP:\n%sby report:\n%s", q.Name, got, report)
		}
	}
}

// posted returns the answer to a question that is sent as curl would.
func posted(t *testing.T, at *url.URL, sql string, params map[string]string) []byte {
	t.Helper()
	set := url.Values{"database": {strings.Trim(at.Path, "/")}, "default_format": {"JSONCompact"}}
	for name, value := range params {
		set.Set("param_"+name, value)
	}
	to := *at
	to.Path, to.RawQuery = "/", set.Encode()
	r, err := http.Post(to.String(), "text/plain", strings.NewReader(sql))
	must(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(t, err)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", sql, r.Status, body)
	}
	return body
}

// asReport converts ClickHouse's JSON to the CSV of ratchet report.
func asReport(t *testing.T, body []byte) []byte {
	t.Helper()
	var said struct {
		Meta []struct{ Name string }
		Data [][]any
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	must(t, d.Decode(&said))
	table := warehouse.Table{}
	for _, m := range said.Meta {
		table.Columns = append(table.Columns, m.Name)
	}
	for _, row := range said.Data {
		for i := range row {
			row[i] = asValue(row[i])
		}
		table.Rows = append(table.Rows, row)
	}
	var out bytes.Buffer
	must(t, table.Write(&out, "csv"))
	return out.Bytes()
}

func asValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if f, err := strconv.ParseFloat(v.String(), 64); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
		return v.String()
	case string:
		return strings.TrimSuffix(v, ".000") // a time without milliseconds
	case []any:
		for i := range v {
			v[i] = asValue(v[i])
		}
	}
	return v
}

func TestAnAnswerWithoutRowsHasItsColumns(t *testing.T) {
	t.Parallel()
	w := openAt(t, chtest.Database(t))
	none, err := w.SQL(t.Context(), "WITH 1 AS x SELECT x AS a, 'y' AS b WHERE 0 -- nothing", true)
	must(t, err)
	if strings.Join(none.Columns, " ") != "a b" || len(none.Types) != 2 || len(none.Rows) != 0 {
		t.Errorf("got %+v", none)
	}
}

// examples returns the commands of docs/sql.md that begin with a word.
func examples(t *testing.T, word string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "sql.md"))
	must(t, err)
	section := strings.ReplaceAll(string(page), "\\\n", "")
	found := regexp.MustCompile(`(?m)^`+word+` .*$`).FindAllString(section, -1)
	if len(found) == 0 {
		t.Fatalf("docs/sql.md shows no %s", word)
	}
	return found
}

// program requires a command on PATH and skips the test without it; .ci/run installs curl.
func program(t *testing.T, name string) {
	t.Helper()
	if _, err := osexec.LookPath(name); err != nil {
		machinetest.Lacks(t, "%v", err)
	}
}

// shell runs a page's command in the repository's directory. It replaces
// the usual addresses and the usual database of the page with the test's.
func shell(t *testing.T, command string, instead ...string) string {
	t.Helper()
	cmd := osexec.CommandContext(t.Context(), "bash", "-c", strings.NewReplacer(instead...).Replace(command))
	cmd.Dir = filepath.Join("..", "..", "..")
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, words.Bytes())
	}
	return string(out)
}

func TestTheCurlCommandsOfThePageRunAsWritten(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	dsn := chtest.Database(t)
	at, err := url.Parse(dsn)
	must(t, err)
	if at.Scheme != "http" || at.User.String() != "default" {
		t.Skip("the examples of docs/sql.md name neither a password nor another protocol, and this server wants one")
	}
	w := openAt(t, dsn)
	seed(t, w)
	for _, command := range examples(t, "curl") {
		out := shell(t, command, "127.0.0.1:8123", at.Host, "database=ratchet", "database="+strings.Trim(at.Path, "/"))
		if !strings.Contains(out, "glance") || !strings.Contains(out, "commit") {
			t.Errorf("%s\nprinted\n%s", command, out)
		}
	}
}

// TestEveryQuestionRunsAsGrafanasDatasourceSendsIt opens ClickHouse as that does: with database/sql over HTTP,
// gzipped, with the user's custom settings on every request. A question's parameters are param_NAME among them.
func TestEveryQuestionRunsAsGrafanasDatasourceSendsIt(t *testing.T) {
	t.Parallel()
	dsn := chtest.Database(t)
	if !strings.HasPrefix(dsn, "http") {
		t.Skip("parameters among the settings are a way of HTTP")
	}
	w := openAt(t, dsn)
	seed(t, w)
	for _, q := range warehouse.Questions() {
		o, err := clickhouse.ParseDSN(dsn)
		must(t, err)
		o.Compression, o.Settings = &clickhouse.Compression{Method: clickhouse.CompressionGZIP}, clickhouse.Settings{}
		for name, value := range given(q) {
			o.Settings["param_"+name] = value
		}
		db := clickhouse.OpenDB(o)
		rows, err := db.QueryContext(t.Context(), q.SQL)
		if err != nil {
			t.Errorf("%s: %v", q.Name, err)
			_ = db.Close()
			continue
		}
		columns, err := rows.Columns()
		must(t, err)
		lines := 1 // the head
		for rows.Next() {
			lines++
		}
		must(t, rows.Err())
		must(t, rows.Close())
		must(t, db.Close())
		report := string(answer(t, w, q))
		if head := strings.Join(columns, ","); !strings.HasPrefix(report, head+"\n") || strings.Count(report, "\n") != lines {
			t.Errorf("%s as Grafana asks has %d lines under %s; report says\n%s", q.Name, lines, head, report)
		}
	}
}
