package gateway

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"ratchet/pipeline/platform/process"
)

// A scrubber removes the key from the answers of Keepa or of a proxy: an error page
// quotes the request, and paid answers are stored as they arrived. It finds the key
// verbatim and as encoded by URLs, JSON and HTML, also mixed or encoded twice.
type scrubber struct {
	key  *regexp.Regexp // nil: there is nothing to find
	sure []byte         // occurs in the key in every encoding
}

const (
	scrubbed = "[secret]"
	// shortest is the length of the shortest key that is searched for; Keepa's have 64 characters.
	// A shorter one is a word for a simulated Keepa, which also occurs in good answers.
	shortest = 8
)

func scrubberOf(key process.Secret) scrubber {
	if len(key) < shortest || key == Simulated {
		return scrubber{}
	}
	var pattern strings.Builder
	sure, run := "", ""
	for _, c := range key.Reveal() {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			run += string(c)
			pattern.WriteRune(c)
		} else {
			run = ""
			pattern.WriteString(written(c))
		}
		if len(run) > len(sure) {
			sure = run
		}
	}
	return scrubber{key: regexp.MustCompile(pattern.String()), sure: []byte(sure)}
}

// written returns the pattern of the encodings of a character that is neither a letter nor a digit.
func written(c rune) string {
	ways := []string{`\\?` + regexp.QuoteMeta(string(c)), fmt.Sprintf(`\\u(?i:%04x)`, c), fmt.Sprintf(`&#0*%d;`, c), fmt.Sprintf(`&#[xX]0*(?i:%x);`, c)}
	percent := ""
	for _, b := range []byte(string(c)) {
		percent += fmt.Sprintf(`%%(?:25)*(?i:%02x)`, b)
	}
	ways = append(ways, percent)
	switch c {
	case '&':
		ways = append([]string{`&amp;`}, ways...)
	case ' ':
		ways = append(ways, `\+`)
	}
	return "(?:" + strings.Join(ways, "|") + ")"
}

// body returns an answer without the key, in the memory of b. Every encoding of a key
// is at least as long as what replaces it, so the answer is never copied.
func (s scrubber) body(b []byte) []byte {
	if s.key == nil || !bytes.Contains(b, s.sure) {
		return b
	}
	clean, rest := b[:0], b
	for {
		at := s.key.FindIndex(rest)
		if at == nil {
			return append(clean, rest...)
		}
		clean = append(append(clean, rest[:at[0]]...), scrubbed...)
		rest = rest[at[1]:]
	}
}

// text returns a sentence without the key.
func (s scrubber) text(t string) string { return string(s.body([]byte(t))) }
