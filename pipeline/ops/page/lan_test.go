package page_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

func TestAPhoneIsAdmittedByACodeThatWorksOnce(t *testing.T) {
	t.Parallel()
	phone := accesstest.Private(t)
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.Good)[0]
	d.Accepts(t, asin, desk.T0)
	s := open(t, d, page.Options{LAN: true})
	lan := "http://" + s.LANAddr()
	if code, said := request(t, http.MethodGet, lan+"/", nil, nil); code != 403 || !strings.Contains(said, "scan the code") {
		t.Errorf("without a cookie: %d %s", code, said)
	}
	if said := phone.Ask(t, "get "+lan+"/"); !strings.HasPrefix(said, "403") || !strings.Contains(said, "scan the code") {
		t.Errorf("another machine without a cookie: %.200s", said)
	}
	if code, _ := request(t, http.MethodGet, lan+"/", nil, map[string]string{"Cookie": "ratchet="}); code != 403 {
		t.Errorf("with an empty cookie: %d", code)
	}
	if code, said := request(t, http.MethodGet, lan+"/enter?code=WRONG", nil, nil); code != 403 || !strings.Contains(said, "was used") {
		t.Errorf("with a wrong code: %d %s", code, said)
	}
	invitation := s.Invite()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Get(invitation)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != 303 || r.Header.Get("Location") != "/" || len(r.Cookies()) != 1 {
		t.Fatalf("got %s %v", r.Status, r.Header)
	}
	c := r.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || len(c.Value) < 20 || strings.Contains(invitation, c.Value) {
		t.Errorf("the cookie is %+v", c)
	}
	if code, _ := request(t, http.MethodGet, invitation, nil, nil); code != 403 {
		t.Errorf("the code works twice: %d", code)
	}
	cookie := map[string]string{"Cookie": c.Name + "=" + c.Value}
	code, body := request(t, http.MethodGet, lan+"/", nil, cookie)
	if code != 200 || !strings.Contains(body, asin) {
		t.Fatalf("with the cookie: %d", code)
	}
	ignore := url.Values{"token": {tokenOf.FindStringSubmatch(body)[1]}, "ignore": {"1-" + asin + "-2"}}
	for name, header := range map[string]map[string]string{
		"another site": {"Cookie": cookie["Cookie"], "Origin": "http://attacker.test"}, "a name": {"Cookie": cookie["Cookie"], "Host": "rebound.test"},
		"loopback's name": {"Cookie": cookie["Cookie"], "Host": "127.0.0.1"}, "no cookie": {},
	} {
		if code, _ := request(t, http.MethodPost, lan+"/act", ignore, header); code != 403 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code, _ := request(t, http.MethodPost, lan+"/act", ignore, cookie); code != 303 || len(actions(t, d)) != 1 {
		t.Errorf("its button: %d, %d actions", code, len(actions(t, d)))
	}
	if code, _ := request(t, http.MethodGet, lan+"/phone", nil, cookie); code != 404 {
		t.Errorf("a phone invites others: %d", code)
	}
	if code, body := request(t, http.MethodGet, s.URL()+"phone", nil, nil); code != 200 || !strings.Contains(body, `class="qr"`) {
		t.Errorf("no code for another phone: %d", code)
	}
	for from, want := range map[string]int{"203.0.113.5:9": 403, "192.168.1.7:9": 200, "10.0.0.1:9": 200, "127.0.0.1:9": 403, "[2001:db8::1]:9": 403} {
		req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, lan+"/", nil)
		req.RemoteAddr = from
		req.Header.Set("Cookie", cookie["Cookie"])
		w := httptest.NewRecorder()
		s.LANHandler().ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("from %s: %d", from, w.Code)
		}
	}
}

func TestNothingElseIsServedOffLoopbackInPlainText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    page.Options
		says string
	}{
		"plain text":       {page.Options{Addr: "0.0.0.0:0", Flag: "--page", Password: "s3cret", TLS: access.TLS{Plaintext: true}}, "TLS alone"},
		"and to the phone": {page.Options{Addr: "0.0.0.0:0", Flag: "--page", Password: "s3cret", LAN: true}, "already"},
		"no password":      {page.Options{Addr: "0.0.0.0:0", Flag: "--page"}, "TLS alone"},
	} {
		door, err := page.Listen(c.o)
		if err == nil {
			door.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAQRCodeIsDrawnForATerminal(t *testing.T) {
	t.Parallel()
	code, err := page.QR("http://192.168.1.7:8080/enter?code=ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(code, "\n"), "\n")
	if len(lines) < 18 || len(lines) > 30 || !strings.HasPrefix(lines[0], "\x1b[30;107m") || !strings.Contains(code, "▀") {
		t.Errorf("%d lines:\n%s", len(lines), code)
	}
}
