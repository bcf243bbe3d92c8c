package roles_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// presses opens every page and does what its buttons do, as the page's role.
func presses(t *testing.T, b *bus.Bus, env process.Env) {
	t.Helper()
	s, err := page.Start(t.Context(), b, env, page.Options{Addr: "127.0.0.1:0", Flag: "PAGE_ADDR"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	ask := func(r *http.Response, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %.500s, %v", r.Request.URL, r.Status, body, err)
		}
		return string(body)
	}
	var list string
	await := func(what, path string, has func(string) bool) {
		for late := time.Now().Add(time.Minute); ; <-time.After(200 * time.Millisecond) {
			if list = ask(http.Get(s.URL() + path)); has(list) {
				return
			}
			if time.Now().After(late) {
				t.Fatalf("%s: %s", what, list)
			}
		}
	}
	first := regexp.MustCompile(`name="ignore" value="((\d+)-([A-Z0-9]{10})-(\d+))"`)
	await("no deals are shown", "", func(body string) bool { return first.MatchString(body) })
	deal := first.FindStringSubmatch(list)
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(list)[1]
	for _, path := range []string{"machine", "replays", "deal/" + deal[3], "reason?reason=no_profit"} {
		ask(http.Get(s.URL() + path))
	}
	press := func(form url.Values) {
		form.Set("token", token)
		form.Set("quiet", "1")
		ask(http.PostForm(s.URL()+"act", form))
	}
	press(url.Values{"ignore": {deal[1]}})
	press(url.Values{"undo": {"ignore:asin:" + deal[2] + ":" + deal[3]}})
	set := regexp.MustCompile(`name="apply" value="([^"]+)"`).FindStringSubmatch(ask(http.Get(s.URL() + "whatif?t-min_profit_cents=20")))
	if set == nil {
		t.Fatal("what if is not answered")
	}
	press(url.Values{"apply": {set[1]}, "t-min_profit_cents": {"20"}})
	await("not everything was decided again", "whatif", func(body string) bool { return strings.Contains(body, "rejections of the last week") })
}
