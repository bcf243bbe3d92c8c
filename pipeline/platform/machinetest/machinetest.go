// Package machinetest says what becomes of a test where the machine lacks what it needs.
package machinetest

import (
	"os"
	"testing"
)

// Lacks skips a test, or fails it with CI=true: there a check that cannot run is a defect.
func Lacks(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
