// Package docs_test writes the manual of the configuration from the code, and
// fails when the two differ.
package docs_test

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/config.md")

// daemons are the packages whose Config is documented, in the order of the
// picture. Each has a Config struct, read from the environment at its start.
var daemons = []string{"tokend", "watermarker", "peeker", "committer", "recorder", "keepasim", "ops/notifier", "ops/page"}

// process are the variables that every process reads before its Config.
var process = []variable{
	{name: "CHDB_LIB_PATH", doc: "A libchdb.so to use instead of the one that npm fetches. It is loaded unchecked."},
	{name: "CLICKHOUSE_PASSWORD_FILE", doc: "Names a file that holds CLICKHOUSE_PASSWORD."},
	{name: "CLICKHOUSE_URL_FILE", doc: "Names a file that holds CLICKHOUSE_URL, where the address holds a password."},
	{name: "CREDENTIALS_DIRECTORY", doc: "Set by systemd. What has a _FILE may also be a credential with its name in lower case: LoadCredential=keepa_api_key:FILE."},
	{name: "KEEPA_API_KEY_FILE", doc: "Names a file that holds KEEPA_API_KEY. `ratchet up` and `doctor` read both."},
	{name: "NOTIFY_TARGETS_FILE", doc: "Names a file that holds NOTIFY_TARGETS. `ratchet up` notifies where one of them is set."},
	{name: "PAGE_PASSWORD_FILE", doc: "Names a file that holds PAGE_PASSWORD."},
	{name: "NATS_PASSWORD_FILE", doc: "Names a file that holds NATS_PASSWORD."},
	{name: "NATS_URL_FILE", doc: "Names a file that holds NATS_URL, where the address holds a password."},
	{name: "METRICS_ADDR", doc: "Address of /livez, /readyz and /metrics, which ask for no credentials; unset: none. `ratchet up` takes --metrics-addr too."},
	{name: "OTEL_EXPORTER_OTLP_ENDPOINT", doc: "The collector of OpenTelemetry, http://host:4318; turns traces on. Other standard variables: see operate.md."},
	{name: "OTEL_EXPORTER_OTLP_HEADERS", doc: "NAME=VALUE,NAME=VALUE for the collector, such as an API key."},
	{name: "OTEL_EXPORTER_OTLP_HEADERS_FILE", doc: "Names a file that holds OTEL_EXPORTER_OTLP_HEADERS."},
	{name: "OTEL_EXPORTER_OTLP_PROTOCOL", doc: "http/protobuf, or unset; others are refused. Also OTEL_EXPORTER_OTLP_TRACES_PROTOCOL."},
	{name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", doc: "As OTEL_EXPORTER_OTLP_ENDPOINT, with the whole path."},
	{name: "OTEL_SDK_DISABLED", doc: "true: no traces."},
	{name: "OTEL_TRACES_EXPORTER", doc: "otlp or none; unset: otlp where an endpoint is set, else none."},
	{name: "XDG_CONFIG_HOME", doc: "Where `ratchet up --nats-context` writes a context of the nats command; without it, below the home directory."},
	{name: "LOG_LEVEL", preset: "info", doc: "The lowest level that is logged: debug, info, warn or error. `ratchet` uses warn by default."},
	{name: "NO_COLOR", doc: "Set to anything: no colours on a terminal."},
	{name: "RATCHET_CLOCK_EPOCH", doc: "Pipeline time at RATCHET_CLOCK_START, RFC 3339. Unset: pipeline time is the machine's."},
	{name: "RATCHET_CLOCK_START", doc: "Machine time at which the shared clock began, RFC 3339."},
	{name: "RATCHET_CLOCK_SPEED", doc: "Pipeline seconds per second of the machine, at least 1. Only for a simulated Keepa."},
	{name: "XDG_DATA_HOME", doc: "Where `ratchet` keeps its data, in a directory of its own; without it, below the home directory."},
	{name: "CI", doc: "For tests: true makes a missing engine or missing captured answers a failure instead of a skip."},
	{name: "CLICKHOUSE_TEST_URL", doc: "For tests: run the ClickHouse suites against this server as well as the embedded engine."},
	{name: "XDG_CACHE_HOME", doc: "Where the fetched ClickHouse engine is kept; without it, below the home directory."},
}

// A variable is one thing that can be configured.
type variable struct {
	name   string
	preset string // the default as written; empty: none
	must   bool   // there is no default and it must be set
	doc    string
	by     []string // the processes that read it
}

func TestTheManualOfTheConfigurationIsCurrent(t *testing.T) {
	got := render(t, collect(t))
	if *update {
		if err := os.WriteFile("config.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("config.md")
	if err != nil {
		t.Fatalf("%v; run `make golden`", err)
	}
	if got != string(want) {
		t.Errorf("docs/config.md is not what the code says; run `make golden` and read the difference\n%s", difference(string(want), got))
	}
}

func TestEveryVariableHasASentenceAndMeansOneThing(t *testing.T) {
	first := map[string]variable{}
	for _, v := range collect(t) {
		if v.doc == "" {
			t.Errorf("%s (%s) has no doc comment: the struct is the manual", v.name, strings.Join(v.by, ", "))
		}
		if other, ok := first[v.name]; ok {
			t.Errorf("%s means two things:\n%s: default %q, %s\n%s: default %q, %s", v.name,
				strings.Join(other.by, ", "), other.preset, other.doc, strings.Join(v.by, ", "), v.preset, v.doc)
		}
		first[v.name] = v
	}
}

func TestEveryVariableReadByNameIsInTheManual(t *testing.T) {
	known := map[string]bool{}
	for _, v := range collect(t) {
		known[v.name] = true
	}
	for _, dir := range directories(t) {
		for _, f := range parse(t, dir) {
			ast.Inspect(f, func(n ast.Node) bool {
				if name, ok := readByName(n); ok && !known[name] {
					t.Errorf("%s reads %s, which the manual does not name: add it to process", dir, name)
				}
				return true
			})
		}
	}
}

// readByName is the variable of a call like os.Getenv("X").
func readByName(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return "", false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Getenv" && sel.Sel.Name != "LookupEnv" {
		return "", false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return "", false
	}
	name, err := strconv.Unquote(lit.Value)
	return name, err == nil && name != "HOME"
}

// collect gathers the variables of every process, sorted by name. Those that two
// daemons read with the same default and sentence are one.
func collect(t *testing.T) []variable {
	t.Helper()
	var all []variable
	for _, d := range daemons {
		s := scope{t: t, dir: "pipeline/" + d, by: path.Base(d)}
		all = append(all, s.section("Config", "")...)
	}
	all = append(all, scope{t: t, dir: "pipeline/platform/bus", by: "ratchet"}.section("Configured", "")...)
	for _, v := range commandVariables(t) {
		v.by = []string{"ratchet"}
		if i := slices.IndexFunc(all, func(o variable) bool { return o.name == v.name }); i >= 0 {
			v.doc, v.preset, v.must = all[i].doc, all[i].preset, all[i].must
		}
		all = append(all, v)
	}
	for _, v := range process {
		v.by = []string{"every process"}
		all = append(all, v)
	}
	slices.SortStableFunc(all, func(a, b variable) int { return cmp.Compare(a.name, b.name) })
	return merge(all)
}

func merge(all []variable) []variable {
	var out []variable
	for _, v := range all {
		i := slices.IndexFunc(out, func(o variable) bool {
			return o.name == v.name && o.preset == v.preset && o.doc == v.doc && o.must == v.must
		})
		switch {
		case i < 0:
			out = append(out, v)
		case !slices.Contains(out[i].by, v.by[0]):
			out[i].by = append(out[i].by, v.by...)
		}
	}
	return out
}

// A scope is one package of the module while its structs are read.
type scope struct {
	t   *testing.T
	dir string // below the module's root
	by  string
}

// section is what a struct type and the structs within it can be told.
func (s scope) section(name, prefix string) []variable {
	s.t.Helper()
	st, file := s.find(name)
	if st == nil {
		return nil
	}
	var out []variable
	for _, f := range st.Fields.List {
		tag := structTag(f)
		env, tagged := tag.Lookup("env")
		if f.Names != nil && !f.Names[0].IsExported() || env == "-" {
			continue
		}
		key, opts := options(env)
		if key != "" {
			out = append(out, variable{
				name: prefix + key, preset: opts.preset, must: opts.required,
				doc: sentence(f), by: []string{s.by},
			})
			continue
		}
		if inner, typ, ok := s.structOf(f.Type, file); ok && (tagged || f.Names == nil || typ != "") {
			out = append(out, inner.section(typ, prefix+opts.prefix)...)
		}
	}
	return out
}

// find is the struct type of that name, and the file that declares it.
func (s scope) find(name string) (*ast.StructType, *ast.File) {
	for _, f := range parse(s.t, s.dir) {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.Name == name {
					st, _ := ts.Type.(*ast.StructType)
					return st, f
				}
			}
		}
	}
	return nil, nil
}

