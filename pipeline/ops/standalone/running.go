package standalone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Running is where a running box answers. It is a file in its data directory, so that commands find the box whatever
// its ports are; the box holds a lock on the file, so that one left by a crash is not taken for it.
type Running struct {
	NATS       string `json:"nats"`       // without a password; empty without a listener
	ClickHouse string `json:"clickhouse"` // as CLICKHOUSE_URL, without a password; none without one
}

func runningFile(data string) string { return filepath.Join(data, "up.json") }

// FindRunning returns the box that runs on a data directory; false if none does.
func FindRunning(data string) (Running, bool) {
	f, err := os.Open(runningFile(data))
	if err != nil {
		return Running{}, false
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		return Running{}, false // no process holds it any more
	}
	var r Running
	body, err := io.ReadAll(io.LimitReader(f, 1<<16))
	return r, err == nil && json.Unmarshal(body, &r) == nil
}

// bare returns a URL without its secrets, with the user's name if name is set; "" if the URL cannot be parsed.
func bare(raw string, name bool) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	login := u.User
	if u.User = nil; name && login != nil {
		u.User = url.User(login.Username())
	}
	q := u.Query()
	if q.Has("password") {
		q.Del("password")
		u.RawQuery = q.Encode()
	}
	return u.String()
}

// writeRunning writes where the box answers. Another box on the same directory, of another world, keeps its file.
func (b *Box) writeRunning() error {
	r := Running{NATS: bare(b.NATSURL, false), ClickHouse: None}
	if b.CHURL != "" {
		r.ClickHouse = bare(b.CHURL, true)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(runningFile(b.o.Data), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("write its addresses: %w; choose another directory with --data", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return f.Close()
	}
	b.running = f
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt(body, 0)
		return err
	}
	return err
}

// removeRunning removes the file that writeRunning wrote.
func (b *Box) removeRunning() {
	if b.running == nil {
		return
	}
	err := os.Remove(b.running.Name())
	if err = errors.Join(err, b.running.Close()); err != nil {
		b.o.Log.Debug("up.json is left", "err", err)
	}
	b.running = nil
}
