package page_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	ours "ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// A browser is a headless Chromium, and what went wrong or out of it.
type browser struct {
	context.Context

	mu       sync.Mutex
	wrong    []string // errors of the console, of the policy, and dialogs
	requests []string
}

func (b *browser) note(to *[]string, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*to = append(*to, what)
}

// browse starts a browser. Where there is none the test is skipped, or fails if CI=true.
func browse(t *testing.T, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	i := slices.IndexFunc(names, func(name string) bool { _, err := exec.LookPath(name); return err == nil })
	if i < 0 {
		machinetest.Lacks(t, "no browser: install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(names[i]), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	options = append(options, more...)
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{Context: ctx}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // it starts the browser
		t.Fatal(err)
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.note(&b.wrong, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			b.note(&b.wrong, string(e.Type))
		case *log.EventEntryAdded:
			b.note(&b.wrong, e.Entry.Text+" "+e.Entry.URL)
		case *page.EventJavascriptDialogOpening:
			b.note(&b.wrong, "dialog: "+e.Message)
		case *network.EventRequestWillBeSent:
			b.note(&b.requests, e.Request.URL)
		}
	})
	enable := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		_, also := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		return errors.Join(err, also)
	})
	if err = errors.Join(err, chromedp.Do(ctx, enable)); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) do(t *testing.T, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b, 20*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// text is what a script of the test returns.
func (b *browser) text(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(b, 20*time.Second)
	defer cancel()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out
}

// woken is less than the time after which a page is rendered anyway, because it shows ages.
const woken = 15 * time.Second

// live waits until the page is kept current.
func live(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	_, err := chromedp.Poll[bool](`document.getElementById('state').textContent === 'live'`)(ctx, t)
	return chromedp.Void{}, err
}

func TestABrowserShowsNewDealsWithoutReloadingAndItsButtonsWork(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)
	for i, asin := range good[:len(hostile)] {
		d.Accepts(t, asin, desk.T0)
		members(t, d, asin, map[string]any{"title": hostile[i], "seller_name": hostile[i]})
	}
	s := open(t, d, ours.Options{Simulated: true})
	b := browse(t)
	b.do(t, "open the page", chromedp.Navigate(s.URL()), live)
	b.text(t, `document.getElementById('rows').firstElementChild.querySelector('details').open = true; window.loaded = 'once'`)

	fresh := good[len(hostile)]
	began := time.Now()
	d.Accepts(t, fresh, desk.T0)
	b.do(t, "wait for the deal", chromedp.WaitVisible(`#d-1-`+fresh+`-2.new`))
	if took := time.Since(began); took > woken {
		t.Errorf("an accepted deal is shown after %s", took)
	}
	if b.text(t, `window.loaded`) != "once" || b.text(t, `String(document.querySelectorAll('#rows details[open]').length)`) != "1" {
		t.Error("the page was loaded again, or what was open was closed")
	}
	if said := b.text(t, `document.getElementById('said').textContent`); !strings.HasPrefix(said, "New deal: ") {
		t.Errorf("a screen reader reads %q", said)
	}

	b.do(t, "ignore it", chromedp.Click(`#d-1-`+fresh+`-2 button[name=ignore]`), chromedp.WaitNotPresent(`#d-1-`+fresh+`-2`))
	b.do(t, "take it back", chromedp.Click(`#notice button[name=undo]`), chromedp.WaitVisible(`#d-1-`+fresh+`-2`))
	if b.text(t, `window.loaded`) != "once" {
		t.Error("a button loads the page again")
	}

	b.do(t, "sort", chromedp.Click(`th a[href="/?sort=rank"]`), chromedp.WaitVisible(`th[aria-sort=ascending]`), live)
	b.do(t, "go back", chromedp.NavigateBack(), chromedp.WaitVisible(`th[aria-sort=descending]`), live)
	b.do(t, "open a deal by the keyboard", chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), chromedp.WaitVisible(`.one h1`))
	for _, path := range []string{"machine", "replays"} {
		b.do(t, path, chromedp.Navigate(s.URL()+path), chromedp.WaitVisible(`main h1, main .headline`))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		t.Errorf("the browser complains: %s", w)
	}
	for _, r := range b.requests {
		if !strings.HasPrefix(r, s.URL()) {
			t.Errorf("the page asks %s", r)
		}
	}
}
