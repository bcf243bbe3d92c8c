package gateway

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/process"
)

func TestTheKeyIsFoundHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	const canary = `c4n4ry/slash+plus%percent&amp"quote_-.~end`
	s := scrubberOf(canary)
	inJSON, err := json.Marshal(canary)
	if err != nil {
		t.Fatal(err)
	}
	for way, text := range map[string]string{
		"plain":                       canary,
		"query":                       url.QueryEscape(canary),
		"path":                        url.PathEscape(canary),
		"query in lower case":         strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(canary), "%2F", "%2f"), "%2B", "%2b"),
		"query, encoded again":        url.QueryEscape(url.QueryEscape(canary)),
		"path in a query":             url.QueryEscape(url.PathEscape(canary)),
		"every character a query has": strings.NewReplacer("_", "%5F", "-", "%2D", ".", "%2E", "~", "%7E").Replace(url.QueryEscape(canary)),
		"JSON":                        strings.Trim(string(inJSON), `"`),
		"JSON with escaped slashes":   strings.ReplaceAll(strings.Trim(string(inJSON), `"`), "/", `\/`),
		"JSON in code points":         strings.NewReplacer("/", `\u002f`, "+", `\u002B`, "%", `\u0025`, "&", `\u0026`, `"`, `\"`).Replace(canary),
		"HTML":                        html.EscapeString(canary),
		"query in HTML":               html.EscapeString(url.QueryEscape(canary)),
		"mixed":                       strings.Replace(canary, "/", "%2F", 1),
	} {
		got := s.text("<" + text + ">" + text)
		if got != "<[secret]>[secret]" {
			t.Errorf("%s: %s stays as %s", way, text, got)
		}
	}
}

func TestTextThatIsNotAKeyIsUnchanged(t *testing.T) {
	t.Parallel()
	for key, body := range map[process.Secret]string{
		"k":                         `{"k":1,"title":"k"}`,
		Simulated:                   `{"title":"a simulated book"}`,
		"long+enough":               `{"title":"long enough, long-enough and longenough"}`,
		`c4n4ry/slash+plus%25twice`: `{"title":"c4n4ry/slash plus"}`,
	} {
		if got := scrubberOf(key).text(body); got != body {
			t.Errorf("%s becomes %s", body, got)
		}
	}
}

func TestAnAnswerIsScrubbedInItsOwnMemory(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"products":[]}`: `{"products":[]}`,
		key + `,"a":` + url.QueryEscape(key) + key + `b"`: `[secret],"a":[secret][secret]b"`,
	} {
		b := []byte(body)
		if got := scrubberOf(key).body(b); string(got) != want || &got[0] != &b[0] {
			t.Errorf("%s becomes %s, want %s; copied: %t", body, got, want, &got[0] != &b[0])
		}
	}
}

func TestTheKeyGoesToKeepaByHTTPSOrNotOffTheMachine(t *testing.T) {
	t.Parallel()
	for address, fine := range map[string]bool{
		"https://api.keepa.com": true, "https://10.0.0.1:8443/keepa": true, "http://127.0.0.1:8765": true, "http://[::1]:8765": true,
		"http://localhost:8765": true, "http://127.9.9.9": true,
		"http://api.keepa.com": false, "http://10.0.0.1": false, "http://localhost.example.com": false, "http://127.0.0.1.example.com": false,
		"http://0.0.0.0:8765": false, "HTTP://api.keepa.com": false, "ftp://api.keepa.com": false, "api.keepa.com": false, "": false,
		"https://user:hunter2@api.keepa.com": false, "https://api.keepa.com?key=hunter2": false, "https://hunter2:%zz@": false,
	} {
		err := CheckURL(address, key)
		if (err == nil) != fine {
			t.Errorf("%s: %v", address, err)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := CheckURL("http://keepasim:8765", Simulated); err != nil {
		t.Errorf("the simulated Keepa of another container: %v", err)
	}
}

func TestADaemonWithoutAKeyIsRefusedByName(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: "https://api.keepa.com", Timeout: time.Second}
	if _, err := New(cfg, process.Env{}); process.ExitCode(err) != process.ExitUsage || !strings.Contains(err.Error(), "KEEPA_API_KEY") {
		t.Errorf("an empty key: %v", err)
	}
	if cfg.Key = Simulated; cfg.Validate() != nil {
		t.Errorf("the simulated Keepa: %v", cfg.Validate())
	}
}
