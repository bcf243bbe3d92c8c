package roles

import (
	"fmt"
	"strings"
)

// Right is a ClickHouse user with its grants on the database ratchet.
type Right struct {
	User, Does string
	Grants     []string
}

// Rights returns the users, each with the least grants that it needs.
func Rights() []Right {
	return []Right{
		{User: "writer", Does: "the recorder: writes and looks up, defines nothing", Grants: []string{
			"SELECT, INSERT ON ratchet.*",
			"ALTER DELETE ON ratchet.deal_rejects", // rejects that cannot hide any deal any more
			"OPTIMIZE ON ratchet.deal_rejects", "OPTIMIZE ON ratchet.deal_facts",
		}},
		{User: "reader", Does: "people, reports and dashboards", Grants: []string{"SELECT ON ratchet.*"}},
		{User: "migrator", Does: "ratchet topology apply: creates and changes the tables", Grants: []string{
			"CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, ALTER, SELECT, INSERT, TRUNCATE, OPTIMIZE, SHOW ON ratchet.*",
		}},
	}
}

// RightsSQL renders the statements that create the users on a server of your own.
func RightsSQL() string {
	var b strings.Builder
	b.WriteString(`-- Written by docs/roles_test.go from pipeline/platform/roles; change that and run ` + "`make golden`" + `.
--
-- The users of a ClickHouse server of your own, with the least rights. Run it once as an administrator,
-- with passwords of yours: clickhouse-client --param_writer=… --param_reader=… --param_migrator=… --queries-file users.sql
-- compose.yaml takes the same from users.xml.
`)
	for _, r := range Rights() {
		fmt.Fprintf(&b, "\n-- %s\nCREATE USER IF NOT EXISTS %s IDENTIFIED WITH sha256_password BY {%s:String};\n", r.Does, r.User, r.User)
		for _, g := range r.Grants {
			fmt.Fprintf(&b, "GRANT %s TO %s;\n", g, r.User)
		}
	}
	return b.String()
}

// RightsXML renders the same as a file of users.d, which takes the password hashes from the environment.
func RightsXML() string {
	var b strings.Builder
	b.WriteString("<!-- Written by docs/roles_test.go from pipeline/platform/roles; change that and run `make golden`. -->\n<clickhouse>\n  <users>\n" +
		"    <default remove=\"remove\"/>\n")
	for _, r := range Rights() {
		fmt.Fprintf(&b, "    <!-- %s -->\n    <%s>\n      <password_sha256_hex from_env=\"CLICKHOUSE_%s_SHA256\"/>\n", r.Does, r.User, strings.ToUpper(r.User))
		b.WriteString("      <networks><ip>::/0</ip></networks>\n      <profile>default</profile>\n      <quota>default</quota>\n      <grants>\n")
		for _, g := range r.Grants {
			fmt.Fprintf(&b, "        <query>GRANT %s</query>\n", g)
		}
		fmt.Fprintf(&b, "      </grants>\n    </%s>\n", r.User)
	}
	b.WriteString("  </users>\n</clickhouse>\n")
	return b.String()
}
