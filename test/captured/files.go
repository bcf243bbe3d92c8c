package captured

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Files calls f with every captured answer that matches a pattern below Dir, in the order of names.
func Files(t testing.TB, pattern string, f func(name string, body []byte)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(Dir(t), pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no captured answer matches %s (%v)", pattern, err)
	}
	for _, name := range names {
		packed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f(filepath.Base(name), body)
	}
}
