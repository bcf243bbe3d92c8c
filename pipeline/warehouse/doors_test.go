package warehouse_test

import (
	"bytes"
	"context"
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
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/embedded/clickhouse/chtest"
	"ratchet/pipeline/warehouse"
)

// The questions' files are for everybody: ratchet report, curl, clickhouse-client and Grafana send them as they are.

// given are the parameters with which answer asks a question.
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

func TestEveryQuestionsFileAsItStandsAnswersByHTTPWhatReportSays(t *testing.T) {
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

// posted is the answer to a question that is sent as curl would.
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

// asReport writes ClickHouse's JSON as ratchet report writes CSV.
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
		return strings.TrimSuffix(v, ".000") // a time on the second
	case []any:
		for i := range v {
			v[i] = asValue(v[i])
		}
	}
	return v
}

// The driver speaks another language to the same tables: migrations, inserts with their tokens, questions.
func TestTheNativeProtocolStoresAndAnswersWhatHTTPDoes(t *testing.T) {
	t.Parallel()
	dsn, native := chtest.Both(t)
	w, err := warehouse.Open(t.Context(), dsn)
	must(t, err)
	defer func() { _ = w.Close() }()
	n, err := warehouse.Open(t.Context(), native)
	must(t, err)
	defer func() { _ = n.Close() }()
	must(t, n.Migrate(t.Context()))
	must(t, w.Migrate(t.Context()))
	seed(t, n)
	seed(t, n) // under the same tokens, so it is dropped on its way in
	seed(t, w) // by the other door too
	want(t, n, "SELECT count() FROM verdicts", "120")
	for _, q := range warehouse.Questions() {
		golden, err := os.ReadFile(filepath.Join("testdata", "answers", q.Name+".csv"))
		must(t, err)
		if got := answer(t, n, q); !bytes.Equal(got, golden) {
			t.Errorf("%s natively:\n%swant\n%s", q.Name, got, golden)
		}
	}
	for _, door := range []*warehouse.Warehouse{w, n} {
		none, err := door.SQL(t.Context(), "WITH 1 AS x SELECT x AS a, 'y' AS b WHERE 0 -- nothing", true)
		must(t, err)
		if strings.Join(none.Columns, " ") != "a b" || len(none.Types) != 2 || len(none.Rows) != 0 {
			t.Errorf("an answer without rows: got %+v", none)
		}
	}
	for _, wrong := range []string{"SELECT * FROM nope", "SELECT nope", "SELEC 1", "DROP TABLE verdicts"} {
		_, byHTTP := w.SQL(t.Context(), wrong, true)
		_, natively := n.SQL(t.Context(), wrong, true)
		if byHTTP == nil || natively == nil || warehouse.Classify(byHTTP) != warehouse.Classify(natively) {
			t.Errorf("%s: by HTTP %v, natively %v", wrong, byHTTP, natively)
		}
	}
}

// examples are README's commands that begin with a word, under the heading Ask ClickHouse.
func examples(t *testing.T, word string) []string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	must(t, err)
	_, section, _ := strings.Cut(string(readme), "\n## Ask ClickHouse\n")
	section, _, _ = strings.Cut(section, "\n## ")
	section = strings.ReplaceAll(section, "\\\n", "")
	found := regexp.MustCompile(`(?m)^`+word+` .*$`).FindAllString(section, -1)
	if len(found) == 0 {
		t.Fatalf("README shows no %s under Ask ClickHouse", word)
	}
	return found
}

// program is a command on PATH, or the end of the test; .ci/run sees to it that curl is there.
func program(t *testing.T, name string) {
	t.Helper()
	if _, err := osexec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// shell runs README's command in the repository's directory. What it reads there are this machine's usual addresses
// and the usual database; it is told the test's.
func shell(t *testing.T, command string, instead ...string) string {
	t.Helper()
	cmd := osexec.CommandContext(t.Context(), "bash", "-c", strings.NewReplacer(instead...).Replace(command))
	cmd.Dir = filepath.Join("..", "..")
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", command, err, out, words.Bytes())
	}
	return string(out)
}

func TestREADMEsCurlExamplesRunAsWritten(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	dsn := chtest.Database(t)
	at, err := url.Parse(dsn)
	must(t, err)
	if at.Scheme != "http" || at.User.String() != "default" {
		t.Skip("README's examples name neither a password nor another protocol, and this server wants one")
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

// modernClient reports whether a clickhouse-client is at hand that knows parameters.
func modernClient(t *testing.T) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	said, err := osexec.CommandContext(ctx, "clickhouse-client", "--version").Output()
	m := regexp.MustCompile(`version (\d+)\.`).FindSubmatch(said)
	if err != nil || m == nil {
		return false
	}
	major, err := strconv.Atoi(string(m[1]))
	return err == nil && major >= 22
}

var clientFlag = regexp.MustCompile(`--(\S+) ('[^']*'|"[^"]*"|\S+)`)

// Where no clickhouse-client of these years is at hand, the driver sends what the client would.
func TestREADMEsClientExamplesRunAsWritten(t *testing.T) {
	t.Parallel()
	dsn, native := chtest.Both(t)
	at, err := url.Parse(native)
	must(t, err)
	w := openAt(t, dsn)
	seed(t, w)
	modern := modernClient(t)
	for _, command := range examples(t, "clickhouse-client") {
		if modern {
			out := shell(t, command, "--database ratchet", "--port "+at.Port()+" --database "+strings.Trim(at.Path, "/"))
			if !strings.Contains(out, "glance") {
				t.Errorf("%s\nprinted\n%s", command, out)
			}
			continue
		}
		sql, params := "", clickhouse.Parameters{}
		for _, flag := range clientFlag.FindAllStringSubmatch(command, -1) {
			value := strings.Trim(flag[2], `'"`)
			switch name, isParam := strings.CutPrefix(flag[1], "param_"); {
			case isParam:
				params[name] = value
			case flag[1] == "query":
				sql = value
			case flag[1] == "queries-file":
				text, err := os.ReadFile(filepath.Join("..", "..", value))
				must(t, err)
				sql = string(text)
			case flag[1] != "database" || value != "ratchet":
				t.Errorf("%s: the test does not know --%s %s", command, flag[1], value)
			}
		}
		o, err := clickhouse.ParseDSN(native)
		must(t, err)
		conn, err := clickhouse.Open(o)
		must(t, err)
		rows, err := conn.Query(clickhouse.Context(t.Context(), clickhouse.WithParameters(params)), sql)
		must(t, err)
		if !rows.Next() {
			t.Errorf("%s: no rows; %v", command, rows.Err())
		}
		must(t, rows.Close())
		must(t, conn.Close())
	}
}

// TestEveryQuestionRunsAsGrafanasDatasourceSendsIt opens ClickHouse as that does: by database/sql over HTTP, gzipped, what the
// user calls custom settings on every request. A question's parameters are param_NAME among them.
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
