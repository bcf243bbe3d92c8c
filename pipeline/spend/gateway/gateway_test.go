package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/test/streams"
)

const key = "k3y+with/odd=characters&that-nobody-may-print"

const envelope = `{"timestamp":1767614400000,"tokensLeft":42,"refillIn":30000,"refillRate":5,"tokenFlowReduction":2.5,"tokensConsumed":6,"processingTimeInMs":120`

// claim returns a real claim on a real grant, because only package claims can create one.
func claim(t *testing.T) *claims.Claim {
	t.Helper()
	env, b := streams.Open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyGrant(pipeline.StageCommitter), []byte(`{"epoch":1,"issued":100}`)); err != nil {
		t.Fatal(err)
	}
	p, err := claims.Open(t.Context(), b, env, pipeline.StageCommitter)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newGateway(t *testing.T, url string, timeout time.Duration) *Gateway {
	t.Helper()
	g, err := New(Config{URL: url, Key: key, Timeout: timeout}, process.Env{Clock: process.RealClock(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestEveryCallAsksExactlyThis(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	g := newGateway(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Method + " " + r.URL.Path + "?" + strings.Replace(r.URL.RawQuery, "key=k3y%2Bwith%2Fodd%3Dcharacters%26that-nobody-may-print", "key=KEY", 1))
		_, _ = w.Write([]byte(envelope + "}"))
	}), time.Second)
	c, ctx := claim(t), t.Context()
	for want, do := range map[string]func() (Answer, error){
		"GET /product?asin=B000000001%2C0006120725&domain=1&history=1&key=KEY&stats=365": func() (Answer, error) {
			return g.Products(ctx, c, 1, []string{"B000000001", "0006120725"}, false)
		},
		"GET /product?asin=B000000001&domain=1&history=1&key=KEY&offers=20&stats=365": func() (Answer, error) {
			return g.Products(ctx, c, 1, []string{"B000000001"}, true)
		},
		"GET /seller?domain=3&key=KEY&seller=A2L77EE7U53NWQ": func() (Answer, error) { return g.Sellers(ctx, c, 3, []string{"A2L77EE7U53NWQ"}) },
		"GET /deal?key=KEY&selection=%7B%22domainId%22%3A1%2C%22page%22%3A0%7D": func() (Answer, error) {
			return g.Deals(ctx, c, 1, []byte(`{"domainId":1,"page":0}`))
		},
	} {
		a, err := do()
		if err != nil {
			t.Fatal(err)
		}
		if got.Load() != want {
			t.Errorf("asked %s\nwant  %s", got.Load(), want)
		}
		if a.Consumed != 6 || !a.ConsumedKnown || a.Reading == nil || a.Reading.Left != 42 || a.Reading.FlowRed != 2.5 || strings.Contains(a.Request, "key") {
			t.Errorf("answer %+v", a)
		}
	}
}

func TestWhatKeepaWouldIgnoreOrOverchargeIsNeverSent(t *testing.T) {
	t.Parallel()
	g := newGateway(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a call went out") }), time.Second)
	c, ctx := claim(t), t.Context()
	many := make([]string, MaxASINs+1)
	for i := range many {
		many[i] = fmt.Sprintf("B%09d", i)
	}
	for name, do := range map[string]func() (Answer, error){
		"no claim":      func() (Answer, error) { return g.Products(ctx, nil, 1, many[:1], false) },
		"no ASIN":       func() (Answer, error) { return g.Products(ctx, c, 1, nil, false) },
		"too many":      func() (Answer, error) { return g.Products(ctx, c, 1, many, false) },
		"odd ASIN":      func() (Answer, error) { return g.Products(ctx, c, 1, []string{`="00061207`}, false) },
		"no such shop":  func() (Answer, error) { return g.Products(ctx, c, 7, many[:1], false) },
		"no JSON":       func() (Answer, error) { return g.Deals(ctx, c, 1, []byte("page 1")) },
		"another shop":  func() (Answer, error) { return g.Deals(ctx, c, 1, []byte(`{"domainId":3}`)) },
		"odd seller id": func() (Answer, error) { return g.Sellers(ctx, c, 1, []string{"a&b"}) },
	} {
		if _, err := do(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEveryEndHasItsKindAndNoErrorHoldsTheKey(t *testing.T) {
	t.Parallel()
	c := claim(t)
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	zero := `{"timestamp":1767614400000,"tokensLeft":0,"refillIn":0,"refillRate":0,"tokenFlowReduction":0,"tokensConsumed":0,"processingTimeInMs":0,"error":{"type":"invalidParameter","message":"You used an invalid parameter for this API call.","details":"` + key + `"}}`
	refused := strings.Replace(envelope, `"tokensConsumed":6`, `"tokensConsumed":0`, 1)
	for _, tc := range []struct {
		name               string
		do                 http.HandlerFunc
		want               ErrorKind
		temporary, mayCost bool
		left               int // of the reading; -999 for none
	}{
		{"429 in debt", status(429, strings.Replace(refused, `"tokensLeft":42`, `"tokensLeft":-7`, 1)+"}"), InDebt, true, false, -7},
		{"429 at exactly nothing", status(429, strings.Replace(refused, `"tokensLeft":42`, `"tokensLeft":0`, 1)+"}"), InDebt, true, false, 0},
		{"429 with a balance", status(429, refused+"}"), Refused, true, false, 42},
		{"500 with a page of HTML", status(500, "<html>sorry</html>"), Server, true, true, -999},
		{"402", status(402, ""), Payment, false, false, -999},
		{"404", status(404, "not found"), Rejected, false, false, -999},
		{"404 with a page of HTML", status(404, "<html>"), Proxy, true, true, -999},
		{"403 with a page of HTML", status(403, "<!DOCTYPE html><title>Access denied</title>"), Proxy, true, true, -999},
		{"407", status(407, ""), Proxy, true, true, -999},
		{"429 with a page of HTML", status(429, "<html>slow down"), Proxy, true, true, -999},
		{"a bad key", status(400, zero), BadKey, false, false, -999},
		{"a bad field on a plan that trackings eat", status(400, strings.Replace(zero, `"tokenFlowReduction":0`, `"tokenFlowReduction":5`, 1)), Rejected, false, false, -999},
		{"400", status(400, refused+`,"error":{"type":"invalidParameter","message":"no","details":null}}`), Rejected, false, false, 42},
		{"an error in a 200", status(200, refused+`,"error":{"type":"invalidParameter","message":"Either no or a minimum of 20 offers must be requested.","details":null}}`), Rejected, false, false, 42},
		{"a page of HTML", status(200, "<html>hello"), Proxy, true, true, -999},
		{"no JSON", status(200, "hello"), Malformed, true, true, -999},
		{"null", status(200, "null"), Malformed, true, true, -999},
		{"a list", status(200, "[]"), Malformed, true, true, -999},
		{"an empty 200", status(200, ""), Malformed, true, true, -999},
		{"half a JSON", status(200, envelope), Malformed, true, true, -999},
		{"a cut body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = w.Write([]byte(envelope))
			panic(http.ErrAbortHandler)
		}, Cut, true, true, -999},
		{"a reset after the request", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = conn.Close()
		}, Cut, true, true, -999},
		{"a cut gzip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			whole := zip(envelope + "}")
			_, _ = w.Write(whole[:len(whole)/2])
		}, Cut, true, true, -999},
		{"a damaged gzip whose account can be read", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			packed := zip(envelope + `,"products":[{"asin":"B000000001"}]}`)
			packed[len(packed)-5] ^= 0xff // of the checksum and the length behind it
			_, _ = w.Write(packed)
		}, Malformed, true, true, -999},
		{"a hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Timeout, true, true, -999},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.org/", http.StatusFound)
		}, Unexpected, true, true, -999},
		{"a header that quotes the key", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", key)
				_ = conn.Close()
			}
		}, Cut, true, true, -999},
		{"a page that quotes the key", status(500, "<title>"+url.QueryEscape(key)+"</title>"+key), Server, true, true, -999},
		{"an error that spells the key", status(400, refused+`,"error":{"type":"x","message":"\u006b`+key[1:]+`"}}`), Rejected, false, false, 42},
	} {
		timeout := 5 * time.Second
		if tc.want == Timeout {
			timeout = 50 * time.Millisecond
		}
		g := newGateway(t, serve(t, tc.do), timeout)
		_, err := g.Products(t.Context(), c, 1, []string{"B000000001"}, true)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v", tc.name, err)
			continue
		}
		if e.Kind != tc.want || e.Temporary() != tc.temporary || e.MayHaveCost() != tc.mayCost {
			t.Errorf("%s: %s (temporary %t, may have cost %t): %v", tc.name, e.Kind, e.Temporary(), e.MayHaveCost(), e)
		}
		if left := e.Reading; (left == nil) != (tc.left == -999) || left != nil && left.Left != tc.left {
			t.Errorf("%s: reading %+v, want %d", tc.name, left, tc.left)
		}
		secretFree(t, err)
	}
}

