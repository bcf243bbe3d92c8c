//go:build !linux

package engine

// keepSignals runs f. The published library is for Linux; whoever brings one for
// another system runs it as a child process, whose handlers nobody needs.
func keepSignals(f func()) error {
	f()
	return nil
}
