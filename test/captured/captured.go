// Package captured locates the captured answers of Keepa, which belong to
// others and are not part of this repository.
package captured

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"ratchet/pipeline/platform/machinetest"
)

// Dir is the directory that KEEPA_FIXTURES names, or the default beside the checkout.
// Without it the test skips; in CI it fails.
func Dir(t testing.TB) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("KEEPA_FIXTURES"), filepath.Join(root(), "..", "shared", "fixtures", "keepa"))
	if _, err := os.Stat(dir); err != nil {
		machinetest.Lacks(t, "captured answers are missing: %v; set KEEPA_FIXTURES", err)
	}
	return dir
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
