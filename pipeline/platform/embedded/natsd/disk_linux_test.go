package natsd_test

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/platform/machinetest"
)

func TestOnceAFullDiskHasRoomMessagesAreStoredAgain(t *testing.T) {
	t.Parallel()
	disk := machinetest.SmallDisk(t, "160m")
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
	publish := func(id string, within time.Duration) (uint64, error) {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		ack, err := js.Publish(ctx, "s", make([]byte, 100_000), jetstream.WithMsgID(id)) // it may be stored and reported late
		if err != nil {
			return 0, err
		}
		return ack.Sequence, nil
	}
	if _, err := publish("1", time.Minute); err != nil {
		t.Fatal(err)
	}
	free := machinetest.Fill(t, disk)
	if _, err := publish("2", time.Second); err == nil {
		t.Fatal("a message is stored on a full disk")
	}
	free()
	var stored uint64
	for end := time.Now().Add(time.Minute); stored == 0; stored, err = publish("2", time.Second) {
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
