// Package sqlcheck decides which SQL from outside the embedded ClickHouse accepts. The engine's grants
// reject what reaches out of the database (cage.Users). They would allow four things: several statements
// in one text, a file that belongs to a client, the function that reads files, and engines that keep
// their tables elsewhere. These are found with the engine's own parser:
//
//	Check ─▶ how many statements, and of which kind ─▶ EXPLAIN AST, if it may show something ─▶ rejected, or cached
//
// Harmless texts are cached, so that repeating them costs nothing.
package sqlcheck

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// The engine's error codes for what is rejected here, and their names.
const (
	unsupported  = 1
	syntaxError  = 62
	accessDenied = 497
)

var codeNames = map[int]string{unsupported: "UNSUPPORTED_METHOD", syntaxError: "SYNTAX_ERROR", accessDenied: "ACCESS_DENIED"}

// refuse returns an error in ClickHouse's format.
func refuse(code int, format string, args ...any) error {
	return &engine.Error{Code: code, Text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), codeNames[code])}
}

// Checker checks the statements of one engine.
type Checker struct {
	engine    *engine.Engine
	elsewhere map[string]bool // engines that keep their data elsewhere
	harmless  checked
	idle      chan *engine.Conn // sessions without changed settings
}

// mostIdle is how many sessions are kept for the next check. Opening one takes longer than most checks.
const mostIdle = 4

// New reads the table and database engines of the engine.
func New(e *engine.Engine) (*Checker, error) {
	elsewhere, err := enginesElsewhere(e)
	if err != nil {
		return nil, err
	}
	return &Checker{engine: e, elsewhere: elsewhere, idle: make(chan *engine.Conn, mostIdle)}, nil
}

// session returns a session for one check, which give takes back.
func (s *Checker) session() (*engine.Conn, error) {
	select {
	case c := <-s.idle:
		return c, nil
	default:
		return s.engine.Connect()
	}
}

// give takes a session back, if it is unchanged.
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

// Close closes the idle sessions. The engine shuts down with its last session. No checks may follow.
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

// checked is the cache of harmless statements, by their digests: texts may be long.
type checked struct {
	mu   sync.Mutex
	seen map[digest]bool
}

type digest [sha256.Size]byte

func digestOf(parts ...string) (d digest) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return digest(h.Sum(d[:0]))
}

// mostChecked is the limit of the cache.
const mostChecked = 10_000

func (c *checked) has(d digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[d]
}

func (c *checked) add(d digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= mostChecked {
		c.seen = map[digest]bool{}
	}
	c.seen[d] = true
}

// Check rejects a text from outside that is more than one statement or reaches out of the database.
// It uses sessions of its own: another session's settings may truncate the parser's output.
func (s *Checker) Check(text string, params []engine.Param) (err error) {
	values := ""
	for _, p := range params {
		values += "\x00" + p.Name + "\x00" + p.Value
	}
	with, without := digestOf("with values", text, values), digestOf("any values", text)
	if s.harmless.has(with) || s.harmless.has(without) && !mayNameFile(values) {
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
	case kind != engine.Reads || mayNameFile(text+values):
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
		s.harmless.add(with)
	default:
		s.harmless.add(without) // values that name no file change nothing about a SELECT
	}
	return nil
}

// Plainly is the setting without which VALUES are only literals.
const Plainly = "input_format_values_interpret_expressions"

// Values rejects VALUES of which one reads a file: each is an expression of its own, which the parser
// skips when it parses the INSERT. If they cannot be parsed as a list they must be treated as literals.
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
		return true, nil //nolint:nilerr // the engine reports wrong ones itself
	}
	return false, inspect(string(tree), s.elsewhere)
}

// mayNameFile reports whether a text may contain the name of the function that reads
// files, or an escape that could spell it. Other texts need not be parsed twice.
func mayNameFile(text string) bool {
	return strings.Contains(text, `\`) || strings.Contains(strings.ToLower(text), "file")
}

// ownDisk rejects a table with a disk of its own. So does the engine (cage.Users), but only after
// creating the disk's directory. The tree lacks settings; the formatted statement has them.
func ownDisk(c *engine.Conn, text string) error {
	if !strings.Contains(text, `\`) && !strings.Contains(strings.ToLower(text), "disk") {
		return nil
	}
	formatted, err := written(c, text)
	if err == nil && strings.Contains(formatted, "disk = disk(") {
		return refuse(accessDenied, "Tables may not bring a disk of their own")
	}
	return err
}

// written returns a text as formatted by the parser.
func written(c *engine.Conn, text string) (string, error) {
	escaped := strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`).Replace(text)
	formatted, _, err := c.Query("SELECT formatQuerySingleLine({text:String})", "TabSeparatedRaw", []engine.Param{{Name: "text", Value: escaped}})
	return string(formatted), err
}

// unparsed returns the engine's error for a text that it cannot parse.
func unparsed(c *engine.Conn, text string) error {
	if _, err := written(c, text); err != nil {
		formatted, _, _ := strings.Cut(err.Error(), ": In scope SELECT formatQuery")
		return &engine.Error{Code: syntaxError, Text: formatted}
	}
	return refuse(syntaxError, "Syntax error")
}

// inspect checks the tree of a statement: a node a line, children indented by one blank.
// A node below Storage is an engine or, if none is named, the key of the default one.
func inspect(tree string, elsewhere map[string]bool) error {
	var path []string
	for line := range strings.Lines(tree) {
		node := strings.TrimLeft(line, " ")
		depth := len(line) - len(node)
		if depth > len(path) {
			continue // a literal continues: it may contain line ends
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

// localEngines are the engines that keep their data in the data
// directory, or have none, apart from the MergeTree family.
var localEngines = []string{
	"Memory", "Null", "Log", "TinyLog", "StripeLog", "Set", "Join", "Buffer", "Merge", "GenerateRandom", "View", "MaterializedView", "Alias", "TimeSeries",
	"Atomic", "Ordinary",
}

// enginesElsewhere returns the other engines of the library.
func enginesElsewhere(e *engine.Engine) (map[string]bool, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	names, _, err := c.Query("SELECT name FROM system.table_engines UNION ALL SELECT name FROM system.database_engines", "TabSeparated", nil)
	if err != nil {
		return nil, fmt.Errorf("read the engine's table engines: %w", err)
	}
	elsewhere := map[string]bool{}
	for name := range strings.FieldsSeq(string(names)) {
		family := strings.HasSuffix(name, "MergeTree") && !strings.HasPrefix(name, "Replicated")
		elsewhere[name] = !family && !slices.Contains(localEngines, name)
	}
	return elsewhere, nil
}
