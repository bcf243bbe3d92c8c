package verdict

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	yamlast "github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"ratchet/pipeline/text/complaint"
)

// decoder fills a struct from a YAML document by the struct's yaml tags. It continues after a mistake, so
// that all of them are reported at once, and remembers the line of every field for later checks.
type decoder struct {
	complaint.List
	lines map[string]int // by path: "settings.prep_cents", "rules[2].when"
	bare  map[int]string // by line: a condition that begins with ! and has no quotes
}

// read decodes a file into the struct that into points to; fields that the file does not
// name keep their values. It returns false when the file cannot be read at all.
func (d *decoder) read(data []byte, into any) bool {
	d.lines = map[string]int{"": 1}
	text, ok := complaint.Text(data, &d.List)
	if !ok {
		return false
	}
	text = d.quote(text)
	if line := nested(text); line > 0 {
		d.Add(line, "", "lists or maps are nested too deep: a rule file needs a depth of 3")
		return false
	}
	parsed, err := yamlparser.ParseBytes(text, 0, yamlparser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return false
	}
	var bodies []*yamlast.DocumentNode
	for _, doc := range parsed.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc)
		}
	}
	if len(bodies) > 1 {
		d.Add(lineOf(bodies[1]), "", "a second document begins here, and a rule file is one: remove the line --- or make it two files")
	}
	if len(bodies) > 0 {
		d.value("", bodies[0].Body, reflect.ValueOf(into).Elem())
	}
	return true
}

var bareNot = regexp.MustCompile(`(?m)^(\s*(?:- +)?when: +)(![^"\n]*[^"\s])[ \t]*$`)

// quote puts quotes around conditions that begin with !, which YAML takes for a tag. It
// is still reported as a mistake, but the other fields of the rule can be read.
func (d *decoder) quote(text []byte) []byte {
	d.bare = map[int]string{}
	for _, m := range bareNot.FindAllSubmatchIndex(text, -1) {
		d.bare[complaint.Line(text, m[4])] = string(text[m[4]:m[5]])
	}
	return bareNot.ReplaceAll(text, []byte(`$1"$2"`))
}

// nested returns the line at which lists or maps are nested deeper than a rule file needs; 0
// without any. It runs before the parser, whose time and stack grow with the depth.
func nested(text []byte) int {
	const deepest = 20
	depth, begin := 0, true
	for i, b := range text {
		begin = begin && (b == ' ' || b == '-' || b == '?') || b == '\n'
		switch b {
		case '-', '?':
			if begin {
				depth++
			}
			if depth > deepest {
				return complaint.Line(text, i)
			}
		case '[', '{':
			if depth++; depth > deepest {
				return complaint.Line(text, i)
			}
		case ']', '}':
			depth = max(0, depth-1)
		case '\n':
			depth = 0
		}
	}
	return 0
}

// syntax reports what the parser could not read.
func (d *decoder) syntax(err error) {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil && e.GetToken().Position != nil {
		d.Add(e.GetToken().Position.Line, "", "not YAML: %s", e.GetMessage())
		return
	}
	d.Add(0, "", "not YAML: %s", strings.SplitN(err.Error(), "\n", 2)[0])
}

// value decodes one node.
func (d *decoder) value(path string, n yamlast.Node, into reflect.Value) {
	if _, known := d.lines[path]; !known {
		d.lines[path] = lineOf(n)
	}
	if condition, bare := d.bare[lineOf(n)]; bare && strings.HasSuffix(path, ".when") {
		d.Add(lineOf(n), path, "what begins with ! is a tag in YAML%s", complaint.DidYouMean(`"`+condition+`"`))
		return
	}
	switch t := n.(type) {
	case *yamlast.LiteralNode:
		d.lines[path] = lineOf(n) + 1 // its text begins on the next line
	case *yamlast.AnchorNode, *yamlast.AliasNode:
		d.Add(lineOf(n), path, "anchors and aliases are not supported: write the value itself")
		return
	case *yamlast.TagNode:
		d.Add(lineOf(n), path, "what begins with ! is a tag in YAML, and %s has no quotes", t.Start.Value)
		return
	case *yamlast.NullNode:
		d.Add(lineOf(n), path, "has no value: write one, or leave the line out")
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(path, n, into.Elem())
	case reflect.Struct:
		d.object(path, n, into)
	case reflect.Map:
		d.mapping(path, n, into)
	case reflect.Slice:
		d.list(path, n, into)
	default:
		d.scalar(path, n, into)
	}
}

// entries returns the keys and values of a map, each key once.
func (d *decoder) entries(path string, n yamlast.Node) []*yamlast.MappingValueNode {
	var all []*yamlast.MappingValueNode
	switch m := n.(type) {
	case *yamlast.MappingNode:
		all = m.Values
	case *yamlast.MappingValueNode:
		all = []*yamlast.MappingValueNode{m}
	default:
		d.Add(lineOf(n), path, "must be a map, lines of \"name: value\"")
		return nil
	}
	first := map[string]int{}
	var out []*yamlast.MappingValueNode
	for _, e := range all {
		key := keyOf(e)
		if line, twice := first[key]; twice {
			d.Add(lineOf(e.Key), join(path, key), "already in line %d: remove one of them", line)
			continue
		}
		first[key] = lineOf(e.Key)
		out = append(out, e)
	}
	return out
}

