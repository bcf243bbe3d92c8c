package complaint

import (
	"bytes"
	"unicode/utf8"
)

// MaxBytes is the size limit of a file that a person wrote. The built-in ones have some thousand bytes.
const MaxBytes = 64 << 10

// Text returns the file with line ends as \n, so that they have no meaning. It returns
// false and adds a complaint to l when the bytes are not readable as text.
func Text(data []byte, l *List) ([]byte, bool) {
	switch {
	case len(data) > MaxBytes:
		l.Add(0, "", "the file is too long: it has more than %d bytes", MaxBytes)
		return nil, false
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		l.Add(1, "", "the file begins with a byte order mark (BOM): save it as UTF-8 without BOM")
		data = data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		l.Add(1, "", "the file is UTF-16: save it as UTF-8")
		return nil, false
	}
	text := bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			l.Add(Line(text, i), "", "byte 0x%02x is not UTF-8: save the file as UTF-8", text[i])
			return nil, false
		}
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			l.Add(Line(text, i), "", "control character 0x%02x: remove it", r)
			return nil, false
		}
		i += n
	}
	return text, true
}

// Line returns the number of the line that holds the byte at offset.
func Line(text []byte, offset int) int {
	return 1 + bytes.Count(text[:min(max(offset, 0), len(text))], []byte("\n"))
}
