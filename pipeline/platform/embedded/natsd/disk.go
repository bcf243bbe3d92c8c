package natsd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"ratchet/pipeline/platform/process"
)

// A disk that is full for an instant ends the writes of a stream for good: the server keeps the first error of each
// stream until it is started again. So it is, within this process, once there is room. Clients reconnect by themselves.
const (
	diskEvery = 5 * time.Second // between two looks at the disk and the streams
	needed    = 64 << 20        // bytes that must be free before the server is started again
	tight     = 1 << 30         // bytes below which is warned
	// restartEvery is the shortest time between two restarts: another fault than a full disk may last.
	restartEvery = time.Minute
)

// keep writes the marks, and looks at the disk, until ctx ends. A restart must not meet a mark of the stopped server.
func (s *Server) keep(ctx context.Context) {
	marks, disk := time.NewTicker(marksEvery), time.NewTicker(diskEvery)
	defer marks.Stop()
	defer disk.Stop()
	var d diskState
	for {
		select {
		case <-ctx.Done():
			return
		case <-marks.C:
			if err := s.mark(); err != nil {
				s.o.Log.Debug("marks not written", "err", err)
			}
		case <-disk.C:
			d = s.look(ctx, d)
		}
	}
}

// diskState is what was logged about the disk.
type diskState struct {
	tight, failed bool
	restarted     time.Time
}

// look warns of a disk with little room, and restarts the server if it no longer writes and there is room.
func (s *Server) look(ctx context.Context, d diskState) diskState {
	free, err := process.FreeBytes(s.data)
	if err != nil {
		return d
	}
	if free < tight && !d.tight {
		s.o.Log.Warn("the disk is almost full", "dir", s.data, "free_mb", free>>20)
	}
	d.tight = free < tight || d.tight && free < 2*tight
	why := s.unwritten()
	if why == "" {
		return d
	}
	if !d.failed {
		s.o.Log.Warn("nats cannot write, it is restarted once there is room", "dir", s.data, "free_mb", free>>20, "err", why)
	}
	if d.failed = true; free < needed || s.probe() != nil || time.Since(d.restarted) < restartEvery {
		return d
	}
	d.restarted = time.Now()
	if err := s.restart(ctx); err != nil {
		if ctx.Err() == nil {
			s.o.Log.Warn("nats could not be restarted, will retry", "err", err)
		}
		return d
	}
	s.o.Log.Info("nats was restarted, it writes again")
	d.failed = false
	return d
}

// unwritten returns why the server does not write to a stream; empty while it writes to all.
func (s *Server) unwritten() string {
	srv := s.srv.Load()
	if !srv.Running() || !srv.JetStreamEnabled() {
		return "its storage is shut down"
	}
	for _, e := range srv.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") {
			return e.Error
		}
	}
	return ""
}

// probe writes a file and removes it.
func (s *Server) probe() error {
	file := filepath.Join(s.data, "probe")
	return errors.Join(os.WriteFile(file, make([]byte, 1<<20), 0o600), os.Remove(file))
}

// restart starts another server on the same store and address. What clients are told meanwhile is that the connection
// is lost; what was not acknowledged they publish again.
func (s *Server) restart(ctx context.Context) error {
	old := s.srv.Load()
	if at, ok := old.Addr().(*net.TCPAddr); ok {
		host, _, _ := net.SplitHostPort(s.o.Addr) // it was listened on
		s.o.Addr = net.JoinHostPort(host, strconv.Itoa(at.Port))
	}
	old.Shutdown()
	old.WaitForShutdown()
	opts, err := serverOptions(s.o, s.password, s.secure)
	if err == nil {
		err = s.configure(opts)
	}
	if err == nil {
		err = s.run(ctx)
	}
	return err
}
