package natsd_test

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/natsd"
)

func TestASecondServerOnTheSameDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	o := natsd.Options{Data: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	first, err := natsd.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := natsd.Start(t.Context(), o); !errors.Is(err, natsd.ErrInUse) || !strings.Contains(err.Error(), o.Data) {
		t.Errorf("got %v, want ErrInUse that names the directory", err)
	}
	first.Stop()
	again, err := natsd.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("the directory stayed locked: %v", err)
	}
	again.Stop()
}

func TestATakenPortIsNamedWithItsFlag(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = natsd.Start(t.Context(), natsd.Options{Data: t.TempDir(), Addr: l.Addr().String(), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "--nats") || !strings.Contains(err.Error(), "taken") {
		t.Errorf("got %v, want the taken port and the flag", err)
	}
}
