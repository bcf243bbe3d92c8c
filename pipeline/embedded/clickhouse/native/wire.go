package native

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// What a client may send in one piece.
const (
	mostText  = 64 << 20 // the statement
	mostWords = 1 << 20  // any other text
	mostItems = 4096     // settings, parameters
	mostTaken = 96 << 20 // all texts of a packet together, with what remembering each costs
	perText   = 64
)

// A ProtocolError means that what came is no packet that we know. Where the next one begins is unknown too, so the
// connection is of no more use.
type ProtocolError struct{ Text string }

// Error says what was wrong.
func (e *ProtocolError) Error() string { return e.Text }

func bad(format string, args ...any) error { return &ProtocolError{Text: fmt.Sprintf(format, args...)} }

// wire reads numbers and texts. The first error stays, so that fields can be read without asking after each.
type wire struct {
	in    *bufio.Reader
	taken uint64 // by texts
	err   error
}

func (w *wire) uvarint() uint64 {
	if w.err != nil {
		return 0
	}
	v, err := binary.ReadUvarint(w.in)
	w.fault(err)
	return v
}

func (w *wire) byte() byte {
	if w.err != nil {
		return 0
	}
	b, err := w.in.ReadByte()
	w.fault(err)
	return b
}

func (w *wire) skip(n int) {
	if w.err == nil {
		_, err := w.in.Discard(n)
		w.fault(err)
	}
}

// text reads a text of at most so many bytes. Memory is taken as the bytes arrive, not as they are announced.
func (w *wire) text(most uint64) string {
	n := w.uvarint()
	if w.err == nil && n > most {
		w.err = bad("a text of %d bytes where at most %d are taken", n, most)
	}
	if w.taken += n + perText; w.err == nil && w.taken > mostTaken {
		w.err = bad("a packet with more than %d MiB of texts", mostTaken>>20)
	}
	if w.err != nil {
		return ""
	}
	var b bytes.Buffer
	_, err := io.CopyN(&b, w.in, int64(n)) //nolint:gosec // at most mostText
	w.fault(err)
	return b.String()
}

// fault keeps the first error. An end in the middle of a packet is not a good one.
func (w *wire) fault(err error) {
	if w.err == nil && err != nil {
		if err == io.EOF { //nolint:errorlint // the reader's own
			err = io.ErrUnexpectedEOF
		}
		w.err = err
	}
}
