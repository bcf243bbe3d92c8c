package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
)

// Tables are exported and imported as files in ClickHouse's format Native. It holds every type, aggregate states
// included, and clickhouse-client and clickhouse-local read and write it too. The files pass over HTTP unchanged,
// without a driver.

// Part is what one file holds: a partition of a table.
type Part struct{ Table, Partition string }

// Parts are all that is stored: of every table but the list of migrations. Views hold nothing.
func (w *Warehouse) Parts(ctx context.Context) ([]Part, error) {
	tables, err := w.names(ctx, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations' ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	var out []Part
	for _, table := range tables {
		partitions, err := w.names(ctx, "SELECT DISTINCT _partition_id FROM "+table+" ORDER BY 1")
		if err != nil {
			return nil, fmt.Errorf("list the partitions of %s: %w", table, err)
		}
		for _, p := range partitions {
			out = append(out, Part{table, p})
		}
	}
	return out, nil
}

// names is an answer of one column of texts.
func (w *Warehouse) names(ctx context.Context, sql string) ([]string, error) {
	t, err := w.query(ctx, sql, nil, readOnly())
	if err != nil {
		return nil, err
	}
	out := make([]string, len(t.Rows))
	for i, r := range t.Rows {
		out[i] = fmt.Sprint(r[0])
	}
	return out, nil
}

// Schema is the last migration of this build. A backup can be restored by a build with the same one.
func Schema() string {
	all := must(migrations(schemas.ClickHouse))
	return all[len(all)-1].name
}

// Rows is how many rows the tables hold.
func (w *Warehouse) Rows(ctx context.Context) (uint64, error) {
	return w.number(ctx, "SELECT toUInt64(ifNull(sum(total_rows), 0)) FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations'", nil)
}

// Export writes a part. The server sends nothing before it has the whole answer, so a failure of the query is an
// error and never a truncated file.
func (w *Warehouse) Export(ctx context.Context, p Part, to io.Writer) error {
	if !plainName.MatchString(p.Table) || strings.ContainsAny(p.Partition, `'\`) {
		return fmt.Errorf("export %s %q: not a table and a partition", p.Table, p.Partition)
	}
	sql := "SELECT * FROM " + p.Table + " WHERE _partition_id = '" + p.Partition + "' FORMAT Native"
	answer, err := w.post(ctx, url.Values{"wait_end_of_query": {"1"}}, strings.NewReader(sql))
	if err != nil {
		return fmt.Errorf("export %s: %w", p.Table, err)
	}
	_, err = io.Copy(to, answer)
	return errors.Join(err, answer.Close())
}

// Import stores what Export wrote. It also feeds the sums over the table, whose own parts are imported too. Each
// sum is a set, a minimum or a maximum, so storing it twice is the same as once, and so is importing a part again.
func (w *Warehouse) Import(ctx context.Context, p Part, from io.Reader) error {
	if !plainName.MatchString(p.Table) {
		return process.Usagef("import %q: not a table", p.Table)
	}
	answer, err := w.post(ctx, url.Values{
		"query":                           {"INSERT INTO " + p.Table + " FORMAT Native"},
		"async_insert":                    {"0"},
		"max_partitions_per_insert_block": {"0"},
	}, from)
	if err != nil {
		return fmt.Errorf("import %s: %w", p.Table, err)
	}
	_, err = io.Copy(io.Discard, answer)
	return errors.Join(err, answer.Close())
}

// Copies reports whether tables can be exported and imported at a URL.
func Copies(rawURL string) error {
	opts, err := options(rawURL)
	if err == nil && opts.Protocol != clickhouse.HTTP {
		err = process.Usagef("CLICKHOUSE_URL: tables are copied by HTTP; want http://user:password@host:8123/database, or https://…")
	}
	return err
}

// post is a request to ClickHouse's HTTP interface and the answer of one that succeeded.
func (w *Warehouse) post(ctx context.Context, set url.Values, body io.Reader) (io.ReadCloser, error) {
	set.Set("database", w.database)
	u := url.URL{Scheme: "http", Host: w.address, Path: "/", RawQuery: set.Encode()}
	if w.opts.TLS != nil {
		u.Scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-ClickHouse-User", w.opts.Auth.Username)
	r.Header.Set("X-ClickHouse-Key", w.opts.Auth.Password)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: w.opts.TLS, DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	said, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	return nil, errors.Join(fmt.Errorf("ClickHouse answered %s: %s", answer.Status, strings.TrimSpace(string(said))), err, answer.Body.Close())
}
