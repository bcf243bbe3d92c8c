package cage_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/cage"
)

// dir makes this binary, executed again, enter the cage with that directory. The others are addresses outside.
const (
	dir      = "RATCHET_CAGE_DIR"
	tcp      = "RATCHET_CAGE_TCP"
	udp      = "RATCHET_CAGE_UDP"
	socket   = "RATCHET_CAGE_SOCKET"
	abstract = "RATCHET_CAGE_ABSTRACT"
)

func TestMain(m *testing.M) {
	if data := os.Getenv(dir); data != "" {
		os.Exit(captive(data))
	}
	os.Exit(m.Run())
}

// captive enters the cage and tries everything, a line each.
func captive(data string) int {
	if err := cage.Enter(cage.Walls{Data: data, Library: os.Args[0], Env: os.Environ()}); err != nil {
		fmt.Println(err)
		return 1
	}
	a, b := filepath.Join(data, "a"), filepath.Join(data, "b")
	_, parent := filepath.Split(data)
	for what, try := range map[string]func() error{
		"own files": func() error {
			return errors.Join(os.Mkdir(a, 0o700), os.Mkdir(b, 0o700), os.WriteFile(a+"/f", nil, 0o600), os.Rename(a+"/f", b+"/f"))
		},
		"list":        func() error { _, err := os.ReadDir("/"); return err },
		"read":        func() error { _, err := os.ReadFile(filepath.Join(data, "..", "secret")); return err },
		"environment": func() error { _, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", os.Getppid())); return err },
		"places": func() error {
			return enterable("/", "/bin", "/boot", "/dev", "/etc", "/home", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/usr", "/var")
		},
		"passwords": func() error { _, err := os.ReadFile("/etc/passwd"); return err },
		"write":     func() error { return os.WriteFile(filepath.Join(data, "..", "x"+parent), nil, 0o600) },
		"run":       func() error { return exec.Command("/bin/true").Run() },
		"run own": func() error {
			return errors.Join(os.WriteFile(data+"/p", []byte("#!/bin/true\n"), 0o700), exec.Command(data+"/p").Run())
		},
		"TCP connections":       func() error { return greet("tcp", tcp) },
		"signals":               func() error { return syscall.Kill(os.Getppid(), 0) },
		"abstract unix sockets": func() error { return greet("unix", abstract) },
		"unix sockets":          func() error { return greet("unix", socket) },
		"UDP":                   func() error { return greet("udp", udp) },
	} {
		err := try()
		fmt.Printf("%s: %t\n", what, errors.Is(err, fs.ErrPermission))
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			fmt.Printf("%s: %v\n", what, err)
		}
	}
	return 0
}

// greet connects to the address in a variable and sends something.
func greet(network, variable string) error {
	conn, err := net.DialTimeout(network, os.Getenv(variable), time.Second)
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte("hello"))
	return errors.Join(err, conn.Close())
}

// outside listens in every way that a caged process tries, and returns the variables with the addresses.
func outside(t *testing.T, dir string) []string {
	t.Helper()
	udpConn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udpConn.Close() })
	env := []string{udp + "=" + udpConn.LocalAddr().String()}
	for variable, at := range map[string][2]string{
		tcp: {"tcp", "127.0.0.1:0"}, socket: {"unix", filepath.Join(dir, "s")}, abstract: {"unix", fmt.Sprintf("@ratchet-cage-%d", os.Getpid())},
	} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		env = append(env, variable+"="+l.Addr().String())
	}
	return env
}

// enterable returns nil with a line if one of the directories can be listed, else why none can.
func enterable(dirs ...string) error {
	for _, dir := range dirs {
		if _, err := os.ReadDir(dir); err == nil {
			fmt.Println("places: it lists", dir)
			return nil
		}
	}
	return fs.ErrPermission
}

func TestACagedProcessReachesItsOwnFilesAndNothingElse(t *testing.T) {
	t.Parallel()
	lacks := cage.Missing()
	if slices.Contains(lacks, "files") {
		t.Skip("this kernel lacks the layer: files")
	}
	data := filepath.Join(t.TempDir(), "data")
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "..", "secret"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(append(cmd.Environ(), dir+"="+data), outside(t, filepath.Dir(data))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	said := "\n" + string(out)
	for _, what := range []string{
		"own files", "list", "read", "environment", "places", "passwords", "write", "run", "run own",
		"TCP connections", "signals", "abstract unix sockets", "unix sockets", "UDP",
	} {
		t.Run(what, func(t *testing.T) {
			if slices.Contains(lacks, what) {
				if !strings.Contains(said, "\n"+what+": false\n") {
					t.Errorf("refused by a kernel that lacks the layer, so where one has it this proves nothing: %s", said)
				}
				t.Skipf("this kernel lacks the layer: %s", what)
			}
			if want := what + ": " + strconv.FormatBool(what != "own files"); !strings.Contains(said, "\n"+want+"\n") {
				t.Errorf("want %q of\n%s", want, said)
			}
		})
	}
}

// Who sets the variable that marks a restricted program has not restricted it.
func TestAProcessThatIsOnlyMarkedAsCagedEnds(t *testing.T) {
	t.Parallel()
	if slices.Contains(cage.Missing(), "files") {
		t.Skip("this kernel lacks the layer: files")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(cmd.Environ(), dir+"="+t.TempDir(), "RATCHET_CAGED=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), cage.ErrOutside.Error()) {
		t.Errorf("got %v: %s, want %q", err, out, cage.ErrOutside)
	}
}

func TestWhatAKernelLacksIsNamed(t *testing.T) {
	t.Parallel()
	const sockets = "unix sockets, UDP"
	const since6 = "signals, abstract unix sockets, " + sockets
	for abi, want := range map[int]string{
		0: "files, TCP connections, " + since6, 1: "files, TCP connections, " + since6, 3: "TCP connections, " + since6, 5: since6,
		6: sockets, 8: sockets, 9: "UDP", 10: "", 11: "",
	} {
		if got := strings.Join(cage.MissingAt(abi), ", "); got != want {
			t.Errorf("version %d: got %q, want %q", abi, got, want)
		}
	}
}
