package httpd

import "strings"

// A statement is the part of SQL that must be understood here: where
// the data of an INSERT begins, and what a server would reject.
type statement struct {
	verb    string // the first word, upper case
	format  string // of the last FORMAT clause; empty without one
	files   bool   // reads or writes the client's files: INTO OUTFILE, FROM INFILE
	inserts bool   // contains INSERT, also after WITH or EXPLAIN
	insert  insert
}

// insert is the position of the parts of an INSERT with data: text[:head] names table and
// columns, text[settings:format] is the SETTINGS clause, text[data:] begins the data.
type insert struct {
	kind                         insertKind
	head, settings, format, data int
}

type insertKind int

const (
	noData     insertKind = iota // not an INSERT, or one that selects
	valuesData                   // VALUES (…), …
	formatData                   // FORMAT x, then bytes
)

// understand parses a statement up to where the data of an INSERT begins.
func understand(text string) statement {
	var s statement
	l := lexer{text: text}
	var words int // so far, at depth 0
	depth, previous, selects := 0, "", false
	settings := -1
	for {
		t := l.next()
		if t.kind == end {
			return s
		}
		word := ""
		if t.kind == bare {
			word = strings.ToUpper(text[t.start:t.end])
			s.inserts = s.inserts || word == "INSERT"
		}
		switch {
		case t.kind == open:
			depth++
		case t.kind == shut:
			depth--
		case word == "":
		case s.verb == "":
			s.verb = word
		case word == "OUTFILE" && previous == "INTO", word == "INFILE" && previous == "FROM":
			s.files = true
		case word == "SELECT", depth == 0 && word == "WITH":
			selects = true
		case depth != 0:
		case s.verb == "INSERT" && !selects && word == "SETTINGS" && words > 1:
			settings = t.start
		case s.verb == "INSERT" && !selects && word == "VALUES" && words > 1:
			s.insert = insert{kind: valuesData, head: t.start, settings: t.start, format: t.start, data: t.end}
			if settings >= 0 {
				s.insert.head, s.insert.settings = settings, settings
			}
			return s
		case word == "FORMAT" && (s.verb != "INSERT" || words > 1):
			name := l.next()
			if name.kind != bare {
				break
			}
			s.format = text[name.start:name.end]
			if s.verb == "INSERT" && !selects {
				s.insert = insert{kind: formatData, head: t.start, settings: t.start, format: t.start, data: afterFormat(text, name.end)}
				if settings >= 0 {
					s.insert.head, s.insert.settings = settings, settings
				}
				return s
			}
		}
		if depth == 0 && (t.kind == bare || t.kind == quoted) {
			words++
		}
		previous = word
	}
}

// afterFormat returns where the data begins: after blanks and at most one line end.
func afterFormat(text string, at int) int {
	for at < len(text) && strings.IndexByte(" \t\f", text[at]) >= 0 {
		at++
	}
	if at < len(text) && text[at] == ';' {
		at++
	}
	if at < len(text) && text[at] == '\r' {
		at++
	}
	if at < len(text) && text[at] == '\n' {
		at++
	}
	return at
}

// withoutEmptyLines rewrites VALUES so that no line is empty, because the engine takes an empty
// line for the end of the data. Within a string a line end becomes its escape, elsewhere a blank.
func withoutEmptyLines(values string) string {
	if !strings.Contains(values, "\n\n") {
		return values
	}
	var b strings.Builder
	l := lexer{text: values}
	at := 0
	for {
		t := l.next()
		b.WriteString(strings.ReplaceAll(values[at:t.start], "\n", " "))
		if t.kind == end {
			return b.String()
		}
		b.WriteString(strings.ReplaceAll(values[t.start:t.end], "\n", `\n`))
		at = t.end
	}
}

type tokenKind int

const (
	end    tokenKind = iota
	bare             // a word or a number
	quoted           // 'string', "name", `name` or $$heredoc$$
	open             // ( [ {
	shut             // ) ] }
	sign             // anything else
)

type token struct {
	kind       tokenKind
	start, end int
}

// A lexer splits SQL into tokens and skips blanks and comments.
// It never fails: an unterminated token extends to the end.
type lexer struct {
	text string
	at   int
}

func (l *lexer) next() token {
	l.skip()
	start := l.at
	if start >= len(l.text) {
		return token{end, len(l.text), len(l.text)}
	}
	kind := sign
	switch c := l.text[start]; {
	case c == '\'' || c == '"' || c == '`':
		kind = quoted
		l.quoted(c)
	case c == '$' && l.heredoc():
		kind = quoted
	case wordByte(c):
		kind = bare
		for l.at < len(l.text) && wordByte(l.text[l.at]) {
			l.at++
		}
	case strings.IndexByte("([{", c) >= 0:
		kind = open
		l.at++
	case strings.IndexByte(")]}", c) >= 0:
		kind = shut
		l.at++
	default:
		l.at++
	}
	return token{kind, start, l.at}
}

func (l *lexer) skip() {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			l.until(rest, "\n", 0)
		case strings.HasPrefix(rest, "/*"):
			l.until(rest, "*/", 2)
		default:
			return
		}
	}
}

// until moves behind the first mark in rest, searching from an offset.
func (l *lexer) until(rest, mark string, from int) {
	i := strings.Index(rest[from:], mark)
	if i < 0 {
		l.at = len(l.text)
		return
	}
	l.at += from + i + len(mark)
}

func (l *lexer) quoted(q byte) {
	for l.at++; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\\':
			l.at++
		case q:
			if l.at+1 < len(l.text) && l.text[l.at+1] == q {
				l.at++ // doubled: the quote itself
				continue
			}
			l.at++
			return
		}
	}
	l.at = len(l.text)
}

func (l *lexer) heredoc() bool {
	rest := l.text[l.at:]
	i := strings.IndexByte(rest[1:], '$')
	if i < 0 {
		return false
	}
	tag := rest[:i+2]
	for _, c := range []byte(tag[1 : len(tag)-1]) {
		if !wordByte(c) {
			return false
		}
	}
	if !strings.Contains(rest[len(tag):], tag) {
		return false
	}
	l.until(rest, tag, len(tag))
	return true
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// quote returns text as a SQL string.
func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// name returns text as a SQL name.
func name(text string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(text) + "`"
}
