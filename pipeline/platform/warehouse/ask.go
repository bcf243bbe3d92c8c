package warehouse

import (
	"context"
	"fmt"
	"io/fs"
	"math/big"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
)

// Question is one file of schemas/clickhouse/queries.
type Question struct {
	Name    string // the file's name without .sql
	Asks    string // the question, in one sentence
	Heading string // the whole comment: columns, units, parameters
	Params  []Param
	SQL     string // as in the file
}

// Param is a parameter of a question, {name:Type} in its SQL.
type Param struct {
	Name    string
	Type    string
	Default string // a value in the form that Check accepts
	Says    string
}

// questions are read once: they are compiled in, and a test reads every one of them.
var questions = must(readQuestions(schemas.ClickHouse))

// Questions returns the named questions, sorted by name.
func Questions() []Question { return slices.Clone(questions) }

var (
	headLine  = regexp.MustCompile(`^-- ([a-z-]+): (.+)$`)
	paramLine = regexp.MustCompile(`^--   (\w+)\s+(\w+)\s+= (\S+)\s+(.+)$`)
)

func readQuestions(files fs.FS) ([]Question, error) {
	names, err := fs.Glob(files, "clickhouse/queries/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list questions: %w", err)
	}
	slices.Sort(names)
	var out []Question
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read question: %w", err)
		}
		q, err := readQuestion(strings.TrimSuffix(path.Base(name), ".sql"), string(body))
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

func readQuestion(name, sql string) (Question, error) {
	q := Question{Name: name, SQL: sql}
	for line := range strings.Lines(sql) {
		line = strings.TrimRight(line, "\n")
		if !strings.HasPrefix(line, "--") {
			break
		}
		q.Heading += strings.TrimPrefix(strings.TrimPrefix(line, "--"), " ") + "\n"
		if m := paramLine.FindStringSubmatch(line); m != nil {
			q.Params = append(q.Params, Param{Name: m[1], Type: m[2], Default: m[3], Says: m[4]})
		}
	}
	first, _, _ := strings.Cut(sql, "\n")
	m := headLine.FindStringSubmatch(first)
	if m == nil || m[1] != name {
		return q, fmt.Errorf("question %s: want the first line `-- %s: the question`", name, name)
	}
	q.Asks = m[2]
	return q, nil
}

// Ask runs a named question. A parameter that is not in params has its default; values are validated as by Check.
func (w *Warehouse) Ask(ctx context.Context, name string, params map[string]string) (*Table, error) {
	q, err := Find(name)
	if err != nil {
		return nil, err
	}
	values, err := q.values(params)
	if err != nil {
		return nil, err
	}
	set := clickhouse.Parameters{}
	for name, v := range values {
		set[name] = v.text
		if v.ago {
			if set[name], err = w.before(ctx, v.back); err != nil {
				return nil, w.noTables(ctx, fmt.Errorf("ask %s: %w", q.Name, err))
			}
		}
	}
	if err := w.knows(ctx, q, set); err != nil {
		return nil, err
	}
	t, err := w.query(ctx, strings.TrimSuffix(strings.TrimSpace(q.SQL), ";"), set, readOnly())
	if err != nil {
		return nil, w.noTables(ctx, fmt.Errorf("ask %s: %w", name, err))
	}
	return t, nil
}

// SQL runs any statement. With readonly set, a statement that would change something is rejected: by ClickHouse,
// and before that by its words, because for ClickHouse INSERT INTO FUNCTION file(…) changes nothing.
func (w *Warehouse) SQL(ctx context.Context, query string, readonly bool) (*Table, error) {
	query = strings.TrimSuffix(strings.TrimSpace(query), ";")
	if query == "" {
		return nil, process.Usagef("query: empty; want a statement like SELECT count() FROM verdicts")
	}
	var settings clickhouse.Settings
	if readonly {
		if !answers(query) || inserts(query) {
			return nil, process.Usagef("query: want a statement that only reads (SELECT, WITH, FROM, SHOW, DESCRIBE, EXPLAIN, EXISTS, CHECK, VALUES); allow one that changes something with --write")
		}
		settings = readOnly()
	} else if !answers(query) {
		if err := w.exec(ctx, query); err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
		return &Table{}, nil
	}
	t, err := w.query(ctx, query, nil, settings)
	if code(err) == codeReadOnly {
		return nil, fmt.Errorf("query: %w; it would change something: allow it with --write", err)
	}
	if err != nil && ownFormat.MatchString(query) {
		return nil, fmt.Errorf("query: %w; leave FORMAT out of the statement: --format sets the format of the answer", err)
	}
	if err != nil {
		return nil, w.noTables(ctx, fmt.Errorf("query: %w", err))
	}
	return t, nil
}

// readOnly rejects writes but lets the driver set its own settings.
func readOnly() clickhouse.Settings { return clickhouse.Settings{"readonly": 2} }

var answering = regexp.MustCompile(`(?is)^(\s|--[^\n]*\n|#[ !][^\n]*\n|/\*.*?\*/|\()*(SELECT|WITH|FROM|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|CHECK|VALUES)\b`)

var ownFormat = regexp.MustCompile(`(?is)\bFORMAT\s+\w+\s*$`)

// answers reports whether a statement returns rows.
func answers(query string) bool { return answering.MatchString(query) }

