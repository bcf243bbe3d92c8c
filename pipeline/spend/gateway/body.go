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
)

// The most bytes of an answer that are read, unpacked. A longer answer is
// treated as partial: what arrived was paid for, and the rest takes no memory.
const (
	maxToken    = 64 << 10 // has some hundred bytes
	maxDeals    = 16 << 20 // a page of 150 rows has 350 KB
	maxSellers  = 16 << 20 // 100 sellers
	maxProducts = 40 << 20 // 100 products without offers, each 50 to 750 KB; of long-tracked books 340 KB on average
	maxOffers   = 16 << 20 // one product with offers; the largest captured has 1.3 MB
	maxRefusal  = 1 << 20  // an answer with another status than 200, of which one sentence is used
	maxHeader   = 256 << 10
)

// most returns the most bytes that an endpoint answers with.
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

// read returns the body of an answer, unpacked. With an error it returns what arrived before it.
func read(resp *http.Response, most int) ([]byte, error) {
	b := bufio.NewReader(resp.Body)
	var r io.Reader = b
	// The bytes tell, and not the header: a proxy may leave it on a body that it has unpacked, drop it from
	// one that it has not, or spell it x-gzip. No JSON and no page begins so.
	if head, _ := b.Peek(2); string(head) == "\x1f\x8b" {
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

// readMost reads to the end, but at most most+1 bytes.
func readMost(r io.Reader, most int) ([]byte, error) {
	buf := make([]byte, 0, min(most, 64<<10))
	for {
		if len(buf) == cap(buf) {
			if len(buf) >= most {
				return buf, endsAt(r, most)
			}
			buf = append(room(larger(cap(buf), most)), buf...)
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

// large is the buffer size from which on garbage is collected first. Answers that
// need one are rare: a full peek does, and its tokens take 20 minutes to refill.
const large = 8 << 20

// larger returns the size of the buffer after one that is full. From large on it is the limit,
// so that no more than large is held twice.
func larger(size, most int) int {
	if size >= large {
		return most
	}
	return min(most, 2*size)
}

// room returns an empty buffer. It keeps the memory of four simultaneous hostile
// answers to that of their bodies, without the garbage of growing buffers.
func room(size int) []byte {
	if size >= large {
		runtime.GC()
	}
	return make([]byte, 0, size)
}

// endsAt returns errTooLarge if more data follows.
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
