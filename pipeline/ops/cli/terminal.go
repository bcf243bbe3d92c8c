package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// The escapes for an alternate screen without a cursor, and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[2J"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// pipeWide and pipeHigh are the size of the screen that is written if the output is not a terminal.
const (
	pipeWide = 121
	pipeHigh = 41
)

// Run shows the screen on a terminal until ctx ends, q or Ctrl-C is pressed, or the terminal goes away; then it
// restores the terminal. Without a terminal it returns an error.
func (t *Top) Run(ctx context.Context, in, out *os.File) error {
	if out == nil || !term.IsTerminal(int(out.Fd())) { //nolint:gosec // a descriptor is small
		return errors.New("no terminal to draw on")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if fd := int(in.Fd()); term.IsTerminal(fd) { //nolint:gosec // as above
		before, err := term.MakeRaw(fd)
		if err != nil {
			return fmt.Errorf("read keys from the terminal: %w", err)
		}
		defer func() { _ = term.Restore(fd, before) }() // fails only if the terminal went away
		pressed := make(chan struct{})
		go func() { defer close(pressed); defer cancel(); awaitQuit(ctx, in) }()
		defer func() { cancel(); <-pressed }()
	}
	fmt.Fprint(out, enterScreen)
	defer fmt.Fprint(out, leaveScreen)
	t.show(ctx, out)
	return nil
}

// WriteOnce writes one screen, without escapes.
func (t *Top) WriteOnce(ctx context.Context, w io.Writer) error {
	t.read(ctx)
	_, err := io.WriteString(w, strings.Join(t.now.screen(pipeWide, pipeHigh), "\n")+"\n")
	return err
}

// show draws each view, and redraws when the size of the terminal changes, until ctx ends. It owns the reader.
func (t *Top) show(ctx context.Context, out *os.File) {
	views := make(chan topView)
	go func() { defer close(views); t.readEvery(ctx, views) }()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	view := topView{wrong: "Reading …"}
	at := [2]int{}
	for {
		at = view.draw(out, at)
		select {
		case <-resized:
		case next, more := <-views:
			if !more {
				return
			}
			view = next
		}
	}
}

// readEvery sends a view a second.
func (t *Top) readEvery(ctx context.Context, views chan<- topView) {
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		t.read(ctx)
		select {
		case views <- t.now.kept():
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// draw draws the view over the last one, which was drawn at that size.
func (v topView) draw(out *os.File, was [2]int) [2]int {
	width, high, err := term.GetSize(int(out.Fd())) //nolint:gosec // as above
	if err != nil || width < 1 || high < 1 {
		width, high = 80, 24
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	if was != [2]int{width, high} {
		b.WriteString("\x1b[2J")
	}
	for _, line := range v.screen(width, high) {
		b.WriteString(line + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	fmt.Fprint(out, b.String())
	return [2]int{width, high}
}

// keyEvery is how often the end of ctx is checked while no key is pressed.
const keyEvery = 200 // ms

// awaitQuit returns when q, Ctrl-C or Ctrl-D is pressed, when the terminal goes away, or when ctx ends.
func awaitQuit(ctx context.Context, in *os.File) {
	fd := int(in.Fd()) //nolint:gosec // as above
	for ctx.Err() == nil {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // as above
		n, err := unix.Poll(ready, keyEvery)
		switch {
		case errors.Is(err, unix.EINTR) || n == 0 && err == nil:
			continue
		case err != nil:
			return
		}
		keys := make([]byte, 64)
		n, err = unix.Read(fd, keys)
		if err != nil || n == 0 || strings.ContainsAny(string(keys[:n]), "qQ\x03\x04") {
			return
		}
	}
}
