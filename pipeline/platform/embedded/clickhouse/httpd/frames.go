package httpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/compress"
)

// The library that unpacks ClickHouse's compressed blocks allocates memory by the lengths in their headers,
// before the bytes have arrived. So blocks are read completely first, and their lengths must be plausible.

// The header of a compressed block: a checksum, the method, both lengths.
const (
	frameMethod = 16
	framePacked = 17
	framePlain  = 21
	frameHead   = 25
	mostFrame   = 128 << 20 // the library's limit for either length
	keptBlock   = 1 << 20   // a larger buffer is not kept
)

// frames passes compressed blocks on, each once it is complete.
type frames struct {
	in    io.Reader
	block bytes.Buffer
}

// unpacked reads the content of ClickHouse's compressed blocks.
func unpacked(in io.Reader) io.Reader { return blockReader{compress.NewReader(&frames{in: in})} }

func (f *frames) Read(p []byte) (int, error) {
	if f.block.Len() == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	return f.block.Read(p)
}

func (f *frames) next() error {
	if f.block.Cap() > keptBlock {
		f.block = bytes.Buffer{}
	}
	f.block.Reset()
	if _, err := io.CopyN(&f.block, f.in, frameHead); err != nil {
		if f.block.Len() > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		f.block.Reset()
		return err
	}
	head := f.block.Bytes()
	method := head[frameMethod]
	packed := int64(binary.LittleEndian.Uint32(head[framePacked:])) - (frameHead - frameMethod)
	plain := int64(binary.LittleEndian.Uint32(head[framePlain:]))
	if packed < 0 || packed > mostFrame || plain > largest(method, packed) {
		f.block.Reset()
		return fmt.Errorf("a compressed block of %d bytes that claims to hold %d", packed, plain)
	}
	_, err := io.CopyN(&f.block, f.in, packed)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// largest returns the most that a block of so many bytes can hold.
func largest(method byte, packed int64) int64 {
	switch method {
	case 0x82: // LZ4: a length byte stands for at most 255
		return min(mostFrame, 255*packed)
	case 0x90: // ZSTD: four bytes stand for a block of 128 KiB
		return min(mostFrame, (packed/4+1)<<17)
	default: // uncompressed
		return min(mostFrame, packed)
	}
}
