package doors_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/test/child"
)

func TestAnotherUserReadsNothingAndChangesNothing(t *testing.T) {
	t.Parallel()
	var attacker trap
	leak := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { attacker.note(r.URL.String()) }))
	defer leak.Close()
	b := up(t, ratchet(t))
	b.statement(t, "CREATE TABLE ratchet.attacked (a UInt8) ENGINE = MergeTree ORDER BY a")
	secret := filepath.Join(b.data, "simulated", "clickhouse", "users.xml")
	for name, attack := range map[string]struct{ task, refused string }{
		"read":                  {"post http://" + b.sql + "/ SELECT * FROM ratchet.deals", "403"},
		"read by GET":           {"get http://" + b.sql + "/?query=SELECT+*+FROM+ratchet.deals", "403"},
		"read with a user":      {"post http://default:@" + b.sql + "/ SELECT 1", "403"},
		"read by a parameter":   {"post http://" + b.sql + "/?user=default&password= SELECT 1", "403"},
		"write":                 {"post http://" + b.sql + "/ INSERT INTO ratchet.attacked VALUES (1)", "403"},
		"drop":                  {"post http://" + b.sql + "/ DROP TABLE ratchet.attacked", "403"},
		"url()":                 {"post http://" + b.sql + "/ SELECT * FROM url('" + leak.URL + "/sql', CSV, 'a String')", "403"},
		"file()":                {"post http://" + b.sql + "/ SELECT * FROM file('" + secret + "', LineAsString)", "403"},
		"SYSTEM":                {"post http://" + b.sql + "/ SYSTEM SHUTDOWN", "403"},
		"KILL":                  {"post http://" + b.sql + "/ KILL QUERY WHERE 1", "403"},
		"NATS":                  {"nats nats://" + b.nats, "error: nats: Authorization Violation"},
		"NATS with a guess":     {"nats nats://ratchet:ratchet@" + b.nats, "error: nats: Authorization Violation"},
		"monitoring":            {"get http://" + b.monitor + "/connz?subs=1", "403"},
		"the page":              {"get http://" + b.page + "/", "403"},
		"a button of the page":  {"post http://" + b.page + "/act ignore=1-0593655036-2", "403"},
		"monitoring of streams": {"get http://" + b.monitor + "/jsz?streams=1", "403"},
	} {
		if said := accesstest.As(t, attack.task); !strings.HasPrefix(said, attack.refused) {
			t.Errorf("%s: it says %.200q, want %q", name, said, attack.refused)
		}
	}
	if n := b.statement(t, "SELECT count() FROM ratchet.attacked"); n != "0" {
		t.Errorf("%s rows were written", n)
	}
	if hits := attacker.with(""); len(hits) > 0 {
		t.Errorf("connections out: %v", hits)
	}
	if said := accesstest.As(t, "walk "+b.data); said != "1 refused, opened: " {
		t.Errorf("the data directory: %s", said)
	}
	if code, _ := ask(t, http.MethodGet, "http://"+b.monitor+"/varz", ""); code != http.StatusOK {
		t.Errorf("its own user gets %d from the monitoring", code)
	}
	// The probes are for everybody.
	for _, path := range []string{"/livez", "/readyz"} {
		if said := accesstest.As(t, "get http://"+b.probes+path); said != "200 OK ok\n" {
			t.Errorf("%s: it says %q", path, said)
		}
	}
}

