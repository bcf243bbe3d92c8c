// Package captured says where the captured answers of Keepa are, which belong to
// others and are not part of this repository.
package captured

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir is the directory that KEEPA_FIXTURES names, or the default beside the checkout,
// as a package two folders deep sees it. Without it the test skips; in CI it fails.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KEEPA_FIXTURES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "fixtures", "keepa")
	}
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("captured answers are missing: %v; set KEEPA_FIXTURES", err)
		}
		t.Skipf("captured answers are missing: %v; set KEEPA_FIXTURES", err)
	}
	return dir
}