var (
	quoted    = regexp.MustCompile("(?s)'(?:[^'\\\\]|\\\\.)*'|\"(?:[^\"\\\\]|\\\\.)*\"|`(?:[^`\\\\]|\\\\.)*`|--[^\n]*|#[ !][^\n]*|/\\*.*?\\*/")
	dollars   = regexp.MustCompile(`\$\w*\$`) // another form of quotes
	inserting = regexp.MustCompile(`(?i)\bINSERT\b`)
)

// inserts reports whether a statement contains INSERT outside of strings, names and comments,
// also after WITH or EXPLAIN. It prevents accidents; rights are the server's concern.
func inserts(query string) bool {
	if !dollars.MatchString(query) {
		query = quoted.ReplaceAllString(query, " ")
	}
	return inserting.MatchString(query)
}

// Find returns the question with a name.
func Find(name string) (Question, error) {
	for _, q := range questions {
		if q.Name == name {
			return q, nil
		}
	}
	var names []string
	for _, q := range questions {
		names = append(names, q.Name)
	}
	return Question{}, process.Usagef("no question is named %q; there are %s", name, strings.Join(names, ", "))
}

// before returns the pipeline's time less d, in ClickHouse's format.
func (w *Warehouse) before(ctx context.Context, d time.Duration) (string, error) {
	t, err := w.query(ctx, "SELECT now FROM pipeline_clock", nil, readOnly())
	if err != nil {
		return "", fmt.Errorf("read the pipeline's clock: %w", err)
	}
	now := time.Time{}
	if len(t.Rows) == 1 {
		now, _ = t.Rows[0][0].(time.Time)
	}
	since := now.Add(-d).UTC()
	if since.Before(time.Unix(0, 0)) {
		since = time.Unix(0, 0).UTC()
	}
	return since.Format(time.DateTime), nil
}

// noTables adds the next step to an error that comes from a database without tables.
func (w *Warehouse) noTables(ctx context.Context, err error) error {
	if Classify(err) != NoSchema {
		return err
	}
	if t, e := w.query(ctx, "EXISTS TABLE schema_migrations", nil, readOnly()); e != nil || len(t.Rows) != 1 || fmt.Sprint(t.Rows[0][0]) != "0" {
		return err
	}
	return fmt.Errorf("database %s at %s has no tables yet: start the recorder with `ratchet up`, or let CLICKHOUSE_URL name the database it records into (%w)", w.database, w.address, err)
}

// query runs a statement that returns rows.
func (w *Warehouse) query(ctx context.Context, sql string, params clickhouse.Parameters, settings clickhouse.Settings) (*Table, error) {
	opts := []clickhouse.QueryOption{}
	if params != nil {
		opts = append(opts, clickhouse.WithParameters(params))
	}
	if settings != nil {
		opts = append(opts, clickhouse.WithSettings(settings))
	}
	rows, err := w.conn.Query(clickhouse.Context(ctx, opts...), sql)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	t := &Table{Columns: rows.Columns()}
	types := rows.ColumnTypes()
	for _, c := range types {
		t.Types = append(t.Types, c.DatabaseTypeName())
	}
	for rows.Next() {
		row, err := scan(rows, types)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(t.Columns) == 0 && selecting.MatchString(sql) {
		return t, w.describe(ctx, t, sql, opts)
	}
	return t, nil
}

var selecting = regexp.MustCompile(`(?is)^(\s|--[^\n]*\n|#[ !][^\n]*\n|/\*.*?\*/|\()*(SELECT|WITH)\b`)

// describe adds the columns of an answer without rows, which HTTP does not transfer.
func (w *Warehouse) describe(ctx context.Context, t *Table, sql string, opts []clickhouse.QueryOption) error {
	rows, err := w.conn.Query(clickhouse.Context(ctx, opts...), "DESCRIBE ("+sql+"\n)")
	if err != nil {
		return err
	}
	defer rows.Close()
	types := rows.ColumnTypes()
	for rows.Next() {
		row, err := scan(rows, types)
		if err != nil {
			return err
		}
		t.Columns, t.Types = append(t.Columns, fmt.Sprint(row[0])), append(t.Types, fmt.Sprint(row[1]))
	}
	return rows.Err()
}

func scan(rows driver.Rows, types []driver.ColumnType) ([]any, error) {
	into := make([]any, len(types))
	for i, c := range types {
		into[i] = reflect.New(c.ScanType()).Interface()
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i := range into {
		into[i] = bare(reflect.ValueOf(into[i]).Elem())
	}
	return into, nil
}

// bare removes pointers from a value, also inside of tuples and arrays; NULL is nil.
func bare(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		if _, ok := v.Interface().(*big.Int); ok { // a value, although only its pointer can be printed
			return v.Interface()
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Slice || !mayHoldPointers(v.Type().Elem()) {
		return v.Interface()
	}
	out := make([]any, v.Len())
	for i := range out {
		out[i] = bare(v.Index(i))
	}
	return out
}

func mayHoldPointers(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface || t.Kind() == reflect.Slice
}

// exec runs a statement that returns nothing; pairs are parameters by name.
func (w *Warehouse) exec(ctx context.Context, sql string, pairs ...string) error {
	params := clickhouse.Parameters{}
	for i := 0; i+1 < len(pairs); i += 2 {
		params[pairs[i]] = pairs[i+1]
	}
	return w.conn.Exec(clickhouse.Context(ctx, clickhouse.WithParameters(params)), sql)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
