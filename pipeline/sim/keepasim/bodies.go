package keepasim

import "sync"

// bodies caches the bodies that were encoded last.
type bodies struct {
	mu   sync.Mutex
	max  int
	old  map[bodyKey][]byte
	last map[bodyKey][]byte
}

type bodyKey struct {
	asin string
	q    question
}

func newBodies(n int) *bodies {
	return &bodies{max: n, old: map[bodyKey][]byte{}, last: map[bodyKey][]byte{}}
}

// body returns the cached body or encodes it.
func (b *bodies) body(k bodyKey, encode func() []byte) []byte {
	b.mu.Lock()
	body, ok := b.last[k]
	if !ok {
		body, ok = b.old[k]
	}
	b.mu.Unlock()
	if ok {
		return body
	}
	body = encode()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.last) >= b.max { // two generations: what was not requested lately is dropped
		b.old, b.last = b.last, map[bodyKey][]byte{}
	}
	b.last[k] = body
	return body
}
