package schemas

import "embed"

// ClickHouse holds the tables, clickhouse/NNNN_name.sql in the order of their numbers (0031 to 0037 are the baseline, one
// story each; 0030 is for a database from before it), and the named questions, clickhouse/queries/name.sql.
//
//go:embed clickhouse
var ClickHouse embed.FS
