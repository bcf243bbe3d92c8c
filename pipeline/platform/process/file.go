package process

import (
	"context"
	"io"
	"os"

	"ratchet/pipeline/text/complaint"
)

// Stdin is the name of the standard input as a file.
const Stdin = "-"

// ReadFile reads a file that a person wrote, Stdin included. It ends with ctx, and reads one byte more than
// complaint.MaxBytes at most, which who reads the content then refuses as too long.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	return Until(ctx, func() ([]byte, error) { return readSome(name) })
}

// Until is what do returns, or ctx's error where that ends first: a signal then ends a command within a second,
// although a pipe says nothing or a file takes long to check. What do still does then ends with the process.
func Until[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func readSome(name string) ([]byte, error) {
	f := os.Stdin
	if name != Stdin {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	return io.ReadAll(io.LimitReader(f, complaint.MaxBytes+1))
}
