package pipeline_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tree is the architecture: every package belongs to a storey by its path, and
// imports only its own storey and those below. A pure storey has no clock and no I/O.
//
// The test reads the files itself instead of running the go command, so
// that the test cache sees every file that the result depends on.

// module is the module's path, which is also the prefix of every import of ours.
const module = "ratchet"

// A storey holds packages, given below the module's root. A trailing /... takes
// every package below a directory.
type storey struct {
	name     string
	pure     bool
	apart    bool // its packages do not import each other
	packages []string
}

// storeys, lowest first.
var storeys = []storey{
	{name: "words", pure: true, packages: []string{"pipeline", "pipeline/text/...", "schemas"}},
	{name: "domain", pure: true, packages: []string{"pipeline/domain/..."}},
	{name: "platform", packages: []string{"pipeline/platform/..."}},
	{name: "store", packages: []string{"pipeline/store/..."}},
	{name: "spend", packages: []string{"pipeline/spend/..."}},
	{name: "worker", packages: []string{"pipeline/worker"}},
	{name: "refresher", packages: []string{"pipeline/refresher"}},
	{name: "daemons", apart: true, packages: []string{
		"pipeline/tokend", "pipeline/watermarker", "pipeline/peeker", "pipeline/committer", "pipeline/recorder", "pipeline/sim/keepasim", "pipeline/sim/cluster",
	}},
	{name: "operations", packages: []string{"pipeline/ops/..."}},
	{name: "scenarios", packages: []string{"pipeline/sim/scenario"}},
	{name: "processes", packages: []string{"cmd/...", "test/...", "examples/...", "docs"}},
}

// aside are packages for tests: only _test.go files may import them.
var aside = []string{
	"pipeline/platform/machinetest", "pipeline/platform/embedded/clickhouse/chtest", "pipeline/platform/embedded/access/accesstest", "test/...",
}

// harmless are the imports that a pure storey may use: they compute.
var harmless = []string{
	"bytes", "cmp", "crypto/sha256", "embed", "encoding", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json",
	"errors", "fmt", "hash/fnv", "html", "io/fs", "iter", "maps", "math", "math/big", "math/bits", "net/url", "path", "reflect", "regexp", "slices", "sort",
	"strconv", "strings", "time", "unicode", "unicode/utf8",
}

// libraries are the further imports of one pure package, and their reasons.
var libraries = map[string]map[string]string{
	"pipeline/domain/verdict": {
		"github.com/expr-lang/expr":         "rules are expressions",
		"github.com/expr-lang/expr/ast":     "rules are expressions",
		"github.com/expr-lang/expr/builtin": "rules are expressions",
		"github.com/expr-lang/expr/file":    "rules are expressions",
		"github.com/expr-lang/expr/parser":  "rules are expressions",
		"github.com/expr-lang/expr/vm":      "rules are expressions",
		"github.com/goccy/go-yaml":          "rules are written in YAML",
		"github.com/goccy/go-yaml/ast":      "the line of each field is in the tree",
		"github.com/goccy/go-yaml/parser":   "the line of each field is in the tree",
		"github.com/goccy/go-yaml/token":    "the line of each field is in the tree",
	},
}

// web are the packages that may import net/http, and their reasons. Only the
// gateway talks to Keepa, so that no paid call escapes its claim.
var web = map[string]string{
	"pipeline/spend/gateway":                       "calls Keepa",
	"pipeline/platform/trace/otlp":                 "posts spans to a collector",
	"pipeline/platform/health":                     "answers an orchestrator's probes and Prometheus",
	"pipeline/sim/keepasim":                        "serves the simulated Keepa",
	"pipeline/sim/cluster":                         "asks the servers of a cluster how they are",
	"pipeline/ops/standalone":                      "listens for the simulated Keepa",
	"pipeline/platform/embedded/clickhouse":        "waits for the engine's endpoint",
	"pipeline/platform/embedded/clickhouse/httpd":  "serves the engine's endpoint",
	"pipeline/platform/embedded/clickhouse/chtest": "asks a hanging engine what it does",
	"pipeline/platform/embedded/access":            "refuses other users and pages",
	"pipeline/platform/embedded/access/origin":     "tells what a page sent",
	"pipeline/platform/embedded/access/accesstest": "asks as another user",
	"pipeline/platform/embedded/natsd":             "serves NATS's monitoring",
	"pipeline/ops/page":                            "serves the live page",
	"pipeline/ops/notifier":                        "posts messages to Slack, Telegram and the like",
	"pipeline/platform/warehouse":                  "copies tables out and in, byte by byte",
	"pipeline/sim/scenario":                        "serves the simulated Keepa to processes",
	"cmd/keepasim":                                 "listens for the simulated Keepa",
	"test/desk":                                    "serves the simulated Keepa to tests",
	"test/metrics/traces":                          "takes spans as a collector does",
	"test/odd":                                     "serves a Keepa of any shape to tests",
}

