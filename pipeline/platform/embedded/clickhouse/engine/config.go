package engine

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ratchet/pipeline/platform/embedded/cage"
)

// config is the engine's configuration file. Without it the engine would silently read a config.xml from the
// working directory. The caches have room for the marks and keys of some ten million verdicts; by default they
// may grow to gigabytes over months. No remote host is allowed, which also covers functions that check no grant.
// The scheduler has two threads here, and would log some ten times a minute that a kind of task takes them both.
// Small parts go without the file by which a part of a column is read without the rest of it, and all parts without
// statistics of the columns: to read them for a plan takes longer than they save.
const config = `<clickhouse>
    <mlock_executable>false</mlock_executable>
    <display_name>ratchet</display_name>
    <mark_cache_size>134217728</mark_cache_size>
    <primary_index_cache_size>134217728</primary_index_cache_size>
    <index_mark_cache_size>33554432</index_mark_cache_size>
    <remote_url_allow_hosts></remote_url_allow_hosts>
    <background_schedule_pool_max_parallel_tasks_per_type_ratio>1</background_schedule_pool_max_parallel_tasks_per_type_ratio>
    <logger>
        <levels>
            <logger><name>BackgroundSchedulePool/BgSchPool</name><level>error</level></logger>
            <logger><name>BackgroundSchedulePool/BgStrmSchPool</name><level>error</level></logger>
        </levels>
    </logger>
    <merge_tree>
        <write_marks_for_substreams_in_compact_parts>0</write_marks_for_substreams_in_compact_parts>
        <auto_statistics_types></auto_statistics_types>
    </merge_tree>
</clickhouse>
`

// configure writes the two files and returns the arguments that name them.
func configure(dir, users string) ([]string, error) {
	users = cmp.Or(users, cage.Users)
	main, userFile := filepath.Join(dir, "engine.xml"), filepath.Join(dir, "users.xml")
	if err := errors.Join(os.WriteFile(main, []byte(config), 0o600), os.WriteFile(userFile, []byte(users), 0o600)); err != nil {
		return nil, fmt.Errorf("write the engine's configuration: %w", err)
	}
	return []string{"--config-file=" + main, "--users_config=" + userFile}, nil
}

// accessDenied is ClickHouse's code for a missing grant.
const accessDenied = 497

// checkGrants makes sure that the library enforces the grants: one that does not would read any file for any client.
func (e *Engine) checkGrants() error {
	c, err := e.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	var refused *Error
	if err := c.Exec("SELECT * FROM file('/dev/null', 'LineAsString')"); errors.As(err, &refused) && refused.Code == accessDenied {
		return nil
	}
	return fmt.Errorf("this libchdb (%s) does not enforce the grants in users.xml; use the one that npm fetches", e.lib.Version())
}
