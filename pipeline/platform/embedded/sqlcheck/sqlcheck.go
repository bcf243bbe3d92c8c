// Package sqlcheck decides what SQL from outside may say to the embedded ClickHouse. The engine's grants refuse what reaches out
// of the database (cage.Users). Four things they would allow: several statements in one text, a file that a client should have,
// the function that reads files, and engines that keep their tables elsewhere. For these the engine's own parser is asked:
//
//	Check ─▶ how many statements, and of which kind ─▶ EXPLAIN AST, where that may show something ─▶ refused, or remembered
//
// What was found harmless is remembered by its text, so that what is asked again and again costs nothing.
package sqlcheck

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// The engine's codes for what is refused here, and their names.
const (
	unsupported  = 1
	syntaxError  = 62
	accessDenied = 497
)

var codeNames = map[int]string{unsupported: "UNSUPPORTED_METHOD", syntaxError: "SYNTAX_ERROR", accessDenied: "ACCESS_DENIED"}

// refuse is an error in ClickHouse's words.
func refuse(code int, format string, args ...any) error {
	return &engine.Error{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), codeNames[code])}
}

// Checker checks the statements of one engine.
type Checker struct {
	engine    *engine.Engine
	elsewhere map[string]bool // engines that keep their data elsewhere
	harmless  checked
	idle      chan *engine.Conn // sessions in which nothing was set
}

// mostIdle is how many sessions wait for the next check. Opening one takes longer than most checks.
const mostIdle = 4

// New asks the engine which table and database engines it has.
func New(e *engine.Engine) (*Checker, error) {
	elsewhere, err := enginesElsewhere(e)
	if err != nil {
		return nil, err
	}
	return &Checker{engine: e, elsewhere: elsewhere, idle: make(chan *engine.Conn, mostIdle)}, nil
}

// session is a session for one check, which give takes back.
func (s *Checker) session() (*engine.Conn, error) {
	select {
	case c := <-s.idle:
		return c, nil
	default:
		return s.engine.Connect()
	}
}

// give takes a session back, if it is as it was.
func (s *Checker) give(c *engine.Conn, clean bool) {
	if clean {
		select {
		case s.idle <- c:
			return
		default:
		}
	}
	c.Close()
}

// Close ends the sessions that wait. The engine shuts down when its last one ends. Nothing may be checked any more.
func (s *Checker) Close() {
	for {
		select {
		case c := <-s.idle:
			c.Close()
		default:
			return
		}
	}
}

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

// Check refuses a text from outside that is more than one statement or reaches out of the database. It asks in sessions of its
// own: the settings of another may cut short what the parser says.
func (s *Checker) Check(text string, params []engine.Param) (err error) {
	key := text
	for _, p := range params {
		key += "\x00" + p.Name + "\x00" + p.Value
	}
	if s.harmless.has(key) {
		return nil
	}
	c, err := s.session()
	if err != nil {
		return err
	}
	defer func() { s.give(c, err == nil && len(params) == 0) }()
	n, kind, err := c.Classify(text)
	switch {
	case err != nil:
		return err
	case n == 0:
		return unparsed(c, text)
	case n > 1:
		return refuse(syntaxError, "Syntax error (Multi-statements are not allowed)")
	case kind != engine.Reads || mayNameFile(key):
		tree, _, err := c.Query("EXPLAIN AST "+text, "TabSeparatedRaw", params)
		if err != nil {
			return err
		}
		if err := inspect(string(tree), s.elsewhere); err != nil {
			return err
		}
		if err := ownDisk(c, text); err != nil {
			return err
		}
	}
	s.harmless.add(key)
	return nil
}

// Plainly is the setting without which VALUES are literals alone.
const Plainly = "input_format_values_interpret_expressions"

// Values refuses VALUES of which one reads a file: each is an expression of its own, which the parser does not look into when it
// parses the INSERT. If they cannot be parsed as a list they are to be taken for literals.
func (s *Checker) Values(values string) (literals bool, err error) {
	if !mayNameFile(values) {
		return false, nil
	}
	c, err := s.session()
	if err != nil {
		return false, err
	}
	defer func() { s.give(c, err == nil && !literals) }()
	list := "SELECT " + strings.TrimRight(values, "; \n")
	if n, kind, err := c.Classify(list); err != nil || n != 1 || kind != engine.Reads {
		return true, err
	}
	tree, _, err := c.Query("EXPLAIN AST "+list, "TabSeparatedRaw", nil)
	if err != nil {
		return true, nil //nolint:nilerr // the engine says so itself if they are wrong
	}
	return false, inspect(string(tree), s.elsewhere)
}

// mayNameFile reports whether a text may hold the name of the function that reads files, or an escape that could spell it. What
// does not need not be parsed twice.
func mayNameFile(text string) bool {
	return strings.Contains(text, `\`) || strings.Contains(strings.ToLower(text), "file")
}

// ownDisk refuses a table that brings its disk. The engine does too (cage.Users), but makes the disk's directory first. The tree does
// not show settings; the parser's own writing of the statement does.
func ownDisk(c *engine.Conn, text string) error {
	if !strings.Contains(text, `\`) && !strings.Contains(strings.ToLower(text), "disk") {
		return nil
	}
	said, err := written(c, text)
	if err == nil && strings.Contains(said, "disk = disk(") {
		return refuse(accessDenied, "Tables may not bring a disk of their own")
	}
	return err
}

// written is a text as the parser understood it.
func written(c *engine.Conn, text string) (string, error) {
	escaped := strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`).Replace(text)
	said, _, err := c.Query("SELECT formatQuerySingleLine({text:String})", "TabSeparatedRaw", []engine.Param{{Name: "text", Value: escaped}})
	return string(said), err
}

// unparsed is what the engine says of a text that it cannot parse.
func unparsed(c *engine.Conn, text string) error {
	if _, err := written(c, text); err != nil {
		said, _, _ := strings.Cut(err.Error(), ": In scope SELECT formatQuery")
		return &engine.Error{Code: syntaxError, Text: said}
	}
	return refuse(syntaxError, "Syntax error")
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
