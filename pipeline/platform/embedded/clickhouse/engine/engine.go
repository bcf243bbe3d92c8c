package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"unsafe"
)

// Options configure where the engine keeps its data and how much memory it may use.
type Options struct {
	Data      string // directory; created if missing. One process at a time may use it
	MaxMemory int64  // bytes that the engine may count as used; 0: 90 % of the machine's. Actual use may be twice that for seconds
	Users     string // the rights of the user "default", as ClickHouse's users.xml; empty: cage.Users
}

// Engine is ClickHouse on one data directory.
type Engine struct {
	lib  *Library
	args []string
	lock *os.File
	// base is an idle connection: the library shuts the engine down when
	// the last connection closes, and starting it again takes a moment.
	base unsafe.Pointer
}

// Open locks the data directory and starts the engine on it.
func (l *Library) Open(o Options) (*Engine, error) {
	// The library compares paths as text: "/d" and "/d/" would be two engines.
	dir, err := filepath.Abs(o.Data)
	if err != nil {
		return nil, fmt.Errorf("find data directory %s: %w", o.Data, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w; choose another with --data", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{lib: l, lock: lock}
	if err := e.start(dir, o); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return e, nil
}

// Store returns the directory of the tables in a data directory.
func Store(data string) string { return filepath.Join(data, "store") }

func (e *Engine) start(dir string, o Options) error {
	files, err := configure(dir, o.Users)
	if err != nil {
		return err
	}
	e.args = append([]string{"clickhouse", "--path=" + Store(dir), "--log-level=warning", "--logger.log=" + filepath.Join(dir, "engine.log")}, files...)
	if o.MaxMemory > 0 {
		e.args = append(e.args, "--max_server_memory_usage="+strconv.FormatInt(o.MaxMemory, 10))
	}
	base, err := e.connect()
	if err != nil {
		return fmt.Errorf("open the ClickHouse data in %s: %w; the line above and %s have the reason", dir, err, filepath.Join(dir, "engine.log"))
	}
	e.base = base
	if err := e.checkGrants(); err != nil {
		e.lib.c.closeConn(e.base)
		return err
	}
	return nil
}

// errNoConnection is all that the library reports: the reason is on stderr.
var errNoConnection = errors.New("the engine refuses to connect")

func (e *Engine) connect() (unsafe.Pointer, error) {
	argv := make([]*byte, 0, len(e.args)+1)
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, a := range e.args {
		p := &append([]byte(a), 0)[0]
		pin.Pin(p)
		argv = append(argv, p)
	}
	argv = append(argv, nil)
	pin.Pin(&argv[0])
	p := e.lib.c.connect(int32(len(e.args)), unsafe.Pointer(&argv[0]))
	if p == nil {
		return nil, errNoConnection
	}
	return p, nil
}

// Close shuts the engine down and releases the directory. It waits for running statements: end them first.
func (e *Engine) Close() error {
	e.lib.c.closeConn(e.base)
	e.base = nil
	return e.lock.Close()
}
