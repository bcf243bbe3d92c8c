package schemas

import "embed"

// ClickHouse holds the tables, clickhouse/NNNN_name.sql in the order of their numbers
// (0046 to 0053 are the baseline, one subject each; later ones change it), and the named queries,
// clickhouse/queries/name.sql.
//
//go:embed clickhouse
var ClickHouse embed.FS
