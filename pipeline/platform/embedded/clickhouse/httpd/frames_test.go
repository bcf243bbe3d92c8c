package httpd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
)

func framed(t testing.TB, method compress.Method, text string) []byte {
	t.Helper()
	w := compress.NewWriter(compress.LevelZero, method)
	if err := w.Compress([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(w.Data)
}

func TestCompressedBlocksArriveWhateverTheirMethod(t *testing.T) {
	for _, method := range []compress.Method{compress.None, compress.LZ4, compress.LZ4HC, compress.ZSTD} {
		for _, text := range []string{"a", "abcabcabc", strings.Repeat("\x00", 4<<20), strings.Repeat("so und so ", 300_000)} {
			both := append(framed(t, method, text), framed(t, method, "rest")...)
			got, err := io.ReadAll(unpacked(iotestOneByte{bytes.NewReader(both)}))
			if err != nil || string(got) != text+"rest" {
				t.Errorf("%s: got %d bytes of %d, %v", method, len(got), len(text)+4, err)
			}
			if _, err := io.ReadAll(unpacked(bytes.NewReader(both[:len(both)-1]))); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: an end in the middle: got %v", method, err)
			}
		}
	}
}

// iotestOneByte reads one byte at a time, as from a slow line.
type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1000)]) }

func TestACompressedBlockTakesNoMemoryByWhatItClaims(t *testing.T) {
	for what, claim := range map[string]struct {
		method        byte
		packed, plain uint32
	}{
		"much to come": {0x82, 127 << 20, 127 << 20}, "much in little": {0x82, 40, 127 << 20}, "the same in ZSTD": {0x90, 40, 127 << 20},
		"more than there is": {0x02, 40, 127 << 20}, "nothing": {0x02, 0, 0}, "too much": {0x82, 1<<32 - 1, 1<<32 - 1}, "an unknown method": {0x77, 40, 127 << 20},
	} {
		head := make([]byte, frameHead+40)
		head[frameMethod] = claim.method
		binary.LittleEndian.PutUint32(head[framePacked:], claim.packed)
		binary.LittleEndian.PutUint32(head[framePlain:], claim.plain)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := io.ReadAll(unpacked(bytes.NewReader(head)))
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
			t.Errorf("%s: it took %d MiB", what, took>>20)
		}
	}
}

func FuzzCompressedBlocks(f *testing.F) {
	for _, method := range []compress.Method{compress.None, compress.LZ4, compress.ZSTD} {
		f.Add(framed(f, method, strings.Repeat("abc", 100)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = io.Copy(io.Discard, unpacked(bytes.NewReader(b))) // no panic, and an end
	})
}