func TestNoErrorOfTheTransportHoldsTheKey(t *testing.T) {
	t.Parallel()
	c := claim(t)
	for _, url := range []string{"http://127.0.0.1:1", "https://no-such-host.invalid", "https://127.0.0.1:1"} {
		_, err := newGateway(t, url, 2*time.Second).Products(t.Context(), c, 1, []string{"B000000001"}, false)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Unreached || e.MayHaveCost() {
			t.Errorf("%s: %v", url, err)
		}
		secretFree(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newGateway(t, "http://127.0.0.1:1", time.Second).Token(ctx)
	secretFree(t, err)
	_, err = New(Config{URL: "ftp://x", Key: key, Timeout: time.Second}, process.Env{})
	secretFree(t, err)
}

// spelled drops what the scrubber leaves: a body in which letters of the key are escapes.
var spelled = strings.NewReplacer(`\u006b`+key[1:], "")

func TestAnAnswerIsKeptWithoutTheKey(t *testing.T) {
	t.Parallel()
	g := newGateway(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `%s,"request":"%s","products":[{"asin":"B000000001","title":"%s"}]}`, envelope, r.URL, key)
	}), time.Minute)
	a, err := g.Products(t.Context(), claim(t), 1, []string{"B000000001"}, false)
	if err != nil || strings.Count(string(a.Body), scrubbed) != 2 || strings.Contains(string(a.Body), "nobody-may-print") {
		t.Errorf("%v: %s", err, a.Body)
	}
}

