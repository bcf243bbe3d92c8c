package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// config is what the engine reads as its configuration file. Without one of ours it
// would silently take a config.xml from the working directory. The caches have room
// for the marks and keys of some ten million verdicts; by default they may grow to
// gigabytes over months. No remote host is allowed, also to what checks no grant.
const config = `<clickhouse>
    <mlock_executable>false</mlock_executable>
    <display_name>ratchet</display_name>
    <mark_cache_size>134217728</mark_cache_size>
    <primary_index_cache_size>134217728</primary_index_cache_size>
    <index_mark_cache_size>33554432</index_mark_cache_size>
    <users_config>USERS</users_config>
    <remote_url_allow_hosts></remote_url_allow_hosts>
</clickhouse>
`

// users is what the one user of the engine may do: everything in the database, and nothing that reaches out of it. What
// is missing is SOURCES (file, url, s3, remote, mysql and the like, as functions and as engines), SYSTEM, BACKUP,
// dictionaries, named collections, and users. A disk of one's own, chosen by a table's settings, would be a way round;
// a dialect would be another language than the one that the statements are checked in.
const users = `<clickhouse>
    <profiles><default><constraints>
        <merge_tree_disk><const/></merge_tree_disk>
        <dialect><const/></dialect>
    </constraints></default></profiles>
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

// configure writes the two files and returns the path of the first.
func configure(dir string) (string, error) {
	main, who := filepath.Join(dir, "engine.xml"), filepath.Join(dir, "users.xml")
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(who)
	err := errors.Join(
		os.WriteFile(who, []byte(users), 0o600),
		os.WriteFile(main, []byte(strings.Replace(config, "USERS", escaped, 1)), 0o600),
	)
	if err != nil {
		return "", fmt.Errorf("write the engine's configuration: %w", err)
	}
	return main, nil
}

// accessDenied is ClickHouse's code for what was not granted.
const accessDenied = 497

// heeds makes sure that the library heeds the grants: one that does not would read any file for anybody.
func (e *Engine) heeds() error {
	c, err := e.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	var refused *Error
	if err := c.Exec("SELECT * FROM file('/dev/null', 'LineAsString')"); errors.As(err, &refused) && refused.Code == accessDenied {
		return nil
	}
	return fmt.Errorf("this libchdb (%s) does not heed the grants in %s; use the one that npm fetches", e.lib.Version(), "users.xml")
}
