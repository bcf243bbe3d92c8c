package keepa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"ratchet/pipeline/text/foreign"
)

// maxDepth bounds nesting, so that hostile input cannot exhaust the
// stack; deeper nesting makes its element unreadable.
const maxDepth = 64

// wantShallow is what the decoder wants of nesting beyond maxDepth.
const wantShallow = "fewer levels of nesting"

// What takes two bytes in an answer takes more than a hundred decoded, so that both are bounded.
const (
	// mostElements is the most elements of one array that are decoded, apart from a history's. Keepa's have hundreds.
	mostElements = 10_000
	// mostProduct is the most bytes of a product that is decoded. The largest captured has 1.3 MB.
	mostProduct = 8 << 20

	wantFewer   = "at most 10000 elements"
	wantSmaller = "at most 8388608 bytes"
)

func errTooMany() error { return &TypeError{Want: wantFewer, Got: "more"} }

// TypeError reports that a required field has an unexpected type, or that the JSON around it is invalid.
type TypeError struct {
	Path string // where, from the top of the body: deals.dr[3].current
	Want string // what the decoder needs there
	Got  string // what it found
}

// Error names the field, the wanted and the actual type.
func (e *TypeError) Error() string {
	return fmt.Sprintf("decode %s: want %s, got %s", e.Path, e.Want, e.Got)
}

// scanner walks JSON once, decoding the requested parts and skipping the rest.
type scanner struct {
	b       []byte
	i       int
	depth   int
	changed []*TypeError // fields that no decision needs and that have an unexpected type
}

// fail returns the error for the value at the scanner's position.
func (s *scanner) fail(want string) error {
	return &TypeError{Path: "", Want: want, Got: s.describe()}
}

// describe names the kind of the value at the position, never its content.
func (s *scanner) describe() string {
	switch c := s.peek(); {
	case c == 0:
		return "the end of the body"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	case c|0x20 >= 'a' && c|0x20 <= 'z':
		return "a bare word"
	default:
		return fmt.Sprintf("the byte %q", c)
	}
}

// within prepends a step to the path of a TypeError.
func within(step string, err error) error {
	if t, ok := err.(*TypeError); ok { //nolint:errorlint // made in this file, never wrapped before here
		switch {
		case t.Path == "":
			t.Path = step
		case t.Path[0] == '[':
			t.Path = step + t.Path
		default:
			t.Path = step + "." + t.Path
		}
	}
	return err
}

// peek returns the next byte that is not white space; 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// null consumes a null and reports whether there was one.
func (s *scanner) null() bool {
	if s.peek() == 'n' && bytes.HasPrefix(s.b[s.i:], []byte("null")) {
		s.i += 4
		return true
	}
	return false
}

// object calls f once per key, with the scanner on the value; f
// must consume it. A null or an empty array is an empty object.
func (s *scanner) object(f func(key []byte) error) error {
	if s.null() || s.emptyList() {
		return nil
	}
	if s.peek() != '{' {
		return s.fail("an object")
	}
	if s.depth++; s.depth > maxDepth {
		return s.fail(wantShallow)
	}
	defer func() { s.depth-- }()
	s.i++
	for first := true; ; first = false {
		switch s.peek() {
		case '}':
			s.i++
			return nil
		case ',':
			if first {
				return s.fail("a key")
			}
			s.i++
		default:
			if !first {
				return s.fail("a comma or the end of the object")
			}
		}
		key, err := s.key()
		if err != nil {
			return err
		}
		if err := f(key); err != nil {
			return within(string(key), err)
		}
	}
}

// key consumes a key and its colon.
func (s *scanner) key() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail("a key")
	}
	raw, err := s.rawString()
	if err != nil {
		return nil, err
	}
	key := raw[1 : len(raw)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		text, err := unquote(raw)
		if err != nil {
			return nil, s.fail("a valid key")
		}
		key = []byte(text)
	}
	if s.peek() != ':' {
		return nil, s.fail("a colon")
	}
	s.i++
	return key, nil
}

// array is arrayOf with the most elements that anything but a history has.
func (s *scanner) array(f func(n int) error) error { return s.arrayOf(mostElements, f) }

// arrayOf calls f once per element, with the scanner on it; f must consume it. A null is an empty
// array. More elements than most make the enclosing element unreadable.
func (s *scanner) arrayOf(most int, f func(n int) error) error {
	if s.null() {
		return nil
	}
	if s.peek() != '[' {
		return s.fail("an array")
	}
	if s.depth++; s.depth > maxDepth {
		return s.fail(wantShallow)
	}
	defer func() { s.depth-- }()
	s.i++
	for n := 0; ; n++ {
		switch s.peek() {
		case ']':
			s.i++
			return nil
		case ',':
			if n == 0 {
				return s.fail("an element")
			}
			s.i++
		default:
			if n > 0 {
				return s.fail("a comma or the end of the array")
			}
		}
		if n == most {
			return errTooMany()
		}
		if err := f(n); err != nil {
			return within("["+strconv.Itoa(n)+"]", err)
		}
	}
}

