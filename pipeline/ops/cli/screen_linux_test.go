package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/pipeline/platform/process"
)

// pty is a pseudo-terminal, and what is seen on it.
type pty struct {
	master, slave *os.File
	width, high   int
	rows          [][]rune
	row, column   int
	wraps         bool // what no longer fits when it is resized, as some terminals do; others cut it
}

func openPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		machinetest.Lacks(t, "no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return &pty{master: master, slave: slave}
}

// resize gives the terminal another size, and wraps or cuts the lines that are on it.
func (p *pty) resize(t *testing.T, width, high int) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(high), Col: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	p.width, p.high = width, high
	var rows [][]rune
	for i, r := range p.rows {
		if i == p.row {
			p.row = len(rows)
		}
		for p.wraps && len(r) > width {
			rows, r = append(rows, r[:width:width]), r[width:]
		}
		rows = append(rows, r[:min(len(r), width)])
	}
	if p.row == len(p.rows) {
		p.row = len(rows)
	}
	p.rows = rows
}

// read takes what was written up to a mark, which it writes itself.
func (p *pty) read(t *testing.T) {
	t.Helper()
	const mark = "\a"
	if _, err := p.slave.WriteString(mark); err != nil {
		t.Fatal(err)
	}
	var all []byte
	for buf := make([]byte, 4096); !bytes.HasSuffix(all, []byte(mark)); {
		n, err := p.master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, buf[:n]...)
	}
	p.show(t, strings.TrimSuffix(string(all), mark))
}

var escape = regexp.MustCompile(`^\x1b\[(\??\d*)([AHJKhl])`)

// show puts text on the screen.
func (p *pty) show(t *testing.T, text string) {
	t.Helper()
	for len(text) > 0 {
		if m := escape.FindStringSubmatch(text); m != nil {
			p.control(t, m[1], m[2])
			text = text[len(m[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			p.column = 0
		case '\n':
			p.row++
		default:
			if p.column == p.width {
				p.row, p.column = p.row+1, 0
			}
			p.put(r)
		}
	}
}

func (p *pty) put(r rune) {
	for len(p.rows) <= p.row {
		p.rows = append(p.rows, nil)
	}
	line := p.rows[p.row]
	for len(line) <= p.column {
		line = append(line, ' ')
	}
	line[p.column] = r
	p.rows[p.row], p.column = line, p.column+1
}

func (p *pty) control(t *testing.T, arg, what string) {
	t.Helper()
	switch n, _ := strconv.Atoi(arg); {
	case what == "A":
		p.row = max(0, p.row-max(1, n))
	case what == "H":
		p.row, p.column = 0, 0
	case what == "J" && n == 2:
		p.rows = nil
	case what == "J" && n == 0:
		p.rows = p.rows[:min(len(p.rows), p.row)] // the cursor stands at the begin of a line
	case what == "K" && p.row < len(p.rows):
		p.rows[p.row] = p.rows[p.row][:min(len(p.rows[p.row]), p.column)]
	case what == "K", arg == "?25": // nothing is there, and a cursor is not shown here
	case arg == "?1049":
		p.rows = nil
	default:
		t.Fatalf("an escape that this terminal does not know: %s%s", arg, what)
	}
}

func (p *pty) String() string {
	var b strings.Builder
	for _, r := range p.rows {
		b.WriteString(strings.TrimRight(string(r), " ") + "\n")
	}
	return b.String()
}

// golden compares a screen with the one that is kept.
func (p *pty) golden(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join("testdata", "screen-"+name+".txt")
	if flag.Lookup("update").Value.String() == "true" { // of the package beside
		if err := os.WriteFile(file, []byte(p.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != string(want) {
		t.Errorf("%s: the screen is\n%s\nwant\n%s", name, p, want)
	}
	if len(p.rows) >= p.high {
		t.Errorf("%s: %d lines on a screen of %d", name, len(p.rows), p.high)
	}
	for _, r := range p.rows {
		if len(r) > p.width {
			t.Errorf("%s: a line of %d columns on a screen of %d", name, len(r), p.width)
		}
	}
}

// hoursIn is a summary after some hours, and what it is about.
func hoursIn(w *os.File) (*Summary, Status) {
	now := noon
	env := process.Env{Clock: process.RealClock()}
	s := NewSummary(nil, env, nil, w)
	s.now = func() time.Time { return now }
	s.began, s.Ends, s.Simulated = now.Add(-130*time.Minute), now.Add(390*time.Minute), true
	s.decided, s.before, s.counts = 1204, 325, &DealCounts{
		Counts: visibility.Counts{Found: 337, Stored: 340, Visible: 211}, Source: Source{AsOf: visibility.Sequences{Deals: 1380, Verdicts: 48211, Actions: 7}},
	}
	for i := range lastReasons {
		s.reasons = append(s.reasons, fmt.Sprintf("B%09d reject at peek: no_sale_in_year, and a text that goes on until it is longer than eighty columns are", i))
	}
	return s, Status{At: now, Balance: &token.Balance{Est: 120, Cap: 300, State: "recharge", Note: "recharging to 240, in 24 minutes"}, Stages: []StageStatus{
		{Stage: pipeline.StageWatermarker, Waiting: 1}, {Stage: pipeline.StagePeeker, Free: 40, Waiting: 211}, {Stage: pipeline.StageCommitter, Waiting: 17, InWork: 3},
	}}
}

func TestTheScreenFitsAndIsDrawnOverItselfAtEverySize(t *testing.T) {
	t.Parallel()
	for _, wraps := range []bool{false, true} {
		sizes(t, wraps)
	}
}

func sizes(t *testing.T, wraps bool) {
	t.Helper()
	p := openPTY(t)
	p.wraps = wraps
	s, st := hoursIn(p.slave)
	for _, c := range []struct {
		name        string
		width, high int
	}{{"80x24", 80, 24}, {"140x40", 140, 40}, {"80x24", 80, 24}, {"40x10", 40, 10}} {
		p.resize(t, c.width, c.high)
		for range 3 { // the last drawing is gone each time
			s.draw(st)
			p.read(t)
			p.golden(t, c.name)
		}
	}
}

func TestAPipeGetsALineWithoutEscapesWhenAFigureHasChanged(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s, st := hoursIn(write)
	s.draw(st)
	later := s.now().Add(time.Minute)
	s.now = func() time.Time { return later }
	s.draw(st) // only the time changed
	s.decided++
	s.draw(st)
	_ = write.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(read); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "this session: decided 1204, found 12  in all: found 337, stored 340, visible 211  as of DEALS 1380, VERDICTS 48211, ACTIONS 7") {
		t.Errorf("%d lines: %q", n, out.String())
	}
}
