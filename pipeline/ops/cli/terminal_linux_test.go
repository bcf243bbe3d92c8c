package cli

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// watched is what a terminal was sent.
type watched struct {
	mu  sync.Mutex
	all []byte
}

// watch reads the terminal until it is closed.
func (p *pty) watch() *watched {
	w := &watched{}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := p.master.Read(buf)
			w.mu.Lock()
			w.all = append(w.all, buf[:n]...)
			w.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return w
}

func (w *watched) sent() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// mode is how the terminal treats what is typed.
func (p *pty) mode(t *testing.T) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}

func TestTopEndsCleanlyAndRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[0]
	d.Accepts(t, good, desk.T0)
	for name, end := range map[string]func(p *pty, cancel func()){
		"q":      func(p *pty, _ func()) { _, _ = p.master.WriteString("q") },
		"Ctrl-C": func(p *pty, _ func()) { _, _ = p.master.WriteString("\x03") },
		"a signal, as the terminal's end sends one": func(_ *pty, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openPTY(t)
			p.resize(t, 120, 30)
			before := p.mode(t)
			w := p.watch()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			v := NewVisible(d.Bus, "none")
			defer v.Close()
			done := make(chan error, 1)
			go func() { done <- NewTop(d.Bus, v).Run(ctx, p.slave, p.slave) }()
			desk.Await(t, "the deal on the screen", func() bool {
				return strings.Contains(string(w.sent()), "1 deals visible (streams)") && strings.Contains(string(w.sent()), good)
			})
			end(p, cancel)
			ended(t, done)
			if p.mode(t) != before {
				t.Error("the terminal is not restored")
			}
			desk.Await(t, "the screen from before", func() bool { return bytes.HasSuffix(w.sent(), []byte(leaveScreen)) })
		})
	}
}

func TestTopFollowsTheSizeOfItsTerminal(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	p := openPTY(t)
	p.resize(t, 80, 24)
	w := p.watch()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	v := NewVisible(d.Bus, "none")
	defer v.Close()
	go func() { done <- NewTop(d.Bus, v).Run(ctx, p.slave, p.slave) }()
	cleared := func() int { return bytes.Count(w.sent(), []byte("\x1b[H\x1b[2J")) }
	desk.Await(t, "the screen", func() bool { return cleared() == 1 })
	p.resize(t, 140, 40)
	if err := unix.Kill(unix.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	desk.Await(t, "the screen of the other size", func() bool { return cleared() == 2 })
	cancel()
	ended(t, done)
}

// ended awaits the end of a run.
func ended(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}
