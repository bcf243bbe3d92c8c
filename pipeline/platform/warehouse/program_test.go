package warehouse_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
)

// childLocal marks a re-executed test binary as clickhouse-local, with that program's arguments.
const childLocal = "RATCHET_WAREHOUSE_LOCAL"

func init() {
	if lib := os.Getenv(childLocal); lib != "" {
		os.Exit(beLocal(lib))
	}
}

// runLocal runs ClickHouse's own client on the data of a stopped engine: clickhouse-local, whose main the library
// contains. It shares its command line, the reading of query files, parameters and output with clickhouse-client, but
// uses an engine in its own process instead of a server. dir is the working directory. Output on stderr is an error.
func runLocal(t testing.TB, data, dir string, args ...string) (string, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--path=" + filepath.Join(data, "store"), "--config-file=" + filepath.Join(data, "engine.xml")}, args...)
	cmd := osexec.CommandContext(t.Context(), exe, args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), childLocal+"="+chtest.Library(t), "TZ=UTC")
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	err = cmd.Run()
	if err != nil || words.Len() > 0 { // the library does not return the status of its main
		err = fmt.Errorf("clickhouse local: %w", errors.Join(err, errors.New(strings.TrimSpace(words.String()))))
	}
	return out.String(), err
}

// beLocal is the main of clickhouse-local. The library collects its output.
func beLocal(lib string) int {
	out, err := local(lib, append([]string{"clickhouse-local"}, os.Args[1:]...))
	if _, e := os.Stdout.Write(out); err == nil {
		err = e
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func local(lib string, args []string) ([]byte, error) {
	handle, err := purego.Dlopen(lib, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	var (
		setSignals func(enabled int32)
		run        func(argc int32, argv unsafe.Pointer) unsafe.Pointer
		buffer     func(result unsafe.Pointer) unsafe.Pointer
		length     func(result unsafe.Pointer) uintptr
		fault      func(result unsafe.Pointer) string
	)
	purego.RegisterLibFunc(&setSignals, handle, "chdb_set_signal_handlers_enabled")
	purego.RegisterLibFunc(&run, handle, "chdb_query_cmdline")
	purego.RegisterLibFunc(&buffer, handle, "chdb_result_buffer")
	purego.RegisterLibFunc(&length, handle, "chdb_result_length")
	purego.RegisterLibFunc(&fault, handle, "chdb_result_error")
	setSignals(0)
	argv := make([]*byte, 0, len(args)+1)
	for _, a := range args {
		argv = append(argv, &append([]byte(a), 0)[0])
	}
	argv = append(argv, nil)
	r := run(int32(len(args)), unsafe.Pointer(&argv[0])) //nolint:gosec // a handful
	if r == nil {
		return nil, errors.New("the library returned no result")
	}
	var out []byte
	if n, p := length(r), buffer(r); n > 0 && p != nil {
		out = unsafe.Slice((*byte)(p), n)
	}
	if text := fault(r); text != "" {
		return out, errors.New(text)
	}
	return out, nil
}
