package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is one planted error.
type Mutant struct {
	Where  string // list file and line, for messages
	What   string // what goes wrong, in words
	File   string // below the module's root
	Func   string // the function that holds the text, as "Name" or "Type.Name"; empty: the whole file
	Old    string
	New    string
	Second string // the second event that the error needs to show; empty: it shows at once
	Pkg    string // the package whose test notices, below the module's root
	Test   string // the test that notices
}

// Own reports whether a test of the package that holds the error notices it.
func (m Mutant) Own() bool { return m.Pkg == filepath.ToSlash(filepath.Dir(m.File)) }

// Read is every list of a directory, in the order of their names.
func Read(dir string) ([]Mutant, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no list in %s", dir)
	}
	if err != nil {
		return nil, err
	}
	var out []Mutant
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		some, err := parse(filepath.Base(name), text)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// parse reads a list:
//
//	package pipeline/worker
//
//	== what goes wrong
//	in buy.go Purchase.Keep
//	-  the old text
//	+  the new text
//	second  a redelivery
//	by TestName
//	by pipeline/peeker TestName
//
// The old text must be in that function once. "second" is given where the error needs a second event to show.
func parse(name string, text []byte) ([]Mutant, error) {
	var out []Mutant
	var dir string
	var m *Mutant
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		word, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		rest = strings.TrimSpace(rest)
		switch word {
		case "", "#":
			continue
		case "package":
			dir = rest
			continue
		case "==":
			out = append(out, Mutant{Where: fmt.Sprintf("%s:%d", name, n), What: rest, Pkg: dir})
			m = &out[len(out)-1]
			continue
		}
		if m == nil || !m.set(word, rest, dir) {
			return nil, fmt.Errorf("%s:%d: want package, ==, in, -, +, second or by, got %q", name, n, lines.Text())
		}
	}
	return out, lines.Err()
}

// set takes in one line of an entry.
func (m *Mutant) set(word, rest, dir string) bool {
	switch word {
	case "in":
		file, in, _ := strings.Cut(rest, " ")
		m.File, m.Func = dir+"/"+file, in
	case "-":
		m.Old = rest
	case "+":
		m.New = rest
	case "second":
		m.Second = rest
	case "by":
		m.Test = rest
		if pkg, test, other := strings.Cut(rest, " "); other {
			m.Pkg, m.Test = pkg, test
		}
	default:
		return false
	}
	return true
}

// Apply is the file with the error in it.
func (m Mutant) Apply(root string) ([]byte, error) {
	if m.File == "" || m.Old == "" || m.Old == m.New {
		return nil, fmt.Errorf("%s: an entry needs in, - and another +", m.Where)
	}
	body, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		return nil, fmt.Errorf("%s: the code moved, update the entry: %w", m.Where, err)
	}
	from, to, err := m.span(body)
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(body[from:to]), m.Old); n != 1 {
		return nil, fmt.Errorf("%s: the code moved, update the entry: %s has %q %d times, want once", m.Where, strings.TrimSpace(m.File+" "+m.Func), m.Old, n)
	}
	in := bytes.Replace(body[from:to], []byte(m.Old), []byte(m.New), 1)
	return slices.Concat(body[:from], in, body[to:]), nil
}

// span returns the position of the function in the file.
func (m Mutant) span(body []byte) (from, to int, err error) {
	if m.Func == "" {
		return 0, len(body), nil
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, m.File, body, parser.SkipObjectResolution)
	if err != nil {
		return 0, 0, err
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && nameOf(fn) == m.Func {
			return set.Position(fn.Pos()).Offset, set.Position(fn.End()).Offset, nil
		}
	}
	return 0, 0, fmt.Errorf("%s: the code moved, update the entry: %s has no function %s", m.Where, m.File, m.Func)
}

// nameOf is a function's name with its receiver's type.
func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	switch g := t.(type) {
	case *ast.IndexExpr:
		t = g.X
	case *ast.IndexListExpr:
		t = g.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}

// Check reports every entry that does not apply or whose test does not exist.
func Check(root string, all []Mutant) error {
	var errs []error
	tests := map[string]map[string]bool{}
	for _, m := range all {
		if _, err := m.Apply(root); err != nil {
			errs = append(errs, err)
		}
		if tests[m.Pkg] == nil {
			tests[m.Pkg] = testsOf(filepath.Join(root, m.Pkg))
		}
		if !tests[m.Pkg][m.Test] {
			errs = append(errs, fmt.Errorf("%s: %s has no test %q", m.Where, m.Pkg, m.Test))
		}
	}
	return errors.Join(errs...)
}

// testsOf returns the tests in a directory.
func testsOf(dir string) map[string]bool {
	out := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				out[fn.Name.Name] = true
			}
		}
	}
	return out
}
