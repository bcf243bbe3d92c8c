// Package doors_test attacks a running `ratchet up`: as another user of its machine, and as a page in its user's
// browser.
package doors_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/test/child"
)

var binaries = child.Binaries{Packages: []string{"ratchet/cmd/ratchet"}}

func TestMain(m *testing.M) { binaries.Main(m) }

// ratchet is the command, compiled.
func ratchet(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and starts whole processes")
	}
	return binaries.Path(t, "ratchet")
}

// A box is a running `ratchet up` with every port that it has.
type box struct {
	binary, home, data         string // home is XDG_DATA_HOME
	sql, nats, monitor, probes string // host:port of each
	page                       string // the same
}

// readyWithin bounds the start, on the machine's clock.
const readyWithin = 2 * time.Minute

// up starts one on the simulated Keepa. Its data directory is below one that every user may enter.
func up(t *testing.T, binary string, args ...string) *box {
	t.Helper()
	home, err := os.MkdirTemp("", "ratchet-doors-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o755); err != nil { //nolint:gosec // that is the attack
		t.Fatal(err)
	}
	b := &box{binary: binary, home: home, data: filepath.Join(home, "ratchet")}
	lib := chtest.Library(t)
	cmd := b.command(t, append([]string{
		"up", "--simulate", "--clickhouse-lib", lib, "--clickhouse-addr", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--nats-monitor", "127.0.0.1:0",
		"--metrics-addr", "127.0.0.1:0", "--page", "127.0.0.1:0",
	}, args...)...)
	c := child.Start(t, cmd)
	t.Cleanup(func() { child.Stop(t, c) })
	c.Await(t, `^Ready\.`, readyWithin)
	for line := range strings.Lines(c.Output()) {
		b.read(line)
	}
	return b
}

// read takes the addresses from a line of its output.
func (b *box) read(line string) {
	host := func(raw string) string {
		u, err := url.Parse(raw)
		if err != nil {
			return ""
		}
		return u.Host
	}
	words := strings.Fields(line)
	switch {
	case strings.HasPrefix(line, "NATS:"):
		b.nats, b.monitor = host(words[1]), host(words[3])
	case strings.HasPrefix(line, "SQL:"):
		b.sql = host(words[1])
	case strings.HasPrefix(line, "Page:"):
		b.page = host(words[1])
	case strings.HasPrefix(line, "Probes:"):
		b.probes = host(words[1])
	}
}

// command is one of ratchet's with the environment of its user.
func (b *box) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), b.binary, args...)
	cmd.Env = []string{"XDG_DATA_HOME=" + b.home, "NATS_URL=nats://" + b.nats, "CLICKHOUSE_URL=http://default@" + b.sql + "/ratchet", "PATH=" + os.Getenv("PATH")}
	if b.sql == "" {
		cmd.Env = cmd.Env[:1]
	}
	return cmd
}

// ask is an answer to this user.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// statement runs SQL as this user, and wants it to succeed.
func (b *box) statement(t *testing.T, sql string) string {
	t.Helper()
	code, said := ask(t, http.MethodPost, "http://"+b.sql+"/", sql)
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", sql, code, said)
	}
	return strings.TrimSpace(said)
}

// A trap is a server of the attacker's, where what leaks would arrive.
type trap struct {
	mu  sync.Mutex
	hit []string
}

func (a *trap) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hit = append(a.hit, what)
}

// with are those that contain a word.
func (a *trap) with(word string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, h := range a.hit {
		if strings.Contains(h, word) {
			out = append(out, h)
		}
	}
	return out
}

// exitCode is that of a command; -1 where it did not run.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}
