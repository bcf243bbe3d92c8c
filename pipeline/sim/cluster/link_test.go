package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// TestACutLinkPassesNothingUntilItIsHealed talks to an echo through a link.
func TestACutLinkPassesNothingUntilItIsHealed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		for s := bufio.NewScanner(c); s.Scan(); {
			fmt.Fprintln(c, s.Text())
		}
	}()
	k, err := newLink(0, 1, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	c, err := net.Dial("tcp", k.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo := bufio.NewReader(c)
	say := func(what string, within time.Duration) (string, error) {
		if what != "" {
			fmt.Fprintln(c, what)
		}
		if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		return echo.ReadString('\n')
	}
	if got, err := say("one", 5*time.Second); err != nil || got != "one\n" {
		t.Fatalf("got %q (%v), want the echo", got, err)
	}
	k.cut(true)
	k.cut(true) // twice is once
	if got, err := say("two", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q (%v) through a cut link", got, err)
	}
	k.cut(false)
	if got, err := say("", 5*time.Second); err != nil || got != "two\n" {
		t.Errorf("got %q (%v), want what was on its way", got, err)
	}
}