// rawString consumes a string and returns it with its quotes and escapes.
func (s *scanner) rawString() ([]byte, error) {
	start := s.i
	for s.i++; ; {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			s.i = len(s.b)
			return nil, s.fail("the end of a string")
		}
		end := s.i + n
		s.i = end + 1
		back := 0
		for k := end - 1; k > start && s.b[k] == '\\'; k-- {
			back++
		}
		if back%2 == 0 {
			return s.b[start:s.i], nil
		}
	}
}

func unquote(raw []byte) (string, error) {
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err
}

// skip consumes one value of any kind without decoding it; brackets must balance.
func (s *scanner) skip() error {
	switch c := s.peek(); {
	case c == '"':
		_, err := s.rawString()
		return err
	case c == '{' || c == '[':
		return s.skipNested()
	case c == '-' || c >= '0' && c <= '9':
		return s.skipNumber()
	case c|0x20 >= 'a' && c|0x20 <= 'z':
		s.word() // true, false and null, and NaN, which some servers print
		return nil
	default:
		return s.fail("a value")
	}
}

// skipNumber consumes a number, or -Infinity. One that no double holds makes its element unreadable.
func (s *scanner) skipNumber() error {
	start := s.i
	text := s.number()
	if len(text) == 1 && text[0] == '-' {
		s.word()
		return nil
	}
	if len(text) > 15 || bytes.IndexByte(text, 'e') >= 0 || bytes.IndexByte(text, 'E') >= 0 {
		if f, err := strconv.ParseFloat(string(text), 64); err != nil && math.IsInf(f, 0) {
			s.i = start
			return &TypeError{Want: wantDouble, Got: "a larger one"}
		}
	}
	return nil
}

// skipNested consumes an object or array by matching its brackets.
func (s *scanner) skipNested() error {
	if s.skipFlat() {
		return nil
	}
	var open [maxDepth]byte
	depth := 0
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case '"':
			if _, err := s.rawString(); err != nil {
				return err
			}
			continue
		case '{', '[':
			if depth > 0 && c == '[' && s.skipFlat() {
				continue
			}
			if depth == maxDepth {
				return s.fail(wantShallow)
			}
			open[depth] = c + 2 // '{' and '}' differ by 2, and so do '[' and ']'
			depth++
		case '}', ']':
			if open[depth-1] != c {
				return s.fail("a bracket that matches")
			}
			if depth--; depth == 0 {
				s.i++
				return nil
			}
		}
		s.i++
	}
	return s.fail("the end of an object or array")
}

// skipFlat consumes an array without strings, arrays or objects: nearly always a history. It
// searches for single bytes, which is many times faster than looking at each.
func (s *scanner) skipFlat() bool {
	if s.b[s.i] != '[' {
		return false
	}
	rest := s.b[s.i+1:]
	end := bytes.IndexByte(rest, ']')
	if end < 0 {
		return false
	}
	rest = rest[:end]
	if bytes.IndexByte(rest, '[') >= 0 || bytes.IndexByte(rest, '"') >= 0 || bytes.IndexByte(rest, '{') >= 0 || bytes.IndexByte(rest, '}') >= 0 {
		return false
	}
	s.i += end + 2
	return true
}

// flatInts reads an array of plain whole numbers into dst, at a third of the cost of array. It consumes nothing and
// returns false when it meets anything else, white space and more than most included; the caller then uses array.
func (s *scanner) flatInts(dst []int64, most int) ([]int64, bool) {
	if s.peek() != '[' {
		return dst, false
	}
	b, i := s.b, s.i+1
	if i < len(b) && b[i] == ']' {
		s.i = i + 1
		return dst, true
	}
	for i < len(b) {
		neg := b[i] == '-'
		if neg {
			i++
		}
		start := i
		var n int64
		for i < len(b) && b[i]-'0' <= 9 {
			n = n*10 + int64(b[i]-'0')
			i++
		}
		if i == start || i-start > 18 || i == len(b) || len(dst) == most {
			return dst, false
		}
		if neg {
			n = -n
		}
		dst = append(dst, n)
		switch b[i] {
		case ',':
			i++
		case ']':
			s.i = i + 1
			return dst, true
		default:
			return dst, false
		}
	}
	return dst, false
}

// flatPoints is flatInts for the groups of a history, which are nearly all of a product: it avoids a second
// copy of every number. It returns false, with nothing consumed, when the array contains anything else.
func (s *scanner) flatPoints(h Series, width int) (Series, bool) {
	if s.peek() != '[' {
		return h, false
	}
	b, i := s.b, s.i+1
	if i < len(b) && b[i] == ']' {
		s.i = i + 1
		return h, true
	}
	p, k := Point{Shipping: -1}, 0
	for i < len(b) {
		neg := b[i] == '-'
		if neg {
			i++
		}
		start := i
		var n int64
		for i < len(b) && b[i]-'0' <= 9 {
			n = n*10 + int64(b[i]-'0')
			i++
		}
		if i == start || i-start > 18 || i == len(b) {
			return h, false
		}
		if neg {
			n = -n
		}
		switch k {
		case 0:
			p.At = Minute(n)
		case 1:
			p.Value = int(n)
		default:
			p.Shipping = int(n)
		}
		if k++; k == width {
			h, k = append(h, p), 0
		}
		switch b[i] {
		case ',':
			i++
		case ']':
			s.i = i + 1
			return h, true
		default:
			return h, false
		}
	}
	return h, false
}

