package keepasim

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// oddShapes are appended to an odd element, with a duplicate of a key if
// it has one. The last ones cost the element; the others do not.
var (
	oddRows = []string{
		`"returnRate":NaN`, `"title":["a"]`, `"rootCat":"283155"`, `"categories":["1","2"]`, `"image":null`, `"salesRankDrops365":-1`,
		"\"title\":\"a\x00\xff\"", `"backInStock":null`, `"current":"twelve"`, `"x":1e400`,
	}
	oddProducts = []string{
		`"returnRate":NaN`, `"author":["a","b"]`, `"numberOfPages":"200 p."`, `"fbaFees":[]`, `"categoryTree":null`, `"monthlySold":"50+"`,
		`"packageWeight":"1 kg"`, `"eanList":7`, `"csv":{"0":[1]}`, `"x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70),
	}
	oddSellers = []string{`"currentRating":"97 %"`, `"sellerName":["a"]`, `"x":NaN`, `"x":1e400`}
)

// odd returns an element as it is served: of every thousand, Faults.Odd are odd, each always in the same way.
func (s *Sim) odd(shapes []string, key string, body []byte) []byte {
	s.mu.Lock()
	share := s.o.Faults.Odd
	s.mu.Unlock()
	if share == 0 || len(body) < 3 {
		return body
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d|%s|%s", s.o.Seed, shapes[0], key) // a hash accepts everything
	n := h.Sum64()
	n ^= n >> 29
	if n%1000 >= uint64(share) { //nolint:gosec // a share is not negative
		return body
	}
	shape := shapes[(n/1000)%uint64(len(shapes))]
	return append(append(append(append([]byte(nil), body[:len(body)-1]...), ','), shape...), '}')
}
