package page_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	ours "ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// axeSum is the hash of axe.min.js of the version in testdata/axe.
const axeSum = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

// axe is the script of axe-core, which npm installs once into the cache. Where it cannot be installed the test is
// skipped, or fails if CI=true.
func axe(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	file := filepath.Join(cache, "ratchet", "axe", axeSum[:12]+".js")
	if script, err := os.ReadFile(file); err == nil && sum(script) == axeSum {
		return string(script)
	}
	dir := t.TempDir()
	for from, to := range map[string]string{"package.json": "package.json", "package-lock.json": "package-lock.json", "npmrc": ".npmrc"} {
		body, err := os.ReadFile(filepath.Join("testdata", "axe", from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), body, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		machinetest.Lacks(t, "axe-core cannot be installed: %v: %s", err, out)
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil || sum(script) != axeSum {
		t.Fatalf("npm installed another axe-core: %s, %v", sum(script), err)
	}
	if os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = os.WriteFile(file, script, 0o600) // the next run then needs no npm
	}
	return string(script)
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// looks is how a page is seen.
type looks struct {
	Dark, Phone bool
}

func (l looks) String() string {
	return map[bool]string{false: "light", true: "dark"}[l.Dark] + map[bool]string{false: "", true: ", phone"}[l.Phone]
}

// as makes the browser show pages so.
func (b *browser) as(t *testing.T, l looks) {
	t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[l.Dark]
	width, height := int64(1280), int64(900)
	if l.Phone {
		width, height = 390, 780
	}
	b.do(t, l.String(), chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// shown is a desk with something on every page.
func shown(t *testing.T) (*ours.Server, map[string]string) {
	t.Helper()
	d := desk.New(t, 1)
	machineRuns(t, d)
	good := d.ASINs(keepasim.Good)
	for _, asin := range good[:6] {
		d.Accepts(t, asin, desk.T0)
	}
	explained(t, d, good[0])
	refuses(t, d)
	bad := d.ASINs(keepasim.NoProfit)[1]
	rejects(t, d, bad)
	publishDead(t, d, good[7])
	s := open(t, d, ours.Options{Simulated: true})
	desk.Await(t, "the machine is read", func() bool { _, body := get(t, s.URL()+"machine"); return strings.Contains(body, "retry") })
	return s, map[string]string{
		"deals": "", "cards": "?show=cards", "filtered": "?min-profit=5000&max-loss-chance=lots", "columns": "?columns=asin,profit,title", "deal": "deal/" + good[0], "rejected": "deal/" + bad,
		"machine": "machine", "reason": "reason?look=peek&reason=no_profit", "whatif": "whatif?t-min_profit_cents=20", "replays": "replays", "failed": "deal/B000000000", "notice": "?did=ignore:asin:1:" + good[1],
	}
}

// violations runs axe on the page that is open, every rule, and returns what it finds.
func (b *browser) violations(t *testing.T) []string {
	t.Helper()
	const run = `axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map((v) =>
		v.id + ' (' + v.impact + '): ' + v.help + ': ' + v.nodes.slice(0, 4).map((n) => n.target.join(' ') + ' ' + n.html.slice(0, 200) + ' ' + n.failureSummary.replace(/\s+/g, ' ')).join(' | '))))`
	said, err := chromedp.Run(b, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	if err := json.Unmarshal([]byte(said), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEveryViewIsAccessible runs axe-core over the views. The short form sees the main ones light and wide, and some
// dark on a phone; RATCHET_PAGE=all sees every one in all four ways.
func TestEveryViewIsAccessible(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	script := axe(t)
	s, views := shown(t)
	b := browse(t)
	ways := map[looks][]string{{}: {"deals", "deal", "machine", "whatif", "replays"}, {Dark: true, Phone: true}: {"cards", "rejected", "machine"}}
	if os.Getenv("RATCHET_PAGE") == "all" {
		ways = map[looks][]string{{}: nil, {Dark: true}: nil, {Phone: true}: nil, {Dark: true, Phone: true}: nil}
	}
	for way, names := range ways {
		b.as(t, way)
		if names == nil {
			for name := range views {
				names = append(names, name)
			}
		}
		for _, name := range names {
			b.do(t, name, chromedp.Navigate(s.URL()+views[name]), chromedp.WaitVisible("main"))
			b.text(t, script+";'loaded'")
			for _, v := range b.violations(t) {
				t.Errorf("%s, %s: %s", name, way, v)
			}
			if way.Phone {
				if wide := b.text(t, `String(document.documentElement.scrollWidth)`); wide != "390" {
					t.Errorf("%s is %s pixels wide on a phone of 390", name, wide)
				}
			}
		}
	}
	b.quiet(t, s, "404")
}

// whole skips a test that is in the long form alone.
func whole(t *testing.T) {
	t.Helper()
	if os.Getenv("RATCHET_PAGE") != "all" {
		t.Skip("only with RATCHET_PAGE=all: the short form is in the other tests with a browser")
	}
}

// quiet reports what the browser complained of, except of what is expected, and every request elsewhere.
func (b *browser) quiet(t *testing.T, s *ours.Server, except string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		if except == "" || !strings.Contains(w, except) {
			t.Errorf("the browser complains: %s", w)
		}
	}
	for _, r := range b.requests {
		if !strings.HasPrefix(r, s.URL()) && r != "about:blank" {
			t.Errorf("the page asks %s", r)
		}
	}
}

func TestWithoutAScriptThePageIsOfUse(t *testing.T) {
	whole(t)
	s, views := shown(t)
	b := browse(t, chromedp.Flag("disable-back-forward-cache", true)) // a page that it restores is not loaded, which the driver waits for
	b.do(t, "no script", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	b.do(t, "sort", chromedp.Navigate(s.URL()), chromedp.Click(`th a[href="/?sort=rank"]`), chromedp.WaitVisible(`th[aria-sort=ascending]`))
	b.do(t, "go back", chromedp.NavigateBack(), chromedp.WaitVisible(`th[aria-sort=descending]`))
	b.do(t, "go forward", chromedp.NavigateForward(), chromedp.WaitVisible(`th[aria-sort=ascending]`))
	b.do(t, "filter", chromedp.SendKeys(`input[name=min-profit]`, "5000\r"), chromedp.WaitVisible(`p.empty`))
	b.do(t, "ignore", chromedp.Navigate(s.URL()), chromedp.Click(`#rows > tr:first-child button[name=ignore]`), chromedp.WaitVisible(`.notice button[name=undo]`))
	b.do(t, "undo", chromedp.Click(`.notice button[name=undo]`), chromedp.WaitVisible(`.notice:not(:has(button))`))
	b.do(t, "a deal and its chart", chromedp.Navigate(s.URL()+views["deal"]), chromedp.WaitVisible(`.at-desktop svg`), chromedp.Click(`.ranges a[href$="chart=90d"]`), chromedp.WaitVisible(`.ranges a[aria-current][href$="chart=90d"]`))
	b.do(t, "what if", chromedp.Navigate(s.URL()+"whatif"), chromedp.SetValue(`#k-min_profit_cents`, "12"), chromedp.Click(`.knobs button`), chromedp.WaitVisible(`button[name=apply]`))
	b.do(t, "retry a letter", chromedp.Navigate(s.URL()+"machine"), chromedp.Click(`button[name=retry]`), chromedp.WaitVisible(`.notice`))
	b.quiet(t, s, "")
}

func TestTheKeyboardAloneSuffices(t *testing.T) {
	whole(t)
	s, _ := shown(t)
	b := browse(t)
	b.do(t, "open the page", chromedp.Navigate(s.URL()), live)
	// Every control is reached by the tabulator, in the order of the page, and shows where the focus is.
	reached, outlined := map[string]bool{}, true
	for range 120 {
		b.do(t, "tab", chromedp.KeyEvent("\t"))
		at := b.text(t, `(() => { const e = document.activeElement; return e === document.body ? '' :
			[e.tagName, e.name || '', e.getAttribute('href') || '', e.textContent.trim().slice(0, 20)].join(' ') + '§' + getComputedStyle(e).outlineStyle; })()`)
		if at == "" {
			break
		}
		what, outline, _ := strings.Cut(at, "§")
		reached[what] = true
		outlined = outlined && outline != "none"
	}
	if !outlined {
		t.Error("the focus is not shown everywhere")
	}
	for _, want := range []string{"A  /machine", "INPUT asin", "INPUT min-profit", "SELECT sort", "A  /?sort=rank", "BUTTON ignore", "SUMMARY", "A  /deal/"} {
		found := false
		for at := range reached {
			found = found || strings.HasPrefix(at, want)
		}
		if !found {
			t.Errorf("the tabulator does not reach %s", want)
		}
	}
	focus := func(what string) chromedp.Action[chromedp.Void] { return chromedp.Focus(what) }
	row := b.text(t, `document.querySelector('#rows > tr').id`)
	b.do(t, "open, type and buy", focus("#"+row+" summary"), chromedp.KeyEvent("\r"), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"), chromedp.WaitNotPresent("#"+row))
	b.do(t, "undo", focus("#notice button"), chromedp.KeyEvent(" "), chromedp.WaitVisible("#"+row))
	b.do(t, "to the search and a deal", focus("h1, #main"), chromedp.KeyEvent("/"))
	if at := b.text(t, `document.activeElement.id`); at != "find" {
		t.Errorf("the slash leads to %q", at)
	}
	b.text(t, `document.activeElement.value = ''`) // the test's key is typed even where a page takes it
	asin := strings.Split(row, "-")[2]
	b.do(t, "look it up", chromedp.KeyEvent(asin), chromedp.KeyEvent("\r"), chromedp.WaitVisible(`.one h1`))
	b.do(t, "what if, by the arrows", chromedp.Navigate(s.URL()+"whatif"), chromedp.WaitVisible(`.knob input[type=range]`), focus(`.knob input[data-for=k-min_profit_cents]`),
		chromedp.KeyEvent(kb.ArrowRight), chromedp.WaitVisible(`button[name=apply]`))
	if at := b.text(t, `location.search`); !strings.Contains(at, "t-min_profit_cents=") {
		t.Errorf("the address does not follow: %s", at)
	}
	if n := b.text(t, `document.querySelector('#answer dd b').textContent`); n == "" {
		t.Error("nothing is answered")
	}
	b.quiet(t, s, "")
}