// keepaHost is Keepa's address, and knowers are the packages that may name it.
const keepaHost = "api.keepa" + ".com"

var knowers = map[string]string{
	"pipeline/spend/gateway": "calls it",
	"cmd/ratchet":            "the doctor asks it, through the gateway",
}

// clockwork is what a pure package may not call: it takes the instant as an argument.
var clockwork = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestEveryPackageBelongsToAStoreyAndImportsNoHigherOne(t *testing.T) {
	for _, p := range parsed(t) {
		here := storeyOf(p.path)
		if here < 0 {
			t.Errorf("%s belongs to no storey: move it, or name it in storeys, in pipeline/storeys_test.go", p.path)
			continue
		}
		for _, to := range p.imports() {
			switch there := storeyOf(to); {
			case there < 0: // not ours
			case there > here:
				t.Errorf("%s (%s) imports %s (%s): imports go down only", p.path, storeys[here].name, to, storeys[there].name)
			case there == here && storeys[here].apart:
				t.Errorf("%s imports %s: packages of %q do not know each other; move what they share down", p.path, to, storeys[here].name)
			}
		}
	}
}

func TestPureStoreysImportNoIO(t *testing.T) {
	for _, p := range parsed(t) {
		f := storeyOf(p.path)
		if f < 0 || !storeys[f].pure {
			continue
		}
		for _, to := range p.imports() {
			_, wanted := libraries[p.path][to]
			if storeyOf(to) < 0 && !wanted && !slices.Contains(harmless, to) {
				t.Errorf("%s imports %s: a package of %q computes and does nothing else", p.path, to, storeys[f].name)
			}
		}
	}
}

func TestPureStoreysTakeTheTimeAsAnArgument(t *testing.T) {
	for _, p := range parsed(t) {
		if f := storeyOf(p.path); f < 0 || !storeys[f].pure {
			continue
		}
		p.eachCall(func(pos, pkg, name string) {
			if pkg == "time" && slices.Contains(clockwork, name) || strings.HasPrefix(pkg, "math/rand") {
				t.Errorf("%s: %s.%s: take the instant or the draw as an argument", pos, path.Base(pkg), name)
			}
		})
	}
}

func TestNoDirectoryHoldsTooManyPackages(t *testing.T) {
	children := map[string]map[string]bool{}
	for _, p := range parsed(t) {
		for dir := p.path; dir != "."; dir = path.Dir(dir) {
			up := path.Dir(dir)
			if children[up] == nil {
				children[up] = map[string]bool{}
			}
			children[up][dir] = true
		}
	}
	for dir, below := range children {
		if len(below) > mostPackages {
			t.Errorf("%s holds %d packages, more than %d: group them", dir, len(below), mostPackages)
		}
	}
}

// mostPackages is the most directories with packages in one directory.
const mostPackages = 15

func TestOnlyTheGatewayKnowsKeepasAddressAndFewPackagesUseHTTP(t *testing.T) {
	for _, p := range parsed(t) {
		if slices.Contains(p.imports(), "net/http") && web[p.path] == "" {
			t.Errorf("%s imports net/http: calls to Keepa belong in pipeline/spend/gateway; another use needs its reason in web", p.path)
		}
		if knowers[p.path] != "" {
			continue
		}
		for _, s := range p.strings() {
			if strings.Contains(s, keepaHost) {
				t.Errorf("%s names Keepa's address; use pipeline/spend/gateway", p.path)
			}
		}
	}
}

