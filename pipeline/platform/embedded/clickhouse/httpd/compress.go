package httpd

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// bodyOf returns the request's body without its compressions: first
// that of HTTP, then ClickHouse's own, which decompress=1 announces.
func bodyOf(r *http.Request, packed bool) (io.Reader, error) {
	body, err := decoded(r.Body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, refuse(cannotDecompress, "Cannot read the compressed body: %v", err)
	}
	if packed {
		body = unpacked(body)
	}
	return body, nil
}

// mostWindow is the largest window of a zstd body, which is allocated as its header announces: RFC 9659.
const mostWindow = 8 << 20

func decoded(body io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip":
		return gzip.NewReader(body)
	case "deflate":
		return zlib.NewReader(body)
	case "br":
		return brotli.NewReader(body), nil
	case "lz4":
		return lz4.NewReader(body), nil
	case "zstd":
		d, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(mostWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	default:
		return nil, errors.New("unknown Content-Encoding " + encoding)
	}
}

// blockReader reports the end as io.EOF itself, which the library wraps.
type blockReader struct{ r *compress.Reader }

func (b blockReader) Read(p []byte) (int, error) {
	k, err := b.r.Read(p)
	if err != nil && errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return k, err
}

// A packer compresses an answer. The client can decompress every Write as soon as it arrives.
type packer interface {
	io.Writer
	Close() error
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// blockPacker writes ClickHouse's own compressed blocks.
type blockPacker struct {
	to  io.Writer
	enc *compress.Writer
}

// mostBlock is the most that a compressed block holds, as on a server.
const mostBlock = 1 << 20

func (b blockPacker) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		k := min(len(rest), mostBlock)
		if err := b.enc.Compress(rest[:k]); err != nil {
			return 0, err
		}
		if _, err := b.to.Write(b.enc.Data); err != nil {
			return 0, err
		}
		rest = rest[k:]
	}
	return len(p), nil
}

func (blockPacker) Close() error { return nil }

// gzipPacker flushes after every write, so that rows of a slow query arrive.
type gzipPacker struct{ z *gzip.Writer }

func (g gzipPacker) Write(p []byte) (int, error) {
	n, err := g.z.Write(p)
	if err == nil {
		err = g.z.Flush()
	}
	return n, err
}

func (g gzipPacker) Close() error { return g.z.Close() }

// packerFor returns the answer's compression, as requested.
func packerFor(w http.ResponseWriter, q *request) packer {
	if q.compress {
		return blockPacker{to: w, enc: compress.NewWriter(compress.LevelZero, methodOf(q))}
	}
	if q.gzip {
		w.Header().Set("Content-Encoding", "gzip")
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err == nil {
			return gzipPacker{z}
		}
	}
	return plain{w}
}

// methodOf returns the method of ClickHouse's own compressed blocks.
func methodOf(q *request) compress.Method {
	switch strings.ToUpper(q.setting("network_compression_method")) {
	case "ZSTD":
		return compress.ZSTD
	case "NONE":
		return compress.None
	}
	return compress.LZ4
}
