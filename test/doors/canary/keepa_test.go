package canary_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// canary stands in no answer and in no text of ours. It is the part of the key that every way to write the key has.
const canary = "c4n4ryk3y"

// key is what the daemons are given. Each of its odd characters is written in another way by URLs, JSON or HTML.
const key = canary + "/with+odd%characters"

// A loose Keepa quotes the key in everything that it answers, and fails in every way there is.
type loose struct {
	URL string

	good      http.Handler
	elsewhere string  // an address of another host, where no call may arrive
	once      []fault // each of these comes once, on any path, and then none; empty: all come again and again

	mu     sync.Mutex
	well   bool           // no call fails
	calls  map[string]int // by path
	served map[string]int // faults, by path and name
	keys   map[string]int // calls by the key that they carried
	stray  int            // calls that came elsewhere
}

// serve is a loose Keepa until the test ends.
func serve(t *testing.T, good http.Handler) *loose {
	t.Helper()
	k := &loose{good: good, calls: map[string]int{}, served: map[string]int{}, keys: map[string]int{}}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.stray++
	}))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	k.URL, k.elsewhere = server.URL, elsewhere.URL
	return k
}

// quotes is the key in every way in which an answer may quote it, fit for a JSON string.
var quotes = strings.Join([]string{
	key, url.QueryEscape(key), url.PathEscape(key), url.QueryEscape(url.QueryEscape(key)), strings.ToLower(url.QueryEscape(key)),
	strings.ReplaceAll(key, "/", `\/`), strings.ReplaceAll(key, "+", `\u002b`), strings.ReplaceAll(key, "/", "&#47;"),
}, " ")

// account is an envelope of a good account.
const account = `{"timestamp":1767614400000,"tokensLeft":300,"refillIn":30000,"refillRate":5000,"tokenFlowReduction":0.0,"tokensConsumed":0,"processingTimeInMs":1`

type fault struct {
	name   string
	answer func(k *loose, w http.ResponseWriter)
}

func status(code int, body string) fault {
	return fault{fmt.Sprint(code), func(_ *loose, w http.ResponseWriter) {
		w.Header().Set("X-Request", "key="+url.QueryEscape(key))
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}}
}

func refusal(code int) fault {
	return status(code, account+`,"error":{"type":"invalidParameter","message":"`+quotes+`","details":"`+quotes+`"}}`)
}

func page(code int) fault {
	return status(code, "<html><p>The request /product?key="+url.QueryEscape(key)+" failed: "+quotes+"</p></html>")
}

func named(name string, f fault) fault { return fault{name, f.answer} }

// faults are the ways to fail. Whatever the way, the key is in the answer.
var faults = []fault{
	refusal(400), refusal(401), refusal(402), page(403), page(404), refusal(405), refusal(429), page(500), page(502), refusal(503), status(599, quotes),
	named("a bad key", status(400, `{"timestamp":1767614400000,"tokensLeft":0,"refillIn":0,"refillRate":0,"error":{"type":"badKey","message":"`+quotes+`"}}`)),
	named("an error in a 200", refusal(200)),
	named("a page in a 200", page(200)),
	named("half a JSON", status(200, account+`,"products":[{"asin":"`+quotes+`","title":"`+quotes)),
	named("a name that is the key", status(200, account+`,"`+quotes+`":{"`+quotes+`":`)),
	{"a cut answer", func(_ *loose, w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write([]byte(account + `,"products":[{"asin":"` + quotes + `"`))
		panic(http.ErrAbortHandler)
	}},
	{"no answer", func(*loose, http.ResponseWriter) { panic(http.ErrAbortHandler) }},
	{"a broken header", func(_ *loose, w http.ResponseWriter) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", quotes)
			_ = conn.Close()
		}
	}},
	{"a redirect", func(k *loose, w http.ResponseWriter) {
		w.Header().Set("Location", k.elsewhere+"/product?key="+url.QueryEscape(key))
		w.WriteHeader(http.StatusTemporaryRedirect)
	}},
	{"a broken redirect", func(_ *loose, w http.ResponseWriter) {
		w.Header().Set("Location", "http://%zz/?"+key)
		w.WriteHeader(http.StatusMovedPermanently)
	}},
}

// ServeHTTP fails each second call of a path in the next way, and answers the others well, with quotes.
func (k *loose) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	n := k.calls[r.URL.Path]
	k.calls[r.URL.Path]++
	k.keys[r.URL.Query().Get("key")]++
	f, failing := k.next(n)
	if failing {
		k.served[r.URL.Path+" "+f.name]++
	}
	k.mu.Unlock()
	if failing {
		f.answer(k, w)
		return
	}
	k.quote(w, r)
}

// next is how the n-th call of a path fails, if it does.
func (k *loose) next(n int) (f fault, failing bool) {
	if k.well || n%2 == 0 {
		return fault{}, false
	}
	if len(k.once) == 0 {
		return faults[n/2%len(faults)], true
	}
	for _, f := range k.once {
		if !k.has(f) {
			return f, true
		}
	}
	return fault{}, false
}

// has reports whether any path has answered with a fault.
func (k *loose) has(f fault) bool {
	for path := range k.calls {
		if k.served[path+" "+f.name] > 0 {
			return true
		}
	}
	return false
}

// worsens makes calls fail from now on.
func (k *loose) worsens() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.well = false
}

// came reports whether a fault has come.
func (k *loose) came(f fault) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.has(f)
}

// quote answers as the good one does, with the key in titles and names of sellers and beside them.
func (k *loose) quote(w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Accept-Encoding")
	said := httptest.NewRecorder()
	k.good.ServeHTTP(said, r)
	body := said.Body.String()
	body = strings.ReplaceAll(body, `"title":"`, `"title":"`+quotes+" ")
	body = strings.ReplaceAll(body, `"sellerName":"`, `"sellerName":"`+quotes+" ")
	if rest, ok := strings.CutPrefix(body, "{"); ok {
		uri, _ := json.Marshal(r.URL.String()) // a string can be encoded
		body = fmt.Sprintf(`{"request":%s,"quotes":"%s",%s`, uri, quotes, rest)
	}
	w.WriteHeader(said.Code)
	_, _ = w.Write([]byte(body))
}

// failed is how many of the faults a path has answered with.
func (k *loose) failed(path string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, f := range faults {
		if k.served[path+" "+f.name] > 0 {
			n++
		}
	}
	return n
}

// check looks whether the calls carried the key, and none went astray.
func (k *loose) check(t *testing.T) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.keys) != 1 || k.keys[key] == 0 {
		t.Errorf("the calls carried these keys: %v", k.keys)
	}
	if k.stray > 0 {
		t.Errorf("%d redirects were followed", k.stray)
	}
}
