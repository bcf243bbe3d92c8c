package newcomer_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents holds the output that README shows against what the commands printed: figures and books differ, and the
// shape of every line that is shown is that of a line that was printed.
func (n *newcomer) documents(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		command, lines := "", strings.Split(strings.TrimRight(block[1], "\n"), "\n")
		for _, line := range lines {
			if rest, is := strings.CutPrefix(line, "$ "); is {
				rest = strings.TrimPrefix(strings.TrimPrefix(rest, "ratchet "), "go run ./cmd/ratchet ")
				command, _, _ = strings.Cut(rest, " ")
				continue
			}
			printed, ran := n.shown[command]
			if line == "…" || !ran {
				continue
			}
			shown++
			if !printedLike(command, line, printed) {
				t.Errorf("README shows of %q\n%s\nand nothing of this shape was printed (%s):\n%s", command, line, shape(command, line), printed)
			}
		}
	}
	if shown < 10 {
		t.Errorf("README shows %d lines of what was run", shown)
	}
}

// printedLike reports whether a line of this shape was printed. One that ends with … is shown in part.
func printedLike(command, line, printed string) bool {
	part, cut := strings.CutSuffix(line, "…")
	want := strings.TrimRight(shape(command, part), "| ")
	for _, l := range strings.Split(printed, "\n") {
		if got := shape(command, l); got == want || cut && strings.HasPrefix(got, want) {
			return true
		}
	}
	return false
}

var (
	figures = regexp.MustCompile(`-?\$?[0-9][0-9,.:–-]*|\[[#.]+\]`) // and a progress bar
	source  = regexp.MustCompile(`\(from .*\)`)                     // ClickHouse, or the streams where that is late
	columns = regexp.MustCompile(`\s{2,}`)
)

// shape is a line without its figures. In a table what is in the further columns is of any book.
func shape(command, line string) string {
	line = source.ReplaceAllString(line, "(from somewhere)")
	cells := columns.Split(strings.TrimSpace(line), -1)
	for i, cell := range cells {
		cells[i] = figures.ReplaceAllString(cell, "#")
		switch {
		case command == "up" || len(cells) < 3 || strings.ToUpper(cell) == cell && !strings.ContainsAny(cell, "0123456789"):
		case strings.HasPrefix(cells[i], "#") || cell == "now":
			cells[i] = "#"
		case i > 0 || command == "deals":
			cells[i] = "text"
		}
	}
	return strings.Join(cells, "|")
}
