package console

import (
	"strings"
	"unicode"
)

// What Amazon's sellers and Keepa wrote is foreign text. It is shown through these two functions and in no other way.

// plain is foreign text for a terminal: on one line, and without what a terminal obeys or what turns text around.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
}

// textCell is foreign text for a spreadsheet, which takes a cell that begins like a formula for one: an apostrophe goes
// before it.
func textCell(s string) string {
	if s != "" && strings.ContainsRune("=+-−@\t\r\n", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

// idCell is an ASIN or an ISBN for a spreadsheet, which would take its digits for a number and drop the zeros in front.
func idCell(id string) string {
	if id == "" {
		return ""
	}
	return `="` + strings.ReplaceAll(id, `"`, "") + `"`
}
