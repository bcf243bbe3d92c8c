package page_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

var update = flag.Bool("update", false, "rewrite the golden pages")

// open serves the page of a desk. Its deals are read when it returns.
func open(t testing.TB, d *desk.Desk, o page.Options) *page.Server {
	t.Helper()
	o.Addr, o.Flag = "127.0.0.1:0", "--page"
	s, err := page.Start(t.Context(), d.Bus, d.Env, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	desk.Await(t, "the page has read the deals", func() bool {
		_, body := get(t, s.URL())
		return !strings.Contains(body, "The list is not current")
	})
	return s
}

func get(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// rejects publishes that a listed book was rejected at the peek for its stored answer.
func rejects(t *testing.T, d *desk.Desk, asin string) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	d.Offer(t, w)
	d.Store(t, pipeline.KindPeek, asin, w.ID, d.Product(t, asin, false), 0)
	v := decide.Peek(desk.BuiltIn(t), w, decide.Answer{ID: "1", Key: asin, Body: d.Product(t, asin, false)}, 1, nil, desk.T0).Verdict
	if v.Outcome != pipeline.Reject {
		t.Fatalf("%s is not rejected: %s", asin, v.Outcome)
	}
	if _, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, w.ID, "", v)); err != nil {
		t.Fatal(err)
	}
}

var changing = map[string]*regexp.Regexp{
	"VALUE":  regexp.MustCompile(`(name="token" value=")[A-Z2-7]+`),
	"EPOCH":  regexp.MustCompile(`(data-epoch=")[A-Z2-7]+`),
	"HASH":   regexp.MustCompile(`(/static/[a-z.]+\?)[0-9a-f]+`),
	"AT":     regexp.MustCompile(`([?;]at=)[0-9a-f]+`),
	"PULSE":  regexp.MustCompile(`(?s)(<div id="pulse">).*?</div>`),
	"TIME":   regexp.MustCompile(`()2026-03-02[T ]09:0\d(:\d\d)?(Z)?`),
	"ANSWER": regexp.MustCompile(`(<td class="n">\d+</td><td>peek</td><td>TIME</td><td class="n">1</td><td class="n">)\d+`),
}

// golden compares a page with the one that is kept.
func golden(t *testing.T, name, body string) {
	t.Helper()
	for _, what := range []string{"VALUE", "EPOCH", "HASH", "AT", "PULSE", "TIME", "ANSWER"} {
		body = changing[what].ReplaceAllString(body, "${1}"+what)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) == body {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(body, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s, line %d (-update rewrites it)\nwant %s\ngot  %s", name, i+1, a[i], b[i])
		}
	}
	t.Fatalf("%s has %d lines, not %d", name, len(b), len(a))
}

func TestPagesAreAsTheyAreKept(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)
	for _, asin := range good[:3] {
		d.Accepts(t, asin, desk.T0)
	}
	bad := d.ASINs(keepasim.NoProfit)[0]
	rejects(t, d, bad)
	s := open(t, d, page.Options{Simulated: true})
	for name, path := range map[string]string{
		"deals.html": "", "cards.html": "?show=cards&sort=rank&max-loss-chance=90%25", "columns.html": "?columns=asin,profit,title", "none.html": "?min-profit=5000",
		"wrong.html": "?max-loss-chance=lots", "deal.html": "deal/" + good[0], "rejected.html": "deal/" + bad, "replays.html": "replays", "unknown.html": "deal/B000000000",
	} {
		t.Run(name, func(t *testing.T) {
			_, body := get(t, s.URL()+path)
			golden(t, name, body)
		})
	}
}

// members publishes a version of a book's deal with other members.
func members(t *testing.T, d *desk.Desk, asin string, with map[string]any) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	with["domain"], with["asin"], with["price_type"] = 1, asin, w.Survivor.PriceType
	m, err := bus.Encode(pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), pipeline.SchemaDeal, fmt.Sprint("deal:", asin, len(with)), w.ID, with)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bus.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// hostile are texts of strangers that a page must show and never obey.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title><svg onload=alert(1)>`, `javascript:alert(1)`, `{{.Token}}`, "\u202egnp.exe", `<a href="//evil.test">x</a>`,
	`</textarea><form action=//evil.test><button form=act name=buy>`,
}

var (
	scripts   = regexp.MustCompile(`(?i)<script[^>]*>`)
	elsewhere = regexp.MustCompile(`(?i)(?:src|href|action|srcset|poster|data)="(?:https?:)?//([^/"]+)`)
	inline    = regexp.MustCompile(`(?i)<[^>]+\s(?:style|on[a-z]+)=`)
)

