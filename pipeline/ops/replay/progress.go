package replay

import (
	"fmt"
	"io"
	"strings"
	"time"

	"ratchet/pipeline/platform/process"
)

// Bar is a progress bar with rate and time left. On a terminal it is one line that is
// redrawn; else it is a line every few seconds.
type Bar struct {
	w        io.Writer
	terminal bool
	began    time.Time // machine time, as the next
	shown    time.Time
	width    int // of the longest line so far
}

// NewBar returns a bar that starts now.
func NewBar(w io.Writer, terminal bool) *Bar {
	return &Bar{w: w, terminal: terminal, began: process.MachineNow()}
}

// often returns the time between two lines.
func (b *Bar) often() time.Duration {
	if b.terminal {
		return 200 * time.Millisecond
	}
	return 5 * time.Second
}

// Show draws a step, if it is time to, or the last one.
func (b *Bar) Show(s Step) {
	last := s.Seen >= s.Total
	if !last && process.MachineSince(b.shown) < b.often() {
		return
	}
	b.shown = process.MachineNow()
	b.draw(Line(s, process.MachineSince(b.began)))
}

// End ends the bar's line.
func (b *Bar) End() {
	if b.terminal && b.width > 0 {
		fmt.Fprintln(b.w)
	}
}

func (b *Bar) draw(line string) {
	if !b.terminal {
		fmt.Fprintln(b.w, line)
		return
	}
	pad := max(0, b.width-len(line))
	b.width = max(b.width, len(line))
	fmt.Fprint(b.w, "\r"+line+strings.Repeat(" ", pad))
}

// barWidth is how many characters the bar itself has.
const barWidth = 24

// Line formats a step as a line of text.
func Line(s Step, took time.Duration) string {
	share := 1.0
	if s.Total > 0 {
		share = float64(s.Seen) / float64(s.Total)
	}
	full := int(share * barWidth)
	line := fmt.Sprintf("[%s%s] %3.0f %%  %d of %d  %d decided", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), share*100, s.Seen, s.Total, s.Decided)
	seconds := took.Seconds()
	if seconds <= 0 || s.Seen == 0 {
		return line
	}
	rate := float64(s.Seen) / seconds
	line += fmt.Sprintf("  %.0f/s", rate)
	if left := s.Total - s.Seen; left > 0 {
		line += "  ETA " + (time.Duration(float64(left)/rate) * time.Second).Truncate(time.Second).String()
	}
	return line
}
