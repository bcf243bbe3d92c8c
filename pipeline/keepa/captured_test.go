package keepa

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// captured is the directory of real answers; the test is skipped on a laptop without them and fails in CI.
func captured(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KEEPA_FIXTURES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "fixtures", "keepa")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("captured answers are missing: %v; set KEEPA_FIXTURES", err)
		}
		t.Skipf("captured answers are not here (%v): set KEEPA_FIXTURES to run this test", err)
	}
	return dir
}

// files are the captured answers that match a pattern, decompressed, by name.
func files(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(captured(t), pattern))
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
