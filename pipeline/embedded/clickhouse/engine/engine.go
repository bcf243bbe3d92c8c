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

// Options say where the engine keeps its data and how much memory it may use.
type Options struct {
	Data      string // directory; created. One process at a time may use it
	MaxMemory int64  // bytes the engine may count as used; 0: 90 % of the machine's. Real use may be twice that for seconds
}

// Engine is ClickHouse on one data directory.
type Engine struct {
	lib  *Library
	args []string
	lock *os.File
	// base is a connection that runs nothing: the library shuts the engine down
	// when the last connection closes, and starting it again takes a moment.
	base unsafe.Pointer
}

// config is what the engine reads as its configuration file. Without one of ours it
// would silently take a config.xml from the working directory. The caches have room
// for the marks and keys of some ten million verdicts; by default they may grow to
// gigabytes over months.
const config = `<clickhouse>
    <mlock_executable>false</mlock_executable>
    <display_name>ratchet</display_name>
    <mark_cache_size>134217728</mark_cache_size>
    <primary_index_cache_size>134217728</primary_index_cache_size>
    <index_mark_cache_size>33554432</index_mark_cache_size>
</clickhouse>
`

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
	if err := e.start(dir, o.MaxMemory); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return e, nil
}

func (e *Engine) start(dir string, maxMemory int64) error {
	file := filepath.Join(dir, "engine.xml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the engine's configuration: %w", err)
	}
	e.args = []string{
		"clickhouse",
		"--path=" + filepath.Join(dir, "store"),
		"--config-file=" + file,
		"--log-level=warning",
		"--logger.log=" + filepath.Join(dir, "engine.log"),
	}
	if maxMemory > 0 {
		e.args = append(e.args, "--max_server_memory_usage="+strconv.FormatInt(maxMemory, 10))
	}
	base, err := e.connect()
	if err != nil {
		return fmt.Errorf("open the ClickHouse data in %s: %w; the line above and %s say why", dir, err, filepath.Join(dir, "engine.log"))
	}
	e.base = base
	return nil
}

// errNoConnection is all that the library tells: the reason went to stderr.
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

// Close shuts the engine down and releases the directory. It waits for statements
// that still run: end them first.
func (e *Engine) Close() error {
	e.lib.c.closeConn(e.base)
	e.base = nil
	return e.lock.Close()
}
