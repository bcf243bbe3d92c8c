package clickhouse_test

import (
	"strings"
	"testing"
)

// Each statement yields Strings; rows and totals are told in one line.
func TestNativelyTotalsAreToldFromRowsWhateverTheStatementLooksLike(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t))
	for sql, told := range map[string]string{
		"WITH totals AS (SELECT arrayJoin(['a', '', 'b']) AS s) SELECT s FROM totals":                                          "a||b",
		"SELECT s FROM (SELECT arrayJoin(['a', '', 'b', 'c']) AS s, 1 AS extremes) WHERE extremes = 1":                         "a||b|c",
		"SELECT s FROM (SELECT arrayJoin(['a', '', 'b', 'c']) AS s) WHERE s NOT IN (SELECT 'z' AS z GROUP BY z WITH TOTALS)":   "a||b|c",
		"SELECT arrayJoin(['a\n\nb', '', 'it\"s']) AS s GROUP BY s WITH TOTALS ORDER BY s":                                     "|a\n\nb|it\"s totals ",
		"(SELECT toString(count()) AS s FROM numbers(5) GROUP BY number % 2 WITH TOTALS ORDER BY s)":                           "2|3 totals 5",
		"SELECT * FROM (SELECT toString(count()) FROM numbers(5) GROUP BY number % 2 WITH TOTALS) ORDER BY 1":                  "2|3 totals 5",
		"WITH x AS (SELECT toString(count()) AS s FROM numbers(5) GROUP BY number % 2 WITH TOTALS) SELECT s FROM x ORDER BY s": "2|3 totals 5",
		"SELECT 'WITH TOTALS' /* WITH TOTALS */ AS totals":                                                                     "WITH TOTALS",
		"SELECT toString(count()) AS s FROM numbers(0) GROUP BY number WITH TOTALS FORMAT JSON":                                " totals 0",
	} {
		rows, err := c.Query(t.Context(), sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var got []string
		var s string
		for rows.Next() {
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			got = append(got, s)
		}
		line := strings.Join(got, "|")
		if rows.Totals(&s) == nil {
			line += " totals " + s
		}
		if err := rows.Err(); err != nil || line != told {
			t.Errorf("%s: got %q, %v; want %q", sql, line, err, told)
		}
		_ = rows.Close()
	}
	var n [2]uint64
	rows, err := c.Query(t.Context(), "SELECT count(), count() FROM numbers(5) GROUP BY number % 2 WITH TOTALS ORDER BY 1 DESC")
	if err != nil || !rows.Next() || rows.Scan(&n[0], &n[1]) != nil {
		t.Fatal("two columns of one name", err)
	}
	want(t, "two columns of one name", n, [2]uint64{3, 3})
	_ = rows.Close()
}
