package engine

import (
	"errors"
	"fmt"
	"os"
)

// emptyStdin leaves nothing to read on the process's standard input. The library looks there for data at every INSERT,
// also at one that has its data already, and inserts what it finds. So as not to wait it switches the descriptor to
// non-blocking for a moment; of two INSERTs at once the one may switch back before the other reads, which waits then for
// as long as the other end stays open, keeps its table and heeds no KILL QUERY.
func emptyStdin() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("empty the standard input: %w", err)
	}
	if err := putAt(int(null.Fd()), 0); err != nil {
		return errors.Join(fmt.Errorf("empty the standard input: %w", err), null.Close())
	}
	return null.Close()
}
