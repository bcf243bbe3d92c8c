package schemas

import "embed"

// ClickHouse holds the tables, clickhouse/NNNN_name.sql in the order of their numbers
// (0031 to 0037 are the baseline, one subject each; 0030 upgrades a database that is
// older than the baseline), and the named queries, clickhouse/queries/name.sql.
//
//go:embed clickhouse
var ClickHouse embed.FS
