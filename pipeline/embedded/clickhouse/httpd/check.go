package httpd

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"ratchet/pipeline/embedded/clickhouse/engine"
)

// What a statement from outside may say is decided by the engine: its grants refuse what reaches out of the database (see
// engine/config.go). Three things it would allow: several statements in one text, a file that the client should have, and
// engines that keep their tables elsewhere. For these its parser is asked. What was found harmless is remembered by its text,
// so that what is asked again and again costs nothing.

// checked are the texts that were found harmless.
type checked struct {
	mu   sync.Mutex
	seen map[string]bool
}

// The most that is remembered.
const (
	mostChecked = 1000
	longChecked = 8 << 10
)

func (c *checked) has(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[text]
}

func (c *checked) add(text string) {
	if len(text) > longChecked {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= mostChecked {
		c.seen = map[string]bool{}
	}
	c.seen[text] = true
}

// check refuses a text from outside that is more than one statement or reaches out of the database. It asks in a session of its
// own: the settings of another may cut short what the parser says.
func (s *Server) check(text string, params []engine.Param) error {
	key := text
	for _, p := range params {
		key += "\x00" + p.Name + "\x00" + p.Value
	}
	if s.harmless.has(key) {
		return nil
	}
	c, err := s.o.Engine.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	n, kind, err := c.Classify(text)
	switch {
	case err != nil:
		return err
	case n == 0:
		return unparsed(c, text)
	case n > 1:
		return refuse(tooLong, "Syntax error (Multi-statements are not allowed)")
	case kind != engine.Reads || mayNameFile(key):
		tree, _, err := c.Query("EXPLAIN AST "+text, "TabSeparatedRaw", params)
		if err != nil {
			return err
		}
		if err := inspect(string(tree), s.elsewhere); err != nil {
			return err
		}
	}
	s.harmless.add(key)
	return nil
}

// plainly are the settings under which VALUES are literals alone.
const plainly = "input_format_values_interpret_expressions"

// checkValues refuses VALUES of which one reads a file: each is an expression of its own, which the parser does not look into when
// it parses the INSERT. Where they cannot be parsed as a list, or are too many to be, they are taken for literals.
func (s *Server) checkValues(w *work) error {
	if w.values == "" || !mayNameFile(w.values) {
		return nil
	}
	c, err := s.o.Engine.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	list := "SELECT " + strings.TrimRight(w.values, "; \n")
	if n, kind, err := c.Classify(list); err != nil || n != 1 || kind != engine.Reads {
		w.literals = true
		return err
	}
	tree, _, err := c.Query("EXPLAIN AST "+list, "TabSeparatedRaw", nil)
	if err != nil {
		w.literals = true
		return nil //nolint:nilerr // the engine says so itself if they are wrong
	}
	return inspect(string(tree), s.elsewhere)
}

// mayNameFile reports whether a text may hold the name of the function that reads files, or an escape that could spell it. What
// does not need not be parsed twice.
func mayNameFile(text string) bool {
	return strings.Contains(text, `\`) || strings.Contains(strings.ToLower(text), "file")
}

// unparsed is what the engine says of a text that it cannot parse.
func unparsed(c *engine.Conn, text string) error {
	escaped := strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`).Replace(text)
	if _, _, err := c.Query("SELECT formatQuery({text:String}) FORMAT Null", "Null", []engine.Param{{Name: "text", Value: escaped}}); err != nil {
		said, _, _ := strings.Cut(err.Error(), ": In scope SELECT formatQuery")
		return &engine.Error{Code: tooLong, Text: said}
	}
	return refuse(tooLong, "Syntax error")
}

// inspect refuses by the tree that the engine's parser made of a statement: a node a line, children indented by one blank. What
// stands below Storage is an engine or, where none is named, the key of the default one.
func inspect(tree string, elsewhere map[string]bool) error {
	var path []string
	for line := range strings.Lines(tree) {
		node := strings.TrimLeft(line, " ")
		depth := len(line) - len(node)
		if depth > len(path) {
			continue // a literal goes on: it has line ends of its own
		}
		kind, rest, _ := strings.Cut(strings.TrimSpace(node), " ")
		name, _, _ := strings.Cut(rest, " ")
		parent := ""
		if depth > 0 {
			parent = path[depth-1]
		}
		path = append(path[:depth], kind)
		switch {
		case kind == "SYSTEM":
			return refuse(accessDenied, "SYSTEM is for a server's operator")
		case kind == "Function" && parent == "Storage" && elsewhere[name]:
			return refuse(accessDenied, "Tables with the engine %s keep their data elsewhere", name)
		case kind == "Function" && strings.EqualFold(name, "file"):
			return refuse(accessDenied, "Statements may not read files: file()")
		case kind == "Literal" && (parent == "InsertQuery" || parent == "SelectWithUnionQuery"):
			return refuse(unsupported, "INTO OUTFILE and FROM INFILE are for clients: a server does not touch files")
		}
	}
	return nil
}

// keepers are the engines that keep their data in the data directory, or none, beside those of the MergeTree family.
var keepers = []string{
	"Memory", "Null", "Log", "TinyLog", "StripeLog", "Set", "Join", "Buffer", "Merge", "GenerateRandom", "View", "MaterializedView", "Alias", "TimeSeries",
	"Atomic", "Ordinary",
}

// enginesElsewhere are the engines of the library that are not among them.
func enginesElsewhere(e *engine.Engine) (map[string]bool, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	names, _, err := c.Query("SELECT name FROM system.table_engines UNION ALL SELECT name FROM system.database_engines", "TabSeparated", nil)
	if err != nil {
		return nil, fmt.Errorf("ask which engines there are: %w", err)
	}
	elsewhere := map[string]bool{}
	for name := range strings.FieldsSeq(string(names)) {
		family := strings.HasSuffix(name, "MergeTree") && !strings.HasPrefix(name, "Replicated")
		elsewhere[name] = !family && !slices.Contains(keepers, name)
	}
	return elsewhere, nil
}
