package schemas

import "embed"

// ClickHouse holds the tables, clickhouse/NNNN_name.sql in the order of their numbers, and the named questions,
// clickhouse/queries/name.sql.
//
//go:embed clickhouse
var ClickHouse embed.FS
