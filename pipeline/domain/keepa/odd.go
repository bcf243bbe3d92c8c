package keepa

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// One policy for values whose type varies, for every decoder:
//
//   - a number may come as text or as a whole float; NaN and Infinity are absent;
//   - a flag may come as 0 or 1 or as text, an optional object as [] or null;
//   - a time before 1800 or after 2200 is absent;
//   - text is untrusted and cleaned, identifiers too;
//   - a number that no double holds, nesting beyond maxDepth, and more than mostElements of anything make the
//     enclosing element unreadable.

// wantDouble describes the numbers that Keepa can have meant.
const wantDouble = "a number that a double holds"

// hard reports whether an error makes its whole element unreadable, whichever field it came from.
func (e *TypeError) hard() bool {
	return e.Want == wantDouble || e.Want == wantShallow || e.Want == wantFewer
}

// word consumes an unquoted word in place of a value: NaN, Infinity, None.
func (s *scanner) word() []byte {
	start := s.i
	for s.i < len(s.b) && (s.b[s.i]|0x20 >= 'a' && s.b[s.i]|0x20 <= 'z') {
		s.i++
	}
	return s.b[start:s.i]
}

// textNumber reads a number that came as text; false if it is not a number.
func (s *scanner) textNumber() (float64, int64, bool, error) {
	raw, err := s.rawString()
	if err != nil {
		return 0, 0, false, err
	}
	text := strings.TrimSpace(string(raw[1 : len(raw)-1]))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return float64(n), n, true, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, 0, false, nil
	}
	return f, 0, true, nil
}

// whole converts a float without a fraction to an integer; false for any other.
func whole(f float64) (int64, bool) {
	if f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// value reads one number of an array. Anything but a whole number
// becomes noData, so that the others keep their indices.
func (s *scanner) value() (int64, bool, error) {
	start := s.i
	n, ok, err := s.integer()
	if err == nil {
		return n, ok, nil
	}
	typed, soft := err.(*TypeError) //nolint:errorlint // made by integer, never wrapped
	if !soft || typed.hard() {
		return 0, false, err
	}
	s.i = start
	return 0, false, s.skip()
}

// account reads a number of the envelope: anything else is absent,
// because a paid answer is never refused because of its account.
func (s *scanner) account(round func(float64) float64) (int64, bool, error) {
	start := s.i
	f, ok, err := s.float()
	if err != nil {
		s.i = start
		return 0, false, s.skip()
	}
	if f = round(f); !ok || math.Abs(f) > 1<<53 {
		return 0, false, nil
	}
	return int64(f), true, nil
}

// emptyList consumes an empty array in place of an optional object.
func (s *scanner) emptyList() bool {
	if s.peek() != '[' {
		return false
	}
	t := scanner{b: s.b, i: s.i + 1}
	if t.peek() != ']' {
		return false
	}
	s.i = t.i + 1
	return true
}

// element consumes one element of an answer and returns its bytes. why is set if the element cannot be read
// although its brackets show where it ends. err is set if its end cannot be found: then nothing after it can be
// read either.
func (s *scanner) element() (raw []byte, why, err error) {
	s.peek()
	start := s.i
	if why = s.skip(); why != nil {
		s.i = start
		if !s.skipBrackets() {
			return nil, nil, why
		}
	}
	return s.b[start:s.i:s.i], why, nil
}

// skipBrackets consumes an object or array by counting its brackets, whatever their kind and depth.
func (s *scanner) skipBrackets() bool {
	if c := s.peek(); c != '{' && c != '[' {
		for s.i < len(s.b) && bytes.IndexByte([]byte(",]}"), s.b[s.i]) < 0 {
			s.i++ // not a value: it ends where the next begins
		}
		return s.i < len(s.b)
	}
	for depth := 0; s.i < len(s.b); {
		switch s.b[s.i] {
		case '"':
			if _, err := s.rawString(); err != nil {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.i++
				return true
			}
		}
		s.i++
	}
	return false
}

// earliest and latest are the limits of Keepa's times: 1800 and 2200. A time outside is absent.
const (
	earliest = -111_000_000
	latest   = 99_400_000
)

// unquoteOdd decodes a string that is not JSON: it contains control characters, or an escape that does not exist.
func unquoteOdd(raw []byte) (string, bool) {
	var text string
	err := json.Unmarshal(repairString(nil, raw), &text)
	return text, err == nil
}

// repairString appends a string with its quotes as valid JSON.
func repairString(out, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c < ' ':
			out = append(out, ' ')
		case c != '\\':
			out = append(out, c)
		case i+1 < len(raw) && bytes.IndexByte([]byte(`"\/bfnrt`), raw[i+1]) >= 0, i+5 < len(raw) && raw[i+1] == 'u' && hex4(raw[i+2:i+6]):
			out = append(out, c, raw[i+1])
			i++
		}
	}
	return out
}

func hex4(b []byte) bool {
	_, err := strconv.ParseUint(string(b), 16, 16)
	return err == nil && b[0] != '+' && b[0] != '-'
}

const (
	// maxRow is the size of a row above which its texts are cut, and
	// mostRow the size limit: a row travels in messages.
	maxRow  = 64 << 10
	mostRow = 512 << 10
	// maxText is the length to which a row's texts are cut.
	maxText = 2 << 10
)

// strictRow returns a row as strict JSON: what is not JSON becomes null, and the longest texts of
// a row that is too large are cut. False if the row is still too large or not valid.
func strictRow(raw []byte) ([]byte, bool) {
	if len(raw) <= maxRow && json.Valid(raw) {
		return append([]byte(nil), raw...), true
	}
	out := make([]byte, 0, min(len(raw), mostRow))
	s := scanner{b: raw}
	for s.i < len(raw) {
		switch c := raw[s.i]; {
		case c == '"':
			text, err := s.rawString()
			if err != nil {
				return nil, false
			}
			out = repairString(out, cutText(text, len(raw) > maxRow))
		case c >= '0' && c <= '9': // the e in 1.5e3 does not begin a word
			out = append(out, s.number()...)
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			if w := s.word(); string(w) == "true" || string(w) == "false" {
				out = append(out, w...)
			} else {
				out = append(out, "null"...)
			}
		case c == '-' && s.i+1 < len(raw) && raw[s.i+1]|0x20 >= 'a':
			s.i++ // -Infinity: the word after it becomes null
		default:
			out = append(out, c)
			s.i++
		}
	}
	return out, len(out) <= mostRow && json.Valid(out)
}

// cutText cuts a quoted text, not within an escape.
func cutText(raw []byte, cut bool) []byte {
	if !cut || len(raw) <= maxText {
		return raw
	}
	end := maxText
	for back := end - 1; back >= 0 && raw[back] == '\\'; back-- {
		end = back
	}
	if u := bytes.LastIndex(raw[max(0, end-6):end], []byte(`\u`)); u >= 0 {
		end = max(0, end-6) + u
	}
	for end > 0 && !utf8.RuneStart(raw[end]) {
		end--
	}
	return append(append([]byte(nil), raw[:end]...), '"')
}
