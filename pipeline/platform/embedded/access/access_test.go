package access_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/pipeline/platform/machinetest"
)

// pair returns both ends of a connection.
func pair(t testing.TB, addr string) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		machinetest.Lacks(t, "no %s here: %v", addr, err)
	}
	defer l.Close()
	theirs, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

func TestAConnectionOfTheSameUserIsLetIn(t *testing.T) {
	t.Parallel()
	if !access.NamesOwners() {
		machinetest.Lacks(t, "this system does not name the owners of connections")
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "127.3.2.1:0"} {
		ours, theirs := pair(t, addr)
		if err := access.Same(ours.LocalAddr(), ours.RemoteAddr()); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		// A half-closed connection still belongs to its user.
		if err := theirs.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if err := access.Same(ours.LocalAddr(), ours.RemoteAddr()); err != nil {
			t.Errorf("%s, half closed: %v", addr, err)
		}
	}
}

// A socket for both address families is in the table of the newer one.
func TestAClientWithASocketForBothKindsOfAddressesIsFound(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	if err != nil {
		machinetest.Lacks(t, "no IPv6 here: %v", err)
	}
	defer unix.Close(fd)
	mapped := &unix.SockaddrInet6{Port: l.Addr().(*net.TCPAddr).Port}
	copy(mapped.Addr[:], net.ParseIP("127.0.0.1").To16())
	if err := unix.Connect(fd, mapped); err != nil {
		t.Fatal(err)
	}
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if err := access.Same(ours.LocalAddr(), ours.RemoteAddr()); err != nil {
		t.Error(err)
	}
}

// The kernel ascribes unowned connections to root, which would be admitted.
func TestAConnectionThatItsClientClosedIsAnothers(t *testing.T) {
	t.Parallel()
	ours, theirs := pair(t, "127.0.0.1:0")
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	// A child that another test has forked holds every descriptor until it runs its program.
	var other *access.OtherUserError
	err := access.Same(ours.LocalAddr(), ours.RemoteAddr())
	for late := time.Now().Add(5 * time.Second); !errors.As(err, &other) && time.Now().Before(late); runtime.Gosched() {
		err = access.Same(ours.LocalAddr(), ours.RemoteAddr())
	}
	if !errors.As(err, &other) {
		t.Errorf("got %v", err)
	}
}

func TestAConnectionThatIsNotInTheTableIsOfAnotherUser(t *testing.T) {
	t.Parallel()
	ours, _ := pair(t, "127.0.0.1:0")
	far := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}
	gone := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	for _, remote := range []net.Addr{far, gone, &net.UnixAddr{Name: "x"}, ours.LocalAddr()} {
		if err := access.Same(ours.LocalAddr(), remote); err == nil || !strings.Contains(err.Error(), "without a password only user") {
			t.Errorf("%v: got %v", remote, err)
		}
	}
}

// serve serves a handler behind a door.
func serve(t *testing.T, d access.Guard) string {
	t.Helper()
	s := httptest.NewUnstartedServer(d.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.URL.Path == "/status" {
			w.WriteHeader(http.StatusOK)
		}
		fmt.Fprint(w, "in")
	})))
	s.Config.ConnContext = access.ConnContext
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func TestAnotherUserIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	said := accesstest.As(t, "get "+serve(t, access.Guard{}))
	if !strings.HasPrefix(said, "403") || !strings.Contains(said, fmt.Sprintf("refused: this is user 65534, and without a password only user %d", os.Geteuid())) {
		t.Errorf("it says %q", said)
	}
}

