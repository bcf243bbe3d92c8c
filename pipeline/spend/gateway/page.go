package gateway

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// htmlPage describes an HTML page in place of an answer. Keepa answers in JSON:
// a page comes from a proxy, or with 5xx perhaps from Keepa's own front end.
func htmlPage(body []byte, head http.Header) (description string, is bool) {
	text := bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(text) == 0 || text[0] == '{' || text[0] != '<' && !strings.HasPrefix(strings.ToLower(head.Get("Content-Type")), "text/html") {
		return "", false
	}
	if title := pageTitle(text); title != "" {
		return fmt.Sprintf("a page of HTML, titled %q", title), true
	}
	return "a page of HTML", true
}

// pageTitle returns the page's title, or its first heading; empty without one.
func pageTitle(text []byte) string {
	const far, most = 8 << 10, 80
	text = text[:min(len(text), far)]
	lower := bytes.ToLower(text)
	if len(lower) != len(text) {
		return "" // some letters are longer in lower case: the offsets differ
	}
	for _, tag := range []string{"title", "h1"} {
		_, after, found := bytes.Cut(lower, []byte("<"+tag))
		start := bytes.IndexByte(after, '>')
		if !found || start < 0 {
			continue
		}
		from := len(lower) - len(after) + start + 1
		if end := bytes.IndexByte(lower[from:], '<'); end > 0 {
			shown := strings.Join(strings.Fields(html.UnescapeString(strings.ToValidUTF8(string(text[from:from+end]), ""))), " ")
			return shown[:len(strings.ToValidUTF8(shown[:min(len(shown), most)], ""))]
		}
	}
	return ""
}

// elsewhere describes the target of a redirect, by its host alone: the rest may contain the key.
func elsewhere(head http.Header) string {
	to, err := url.Parse(head.Get("Location"))
	if err != nil || to.Host == "" {
		return "a redirect, which is not followed"
	}
	return fmt.Sprintf("a redirect to %s, which is not followed because the key would go there", to.Host)
}
