package daemon

import (
	"context"
	"io"
	"os"

	"ratchet/pipeline/complaint"
)

// Stdin is the name of the standard input as a file.
const Stdin = "-"

// ReadFile reads a file that a person wrote, Stdin included. It ends with ctx, and reads one byte more than
// complaint.MaxBytes at most, which who reads the content then refuses as too long.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	go func() { // a pipe may have nothing to say for ever; then this ends with the process
		data, err := readSome(name)
		read <- result{data, err}
	}()
	select {
	case r := <-read:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readSome(name string) ([]byte, error) {
	f := os.Stdin
	if name != Stdin {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // nothing was written
	}
	return io.ReadAll(io.LimitReader(f, complaint.MaxBytes+1))
}
