package docs_test

import (
	"bufio"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The widest lines, in characters.
const (
	widestLine    = 100 // of a document, code blocks and generated tables included
	widestComment = 120 // of a comment in Go, with its indentation
)

func TestNoLineOfADocumentIsWiderThanAPage(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".md") {
		for n, line := range lines(t, name) {
			if w := utf8.RuneCountInString(line); w > widestLine {
				t.Errorf("%s:%d has %d characters, more than %d", name, n+1, w, widestLine)
			}
		}
	}
}

// TestTheFrontPagesAreShort keeps README at one screen to the first deal, and the architecture at one reading.
func TestTheFrontPagesAreShort(t *testing.T) {
	t.Parallel()
	for name, longest := range map[string]int{"README.md": 120, "ARCHITECTURE.md": 250} {
		if n := len(lines(t, name)); n > longest {
			t.Errorf("%s has %d lines, more than %d", name, n, longest)
		}
	}
}

func TestAnEntryOfTheChangelogIsALine(t *testing.T) {
	t.Parallel()
	for n, line := range lines(t, "CHANGELOG.md") {
		if strings.HasPrefix(line, " ") {
			t.Errorf("CHANGELOG.md:%d continues an entry: %s", n+1, line)
		}
	}
}

func TestNoCommentIsWiderThanAScreen(t *testing.T) {
	t.Parallel()
	for _, name := range files(t, ".go") {
		for at, width := range comments(t, name) {
			if width > widestComment {
				t.Errorf("%s has a comment of %d characters, more than %d", at, width, widestComment)
			}
		}
	}
}

// scripts returns the files in other languages whose comments are held to the width of those in Go, by what begins a
// comment. Migrations are not among them: they are compared by their content and never rewritten.
func scripts(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{".ci/run": "#", "deploy/clickhouse/users.sql": "--"}
	for _, name := range files(t, ".sql") {
		if filepath.Dir(name) == "schemas/clickhouse/queries" {
			out[name] = "--"
		}
	}
	for _, name := range files(t, "") {
		if slices.Contains([]string{".yaml", ".yml", ".conf"}, filepath.Ext(name)) {
			out[name] = "#"
		}
	}
	if len(out) < 25 {
		t.Errorf("%d scripts are checked: the queries are elsewhere", len(out))
	}
	return out
}

func TestNoCommentOfAScriptIsWiderThanAScreen(t *testing.T) {
	t.Parallel()
	for name, begins := range scripts(t) {
		for n, line := range lines(t, name) {
			if w := utf8.RuneCountInString(line); w > widestComment && strings.HasPrefix(strings.TrimSpace(line), begins) {
				t.Errorf("%s:%d has a comment of %d characters, more than %d", name, n+1, w, widestComment)
			}
		}
	}
}

// comments are the widths of the lines on which a comment stands, by position. A comment
// behind code counts from its own first character, because the code is not its fault.
func comments(t *testing.T, name string) map[string]int {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	file := fset.AddFile(name, fset.Base(), len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, scanner.ScanComments)
	out := map[string]int{}
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return out
		}
		if tok != token.COMMENT {
			continue
		}
		at := fset.Position(pos)
		before := string(src[at.Offset-at.Column+1 : at.Offset])
		if strings.TrimSpace(before) != "" {
			before = ""
		}
		for line := range strings.SplitSeq(lit, "\n") {
			out[at.String()] = max(out[at.String()], utf8.RuneCountInString(before+line))
			before = ""
		}
	}
}

// files are the files of the repository with that ending, below its root.
func files(t *testing.T, ending string) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(os.DirFS(".."), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(p, ending):
			out = append(out, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("found %d files that end in %s: this test looks in the wrong place", len(out), ending)
	}
	return out
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		out = append(out, s.Text())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

var unbroken = regexp.MustCompile("(?:`[^`]*`|\\[[^\\]]*\\]\\([^)]*\\)|[^\\s`\\[]|[`\\[])+")

// wrapped breaks the lines of a generated page that are too wide, between words and
// outside code and links. A list item continues under its text.
func wrapped(page string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(page, "\n"), "\n") {
		if utf8.RuneCountInString(line) <= widestLine || strings.HasPrefix(line, "|") {
			out.WriteString(line + "\n")
			continue
		}
		indent := ""
		if strings.HasPrefix(line, "- ") {
			indent = "  "
		}
		width := 0
		for _, word := range unbroken.FindAllString(line, -1) {
			w := utf8.RuneCountInString(word)
			switch {
			case width == 0:
			case width+1+w > widestLine:
				out.WriteString("\n" + indent)
				width = len(indent)
			default:
				out.WriteString(" ")
				width++
			}
			out.WriteString(word)
			width += w
		}
		out.WriteString("\n")
	}
	return out.String()
}
