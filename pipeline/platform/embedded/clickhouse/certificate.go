package clickhouse

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/cage"
	"ratchet/pipeline/platform/process"
)

// inheritedPEM names the environment variable with the descriptor of the pipe that holds
// the certificate and its key, because the restricted program cannot read their files.
const inheritedPEM = "RATCHET_CLICKHOUSE_PEM"

// mostPEM is what a pipe can buffer.
const mostPEM = 60 << 10

// certificate returns the certificate with its key, from their
// files or from the unrestricted program; nil without one.
func certificate(t access.TLS) ([]byte, error) {
	if !cage.Inside() {
		return t.PEM()
	}
	fd, err := strconv.Atoi(os.Getenv(inheritedPEM))
	if err != nil {
		return nil, nil //nolint:nilerr // none was passed on
	}
	f := os.NewFile(uintptr(fd), "certificate")
	defer f.Close() // before the engine is loaded
	pem, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("take over the certificate: %w", err)
	}
	return pem, nil
}

// handOver creates a pipe from which the restricted program reads.
func handOver(pem []byte) (*os.File, error) {
	if len(pem) > mostPEM {
		return nil, process.Usagef("--tls-cert, --tls-key: want at most %d bytes, got %d", mostPEM, len(pem))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("hand over the certificate: %w", err)
	}
	_, err = w.Write(pem)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("hand over the certificate: %w", err), r.Close())
	}
	return r, nil
}
