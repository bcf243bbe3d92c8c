package warehouse

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
)

// value is the value of a parameter: a text in ClickHouse's
// format, or an instant that long before now, pipeline time.
type value struct {
	text string
	ago  bool
	back time.Duration
}

// Check validates the parameters of a question: it rejects unknown ones, and values that do not fit the type. A
// DateTime is a time in UTC (2026-11-01, 2026-11-01 13:00:00, RFC 3339), or how long ago it is (-90m, -24h, -7d).
func (q Question) Check(params map[string]string) error {
	_, err := q.values(params)
	return err
}

// values returns all parameters of the question, with defaults for those that are not in params.
func (q Question) values(params map[string]string) (map[string]value, error) {
	set := map[string]value{}
	var names []string
	for _, p := range q.Params {
		text, given := params[p.Name]
		if !given {
			text = p.Default
		}
		v, err := p.value(text)
		if err != nil {
			return nil, process.Usagef("question %s: parameter %s: %w", q.Name, p.Name, err)
		}
		set[p.Name] = v
		names = append(names, p.Name)
	}
	for given := range params {
		if _, known := set[given]; known {
			continue
		}
		if len(names) == 0 {
			return nil, process.Usagef("question %s has no parameters, got %q", q.Name, given)
		}
		return nil, process.Usagef("question %s has no parameter %q; it has %s", q.Name, given, strings.Join(names, ", "))
	}
	return set, nil
}

// knows rejects a run without decisions, because its empty answer would look like a result.
func (w *Warehouse) knows(ctx context.Context, q Question, set clickhouse.Parameters) error {
	for _, name := range []string{"run", "other"} {
		run, asked := set[name]
		if !asked || run == pipeline.RunLive {
			continue
		}
		t, err := w.query(ctx, "SELECT DISTINCT toString(run) AS run FROM run_sums ORDER BY run = 'live' DESC, run", nil, readOnly())
		if err != nil {
			return w.noTables(ctx, fmt.Errorf("ask %s: read the runs: %w", q.Name, err))
		}
		var runs []string
		for _, r := range t.Rows {
			runs = append(runs, fmt.Sprint(r[0]))
		}
		if !slices.Contains(runs, run) {
			return process.Usagef("question %s: parameter %s: run %q does not exist; there are: %s", q.Name, name, run, strings.Join(runs, ", "))
		}
	}
	return nil
}

func (p Param) value(text string) (value, error) {
	switch p.Type {
	case "DateTime":
		return moment(text)
	case "UInt32":
		if _, err := strconv.ParseUint(text, 10, 32); err != nil {
			return value{}, process.Usagef("want a number from 0 to 4294967295, got %q", text)
		}
	case "String":
		// The driver does not escape what ClickHouse would read as an escape.
		if strings.ContainsFunc(text, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
			return value{}, process.Usagef("want a text without backslashes and control characters, got %q", text)
		}
	}
	return value{text: text}, nil
}

var agoForm = regexp.MustCompile(`^-(\d+)([dhms])$`)

// The range of ClickHouse's DateTime.
var (
	firstSecond = time.Unix(0, 0).UTC()
	lastSecond  = time.Unix(1<<32-1, 0).UTC()
)

func moment(text string) (value, error) {
	if m := agoForm.FindStringSubmatch(text); m != nil {
		unit := map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}[m[2]]
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && n <= int64(lastSecond.Sub(firstSecond)/unit) {
			return value{ago: true, back: time.Duration(n) * unit}, nil
		}
	}
	for _, form := range []string{time.DateTime, time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil && !t.Before(firstSecond) && !t.After(lastSecond) {
			return value{text: t.UTC().Format(time.DateTime)}, nil
		}
	}
	return value{}, process.Usagef("want a time from 1970 to 2106 in UTC like 2026-11-01 or 2026-11-01 13:00:00, or how long ago it is like -24h or -7d, got %q", text)
}
