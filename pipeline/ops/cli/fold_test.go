package cli_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ratchet/pipeline/ops/cli"
)

func fold(t interface{ Fatal(...any) }, width int, text string) string {
	var out strings.Builder
	f := cli.Fold{To: &out, Width: width}
	for _, part := range []string{text[:len(text)/2], text[len(text)/2:]} {
		if _, err := f.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.End(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestALineIsBrokenBetweenWordsAndASentenceOfATableContinuesBelowItself(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"short\n", "short\n"},
		{"Deals: 29 found, 29 stored, 29 visible, 0 of them stale; 0 hidden\n", "Deals: 29 found, 29 stored, 29 visible,\n0 of them stale; 0 hidden\n"},
		{"  change the file, `ratchet rules check FILE`\n", "  change the file, `ratchet rules check\n  FILE`\n"},
		{"no_profit   84   The copy earns too little, at any price.\n", "no_profit   84   The copy earns too\n                 little, at any price.\n"},
		{"WATERMARK  READ     NEXT POLL  INTERVAL  ROWS\n", "WATERMARK  READ     NEXT POLL  INTERVAL\n  ROWS\n"},
		{"http://127.0.0.1:8080/a/very/long/address/of/something\n", "http://127.0.0.1:8080/a/very/long/address/of/something\n"},
		{"no end of the line, which is wider than it", "no end of the line, which is wider than\nit"},
		{"\x1b[2Jdrawn  over  a  screen  of  a  terminal  by  hand\n", "\x1b[2Jdrawn  over  a  screen  of  a  terminal  by  hand\n"},
	} {
		if got := fold(t, 40, c.line); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
	long := strings.Repeat("words ", 50) + "\n"
	if got := fold(t, 0, long); got != long {
		t.Errorf("a pipe gets %q", got)
	}
}

func TestFoldingLosesNothingAndFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(30, 140).Draw(t, "width")
		words := rapid.SliceOf(rapid.StringMatching(`[a-z0-9,.本]{1,9}(  ? ? ?|\n)`)).Draw(t, "words")
		text := strings.Join(words, "")
		got := fold(t, width, text)
		if a, b := strings.Fields(got), strings.Fields(text); strings.Join(a, " ") != strings.Join(b, " ") {
			t.Fatalf("%q became %q", text, got)
		}
		for line := range strings.Lines(got) {
			if n := wide(strings.TrimRight(line, " \n")); n > width {
				t.Fatalf("%d columns of %d: %q of %q", n, width, line, text)
			}
		}
	})
}

// wide is how many columns a text takes.
func wide(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r == '本' {
			n++
		}
	}
	return n
}