func TestAnotherUserIsRefusedByEveryKindOfAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listens, by string }{{"127.9.9.9:0", "127.9.9.9"}, {"[::1]:0", "::1"}, {"[::]:0", "::1"}, {"[::]:0", "127.0.0.1"}} {
		l, err := net.Listen("tcp", c.listens)
		if err != nil {
			machinetest.Lacks(t, "no %s here: %v", c.listens, err)
		}
		s := &http.Server{Handler: access.Guard{}.Before(http.NotFoundHandler()), ConnContext: access.ConnContext}
		t.Cleanup(func() { _ = s.Close() })
		go func() { _ = s.Serve(l) }()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		said := accesstest.As(t, "get http://"+net.JoinHostPort(c.by, port)+"/")
		if !strings.HasPrefix(said, "403") || !strings.Contains(said, "refused: this is user 65534") {
			t.Errorf("at %s by %s: it says %q", c.listens, c.by, said)
		}
	}
}

func TestNoOtherOriginReadsWhatIsBehindADoor(t *testing.T) {
	t.Parallel()
	url := serve(t, access.Guard{})
	for _, path := range []string{"/", "/status"} {
		r, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != 200 || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %s, %v", path, r.Status, r.Header)
		}
	}
}

func TestAPasswordAdmitsAnyUserThatHasIt(t *testing.T) {
	t.Parallel()
	url := serve(t, access.Guard{Password: "s3cret"})
	for given, want := range map[string]int{"": 403, "no": 403, "s3cret": 200} {
		req, _ := http.NewRequest(http.MethodGet, url, nil) // the URL is right
		req.SetBasicAuth("anybody", given)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%q: got %d, want %d", given, r.StatusCode, want)
		}
	}
}

func TestAPageMaySendRequestsToItsOwnServerOnly(t *testing.T) {
	t.Parallel()
	url := serve(t, access.Guard{Pages: true})
	at := strings.TrimPrefix(url, "http://")
	for _, c := range []struct {
		host, origin, site string
		want               int
	}{
		{at, "", "", 200},
		{at, "", "none", 200},
		{at, url, "same-origin", 200},
		{at, url, "same-site", 403},
		{at, "null", "", 403},
		{at, "https://" + at, "", 403},
		{at, "http://attacker.test", "cross-site", 403},
		{at, "http://127.0.0.1:1", "same-site", 403},
		{at, "", "cross-site", 403},
		{"rebound.test", "", "", 403},
		{"rebound.test", "http://rebound.test", "same-origin", 403},
		{strings.Replace(at, "127.0.0.1", "localhost", 1), "", "none", 200},
	} {
		req, _ := http.NewRequest(http.MethodPost, url, nil) // the URL is right
		req.Host = c.host
		for name, value := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if refused := c.want != 200; r.Close != refused {
			t.Errorf("host %s, origin %q, site %q: closed %t, want %t", c.host, c.origin, c.site, r.Close, refused)
		}
		if r.StatusCode != c.want {
			t.Errorf("host %s, origin %q, site %q: got %d, want %d", c.host, c.origin, c.site, r.StatusCode, c.want)
		}
	}
}

func TestABrowserIsAskedForThePasswordOfPages(t *testing.T) {
	t.Parallel()
	r, err := http.Get(serve(t, access.Guard{Pages: true, Password: "s3cret"}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != 401 || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("got %s, %v", r.Status, r.Header)
	}
}

func TestAGeneratedPasswordIsForItsUserAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := access.Generate(dir)
	if err != nil || len(made) < 20 {
		t.Fatalf("got %q, %v", made, err)
	}
	if fi, err := os.Stat(access.PasswordPath(dir)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", fi.Mode(), err)
	}
	if again, err := access.Generate(dir); err != nil || again != made {
		t.Errorf("a second one: %q, %v", again, err)
	}
	if found, err := access.Password(dir); err != nil || found != made {
		t.Errorf("found %q, %v", found, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
	if err := os.WriteFile(access.PasswordPath(dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := access.Read(dir); err == nil {
		t.Error("an empty file is not a password")
	}
}

func BenchmarkSame(b *testing.B) {
	ours, _ := pair(b, "127.0.0.1:0")
	for b.Loop() {
		if err := access.Same(ours.LocalAddr(), ours.RemoteAddr()); err != nil {
			b.Fatal(err)
		}
	}
}
