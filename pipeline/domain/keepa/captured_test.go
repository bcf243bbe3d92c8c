package keepa

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"ratchet/test/captured"
)

// files are the captured answers that match a pattern, decompressed, by name.
func files(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(captured.Dir(t), pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no captured answer matches %q (%v)", pattern, err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		all[filepath.Base(name)] = readFile(t, name)
	}
	return all
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if filepath.Ext(name) == ".gz" {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
