package cli

import (
	"bytes"
	"io"
	"strings"
)

// Fold writes text to a terminal and breaks lines that are wider than it between words, where the terminal would break
// within them. A sentence in the last column of a table continues below its beginning; further columns continue on
// a line of their own. What is drawn, with escapes or returns, passes as it is.
type Fold struct {
	To    io.Writer
	Width int // columns; 0: nothing is broken
	line  []byte
}

// Write implements io.Writer. A line is written once it is complete.
func (f *Fold) Write(p []byte) (int, error) {
	if f.Width == 0 {
		return f.To.Write(p)
	}
	f.line = append(f.line, p...)
	end := bytes.LastIndexByte(f.line, '\n') + 1
	if bytes.ContainsAny(f.line, "\r\x1b") {
		end = len(f.line)
	}
	if err := f.put(end); err != nil {
		return 0, err
	}
	return len(p), nil
}

// End writes a line that has no end.
func (f *Fold) End() error { return f.put(len(f.line)) }

func (f *Fold) put(n int) error {
	if n == 0 {
		return nil
	}
	var out strings.Builder
	for line := range strings.Lines(string(f.line[:n])) {
		out.WriteString(folded(line, f.Width))
	}
	f.line = append(f.line[:0], f.line[n:]...)
	_, err := io.WriteString(f.To, out.String())
	return err
}

// folded breaks one line.
func folded(line string, width int) string {
	rest := strings.TrimRight(line, " \n")
	if columnsOf(rest) <= width || strings.ContainsAny(line, "\r\x1b") {
		return line
	}
	var out strings.Builder
	under := strings.Repeat(" ", hang(rest, width))
	for columnsOf(rest) > width {
		at := breakIn(rest, width, len(under))
		if at == 0 {
			break // a word that is wider than the terminal
		}
		out.WriteString(strings.TrimRight(rest[:at], " ") + "\n")
		rest = under + strings.TrimLeft(rest[at:], " ")
	}
	out.WriteString(rest)
	if strings.HasSuffix(line, "\n") {
		out.WriteByte('\n')
	}
	return out.String()
}

// hang returns how far the further lines of a line are indented: to its last column if that holds a sentence, else a
// little.
func hang(line string, width int) int {
	begins := len(line) - len(strings.TrimLeft(line, " "))
	at := strings.LastIndex(line, gap) + len(gap)
	if at < len(gap) || at <= begins {
		return begins
	}
	if column := columnsOf(line[:at]); column <= width*2/3 {
		return column
	}
	return begins + len(indent)
}

// breakIn returns where a line is broken: before its last column that begins within the width if others follow, else
// between two words; 0 if neither exists after the indentation.
func breakIn(line string, width, indented int) int {
	room := within(line, width)
	if i := strings.LastIndex(line, gap); i >= indented && columnsOf(line[:i]) >= width*2/3 {
		if at := strings.LastIndex(line[:min(room+len(gap), len(line))], gap); at > indented {
			return at
		}
	}
	if at := strings.LastIndexByte(line[:min(room+1, len(line))], ' '); at > indented {
		return at
	}
	return 0
}

// within returns how many bytes of a line are within the width.
func within(line string, width int) int {
	columns := 0
	for i, r := range line {
		if columns += columnsOf(string(r)); columns > width {
			return i
		}
	}
	return len(line)
}
