package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline/platform/roles"
)

// TestWhatComesFromTheTableOfRolesIsCurrent writes the page and the server's configuration.
func TestWhatComesFromTheTableOfRolesIsCurrent(t *testing.T) {
	for name, got := range map[string]string{
		"roles.md": wrapped(rolesPage()),
		filepath.Join("..", "deploy", "nats", "nats.conf"):                roles.Config(),
		filepath.Join("..", "deploy", "kubernetes", "files", "nats.conf"): roles.Config(), // kustomize reads no files beside its directory
		filepath.Join("..", "deploy", "clickhouse", "users.sql"):          usersSQL(),
		filepath.Join("..", "deploy", "clickhouse", "users.xml"):          usersXML(),
	} {
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatalf("%v; run `make golden`", err)
		}
		if got != string(want) {
			t.Errorf("%s is not what pipeline/platform/roles says; run `make golden` and read the difference\n%s", name, difference(string(want), got))
		}
	}
}

const rolesHead = "# Roles on NATS\n\n<!-- Written by `make golden` from pipeline/platform/roles. -->\n\n" +
	"Every process of a fleet, and every person, connects to NATS as a user with the rights below. " +
	"The server's configuration is [deploy/nats/nats.conf](../deploy/nats/nats.conf); `deploy/init` generates the passwords. " +
	"A process is given `NATS_USER` (the role's name) and `NATS_PASSWORD_FILE`, or `NATS_CREDS` or `NATS_NKEY`; " +
	"with `NATS_CA`, `NATS_CERT` and `NATS_KEY` it connects by TLS.\n\n" +
	"Everybody may also look at streams and consumers (`$JS.API.INFO`, `STREAM.INFO`, `CONSUMER.INFO`, `CONSUMER.LIST`), " +
	"which is how a daemon checks the topology. Daemons get their answers on an inbox of their own, `_INBOX_ROLE`, " +
	"which no other role can subscribe to.\n\n" +
	"A worker writes the whole grant of its stage and could issue tokens to itself. It has the Keepa key, " +
	"so that is not a security boundary; tokend revokes credit that is beyond its plan.\n\n" +
	"## What the rights do not stop\n\n" +
	"The rights stop mistakes and a faulty daemon, but no attacker who has a password. " +
	"nats-server checks the subject of a request and not its reply subject, and sends the answer itself, without the role's rights. " +
	"So each role writes where it may not: the answer to `$JS.API.INFO` with the reply subject `$KV.CONFIG.rules` overwrites the rules, " +
	"and an empty answer for `$JS.API.STREAM.DELETE.DEALS` deletes the stream. `test/roles` does both, and fails once a server refuses them. " +
	"So give the password of a role only to those whom you trust with everything, give each process only its own, and [back up](fleet.md#backup-and-restore) the streams.\n"

// rolesPage renders docs/roles.md, with a line for each paragraph and each kind of right.
func rolesPage() string {
	var b strings.Builder
	b.WriteString(rolesHead)
	for _, r := range roles.Table() {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n", r.Name, strings.ToUpper(r.Purpose[:1])+r.Purpose[1:])
		row := func(name string, subjects []string) {
			if len(subjects) > 0 {
				fmt.Fprintf(&b, "- %s `%s`\n", name, strings.Join(subjects, "`, `"))
			}
		}
		row("publishes", sorted(r.Publishes))
		var takes []string
		for stream, names := range r.Takes {
			for _, name := range names {
				takes = append(takes, stream+" "+name)
			}
		}
		row("takes from", sorted(takes))
		row("reads by sequence or key", sorted(r.Gets))
		row("scans", sorted(r.Scans))
		row("subscribes", sorted(r.Subscribes))
		row("requests", sorted(r.Requests))
		if r.Serves {
			row("answers", []string{"svc." + r.Name + ".status", "svc." + r.Name + ".drain", "$SRV.PING, INFO and STATS"})
		}
	}
	return b.String()
}

func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// usersSQL renders the statements that create the users on a server of your own.
func usersSQL() string {
	var b strings.Builder
	b.WriteString(`-- Written by docs/roles_test.go from pipeline/platform/roles; change that and run ` + "`make golden`" + `.
--
-- The users of a ClickHouse server of your own, with the least rights. Run it once as an administrator, with
-- passwords of yours:
--   clickhouse-client --param_writer=… --param_reader=… --param_migrator=… --queries-file users.sql
-- compose.yaml takes the same from users.xml.
`)
	for _, r := range roles.Rights() {
		fmt.Fprintf(&b, "\n-- %s\nCREATE USER IF NOT EXISTS %s IDENTIFIED WITH sha256_password BY {%s:String};\n", r.Purpose, r.User, r.User)
		for _, g := range r.Grants {
			fmt.Fprintf(&b, "GRANT %s TO %s;\n", g, r.User)
		}
	}
	return b.String()
}

// usersXML renders the same as a file of users.d, which takes the password hashes from the environment.
func usersXML() string {
	var b strings.Builder
	b.WriteString("<!-- Written by docs/roles_test.go from pipeline/platform/roles; change that and run `make golden`. -->\n<clickhouse>\n  <users>\n" +
		"    <default remove=\"remove\"/>\n")
	for _, r := range roles.Rights() {
		fmt.Fprintf(&b, "    <!-- %s -->\n    <%s>\n      <password_sha256_hex from_env=\"CLICKHOUSE_%s_SHA256\"/>\n", r.Purpose, r.User, strings.ToUpper(r.User))
		b.WriteString("      <networks><ip>::/0</ip></networks>\n      <profile>default</profile>\n      <quota>default</quota>\n      <grants>\n")
		for _, g := range r.Grants {
			fmt.Fprintf(&b, "        <query>GRANT %s</query>\n", g)
		}
		fmt.Fprintf(&b, "      </grants>\n    </%s>\n", r.User)
	}
	b.WriteString("  </users>\n</clickhouse>\n")
	return b.String()
}
