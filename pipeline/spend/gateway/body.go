package gateway

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
)

// The most bytes of an answer that are read, unpacked. An answer that is longer is one that came in part: what came was
// paid for, and the rest costs no memory.
const (
	maxToken    = 64 << 10 // has some hundred bytes
	maxDeals    = 16 << 20 // a page of 150 rows has 350 KB
	maxSellers  = 16 << 20 // 100 sellers
	maxProducts = 32 << 20 // 100 products without offers, which have 50 to 750 KB, 120 KB as a rule
	maxOffers   = 16 << 20 // one product with offers; the largest that was captured has 1.3 MB
	maxRefusal  = 1 << 20  // an answer with another status than 200, of which a sentence is used
	maxHeader   = 256 << 10
)

// most is the most bytes that an endpoint answers with.
func most(endpoint string, q url.Values) int {
	switch {
	case endpoint == "token":
		return maxToken
	case endpoint == "deal":
		return maxDeals
	case endpoint == "seller":
		return maxSellers
	case q.Has("offers"):
		return maxOffers
	}
	return maxProducts
}

var errTooLarge = errors.New("the answer is larger than anything Keepa sends")

// read is the body of an answer, unpacked. Beside an error it is what came before that.
func read(resp *http.Response, most int) ([]byte, error) {
	b := bufio.NewReader(resp.Body)
	var r io.Reader = b
	// A proxy may say gzip of what it has unpacked: what came is read as it is.
	if head, _ := b.Peek(2); strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") && string(head) == "\x1f\x8b" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = z
	}
	if resp.StatusCode != http.StatusOK {
		most = min(most, maxRefusal)
	}
	return readMost(r, most)
}

// readMost reads to the end, but no more than most bytes and one.
func readMost(r io.Reader, most int) ([]byte, error) {
	buf := make([]byte, 0, min(most, 64<<10))
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= most {
				return buf, endsAt(r, most)
			}
			buf = append(room(min(most, 2*cap(buf))), buf...)
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// large is a buffer for which garbage makes room first. Answers that need one are rare: a full peek is one, and its
// tokens take 20 minutes to come.
const large = 8 << 20

// room is an empty buffer. A process that gets four hostile answers at once takes the memory of these, not that of the
// garbage that buffers leave as they grow.
func room(size int) []byte {
	if size >= large {
		runtime.GC()
	}
	return make([]byte, 0, size)
}

// endsAt is errTooLarge unless nothing more comes.
func endsAt(r io.Reader, most int) error {
	_, err := io.ReadFull(r, make([]byte, 1))
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: more than %d bytes", errTooLarge, most)
}
