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

// The building: every package stands on one floor and imports only floors below
// its own. Packages on one floor do not know each other, unless sideways says
// why. On a pure floor nothing reaches the world.
//
// The inspector reads the files itself instead of asking the go command, so that
// the test cache sees every file the result rests on.

// module is the module's path, which is also the prefix of every import of ours.
const module = "ratchet"

// A floor holds packages, given below the module's root. A trailing /... takes
// every package below a directory.
type floor struct {
	name     string
	pure     bool
	packages []string
}

// floors, lowest first.
var floors = []floor{
	{name: "foreign text", pure: true, packages: []string{"pipeline/foreign"}},
	{name: "words and files", pure: true, packages: []string{"pipeline", "pipeline/complaint", "schemas"}},
	{name: "facts", pure: true, packages: []string{"pipeline/keepa", "pipeline/token", "pipeline/watermark", "pipeline/shed", "pipeline/stock", "pipeline/stall", "pipeline/roles", "pipeline/action"}},
	{name: "economics", pure: true, packages: []string{"pipeline/deal", "pipeline/trial", "pipeline/target"}},
	{name: "rules", pure: true, packages: []string{"pipeline/verdict", "pipeline/standing", "pipeline/backtest"}},
	{name: "rulings", pure: true, packages: []string{"pipeline/ruling", "pipeline/starter"}},
	{name: "what is measured", packages: []string{"pipeline/metric"}},
	{name: "what an orchestrator asks", packages: []string{"pipeline/health"}},
	{name: "process and loop", packages: []string{"pipeline/daemon", "pipeline/stage"}},
	{name: "who gets in, and what comes out", packages: []string{"pipeline/embedded/access", "pipeline/embedded/cage"}},
	{name: "doors", packages: []string{"pipeline/bus", "pipeline/warehouse", "pipeline/embedded/..."}},
	{name: "messages", packages: []string{"pipeline/post"}},
	{name: "money and memory", packages: []string{"pipeline/purse", "pipeline/answers", "pipeline/memory"}},
	{name: "the way to Keepa", packages: []string{"pipeline/gateway"}},
	{name: "what spenders share", packages: []string{"pipeline/work"}},
	{name: "what daemons share", packages: []string{"pipeline/keeper"}},
	{name: "daemons", packages: []string{
		"pipeline/tokend", "pipeline/watermarker", "pipeline/peeker", "pipeline/committer", "pipeline/recorder", "pipeline/keepasim",
	}},
	{name: "reprocessing", packages: []string{"pipeline/replay"}},
	{name: "counts", packages: []string{"pipeline/tally"}},
	{name: "one box and the operator", packages: []string{"pipeline/onebox", "pipeline/console"}},
	{name: "scenarios", packages: []string{"pipeline/soak"}},
	{name: "processes", packages: []string{"cmd/...", "test/...", "examples/...", "docs"}},
}

// sideways are the imports within a floor that are allowed, each with its reason.
var sideways = map[string]string{
	"pipeline/embedded/clickhouse -> pipeline/embedded/clickhouse/engine":       "the supervised child is the engine behind its HTTP interface",
	"pipeline/embedded/clickhouse -> pipeline/embedded/clickhouse/httpd":        "the supervised child is the engine behind its HTTP interface",
	"pipeline/embedded/clickhouse/chtest -> pipeline/embedded/clickhouse":       "the test server is the supervised child itself",
	"pipeline/embedded/clickhouse/httpd -> pipeline/embedded/clickhouse/engine": "requests are answered by the engine",
	"pipeline/embedded/clickhouse/httpd -> pipeline/embedded/sqlcheck":          "requests are checked by the engine's parser",
	"pipeline/embedded/sqlcheck -> pipeline/embedded/clickhouse/engine":         "statements are checked by the engine's parser",
	"test/desk -> test/streams":              "the desk's NATS is every test's",
	"test/captured/decoded -> test/captured": "decoded answers are captured ones",
}

// aside are packages for tests: only _test.go files may import them.
var aside = []string{"pipeline/embedded/clickhouse/chtest", "pipeline/embedded/access/accesstest", "test/..."}

// harmless are the imports that a pure floor may use: they compute.
var harmless = []string{
	"bytes", "cmp", "crypto/sha256", "embed", "encoding", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json",
	"errors", "fmt", "hash/fnv", "html", "io/fs", "iter", "maps", "math", "math/big", "math/bits", "net/url", "path", "reflect", "regexp", "slices", "sort",
	"strconv", "strings", "time", "unicode", "unicode/utf8",
}

