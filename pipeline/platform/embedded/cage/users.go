package cage

import (
	"fmt"
	"strings"
)

// fixed are the settings that no statement and no request may change. The first two would circumvent what is checked: a
// disk of a table's own, and another language than the one in which statements are checked. The next ones are
// expressions that the statement does not show. The others name a file or an address: outside of a ClickHouse server,
// where the directory of format schemas limits them, the engine takes any path.
var fixed = []string{
	"merge_tree_disk", "dialect",
	"additional_result_filter", "additional_table_filters", "parallel_replicas_custom_key",
	"format_schema", "format_schema_source", "output_format_schema", "format_template_row", "format_template_resultset",
	"format_avro_schema_registry_url", "input_format_record_errors_file_path", "rename_files_after_processing",
}

// Users is the embedded ClickHouse's file of users. Its one user may do everything in the database, and nothing that
// reaches out of it. The missing rights are SOURCES (file, url, s3, remote, mysql and the like, as functions and as
// engines), SYSTEM, BACKUP, dictionaries, named collections, and users; some settings are fixed.
var Users = `<clickhouse>
    <profiles><default>
        <use_statistics>0</use_statistics>
        <use_statistics_for_part_pruning>0</use_statistics_for_part_pruning>
        <constraints>
` + constraints() + `    </constraints></default></profiles>
    <quotas><default></default></quotas>
    <users><default>
        <password></password>
        <networks><ip>::/0</ip></networks>
        <profile>default</profile>
        <quota>default</quota>
        <grants>
            <query>GRANT SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE TEMPORARY TABLE, CREATE FUNCTION, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, KILL TRANSACTION ON *.*</query>
            <query>GRANT SET DEFINER ON *</query>
        </grants>
    </default></users>
</clickhouse>
`

func constraints() string {
	var b strings.Builder
	for _, name := range fixed {
		fmt.Fprintf(&b, "        <%s><const/></%s>\n", name, name)
	}
	return b.String()
}
