package page_test

import (
	"bufio"
	"context"
	"html"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

var eventsOf = regexp.MustCompile(`data-events="([^"]+)"`)

// an openPage is a browser's without a browser: the events of a page as it was loaded.
type openPage struct {
	answer *http.Response
	lines  *bufio.Scanner
	close  context.CancelFunc
}

func load(t testing.TB, s *page.Server, path string) *openPage {
	t.Helper()
	_, body := get(t, s.URL()+path)
	at := html.UnescapeString(eventsOf.FindStringSubmatch(body)[1])
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.URL(), "/")+at, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("the events are %s", got)
	}
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 1<<20)
	return &openPage{r, lines, cancel}
}

// await returns the event whose data holds a text, and drops those before.
func (p *openPage) await(event, text string) bool {
	name := ""
	var data strings.Builder
	for p.lines.Scan() {
		line := p.lines.Text()
		switch {
		case strings.HasPrefix(line, "event: "):
			name = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: "):
			data.WriteString(strings.TrimPrefix(line, "data: ") + "\n")
		case line == "":
			if name == event && strings.Contains(data.String(), text) {
				return true
			}
			name = ""
			data.Reset()
		}
	}
	return false
}

func TestADealIsOnEveryOpenPageAtOnceAndClosedPagesLeaveNothing(t *testing.T) {
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)
	d.Accepts(t, good[0], desk.T0)
	s := open(t, d, page.Options{})
	first := load(t, s, "machine")
	if !first.await("pulse", "tokend") { // the server reads its streams
		t.Error("the machine says nothing")
	}
	first.close()
	first.answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	var pages []*openPage
	for range 10 {
		pages = append(pages, load(t, s, ""))
	}
	pages = append(pages, load(t, s, "deal/"+good[0]), load(t, s, "machine"))
	desk.Await(t, "all are open", func() bool { return s.Open() == len(pages) })
	arrived := make(chan time.Time, 10)
	var all sync.WaitGroup
	for _, p := range pages[:10] {
		all.Go(func() {
			if p.await("fragment", "/deal/"+good[1]) {
				arrived <- time.Now()
			}
		})
	}
	accepted := time.Now()
	d.Accepts(t, good[1], desk.T0)
	all.Wait()
	close(arrived)
	n, last := 0, time.Duration(0)
	for at := range arrived {
		n++
		last = max(last, at.Sub(accepted))
	}
	if n != 10 || last > woken {
		t.Errorf("%d of 10 pages show it, the last after %s", n, last)
	}
	t.Logf("an accepted deal reached 10 pages within %s", last)
	if !pages[11].await("pulse", "tokend") {
		t.Error("the machine says nothing")
	}
	for _, p := range pages {
		p.close()
		p.answer.Body.Close()
	}
	desk.Await(t, "all are closed", func() bool { return s.Open() == 0 })
	http.DefaultClient.CloseIdleConnections()
	// Fewer than one for each page: the server may still have been starting to read when they were counted.
	desk.Await(t, "their goroutines have ended", func() bool { return runtime.NumGoroutine() < before+len(pages) })
}

func TestAPageThatReconnectsGetsOnlyWhatItLacks(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)
	d.Accepts(t, good[0], desk.T0)
	s := open(t, d, page.Options{})
	p := load(t, s, "?sort=rank")
	defer p.answer.Body.Close()
	defer p.close()
	if !p.await("hello", "") {
		t.Fatal("no greeting")
	}
	d.Accepts(t, good[1], desk.T0)
	for p.lines.Scan() && !strings.HasPrefix(p.lines.Text(), "id: ") && p.lines.Text() != "event: fragment" {
	}
	if !strings.HasPrefix(p.lines.Text(), "id: ") {
		t.Errorf("the first fragment is not named: %q", p.lines.Text())
	}
}

func TestMorePagesThanAreKeptLiveAreAskedToComeAgain(t *testing.T) {
	t.Parallel()
	s := open(t, desk.New(t, 1), page.Options{})
	for range 100 {
		p := load(t, s, "?sort=age")
		defer p.answer.Body.Close()
		defer p.close()
	}
	desk.Await(t, "100 are open", func() bool { return s.Open() == 100 })
	r, err := http.Get(s.URL() + "events?view=deals")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("got %s", r.Status)
	}
	s.Stop() // with 100 pages open
	if s.Open() != 0 {
		t.Errorf("%d are open after the end", s.Open())
	}
}