func (d *decoder) object(path string, n yamlast.Node, into reflect.Value) {
	fields := map[string]reflect.Value{}
	var names []string
	for i := range into.NumField() {
		if name, _, _ := strings.Cut(into.Type().Field(i).Tag.Get("yaml"), ","); name != "" && name != "-" {
			fields[name] = into.Field(i)
			names = append(names, name)
		}
	}
	for _, e := range d.entries(path, n) {
		key := keyOf(e)
		field, known := fields[key]
		at := join(path, key)
		d.lines[at] = lineOf(e.Key)
		switch {
		case known:
			d.value(at, e.Value, field)
		case successorOf(key) != "":
			d.Add(lineOf(e.Key), at, "no longer exists: %s", successorOf(key))
		default:
			d.Add(lineOf(e.Key), at, "not a field of a rule file%s", complaint.DidYouMean(complaint.Nearest(key, names)))
		}
	}
}

func (d *decoder) mapping(path string, n yamlast.Node, into reflect.Value) {
	into.Set(reflect.MakeMap(into.Type()))
	for _, e := range d.entries(path, n) {
		at := join(path, keyOf(e))
		d.lines[at] = lineOf(e.Key)
		v := reflect.New(into.Type().Elem()).Elem()
		d.value(at, e.Value, v)
		into.SetMapIndex(reflect.ValueOf(keyOf(e)), v)
	}
}

func (d *decoder) list(path string, n yamlast.Node, into reflect.Value) {
	s, ok := n.(*yamlast.SequenceNode)
	if !ok {
		d.Add(lineOf(n), path, "must be a list, each entry with a - before it")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(s.Values), len(s.Values)))
	for i, v := range s.Values {
		d.value(fmt.Sprintf("%s[%d]", path, i), v, into.Index(i))
	}
}

// scalar decodes text, a number or true and false.
func (d *decoder) scalar(path string, n yamlast.Node, into reflect.Value) {
	text, quoted, ok := scalarOf(n)
	if !ok {
		d.Add(lineOf(n), path, "must be one value, not a list or a map")
		return
	}
	wrong := ""
	switch into.Kind() {
	case reflect.String:
		into.SetString(text)
	case reflect.Bool:
		var v bool
		v, wrong = truth(text, quoted)
		into.SetBool(v)
	case reflect.Int, reflect.Int64:
		var v int64
		v, wrong = complaint.Whole(text, strings.HasSuffix(path, "_cents"))
		into.SetInt(v)
	case reflect.Float64:
		var v float64
		v, wrong = complaint.Fraction(text)
		into.SetFloat(v)
	case reflect.Interface:
		var v any
		v, wrong = amount(text, strings.HasSuffix(path, "_cents"))
		into.Set(reflect.ValueOf(v))
	default:
		panic("a rule file has no fields of kind " + into.Kind().String())
	}
	if wrong == "" && quoted && into.Kind() != reflect.String {
		wrong = fmt.Sprintf("%q is text%s", text, complaint.DidYouMean(text+", without quotes"))
	}
	if wrong != "" {
		d.Add(lineOf(n), path, "%s", wrong)
	}
}

// amount reads a threshold: a whole number as an integer; a fraction is allowed unless it is money.
func amount(text string, cents bool) (v any, wrong string) {
	n, wrong := complaint.Whole(text, cents)
	if wrong == "" || cents {
		return n, wrong
	}
	return complaint.Fraction(text)
}

// truth reads only true and false, and none of the other words that some readers accept.
func truth(text string, quoted bool) (v bool, wrong string) {
	if text == "true" || text == "false" {
		return text == "true", ""
	}
	proposal := ""
	switch strings.ToLower(text) {
	case "yes", "on", "y", "1", "true":
		proposal = "true"
	case "no", "off", "n", "0", "false":
		proposal = "false"
	}
	return false, fmt.Sprintf("%q is neither true nor false%s", text, complaint.DidYouMean(proposal))
}

// scalarOf returns a scalar as it was written, and whether in quotes.
func scalarOf(n yamlast.Node) (text string, quoted, ok bool) {
	switch s := n.(type) {
	case *yamlast.StringNode:
		return s.Value, s.Token != nil && (s.Token.Type == token.SingleQuoteType || s.Token.Type == token.DoubleQuoteType), true
	case *yamlast.LiteralNode:
		return strings.TrimSuffix(s.Value.Value, "\n"), true, true
	case *yamlast.IntegerNode, *yamlast.FloatNode, *yamlast.BoolNode, *yamlast.InfinityNode, *yamlast.NanNode:
		return n.GetToken().Value, false, true
	}
	return "", false, false
}

func keyOf(e *yamlast.MappingValueNode) string {
	if s, ok := e.Key.(*yamlast.StringNode); ok {
		return s.Value
	}
	if t := e.Key.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// lineOf returns the line of a node; 0 when the parser does not know it.
func lineOf(n yamlast.Node) int {
	switch m := n.(type) {
	case *yamlast.MappingValueNode:
		return lineOf(m.Key) // its own token is the colon
	case *yamlast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			return lineOf(m.Values[0])
		}
	case *yamlast.DocumentNode:
		if m.Start == nil && m.Body != nil {
			return lineOf(m.Body)
		}
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// at returns the line of a field, or of the nearest enclosing field that the file has.
func (d *decoder) at(path string) int {
	for {
		if line, ok := d.lines[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// addOnce adds a complaint about a field unless it has one.
func (d *decoder) addOnce(path, format string, args ...any) {
	if !d.Has(path) {
		d.Add(d.at(path), path, format, args...)
	}
}

// oneOf complains about a value outside the allowed ones.
func (d *decoder) oneOf(path, value string, allowed ...string) {
	switch {
	case slices.Contains(allowed, value):
	case value == "":
		d.addOnce(path, "missing: write %s", either(allowed))
	default:
		d.addOnce(path, "%q: must be %s%s", value, either(allowed), complaint.DidYouMean(complaint.Nearest(value, allowed)))
	}
}

// either returns a list of words with "or".
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