func TestHostileTextsAreShownAndDoNothing(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)
	for i, title := range hostile {
		d.Accepts(t, good[i], desk.T0)
		members(t, d, good[i], map[string]any{"title": title, "seller_name": title, "seller_id": title, "brand": title, "condition": title, "url": "javascript:alert(1)", "simulated": false})
	}
	s := open(t, d, page.Options{})
	paths := []string{"", "?show=cards", "?columns=title,seller,condition,link,keepa,offers", "?condition=%3Cscript%3E", "?min-profit=%22%3E%3Cscript%3E", "?columns=%22%3E%3Cb%3E", "machine", "replays", "reason?reason=%3Cscript%3E&look=%22%3E"}
	for i := range hostile {
		paths = append(paths, "deal/"+good[i])
	}
	for _, path := range paths {
		_, body := get(t, s.URL()+path)
		if got := scripts.FindAllString(body, -1); len(got) != 1 || !strings.Contains(got[0], `src="/static/page.js`) {
			t.Errorf("%s has the scripts %v", path, got)
		}
		for _, m := range elsewhere.FindAllStringSubmatch(body, -1) {
			if m[1] != "www.amazon.com" && m[1] != "keepa.com" {
				t.Errorf("%s leads to %s", path, m[1])
			}
		}
		if m := inline.FindString(body); m != "" {
			t.Errorf("%s has something inline: %s", path, m)
		}
		if strings.Contains(body, "\u202e") || strings.Contains(body, "<img") || strings.Contains(body, "<svg onload") {
			t.Errorf("%s has text that is markup", path)
		}
	}
	if _, body := get(t, s.URL()); !strings.Contains(body, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the title is not shown as it is")
	}
}

func TestSimulatedDealsAreMarkedAndHaveNoLinks(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.Good)[0]
	d.Accepts(t, asin, desk.T0)
	s := open(t, d, page.Options{})
	for _, path := range []string{"", "deal/" + asin, "machine", "replays"} {
		_, body := get(t, s.URL()+path)
		if !strings.Contains(body, "nobody sells") || strings.Contains(body, "amazon.com/") || strings.Contains(body, "keepa.com/") {
			t.Errorf("%q does not say that it is simulated, or leads to Amazon", path)
		}
	}
	for _, path := range []string{"", "?show=cards", "?columns=profit,title"} { // on the page of several deals not all need be
		_, body := get(t, s.URL()+path)
		if row := rowOf.FindString(body); !strings.Contains(row, ">simulated<") || strings.Contains(row, "amazon.com") || strings.Contains(row, "keepa.com") {
			t.Errorf("%q does not mark the deal, or leads to Amazon:\n%s", path, row)
		}
	}
	members(t, d, asin, map[string]any{"simulated": false})
	desk.Await(t, "the page has links to a real deal", func() bool {
		_, body := get(t, s.URL())
		return strings.Contains(body, `href="https://www.amazon.com/dp/`+asin+`"`) && strings.Contains(body, "https://keepa.com/#!product/1-"+asin) &&
			strings.Contains(body, "https://www.amazon.com/gp/offer-listing/"+asin) && !strings.Contains(body, "nobody sells")
	})
}

func TestEveryAnswerHasAStrictPolicy(t *testing.T) {
	t.Parallel()
	s := open(t, desk.New(t, 1), page.Options{})
	for _, path := range []string{"", "deal/B000000000", "deal/nonsense", "nowhere", "machine", "replays", "static/page.css", "static/page.js", "static/nothing", "events?view=none", "find?asin=x"} {
		r, _ := get(t, s.URL()+path)
		csp := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: %q lacks %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, r.Header)
		}
	}
}

// request sends one with these headers.
func request(t *testing.T, method, url string, form url.Values, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body) + r.Header.Get("Location")
}

