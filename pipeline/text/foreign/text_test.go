package foreign_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
	"ratchet/test/doors/hostile"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sinks are all methods of Text that show it, and the logs.
func sinks() map[string]func(foreign.Text) string {
	out := map[string]func(foreign.Text) string{"log": logged}
	for m := range reflect.TypeFor[foreign.Text]().Methods() {
		show, ok := m.Func.Interface().(func(foreign.Text) string)
		if !ok {
			continue
		}
		name := strings.ToLower(m.Name)
		if name == "string" {
			name = "terminal"
		}
		out[name] = show
	}
	return out
}

// logged returns the line that a daemon logs about a text, from the message on.
func logged(t foreign.Text) string {
	var out bytes.Buffer
	log, err := process.Logger(&out, "info")
	if err != nil {
		return err.Error()
	}
	log.Info("found", "title", t)
	_, line, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), `"msg":`)
	return line
}

func TestEverySinkShowsEveryHostileTextAsInItsGoldenFile(t *testing.T) {
	t.Parallel()
	all := sinks()
	if want := []string{"csv", "discord", "html", "log", "plain", "slack", "telegram", "terminal"}; len(all) < len(want) {
		t.Fatalf("sinks %v, want at least %v", slices.Sorted(maps.Keys(all)), want)
	}
	for name, show := range all {
		var got strings.Builder
		for _, h := range hostile.Texts() {
			fmt.Fprintf(&got, "%s: %+q\n", h.Name, show(foreign.Of(h.Text)))
		}
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Errorf("%v; a new sink gets its file with -update", err)
			continue
		}
		for line, text := range lines(got.String(), string(want)) {
			t.Errorf("%s:\ngot  %s\nwant %s", golden, line, text)
		}
	}
}

// lines are those that differ.
func lines(got, want string) map[string]string {
	out := map[string]string{}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			out[a] = b
		}
	}
	return out
}

func TestCleanTextHasNoControlAndNoHiddenCharacters(t *testing.T) {
	t.Parallel()
	for _, h := range hostile.Texts() {
		got := foreign.Of(h.Text)
		if h.Legitimate && got.String() != h.Text {
			t.Errorf("%s: %+q became %+q", h.Name, h.Text, got.String())
		}
		check(t, h.Name, got)
	}
}

func check(t interface{ Errorf(string, ...any) }, name string, got foreign.Text) {
	s := got.String()
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > foreign.Most || strings.TrimSpace(s) != s {
		t.Errorf("%s: %+q is not clean", name, s)
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) || r == '\u200b' || r == '\ufeff' {
			t.Errorf("%s: %+q holds %U", name, s, r)
		}
	}
	if again := foreign.Of(s); again != got {
		t.Errorf("%s: cleaned again, %+q becomes %+q", name, s, again.String())
	}
	for rest := range strings.SplitSeq(got.CSV(), ";") {
		if rest = strings.TrimLeft(rest, " "); rest != "" && strings.ContainsRune("=+-@＝＋－＠−\t\r", []rune(rest)[0]) && !decimal(s) {
			t.Errorf("%s: the cell %+q begins a formula", name, got.CSV())
		}
	}
	if h := got.HTML(); strings.ContainsAny(h, `<>"'`) {
		t.Errorf("%s: HTML %+q", name, h)
	}
	for _, span := range []string{got.Slack(), got.Discord()} {
		if span != "" && (len(span) < 3 || strings.Count(span, "`") != 2 || span[0] != '`' || span[len(span)-1] != '`') {
			t.Errorf("%s: %+q is not a code span", name, span)
		}
	}
	if inner := strings.TrimSuffix(strings.TrimPrefix(got.Telegram(), "<code>"), "</code>"); strings.ContainsAny(inner, `<>"'`) || s != "" && len(inner) != len(got.Telegram())-13 {
		t.Errorf("%s: %+q is not code", name, got.Telegram())
	}
	if p := got.Plain(); linkable.MatchString(p) {
		t.Errorf("%s: %+q holds what becomes a link: %q", name, p, linkable.FindString(p))
	}
	if strings.ContainsAny(got.Slack(), "<>") {
		t.Errorf("%s: Slack %+q", name, got.Slack())
	}
}

// linkable is what apps make links and mentions of: a scheme, a name with a dot in it, an address, a mention.
var linkable = regexp.MustCompile(`(?i)[a-z]:[^ 0-9]|[^ ]\.[a-z]|[^ 0-9]\.[^ ]|@`)

func decimal(s string) bool { return strings.Trim(s, "+-.0123456789") == "" }

func FuzzText(f *testing.F) {
	for _, h := range hostile.Texts() {
		f.Add(h.Text)
	}
	f.Fuzz(func(t *testing.T, s string) { check(t, "fuzz", foreign.Of(s)) })
}

func TestTextIsAJSONStringAndCleanedWhenItIsRead(t *testing.T) {
	t.Parallel()
	type message struct {
		Title foreign.Text   `json:"title,omitzero"`
		More  []foreign.Text `json:"more,omitempty"`
	}
	var m message
	if err := json.Unmarshal([]byte(`{"title":"a\u001b[31m\u202eb","more":["\u0000x"]}`), &m); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(m)
	if err != nil || string(raw) != `{"title":"a [31mb","more":["x"]}` {
		t.Errorf("%s, %v", raw, err)
	}
	if raw, err := json.Marshal(message{}); err != nil || string(raw) != `{}` {
		t.Errorf("empty: %s, %v", raw, err)
	}
	if err := json.Unmarshal([]byte(`{"title":7}`), &m); err == nil {
		t.Error("a number is taken for text")
	}
}

func TestOnlyTheStringsOfADocumentAreCleaned(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"a" : 1.50, "b":["x\u001by", "é"], "c":{"d":"\u202e"}}`: `{"a" : 1.50, "b":["x y", "é"], "c":{"d":""}}`,
		`{"a":"plain","b":"\"\\"}`:                                `{"a":"plain","b":"\"\\"}`,
		`"\u003cb\u003e"`:                                         `"\u003cb\u003e"`,
		"{\"a\u202e\":\"a\u202e\"}":                               "{\"a\u202e\":\"a\"}",
		`{"a":"open`:                                              `{"a":"open`,
		`7`:                                                       `7`,
		``:                                                        ``,
	} {
		if got := string(foreign.JSON([]byte(raw))); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

func TestACellKeepsNumbersAndGuardsEveryPlaceWhereACellMayBegin(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"-12": "-12", "+4.50": "+4.50", "-12.": "'-12.", "--1": "'--1", "-": "'-", "": "", "a-b": "a-b", "a;b": "a;b",
		"a;=b": "a;'=b", "a\n@b": "a\n'@b", "\t=1": "'\t'=1", "\tx": "'\tx", "\rx": "'\rx", " =1": " '=1", "\xff=": "\xff=", "=\xff": "'=\xff",
	} {
		if got := foreign.Cell(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