func TestADataDirectoryThatEveryUserMayEnterKeepsItsFiles(t *testing.T) {
	t.Parallel()
	binary := ratchet(t)
	open, err := os.MkdirTemp("", "ratchet-open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(open) })
	if err := os.Chmod(open, 0o755); err != nil { //nolint:gosec // that is the attack
		t.Fatal(err)
	}
	if err := os.WriteFile(access.PasswordPath(open), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	up(t, binary, "--data", open)
	said := accesstest.As(t, "walk "+open)
	if refused, opened, _ := strings.Cut(said, " refused, opened: "); opened != "" || refused == "0" {
		t.Errorf("it reads: %s", said)
	}
}

// Where the kernel does not say whose a connection is, as on other systems than Linux, a password is made and asked
// for.
func TestWhereTheOwnerCannotBeToldAPasswordIsAskedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts whole processes")
	}
	t.Parallel()
	dir := t.TempDir()
	if err := child.Build(".", dir, "-tags", "noowners", "ratchet/cmd/ratchet"); err != nil {
		t.Fatal(err)
	}
	b := up(t, filepath.Join(dir, "ratchet"))
	file := access.PasswordPath(b.data)
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("the password: %v, %v", fi, err)
	}
	password, err := access.Read(b.data)
	if err != nil || len(password) < 20 {
		t.Fatalf("the password is %q, %v", password, err)
	}
	for _, c := range []struct {
		method, url, body string
		code              int
	}{
		{"POST", "http://" + b.sql + "/", "SELECT 1", 403},
		{"POST", "http://default:no@" + b.sql + "/", "SELECT 1", 403},
		{"POST", "http://default:" + password + "@" + b.sql + "/", "SELECT 1", 200},
		{"GET", "http://" + b.monitor + "/varz", "", 403},
		{"GET", "http://any:" + password + "@" + b.monitor + "/varz", "", 200},
		{"GET", "http://" + b.page + "/", "", 401},
		{"GET", "http://any:" + password + "@" + b.page + "/", "", 200},
	} {
		if code, said := ask(t, c.method, c.url, c.body); code != c.code {
			t.Errorf("%s %s: got %d %.100s", c.method, c.url, code, said)
		}
	}
	if said := accesstest.As(t, "nats nats://"+b.nats); !strings.Contains(said, "Authorization Violation") {
		t.Errorf("NATS without it: %s", said)
	}
	for _, args := range [][]string{{"status"}, {"sql", "SELECT 1"}, {"doctor"}} {
		if out, err := b.command(t, args...).CombinedOutput(); err != nil {
			t.Errorf("ratchet %s does not find it: %v\n%s", args[0], err, out)
		}
	}
}

// Wrong usage ends before anything listens.
func TestOffLoopbackAPasswordAndTLSAreAskedFor(t *testing.T) {
	t.Parallel()
	binary := ratchet(t)
	cert, key := accesstest.Certificate(t)
	for name, c := range map[string]struct {
		args     []string
		password bool
		says     string
	}{
		"SQL without a password":          {[]string{"clickhouse", "--addr", "0.0.0.0:0"}, false, "--addr: other machines reach"},
		"SQL in plain text":               {[]string{"clickhouse", "--addr", "0.0.0.0:0"}, true, "--addr: passwords and data would cross the network"},
		"up's SQL":                        {[]string{"up", "--simulate", "--nats", "127.0.0.1:0", "--nats-monitor", "127.0.0.1:0", "--clickhouse-addr", "0.0.0.0:0"}, false, "--clickhouse-addr: other machines reach"},
		"NATS":                            {[]string{"up", "--simulate", "--clickhouse", "none", "--nats-monitor", "127.0.0.1:0", "--nats", "0.0.0.0:0"}, false, "--nats: other machines reach"},
		"NATS, with a certificate":        {[]string{"up", "--simulate", "--clickhouse", "none", "--nats", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key}, false, "--nats: other machines reach"},
		"monitoring in plain text":        {[]string{"up", "--simulate", "--clickhouse", "none", "--nats", "127.0.0.1:0", "--nats-monitor", "0.0.0.0:0"}, true, "--nats-monitor: passwords and data"},
		"the page":                        {[]string{"up", "--simulate", "--clickhouse", "none", "--nats", "127.0.0.1:0", "--nats-monitor", "127.0.0.1:0", "--page", "0.0.0.0:0"}, false, "--page: other machines reach"},
		"half a certificate":              {[]string{"up", "--simulate", "--tls-cert", cert}, true, "--tls-cert, --tls-key: want both"},
		"a certificate that is not there": {[]string{"up", "--simulate", "--clickhouse", "none", "--nats", "0.0.0.0:0", "--tls-cert", "/nowhere", "--tls-key", key}, true, "--tls-cert: open /nowhere"},
	} {
		data := t.TempDir()
		if c.password {
			if err := os.WriteFile(access.PasswordPath(data), []byte("s3cret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), binary, append(c.args, "--data", data)...).CombinedOutput()
		if code := exitCode(err); code != 2 || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: exit code %d, %s", name, code, out)
		}
	}
}
