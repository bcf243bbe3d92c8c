package engine

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// symbols are the functions of libchdb that are called. Those
// with text take its length too, so text may contain any byte.
type symbols struct {
	connect    func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn  func(conn unsafe.Pointer)
	version    func() string
	setSignals func(enabled int32)

	query    func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	stream   func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	classify func(conn, sql unsafe.Pointer, n uintptr, target unsafe.Pointer, tn uintptr, analysis unsafe.Pointer) int32
	fetch    func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancel   func(conn, stream unsafe.Pointer)

	destroy      func(result unsafe.Pointer)
	buffer       func(result unsafe.Pointer) unsafe.Pointer
	length       func(result unsafe.Pointer) uintptr
	errorText    func(result unsafe.Pointer) string
	rowsRead     func(result unsafe.Pointer) uint64
	bytesRead    func(result unsafe.Pointer) uint64
	rowsWritten  func(result unsafe.Pointer) uint64
	bytesWritten func(result unsafe.Pointer) uint64
}

// Library is libchdb, loaded into this process until its end.
type Library struct {
	path string
	c    symbols
}

// loaded is the one library of the process: a second copy would conflict over signals and threads.
var loaded struct {
	sync.Mutex
	lib *Library
}

// Load maps the library at path, keeps the Go runtime's signal handlers in place
// and empties the standard input. It may be called again with the same path.
func Load(path string) (*Library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if lib := loaded.lib; lib != nil {
		if lib.path != path {
			return nil, fmt.Errorf("load %s: this process already runs %s", path, lib.path)
		}
		return lib, nil
	}
	lib := &Library{path: path}
	if err := lib.open(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	loaded.lib = lib
	return lib, nil
}

// Version returns the release of libchdb, such as 26.7.3.
func (l *Library) Version() string { return l.c.version() }

// needed are the libraries that libchdb is linked with, all of them glibc's.
var needed = []string{"ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"}

// preload loads libchdb's dependencies from the system. Its own search path (RUNPATH) begins in a directory below
// /opt of the machine that built it, which another user might create here; loaded libraries are not searched.
func preload() error {
	if runtime.GOOS != "linux" {
		return nil
	}
	for _, name := range needed {
		if _, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL); err != nil {
			return err
		}
	}
	return nil
}

func (l *Library) open() error {
	if err := emptyStdin(); err != nil {
		return err
	}
	if err := preload(); err != nil {
		return err
	}
	handle, err := purego.Dlopen(l.path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return err
	}
	var errs []error
	bind := func(fn any, name string) {
		addr, err := purego.Dlsym(handle, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("find %s: %w", name, err))
			return
		}
		purego.RegisterFunc(fn, addr)
	}
	c := &l.c
	bind(&c.connect, "chdb_connect")
	bind(&c.closeConn, "chdb_close_conn")
	bind(&c.version, "chdb_version")
	bind(&c.setSignals, "chdb_set_signal_handlers_enabled")
	bind(&c.query, "chdb_query_with_params_n")
	bind(&c.stream, "chdb_stream_query_with_params_n")
	bind(&c.classify, "chdb_classify_query_n")
	bind(&c.fetch, "chdb_stream_fetch_result")
	bind(&c.cancel, "chdb_stream_cancel_query")
	bind(&c.destroy, "chdb_destroy_query_result")
	bind(&c.buffer, "chdb_result_buffer")
	bind(&c.length, "chdb_result_length")
	bind(&c.errorText, "chdb_result_error")
	bind(&c.rowsRead, "chdb_result_rows_read")
	bind(&c.bytesRead, "chdb_result_bytes_read")
	bind(&c.rowsWritten, "chdb_result_rows_written")
	bind(&c.bytesWritten, "chdb_result_bytes_written")
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// The call that makes the library leave signals alone itself resets them, so the handlers are restored
	// afterwards. Without them the first nil dereference that Go would have recovered from ends the process.
	return keepSignals(func() { c.setSignals(0) })
}
