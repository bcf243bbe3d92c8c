// Package foreign holds untrusted text: titles, sellers' names, Keepa's messages. It is
// cleaned once, where it enters, and escaped by each sink that shows it (sink.go).
//
//	Keepa's answer, a stored message ─Of─▶ Text ─▶ JSON, ClickHouse   unchanged
//	                                           ├─▶ terminal, logs     String
//	                                           └─▶ CSV, Slack, …      one method a sink
package foreign

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Most is the length limit of a text, in characters; a longer one is cut and ends in "…".
const Most = 1000

// Text is untrusted text on one line: valid UTF-8, at most Most characters, without control characters, and
// without format characters (bidi overrides, zero-width spaces, tags) apart from the joiners that emoji and
// non-Latin words need. On the wire it is a JSON string. The zero Text is empty; leave it out with omitzero.
type Text struct{ s string }

// Of cleans text.
func Of(s string) Text { return Text{clean(s)} }

// IsZero reports whether the text is empty.
func (t Text) IsZero() bool { return t.s == "" }

// Short returns the text cut to n characters, n ≥ 1; a cut text ends in "…".
func (t Text) Short(n int) Text { return Text{cut(t.s, n)} }

// MarshalText returns the text: a JSON string, a value in a log.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.s), nil }

// UnmarshalText cleans the stored text: an older build may have written it.
func (t *Text) UnmarshalText(b []byte) error {
	t.s = clean(string(b))
	return nil
}

func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

func clean(s string) string {
	if plain(s) {
		return s
	}
	var out strings.Builder
	var last, joiner rune // the last one written, and a joiner that waits for its second neighbour
	n := 0
	for _, r := range s {
		if r = kept(r); r < 0 || r == ' ' && last == 0 || selects(r) && (last == 0 || selects(last)) {
			continue
		}
		if r == zwnj || r == zwj {
			if joins(last) {
				joiner = r
			}
			continue
		}
		if joiner != 0 && joins(r) {
			out.WriteRune(joiner)
			n++
		}
		joiner, last = 0, r
		out.WriteRune(r)
		if n++; n > Most {
			break
		}
	}
	return cut(strings.TrimSpace(out.String()), Most)
}

// plain reports whether there is nothing to clean, which holds for nearly all titles.
func plain[S string | []byte](s S) bool {
	if len(s) > Most || len(s) > 0 && (s[0] == ' ' || s[len(s)-1] == ' ') {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// kept maps a character to itself, to a space, or to nothing (negative).
func kept(r rune) rune {
	switch {
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
		return ' '
	case r < 0x300 && r != 0xad, r == zwnj, r == zwj, unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return r
	case r == utf8.RuneError, unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point):
		return -1
	}
	return r
}

// selects reports whether a character selects a variant of the one before
// it. A second one in a row shows nothing and may hide something.
func selects(r rune) bool { return r > 0x7f && unicode.Is(unicode.Variation_Selector, r) }

// joins reports whether a joiner beside a character has a meaning: between the parts of an emoji,
// and in scripts with joined letters. In Latin and similar scripts it is only invisible.
func joins(r rune) bool {
	return r >= 0x600 && unicode.In(r, unicode.L, unicode.M, unicode.So, unicode.Sk)
}