func TestOnlyItsOwnPagesMayAsk(t *testing.T) {
	t.Parallel()
	s := open(t, desk.New(t, 1), page.Options{})
	own := strings.TrimSuffix(s.URL(), "/")
	for name, c := range map[string]struct {
		header map[string]string
		want   int
	}{
		"a person":              {map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"its own page":          {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": own}, 200},
		"another site":          {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://attacker.test"}, 403},
		"another port":          {map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
		"a page without origin": {map[string]string{"Origin": "null"}, 403},
		"a link elsewhere":      {map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"a name that points us": {map[string]string{"Host": "rebound.test"}, 403},
	} {
		for _, path := range []string{"/", "/machine", "/events?view=none", "/static/page.js"} {
			want := c.want
			if path == "/events?view=none" && want == 200 {
				want = 404
			}
			if code, body := request(t, http.MethodGet, own+path, nil, c.header); code != want {
				t.Errorf("%s, %s: %d %.80s", name, path, code, body)
			}
		}
	}
}

var tokenOf = regexp.MustCompile(`name="token" value="([^"]+)"`)

// actions are those of the stream.
func actions(t *testing.T, d *desk.Desk) []action.Recorded {
	t.Helper()
	var out []action.Recorded
	if err := messages.ScanActions(t.Context(), d.Bus, func(s action.Recorded) { out = append(out, s) }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestButtonsDoWhatTheCommandsDoAndWantTheirToken(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:4]
	for _, asin := range good {
		d.Accepts(t, asin, desk.T0)
	}
	s := open(t, d, page.Options{})
	_, body := get(t, s.URL())
	token := tokenOf.FindStringSubmatch(body)[1]
	buy := url.Values{"buy": {"1-" + good[0] + "-2"}, "price-1-" + good[0] + "-2": {"9.99"}, "back": {"/?sort=rank"}}
	for name, given := range map[string]string{"no": "", "a wrong": "A" + token[1:] + "B"} {
		buy.Set("token", given)
		if code, said := request(t, http.MethodPost, s.URL()+"act", buy, nil); code != 403 {
			t.Errorf("with %s token: %d %s", name, code, said)
		}
	}
	if code, _ := request(t, http.MethodGet, s.URL()+"act?token="+token+"&"+buy.Encode(), nil, nil); code == 200 || code == 303 {
		t.Errorf("a link buys: %d", code)
	}
	if n := len(actions(t, d)); n != 0 {
		t.Fatalf("%d actions without a token", n)
	}
	buy.Set("token", token)
	if code, to := request(t, http.MethodPost, s.URL()+"act", buy, nil); code != 303 || !strings.HasPrefix(to, "/?sort=rank&did=buy") {
		t.Errorf("got %d, %s", code, to)
	}
	ignore := url.Values{"token": {token}, "ignore": {"1-" + good[1] + "-2"}, "for-1-" + good[1] + "-2": {"30d"}, "back": {"//evil.test/"}}
	if code, to := request(t, http.MethodPost, s.URL()+"act", ignore, nil); code != 303 || !strings.HasPrefix(to, "/?did=ignore") {
		t.Errorf("got %d, %s", code, to)
	}
	said := actions(t, d)
	if len(said) != 2 {
		t.Fatalf("%d actions", len(said))
	}
	bought := said[0].Action
	if bought.Kind != action.Buy || bought.Value != good[0] || bought.Domain != 1 || *bought.PriceCents != 999 || bought.On != "2026-03-02" || bought.Condition == "" {
		t.Errorf("bought %+v", bought)
	}
	if left := said[1].Action; left.Kind != action.Ignore || left.Value != good[1] || left.Until.Sub(left.At).Round(time.Minute) != 30*24*time.Hour {
		t.Errorf("ignored %+v", left)
	}
	shows := func(n int) func() bool {
		return func() bool {
			_, body := get(t, s.URL())
			return strings.Count(body, `<tr role="row" id="d-`) == n
		}
	}
	desk.Await(t, "what is bought and ignored has left the list", shows(2))
	undo := url.Values{"token": {token}, "undo": {"buy:asin:1:" + good[0]}, "quiet": {"1"}}
	if code, text := request(t, http.MethodPost, s.URL()+"act", undo, nil); code != 200 || !strings.Contains(text, "Undone: "+good[0]) {
		t.Errorf("got %d, %s", code, text)
	}
	desk.Await(t, "what is undone is back", shows(3))
	for name, form := range map[string]url.Values{
		"a price":     {"buy": {"1-" + good[2] + "-2"}, "price-1-" + good[2] + "-2": {"cheap"}},
		"an ASIN":     {"buy": {"1-../../x-2"}},
		"a target":    {"ignore": {"1-" + good[2] + "-2"}, "what-1-" + good[2] + "-2": {"words"}},
		"anything":    {},
		"an undo":     {"undo": {"sold:asin:1:" + good[2]}},
		"other words": {"undo": {"ignore:words:0:"}},
	} {
		form.Set("token", token)
		form.Set("quiet", "1")
		if code, text := request(t, http.MethodPost, s.URL()+"act", form, nil); code != 422 || !strings.Contains(text, "Nothing was done") {
			t.Errorf("without %s: %d %s", name, code, text)
		}
	}
	if n := len(actions(t, d)); n != 3 {
		t.Errorf("%d actions", n)
	}
}

var rowOf = regexp.MustCompile(`(?s)<tr role="row" id="d-[^"]+">(.*?)</tr>`)

var cellOf = regexp.MustCompile(`(?s)<td role="cell"[^>]*data-head[^>]*>(.*?)</td>`)

func TestNumbersAreThoseOfTheCommand(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	for _, asin := range d.ASINs(keepasim.Good) {
		d.Accepts(t, asin, desk.T0)
	}
	s := open(t, d, page.Options{})
	v := cli.NewVisible(d.Bus, "")
	defer v.Close()
	deals, _, err := v.List(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	half, loss := 12.5, 0.2
	fields := []string{"asin", "profit", "profit_low", "profit_high", "loss", "buy", "range", "months", "rank", "condition", "fees", "cost", "roi", "sales", "tokens", "note"}
	for query, show := range map[string]cli.Show{
		"":                             {},
		"sort=rank":                    {By: "rank"},
		"sort=loss&min-profit=$12.50":  {By: "loss", Choice: cli.Choice{MinProfit: &half}},
		"max-loss-chance=20%25":        {Choice: cli.Choice{MaxLossChance: &loss}},
		"condition=Good&sort=months":   {By: "months", Choice: cli.Choice{Condition: "good"}},
		"max-rank=1500000&sort=age":    {By: "age", Choice: cli.Choice{MaxRank: 1500000}},
		"since=7d&sort=value&other=no": {By: "value"},
	} {
		var want [][]string
		show.Fields, show.Format = fields, "table"
		var out bytes.Buffer
		if err := cli.WriteDeals(&out, deals, show); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if i > 0 && !strings.HasPrefix(out.String(), "None") {
				want = append(want, regexp.MustCompile(`\s{2,}`).Split(strings.TrimSpace(line), -1)[:len(fields)])
			}
		}
		_, body := get(t, s.URL()+"?columns="+strings.Join(fields, ",")+"&"+query)
		var got [][]string
		for _, m := range rowOf.FindAllStringSubmatch(body, -1) {
			var cells []string
			for _, c := range cellOf.FindAllStringSubmatch(m[1], -1) {
				cells = append(cells, strings.ReplaceAll(c[1], "&#39;", "'"))
			}
			got = append(got, cells)
		}
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: the page shows\n%v\nthe command\n%v", query, got, want)
		}
		if len(want) == 0 {
			t.Errorf("%s: nothing to compare", query)
		}
	}
	last, err := d.Bus.Last(t.Context(), pipeline.StreamDeals)
	if err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, s.URL()); !strings.Contains(body, fmt.Sprintf("message %d of DEALS", last)) {
		t.Errorf("the page does not say that it counts to %d", last)
	}
}

func TestOffThisMachineItWantsAPasswordAndTLS(t *testing.T) {
	t.Parallel()
	cert, key := accesstest.Certificate(t)
	for name, c := range map[string]struct {
		set  map[string]string
		want string
	}{
		"nothing":            {map[string]string{"PAGE_ADDR": "0.0.0.0:0"}, "other machines reach"},
		"no certificate":     {map[string]string{"PAGE_ADDR": "0.0.0.0:0", "PAGE_PASSWORD": "s3cret"}, "other machines reach"},
		"no password":        {map[string]string{"PAGE_ADDR": "[::]:0", "PAGE_TLS_CERT": cert, "PAGE_TLS_KEY": key}, "other machines reach"},
		"half a certificate": {map[string]string{"PAGE_TLS_CERT": cert}, "want both"},
		"a name":             {map[string]string{"PAGE_ADDR": "books.example:443"}, "other machines reach"},
		"no port":            {map[string]string{"PAGE_ADDR": "127.0.0.1"}, "PAGE_ADDR: want host:port"},
	} {
		env := process.Env{Log: slog.New(slog.DiscardHandler), Lookup: envconfig.MapLookuper(c.set), Clock: process.RealClock()}
		if err := page.Run(t.Context(), env); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := desk.New(t, 1)
	s, err := page.Start(t.Context(), d.Bus, d.Env, page.Options{Addr: "0.0.0.0:0", Flag: "PAGE_ADDR", Password: "s3cret", TLS: access.TLS{Cert: cert, Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	_, port, _ := net.SplitHostPort(strings.Trim(strings.TrimPrefix(s.URL(), "https://"), "/"))
	for password, want := range map[string]int{"": 401, "wrong": 401, "s3cret": 200} {
		req, _ := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/", nil) // on this machine without TLS
		req.SetBasicAuth("me", password)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("with %q: %s", password, r.Status)
		}
	}
}

func TestAnotherUserOfTheMachineIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, desk.New(t, 1), page.Options{})
	for _, path := range []string{"", "machine", "events?view=deals", "static/page.css"} {
		if said := accesstest.As(t, "get "+s.URL()+path); !strings.HasPrefix(said, "403") || strings.Contains(said, "<html") {
			t.Errorf("%s: %.100s", path, said)
		}
	}
	if said := accesstest.As(t, "post "+s.URL()+"act buy=1-0593655036-2"); !strings.HasPrefix(said, "403") {
		t.Errorf("it buys: %.100s", said)
	}
}
