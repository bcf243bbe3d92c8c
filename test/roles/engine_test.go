package roles_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/embedded/clickhouse/engine"
	"ratchet/pipeline/platform/embedded/clickhouse/httpd"
	"ratchet/pipeline/platform/roles"
	"ratchet/pipeline/platform/warehouse"
)

// role tells this binary, run again, that it is an engine whose one user has the rights of that role. The engine
// heeds grants as a server of the same version does; what it lacks is a second user.
const role = "RATCHET_TEST_ROLE"

func TestMain(m *testing.M) {
	if user := os.Getenv(role); user != "" {
		if err := beEngine(user, os.Args[1], os.Args[2]); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// users is the engine's file of users for one of the Rights.
func users(user string) string {
	var b strings.Builder
	b.WriteString("<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><password/><networks><ip>::/0</ip></networks>" +
		"<profile>default</profile><quota>default</quota><grants>" +
		// The embedded engine's front says USE for the database of a request, which a server checks nothing for.
		"<query>GRANT SHOW DATABASES ON system.*</query>")
	for _, r := range roles.Rights() {
		for _, g := range r.Grants {
			if r.User == user {
				b.WriteString("<query>GRANT " + g + "</query>")
			}
		}
	}
	return b.String() + "</grants></default></users></clickhouse>"
}

// lifeline is the number of the descriptor that ends when the engine is to end. Its standard input the engine takes
// for itself.
const lifeline = 3

// beEngine serves until its lifeline ends.
func beEngine(user, lib, data string) error {
	library, err := engine.Load(lib)
	if err != nil {
		return err
	}
	e, err := library.Open(engine.Options{Data: data, Users: users(user)})
	if err != nil {
		return err
	}
	front, err := httpd.New(httpd.Options{Engine: e, Temp: filepath.Join(data, "http-tmp"), Database: "ratchet"})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: front, ConnContext: access.ConnContext} //nolint:gosec // its clients are this test
	go func() { _ = srv.Serve(l) }()
	fmt.Println("ready", "http://default@"+l.Addr().String()+"/ratchet")
	_, _ = io.Copy(io.Discard, os.NewFile(lifeline, "lifeline"))
	_ = srv.Close()
	return errors.Join(front.Close(context.Background(), 0), e.Close())
}

// engineFor is the URL of an engine with the rights of a user, and what ends it. One at a time uses a directory.
func engineFor(t *testing.T, user, data string) (url string, stop func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), exe, chtest.Library(t), data)
	cmd.Env = append(cmd.Environ(), role+"="+user, "TZ=UTC")
	var words strings.Builder
	cmd.Stderr = &words
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the engine of %s: %.3000s", user, words.String())
		}
	})
	end, life, e1 := os.Pipe()
	cmd.ExtraFiles = []*os.File{end}
	out, e2 := cmd.StdoutPipe()
	if err := errors.Join(e1, e2, cmd.Start(), end.Close()); err != nil {
		t.Fatal(err)
	}
	stop = func() { _ = life.Close(); _ = cmd.Wait() }
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if ready, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return ready, stop
		}
		said += lines.Text() + "\n"
	}
	stop()
	t.Fatalf("the engine with the rights of %s does not start: %s", user, said)
	return "", nil
}

// reach is the warehouse of an engine that is provisioned.
func reach(t *testing.T, url string) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.Reach(t.Context(), url)
	if err == nil {
		err = w.Current(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// refuses wants ClickHouse to deny every statement, and for lack of a right.
func refuses(t *testing.T, w *warehouse.Warehouse, user string, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := w.SQL(t.Context(), sql, false); err == nil || !strings.Contains(err.Error(), "Not enough privileges") {
			t.Errorf("%s: %s: got %v", user, sql, err)
		}
	}
}

// What changes the tables, which nobody may but the migrator.
var definitions = []string{
	"CREATE TABLE ratchet.more (a UInt8) ENGINE = MergeTree ORDER BY a", "CREATE VIEW ratchet.more AS SELECT 1 AS a", "DROP TABLE ratchet.verdicts",
	"ALTER TABLE ratchet.verdicts ADD COLUMN more UInt8", "ALTER TABLE ratchet.verdicts DELETE WHERE 1", "ALTER TABLE ratchet.verdicts MODIFY TTL stored_at + INTERVAL 1 DAY",
	"TRUNCATE TABLE ratchet.verdicts", "DROP DATABASE ratchet", "CREATE DATABASE more", "CREATE USER more", "CREATE FUNCTION more AS (a) -> a", "RENAME TABLE ratchet.verdicts TO ratchet.more",
}

// provisioned is the data of an engine with the tables, made with the rights of the migrator and no others.
func provisioned(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	url, stop := engineFor(t, "migrator", data)
	defer stop()
	for range 2 {
		if err := warehouse.Provision(t.Context(), url, 400); err != nil {
			t.Fatalf("topology apply as the migrator: %v", err)
		}
	}
	return data
}

// answers asks every question as a reader, and whatever a reader may not.
func answers(t *testing.T, data, verdicts string) {
	t.Helper()
	url, stop := engineFor(t, "reader", data)
	defer stop()
	w := reach(t, url)
	for _, q := range warehouse.Questions() {
		if _, err := w.Ask(t.Context(), q.Name, nil); err != nil {
			t.Errorf("the reader asks %s: %v", q.Name, err)
		}
	}
	refuses(t, w, "reader", append(definitions, "INSERT INTO ratchet.deal_facts SELECT * FROM ratchet.deal_facts", "OPTIMIZE TABLE ratchet.verdicts")...)
	if n := count(t, w, "verdicts"); n != verdicts {
		t.Errorf("the reader finds %s verdicts, want %s", n, verdicts)
	}
}

// count is how many rows a table has.
func count(t *testing.T, w *warehouse.Warehouse, table string) string {
	t.Helper()
	got, err := w.SQL(t.Context(), "SELECT count() FROM ratchet."+table, true)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := got.Write(&b, "csv"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(b.String())
	return lines[len(lines)-1]
}
