//go:build !linux

package engine

// keepSignals runs f. The published library is for Linux; on another
// system it runs in a child process whose handlers are not needed.
func keepSignals(f func()) error {
	f()
	return nil
}