// secretFree fails if any way to print the error shows the key, encoded or not.
func secretFree(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "err", err)
	var e *Error
	if errors.As(err, &e) {
		fmt.Fprintf(&out, "%+v %#v %s", *e, *e, spelled.Replace(string(e.Body)))
	}
	fmt.Fprintf(&out, "%v %+v", err, err)
	for _, s := range []string{key, "nobody-may-print"} {
		if strings.Contains(out.String(), s) {
			t.Errorf("the key is in: %s", out.String())
		}
	}
}

func TestTheHTTPClientDoesNotRetryACutAnswer(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	g := newGateway(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) > 1 {
			panic(http.ErrAbortHandler) // on a connection that served a call before
		}
		_, _ = w.Write([]byte(envelope + "}"))
	}), 5*time.Second)
	c := claim(t)
	if _, err := g.Products(t.Context(), c, 1, []string{"B000000001"}, true); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Products(t.Context(), c, 1, []string{"B000000001"}, true); err == nil {
		t.Error("a cut connection is not an error")
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls reached the server, want 2", n)
	}
}

func TestAZippedAnswerIsRead(t *testing.T) {
	t.Parallel()
	g := newGateway(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Error("gzip was not asked for")
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zip(envelope + "}"))
	}), time.Second)
	r, err := g.Token(t.Context())
	if err != nil || r.Left != 42 || r.Rate != 5 || r.RefillInMS != 30000 || r.TookMS != 120 || r.FlowRed != 2.5 {
		t.Errorf("reading %+v (%v)", r, err)
	}
}

