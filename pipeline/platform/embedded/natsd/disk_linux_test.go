package natsd_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"ratchet/pipeline/platform/machinetest"
)

// fillDisk writes a file until the disk is full.
func fillDisk(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 4 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
}

func TestOnceAFullDiskHasRoomMessagesAreStoredAgain(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=160m"); err != nil {
		machinetest.Lacks(t, "a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	s := open(t, filepath.Join(disk, "nats"))
	url := s.URL()
	nc, err := nats.Connect("", s.InProcess(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	publish := func() (uint64, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ack, err := js.Publish(ctx, "s", make([]byte, 100_000))
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	if _, err := publish(); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(disk, "full")
	fillDisk(t, full)
	if _, err := publish(); err == nil {
		t.Fatal("a message is stored on a full disk")
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	var stored uint64
	for end := time.Now().Add(time.Minute); stored == 0; stored, err = publish() {
		if time.Now().After(end) {
			t.Fatalf("a minute after the disk has room: %v", err)
		}
	}
	if stored != 2 {
		t.Errorf("the next message is #%d, want 2", stored)
	}
	if s.URL() != url {
		t.Errorf("it listens on %s, and did on %s", s.URL(), url)
	}
	outside, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	outside.Close()
	r, err := http.Get("http://" + s.Monitor() + "/varz")
	if err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("monitoring: %v, %v", r, err)
	}
}