// structOf resolves the type of a field to a package of ours and a name in it.
func (s scope) structOf(e ast.Expr, file *ast.File) (scope, string, bool) {
	switch x := e.(type) {
	case *ast.StarExpr:
		return s.structOf(x.X, file)
	case *ast.Ident:
		return s, x.Name, true
	case *ast.SelectorExpr:
		pkg, ok := x.X.(*ast.Ident)
		if !ok {
			return s, "", false
		}
		for _, i := range file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			ours, found := strings.CutPrefix(p, "ratchet/")
			if err != nil || !found || (i.Name == nil && path.Base(p) != pkg.Name) || (i.Name != nil && i.Name.Name != pkg.Name) {
				continue
			}
			return scope{t: s.t, dir: ours, by: s.by}, x.Sel.Name, true
		}
	}
	return s, "", false
}

type envOptions struct {
	prefix, preset string
	required       bool
}

// options takes a tag of go-envconfig apart. A default is the rest of the tag,
// commas included.
func options(tag string) (string, envOptions) {
	key, rest, _ := strings.Cut(tag, ",")
	var o envOptions
	for rest != "" {
		rest = strings.TrimSpace(rest)
		if d, ok := strings.CutPrefix(rest, "default="); ok {
			o.preset = d
			break
		}
		var one string
		one, rest, _ = strings.Cut(rest, ",")
		if p, ok := strings.CutPrefix(strings.TrimSpace(one), "prefix="); ok {
			o.prefix = p
		}
		o.required = o.required || strings.TrimSpace(one) == "required"
	}
	return strings.TrimSpace(key), o
}

