package gateway

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"ratchet/pipeline/platform/process"
)

// A scrubber takes the key out of what Keepa, or a proxy before it, answers: an error page quotes the request, and what
// is paid for is stored as it came. It finds the key as it is and as URLs, JSON and HTML write it, mixed or twice encoded.
type scrubber struct {
	key  *regexp.Regexp // nil: there is nothing to find
	sure []byte         // stands in the key however that is written
}

const (
	scrubbed = "[secret]"
	// shortest is the length of the shortest key that is looked for; Keepa's have 64 characters. A shorter one is a word
	// for a simulated Keepa, which stands in good answers too.
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

// written is the pattern of the ways to write a character that is neither letter nor digit.
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

// body is an answer without the key. It is the same memory if the key is not in it.
func (s scrubber) body(b []byte) []byte {
	if s.key == nil || !bytes.Contains(b, s.sure) {
		return b
	}
	return s.key.ReplaceAllLiteral(b, []byte(scrubbed))
}

// text is a sentence without the key.
func (s scrubber) text(t string) string { return string(s.body([]byte(t))) }