func TestABodyIsUnpackedByItsBytesWhateverItsHeaderSays(t *testing.T) {
	t.Parallel()
	body := envelope + `,"products":[{"asin":"B000000001"}]}`
	for _, packed := range []bool{true, false} {
		for _, encoding := range []string{"", "gzip", "x-gzip", "identity"} {
			g := newGateway(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if encoding != "" {
					w.Header().Set("Content-Encoding", encoding)
				}
				said := []byte(body)
				if packed {
					said = zip(body)
				}
				_, _ = w.Write(said)
			}), time.Minute)
			a, err := g.Products(t.Context(), claim(t), 1, []string{"B000000001"}, false)
			if err != nil || a.Part != nil || string(a.Body) != body || a.Consumed != 6 {
				t.Errorf("packed %t, encoding %q: %v, %v, %s", packed, encoding, err, a.Part, a.Body)
			}
		}
	}
}

func TestAnAnswerWithAnErrorWithoutWordsIsKept(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{"false", "0", "true", "7"} {
		body := envelope + `,"error":` + odd + `,"products":[{"asin":"B000000001"}]}`
		g := newGateway(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }), time.Minute)
		if a, err := g.Products(t.Context(), claim(t), 1, []string{"B000000001"}, false); err != nil || a.Part != nil || a.Consumed != 6 {
			t.Errorf("%s: %v, %v", odd, err, a.Part)
		}
	}
}

func TestAPlanThatYieldsNothingIsNamedWithTheTrackingsThatTakeIt(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"timestamp":1767614400000,"tokensLeft":0,"refillIn":30000,"refillRate":0,"tokenFlowReduction":5.0,"tokensConsumed":0}`:   "yields 0 tokens a minute, of which trackings take 5 (tokenFlowReduction)",
		`{"timestamp":1767614400000,"tokensLeft":-9,"refillIn":30000,"refillRate":-2,"tokenFlowReduction":7.0,"tokensConsumed":0}`: "yields -2 tokens a minute, of which trackings take 7 (tokenFlowReduction)",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		defer srv.Close()
		g, err := New(Config{URL: srv.URL, Key: key, Timeout: time.Minute}, process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock(), Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Token(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Kind != NoIncome || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s: %s", err, NoIncome, want)
		}
	}
}

func TestAPageAndARedirectSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	head := func(name, value string) http.Header { return http.Header{name: {value}} }
	for _, c := range []struct {
		status int
		head   http.Header
		body   string
		want   string
	}{
		{200, nil, "\ufeff\n<html><head><TITLE lang=en>\n Sign in &amp; pay </TITLE>", `titled "Sign in & pay"`},
		{502, nil, "<html><h1>502 Bad Gateway</h1>", `server (HTTP 502): a page of HTML, titled "502 Bad Gateway"`},
		{200, nil, "<html><title>" + strings.Repeat("é", 200), "a page of HTML"},
		{200, nil, "<html><title>" + strings.Repeat("é", 200) + "</title>", `titled "` + strings.Repeat("é", 40) + `"`},
		{200, head("Content-Type", "Text/HTML; charset=utf-8"), "please sign in", "proxy (HTTP 200): a page of HTML; check the proxy"},
		{302, head("Location", "https://login.example.org/?back="+key), "", "a redirect to login.example.org, which is not followed"},
		{302, head("Location", "/product?key="+key), "<html>moved", "unexpected (HTTP 302): a redirect, which is not followed"},
	} {
		_, err := classify(Answer{HTTPStatus: c.status, Body: []byte(c.body)}, c.head)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.body, err, c.want)
		}
		secretFree(t, err)
	}
}