// raw consumes one value and returns its bytes; nil for null.
func (s *scanner) raw() ([]byte, error) {
	if s.null() {
		return nil, nil
	}
	start := s.i
	if err := s.skip(); err != nil {
		return nil, err
	}
	return s.b[start:s.i:s.i], nil
}

// number consumes the characters of a number.
func (s *scanner) number() []byte {
	start := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			s.i++
		default:
			return s.b[start:s.i]
		}
	}
	return s.b[start:s.i]
}

// integer consumes a whole number; a float without a fraction counts as one. False for null.
func (s *scanner) integer() (int64, bool, error) {
	if s.null() {
		return 0, false, nil
	}
	start := s.i
	neg := false
	if s.i < len(s.b) && s.b[s.i] == '-' {
		neg = true
		s.i++
	}
	var n int64
	digits := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' && s.i-digits < 18 {
		n = n*10 + int64(s.b[s.i]-'0')
		s.i++
	}
	if s.i > digits && !s.numberGoesOn() {
		if neg {
			n = -n
		}
		return n, true, nil
	}
	s.i = start
	return s.slowInteger()
}

func (s *scanner) numberGoesOn() bool {
	if s.i >= len(s.b) {
		return false
	}
	c := s.b[s.i]
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '-' || c == '+'
}

func (s *scanner) slowInteger() (int64, bool, error) {
	start, c := s.i, s.peek()
	if c == '"' {
		f, n, ok, err := s.textNumber()
		if err != nil {
			return 0, false, err
		}
		if ok && n == 0 {
			n, ok = whole(f)
		}
		if !ok {
			s.i = start
			return 0, false, s.fail("a whole number")
		}
		return n, true, nil
	}
	if c != '-' && (c < '0' || c > '9') {
		return 0, false, s.fail("a whole number")
	}
	text := string(s.number())
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && math.IsInf(f, 0) {
		s.i = start
		return 0, false, &TypeError{Want: wantDouble, Got: "a larger one"}
	}
	if n, ok := whole(f); ok && err == nil {
		return n, true, nil
	}
	s.i = start
	return 0, false, &TypeError{Want: "a whole number", Got: "another number"}
}

// float consumes a number; false for null.
func (s *scanner) float() (float64, bool, error) {
	if s.null() {
		return 0, false, nil
	}
	start, c := s.i, s.peek()
	if c == '"' {
		f, _, ok, err := s.textNumber()
		if err == nil && !ok {
			s.i = start
			err = s.fail("a number")
		}
		return f, ok, err
	}
	if c != '-' && (c < '0' || c > '9') {
		return 0, false, s.fail("a number")
	}
	f, err := strconv.ParseFloat(string(s.number()), 64)
	if err != nil && math.IsInf(f, 0) {
		return 0, false, &TypeError{Want: wantDouble, Got: "a larger one"}
	}
	if err != nil {
		return 0, false, &TypeError{Want: "a number", Got: "something that only begins like one"}
	}
	return f, true, nil
}

// boolean consumes a boolean, also one that came as 0, 1 or text; the second result is false for null.
func (s *scanner) boolean() (value, known bool, err error) {
	if s.peek() == '"' {
		raw, err := s.rawString()
		if t := string(raw); err == nil && (t == `"true"` || t == `"false"`) {
			return t == `"true"`, true, nil
		}
		s.i -= len(raw)
	}
	switch c := s.peek(); {
	case s.null():
		return false, false, nil
	case (c == '0' || c == '1') && !(&scanner{b: s.b, i: s.i + 1}).numberGoesOn():
		s.i++
		return c == '1', true, nil
	case bytes.HasPrefix(s.b[s.i:], []byte("true")):
		s.i += 4
		return true, true, nil
	case bytes.HasPrefix(s.b[s.i:], []byte("false")):
		s.i += 5
		return false, true, nil
	}
	return false, false, s.fail("a boolean")
}

// text consumes a string; empty for null.
func (s *scanner) text() (foreign.Text, error) {
	if s.null() {
		return foreign.Text{}, nil
	}
	if s.peek() != '"' {
		return foreign.Text{}, s.fail("a string")
	}
	raw, err := s.rawString()
	if err != nil {
		return foreign.Text{}, err
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return foreign.Of(string(raw[1 : len(raw)-1])), nil
	}
	text, err := unquote(raw)
	if err != nil {
		var ok bool
		if text, ok = unquoteOdd(raw); !ok {
			return foreign.Text{}, &TypeError{Want: "a valid string", Got: "a broken escape"}
		}
	}
	return foreign.Of(text), nil
}

// end checks that nothing but white space follows.
func (s *scanner) end() error {
	if s.peek() != 0 || s.i < len(s.b) {
		return s.fail("the end of the body")
	}
	return nil
}
