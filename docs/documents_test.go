package docs_test

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"ratchet/pipeline/sim/scenario"
)

func TestEveryFailureNamesPackagesAndSoaksThatExist(t *testing.T) {
	t.Parallel()
	shown := regexp.MustCompile(`(?m)^- Shown by: (.*(?:\n  .*)*)$`).FindAllStringSubmatch(read(t, "docs/failures.md"), -1)
	if cases := len(headings(read(t, "docs/failures.md"), "### ")); len(shown) != cases || cases < 50 {
		t.Errorf("docs/failures.md has %d cases, and %d lines \"Shown by\"", cases, len(shown))
	}
	name := regexp.MustCompile("(soak )?`([^`]+)`")
	for _, s := range shown {
		names := name.FindAllStringSubmatch(s[1], -1)
		if len(names) == 0 {
			t.Errorf("docs/failures.md: %q names nothing", s[0])
		}
		for _, n := range names {
			info, err := os.Stat(filepath.Join("..", n[2]))
			if soak := n[1] != ""; soak && !slices.Contains(scenario.Scenarios(), n[2]) {
				t.Errorf("docs/failures.md names the soak %s, which does not exist", n[2])
			} else if !soak && (err != nil || !info.IsDir()) {
				t.Errorf("docs/failures.md names %s, which is not a directory of the repository", n[2])
			}
		}
	}
}

func TestEveryWarningHasItsSection(t *testing.T) {
	t.Parallel()
	var known []string
	for _, h := range headings(read(t, "docs/operate.md"), "### ") {
		known = append(known, strings.Trim(h, "`"))
	}
	found := 0
	for _, dir := range directories(t) {
		for _, f := range parse(t, dir) {
			ast.Inspect(f, func(n ast.Node) bool {
				text, ok := warning(n)
				if !ok {
					return true
				}
				found++
				if !slices.ContainsFunc(known, func(h string) bool { return strings.HasPrefix(text, h) }) {
					t.Errorf("%s warns %q: docs/operate.md has no heading that begins so", dir, text)
				}
				return true
			})
		}
	}
	if found < 30 {
		t.Errorf("found %d warnings: this test looks in the wrong place", found)
	}
}

// warning is the text of a call of a logger's Warn, or of a Warn among the effects of a
// pure state machine.
func warning(n ast.Node) (string, bool) {
	var of []ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Warn" && len(n.Args) > 0 {
			of = n.Args[:1]
		}
	case *ast.CompositeLit:
		if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Warn" {
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					of = append(of, kv.Value)
				}
			}
		}
	}
	for _, e := range of {
		if lit, ok := e.(*ast.BasicLit); ok {
			text, err := strconv.Unquote(lit.Value)
			return text, err == nil
		}
	}
	return "", false
}

func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	reasons := read(t, "docs/decisions.md")
	direct := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(read(t, "go.mod"), -1)
	if len(direct) < 10 {
		t.Fatalf("go.mod shows %d direct dependencies", len(direct))
	}
	for _, d := range direct {
		if !strings.Contains(reasons, "- `"+d[1]+"`: ") {
			t.Errorf("docs/decisions.md does not say why %s and not another", d[1])
		}
	}
}

func TestEveryLinkOfADocumentLeadsSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	for _, name := range files(t, ".md") {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, section, _ := strings.Cut(m[1], "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if section != "" && !slices.ContainsFunc(headings(read(t, to), ""), func(h string) bool { return anchor(h) == section }) {
				t.Errorf("%s links to %s, and %s has no such heading", name, m[1], to)
			}
		}
	}
}

// headings are those of a document that begin so; without a beginning, all.
func headings(page, begin string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^(#+ )(.*)$`).FindAllStringSubmatch(page, -1) {
		if begin == "" || m[1] == begin {
			out = append(out, m[2])
		}
	}
	return out
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