// penniless are packages that must not be able to spend a token, however indirectly.
var penniless = []string{"pipeline/ops/replay", "pipeline/ops/cli", "pipeline/ops/notifier", "pipeline/platform/warehouse", "pipeline/recorder"}

func TestWhatDecidesAgainCannotSpend(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range parsed(t) {
		imports[p.path] = p.imports()
	}
	for _, p := range penniless {
		if imports[p] == nil {
			t.Errorf("%s is not there any more", p)
		}
		reached := map[string]bool{}
		for next := []string{p}; len(next) > 0; {
			for _, to := range imports[next[0]] {
				if !reached[to] {
					reached[to], next = true, append(next, to)
				}
			}
			next = next[1:]
		}
		for _, spender := range []string{"pipeline/spend/gateway", "pipeline/spend/claims"} {
			if reached[spender] {
				t.Errorf("%s reaches %s: it must not be able to spend a token", p, spender)
			}
		}
	}
}

func TestOnlyTestsImportTestPackages(t *testing.T) {
	for _, p := range parsed(t) {
		for _, to := range p.imports() {
			if matches(aside, to) && !matches(aside, p.path) {
				t.Errorf("%s imports %s, which is for _test.go files", p.path, to)
			}
		}
	}
}

// A pkg is one package with its files.
type pkg struct {
	path  string // below the module's root
	fset  *token.FileSet
	files map[string]*ast.File // by file name, tests apart
}

// parsed returns every package, from every Go file of the module that is not a test.
func parsed(t *testing.T) []pkg {
	t.Helper()
	byDir := map[string]*pkg{}
	var order []string
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" || p == "tools"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		dir := path.Dir(p)
		s := byDir[dir]
		if s == nil {
			s = &pkg{path: dir, fset: token.NewFileSet(), files: map[string]*ast.File{}}
			byDir[dir], order = s, append(order, dir)
		}
		if strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(s.fset, filepath.Join("..", p), nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", p, err)
		}
		s.files[p] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(order) < 5 {
		t.Fatalf("found %d packages: this test looks in the wrong place", len(order))
	}
	out := make([]pkg, 0, len(order))
	for _, dir := range order {
		out = append(out, *byDir[dir])
	}
	return out
}

// imports returns the package's imports, ours relative to the module's root.
func (s pkg) imports() []string {
	var out []string
	for _, f := range s.files {
		for _, i := range f.Imports {
			out = append(out, local(i))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// eachCall reports every PACKAGE.NAME that the package mentions, with PACKAGE as its import path.
func (s pkg) eachCall(report func(pos, pkg, name string)) {
	for _, f := range s.files {
		names := map[string]string{}
		for _, i := range f.Imports {
			p := local(i)
			name := path.Base(p)
			if name == "v2" {
				name = path.Base(path.Dir(p))
			}
			if i.Name != nil {
				name = i.Name.Name
			}
			names[name] = p
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok && names[id.Name] != "" {
					report(s.fset.Position(sel.Pos()).String(), names[id.Name], sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// strings returns the package's string literals.
func (s pkg) strings() []string {
	var out []string
	for _, f := range s.files {
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if v, err := strconv.Unquote(lit.Value); err == nil {
					out = append(out, v)
				}
			}
			return true
		})
	}
	return out
}

func local(i *ast.ImportSpec) string {
	p, err := strconv.Unquote(i.Path.Value)
	if err != nil {
		return i.Path.Value
	}
	return strings.TrimPrefix(p, module+"/")
}

// storeyOf returns the number of the storey that a package belongs to, or -1.
func storeyOf(pkg string) int {
	for n, f := range storeys {
		if matches(f.packages, pkg) {
			return n
		}
	}
	return -1
}

func matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		dir, below := strings.CutSuffix(p, "/...")
		return p == pkg || below && (pkg == dir || strings.HasPrefix(pkg, dir+"/"))
	})
}
