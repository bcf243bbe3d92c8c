package foreign

import (
	"html"
	"strings"
	"unicode/utf8"
)

// A sink is a method of Text without arguments that returns a string: the text, escaped so that
// the medium displays it as plain text. To add one write the method here;
// the test finds it by its signature, runs the corpus of hostile texts through it and writes its
// golden file with -update. Shorten before you escape: t.Short(80).Slack().

// String returns the text for a terminal and for logs: cleaning has already removed its control characters.
func (t Text) String() string { return t.s }

// Block returns a document of any length for a terminal, with its line breaks.
func Block(raw []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return kept(r)
	}, string(raw))
}

// CSV returns the text as a cell that no spreadsheet evaluates as a formula; encoding/csv adds the quotes.
func (t Text) CSV() string { return Cell(t.s) }

// HTML returns the text for the content of an element, or for an
// attribute in quotes; never inside script, style or a URL.
func (t Text) HTML() string { return html.EscapeString(t.s) }

// Slack returns the text as code: Slack makes no links, mentions or formatting inside it.
func (t Text) Slack() string { return code(slack.Replace(t.s)) }

// Discord returns the text as code, for the same reason.
func (t Text) Discord() string { return code(discord.Replace(t.s)) }

// Telegram returns the text as code in Telegram's HTML, for the same reason.
func (t Text) Telegram() string {
	if t.s == "" {
		return ""
	}
	return "<code>" + html.EscapeString(t.s) + "</code>"
}

// Plain returns the text for apps that make links and mentions of plain text: mail, ntfy,
// Pushover. The characters that they look for are replaced by ones that look the same.
func (t Text) Plain() string { return unlinked(t.s) }

// unlinked returns s without what a linkifier finds: schemes, names with dots, addresses, mentions.
func unlinked(s string) string {
	in, out := []rune(s), strings.Builder{}
	for i, r := range in {
		before, after := i > 0 && in[i-1] != ' ', i+1 < len(in) && in[i+1] != ' '
		switch {
		case r == '.' && before && after && !(digit(in[i-1]) && digit(in[i+1])):
			r = '․' // one dot leader
		case r == ':' && after && !digit(in[i+1]):
			r = '∶' // ratio
		case r == '@':
			r = '＠' // full width
		}
		out.WriteRune(r)
	}
	return out.String()
}

func digit(r rune) bool { return r >= '0' && r <= '9' }

var (
	slack   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "'")
	discord = strings.NewReplacer("`", "'")
)

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// formula holds the characters that begin a formula in a spreadsheet, in their
// other widths too, and those that some spreadsheets skip in front of one.
const formula = "=+-@\t\r＝＋－＠−"

// separators end a cell for a spreadsheet of another locale, even inside quotes.
const separators = ";\t\r\n"

// Cell returns any string as a cell of a CSV file, with a ' before anything
// that a spreadsheet would read as a formula. Plain numbers are unchanged.
func Cell(s string) string {
	if number(s) {
		return s
	}
	var out strings.Builder
	begins := true
	for i, r := range s {
		if begins && r != ' ' {
			if strings.ContainsRune(formula, r) {
				out.WriteByte('\'')
			}
			begins = false
		}
		if strings.ContainsRune(separators, r) {
			begins = true
		}
		_, n := utf8.DecodeRuneInString(s[i:]) // an invalid byte is kept
		out.WriteString(s[i : i+n])
	}
	return out.String()
}

// number reports whether a text is a decimal number: a sign, digits, and a fraction with digits.
func number(s string) bool {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	before, after, point := strings.Cut(s, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return digits(before) && (!point || digits(after))
}
