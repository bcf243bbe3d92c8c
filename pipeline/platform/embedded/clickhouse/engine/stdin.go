package engine

import (
	"errors"
	"fmt"
	"os"
)

// emptyStdin leaves nothing to read on the process's standard input. The library reads data from there at
// every INSERT, even at one that has its data already, and inserts what it finds. To avoid blocking it makes
// the descriptor non-blocking for a moment; of two concurrent INSERTs one may switch back before the other
// reads. The other then waits as long as the write end stays open, holds its table and ignores KILL QUERY.
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