// libraries are the further imports of one pure package, and why it needs them.
var libraries = map[string]map[string]string{
	"pipeline/verdict": {
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

// web are the packages that may import net/http, and what for. Only the gateway
// talks to Keepa, so that no paid call escapes its claim.
var web = map[string]string{
	"pipeline/gateway":                    "calls Keepa",
	"pipeline/health":                     "answers an orchestrator's probes and Prometheus",
	"pipeline/keepasim":                   "serves the simulated Keepa",
	"pipeline/onebox":                     "listens for the simulated Keepa",
	"pipeline/embedded/clickhouse":        "waits for the engine's endpoint",
	"pipeline/embedded/clickhouse/httpd":  "serves the engine's endpoint",
	"pipeline/embedded/clickhouse/chtest": "asks a hanging engine what it does",
	"pipeline/embedded/access":            "refuses what pages send",
	"pipeline/embedded/access/accesstest": "asks as another user",
	"pipeline/embedded/natsd":             "serves NATS's monitoring",
	"pipeline/console":                    "posts new deals to a webhook",
	"pipeline/soak":                       "serves the simulated Keepa to processes",
	"cmd/keepasim":                        "listens for the simulated Keepa",
	"test/desk":                           "serves the simulated Keepa to tests",
	"test/odd":                            "serves a Keepa of any shape to tests",
}

// keepaHost is Keepa's address, and knowers are the packages that may name it.
const keepaHost = "api.keepa" + ".com"

var knowers = map[string]string{
	"pipeline/gateway": "calls it",
	"cmd/ratchet":      "the doctor asks it, through the gateway",
}

// clockwork is what a pure package may not call: it takes the instant as an
// argument.
var clockwork = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

func TestEveryPackageStandsOnAFloorAndImportsOnlyLowerOnes(t *testing.T) {
	for _, p := range building(t) {
		here := floorOf(p.path)
		if here < 0 {
			t.Errorf("%s stands on no floor: give it one in floors, in pipeline/floors_test.go", p.path)
			continue
		}
		for _, to := range p.imports() {
			there := floorOf(to)
			switch _, excused := sideways[p.path+" -> "+to]; {
			case there < 0: // not ours
			case there > here:
				t.Errorf("%s (%s) imports %s (%s): imports go down only", p.path, floors[here].name, to, floors[there].name)
			case there == here && !excused:
				t.Errorf("%s imports %s on its own floor (%s): move what they share down, or give the reason in sideways", p.path, to, floors[here].name)
			}
		}
	}
}

func TestPureFloorsImportNothingThatReachesTheWorld(t *testing.T) {
	for _, p := range building(t) {
		f := floorOf(p.path)
		if f < 0 || !floors[f].pure {
			continue
		}
		for _, to := range p.imports() {
			_, wanted := libraries[p.path][to]
			if floorOf(to) < 0 && !wanted && !slices.Contains(harmless, to) {
				t.Errorf("%s imports %s: a package of floor %q computes and does nothing else", p.path, to, floors[f].name)
			}
		}
	}
}

func TestPureFloorsTakeTheTimeAsAnArgument(t *testing.T) {
	for _, p := range building(t) {
		if f := floorOf(p.path); f < 0 || !floors[f].pure {
			continue
		}
		p.eachCall(func(pos, pkg, name string) {
			if pkg == "time" && slices.Contains(clockwork, name) || strings.HasPrefix(pkg, "math/rand") {
				t.Errorf("%s: %s.%s: take the instant or the draw as an argument", pos, path.Base(pkg), name)
			}
		})
	}
}

func TestOnlyTheGatewayKnowsKeepasAddressAndHTTPHasFewUsers(t *testing.T) {
	for _, p := range building(t) {
		if slices.Contains(p.imports(), "net/http") && web[p.path] == "" {
			t.Errorf("%s imports net/http: calls to Keepa belong in pipeline/gateway; another use needs its reason in web", p.path)
		}
		if knowers[p.path] != "" {
			continue
		}
		for _, s := range p.strings() {
			if strings.Contains(s, keepaHost) {
				t.Errorf("%s names Keepa's address; whoever needs it goes through pipeline/gateway", p.path)
			}
		}
	}
}

// penniless are packages that must not be able to spend a token, however indirectly.
var penniless = []string{"pipeline/replay", "pipeline/console", "pipeline/warehouse", "pipeline/recorder"}

func TestWhatDecidesAgainCannotSpend(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range building(t) {
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
		for _, spender := range []string{"pipeline/gateway", "pipeline/purse"} {
			if reached[spender] {
				t.Errorf("%s reaches %s: it must not be able to spend a token", p, spender)
			}
		}
	}
}

func TestOnlyTestsImportWhatStandsAside(t *testing.T) {
	for _, p := range building(t) {
		for _, to := range p.imports() {
			if matches(aside, to) && !matches(aside, p.path) {
				t.Errorf("%s imports %s, which is for _test.go files", p.path, to)
			}
		}
	}
}

func TestEveryExcuseIsStillNeeded(t *testing.T) {
	used := map[string]bool{}
	seen := map[string]bool{}
	for _, p := range building(t) {
		seen[p.path] = true
		for _, to := range p.imports() {
			used[p.path+" -> "+to] = true
		}
	}
	for excuse := range sideways {
		from, _, _ := strings.Cut(excuse, " -> ")
		if seen[from] && !used[excuse] {
			t.Errorf("sideways excuses %q, which nobody imports any more", excuse)
		}
	}
}

// A room is one package as the inspector sees it.
type room struct {
	path  string // below the module's root
	fset  *token.FileSet
	files map[string]*ast.File // by file name, tests apart
}

// building parses every Go file of the module that is not a test.
func building(t *testing.T) []room {
	t.Helper()
	byDir := map[string]*room{}
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
			s = &room{path: dir, fset: token.NewFileSet(), files: map[string]*ast.File{}}
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
		t.Fatalf("found %d packages: the inspector looks in the wrong place", len(order))
	}
	out := make([]room, 0, len(order))
	for _, dir := range order {
		out = append(out, *byDir[dir])
	}
	return out
}

// imports are the package's imports, ours below the module's root.
func (s room) imports() []string {
	var out []string
	for _, f := range s.files {
		for _, i := range f.Imports {
			out = append(out, local(i))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// eachCall reports every PACKAGE.NAME that the package mentions, with PACKAGE as
// its import path.
func (s room) eachCall(report func(pos, pkg, name string)) {
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

// strings are the package's string literals.
func (s room) strings() []string {
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

// floorOf is the number of the floor on which a package stands, or -1.
func floorOf(pkg string) int {
	for n, f := range floors {
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
