// Package captured locates the captured answers of Keepa, which belong to
// others and are not part of this repository.
package captured

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"
)

// Dir is the directory that KEEPA_FIXTURES names, or the default beside the checkout.
// Without it the test skips; in CI it fails.
func Dir(t testing.TB) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("KEEPA_FIXTURES"), filepath.Join(root(), "..", "shared", "fixtures", "keepa"))
	if _, err := os.Stat(dir); err != nil {
		Missing(t, "captured answers are missing: %v; set KEEPA_FIXTURES", err)
	}
	return dir
}

// Missing skips a test that lacks something, and fails it in CI, where everything is there.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// root is the folder of go.mod, at or above the package under test.
func root() string {
	dir := "."
	for range 10 {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Join("..", dir)
	}
	return dir
}