// commandVariables are the variables that stand for a flag of the ratchet
// command: fields with both an env and a help tag.
func commandVariables(t *testing.T) []variable {
	t.Helper()
	var out []variable
	for _, f := range parse(t, "cmd/ratchet") {
		ast.Inspect(f, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok {
				return true
			}
			tag := structTag(field)
			names, isEnv := tag.Lookup("env")
			if help, isFlag := tag.Lookup("help"); isEnv && isFlag {
				for name := range strings.SplitSeq(names, ",") {
					if !slices.ContainsFunc(process, func(v variable) bool { return v.name == name }) {
						out = append(out, variable{name: name, preset: tag.Get("default"), doc: help})
					}
				}
			}
			return true
		})
	}
	return out
}

func structTag(f *ast.Field) reflect.StructTag {
	if f.Tag == nil {
		return ""
	}
	s, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return ""
	}
	return reflect.StructTag(s)
}

// sentence is a field's comment on one line, its own name taken off the front.
func sentence(f *ast.Field) string {
	doc := f.Doc
	if doc == nil {
		doc = f.Comment
	}
	text := strings.Join(strings.Fields(doc.Text()), " ")
	if len(f.Names) > 0 {
		if rest, ok := strings.CutPrefix(text, f.Names[0].Name+" "); ok {
			rest = strings.TrimPrefix(strings.TrimPrefix(rest, "is "), "are ")
			if rest != "" {
				text = strings.ToUpper(rest[:1]) + rest[1:]
			}
		}
	}
	return text
}

func render(t *testing.T, all []variable) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Configuration\n\n" +
		"<!-- Written by docs/config_test.go from the Config structs; change those and run `make golden`. -->\n\n" +
		"Every process is configured by its environment, which it reads once, at its start. A variable that is " +
		"set but empty has an empty value: leave it unset to get the default.\n\n" +
		"A secret comes from its variable, the file that `NAME_FILE` names, or a credential of systemd, in this " +
		"order, and never from an argument. A process removes it from its environment at its start and, on " +
		"Linux, hides what `/proc` shows of it from other processes of its user. A shell and `go run` keep the " +
		"variables they were started with; a file does not show there at all.\n\n" +
		"`ratchet up` runs every daemon, so it reads the variables of all of them.\n")
	for _, v := range all {
		preset := "Default: `" + v.preset + "`."
		switch {
		case v.must:
			preset = "Must be set."
		case v.preset == "":
			preset = "No default."
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s Read by %s.\n", v.name, v.doc, preset, strings.Join(v.by, ", "))
	}
	return wrapped(b.String())
}

// difference shows the lines that only one of the two has.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// directories are the directories of the module that hold Go code.
func directories(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, top := range []string{"cmd", "pipeline"} {
		err := fs.WalkDir(os.DirFS(".."), top, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				out = append(out, p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// parse reads the Go files of a directory, tests apart. A directory that is not
// there has none.
func parse(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}
