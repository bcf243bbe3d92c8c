package natsd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The server starts on a store with damaged files without reporting it: an unreadable
// block counts as empty, and a stream without its configuration as absent. So the
// contents of the store are recorded next to it, and compared at the next start.

// marksFile is in the data directory.
const marksFile = "marks.json"

// marksEvery is the interval at which the marks are written while the server runs, machine time: they are 20 KB.
const marksEvery = 2 * time.Minute

// marks are the contents of the store at an instant.
type marks struct {
	Streams map[string]mark `json:"streams"`
}

// mark is the contents of one stream. It may be older than the store, never newer.
type mark struct {
	First    uint64            `json:"first"`
	Last     uint64            `json:"last"`
	Messages uint64            `json:"messages"`
	Deleted  int               `json:"deleted,omitempty"` // after the first
	Oldest   time.Time         `json:"oldest,omitzero"`   // storage time of the first message, machine time
	Meta     []byte            `json:"meta,omitempty"`    // the stream's configuration file
	Sum      []byte            `json:"sum,omitempty"`     // and its checksum
	Floors   map[string]uint64 `json:"floors,omitempty"`
}

// readMarks reads the marks; without readable marks nothing is compared.
func readMarks(data string) marks {
	var m marks
	raw, err := os.ReadFile(filepath.Join(data, marksFile))
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return marks{}
	}
	return m
}

// write replaces the file atomically, so that a crash leaves the old marks.
func (m marks) write(data string) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	file := filepath.Join(data, marksFile)
	if err := os.WriteFile(file+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// contents returns the streams of the running server.
func (s *Server) contents() (map[string]server.StreamDetail, error) {
	srv := s.srv.Load()
	if !srv.JetStreamEnabled() {
		return nil, errors.New("list the streams: the server's storage is shut down")
	}
	z, err := srv.Jsz(&server.JSzOptions{Streams: true, Consumer: true, Config: true, Limit: 1024})
	if err != nil {
		return nil, fmt.Errorf("list the streams: %w", err)
	}
	out := map[string]server.StreamDetail{}
	for _, account := range z.AccountDetails {
		for _, d := range account.Streams {
			out[d.Name] = d
		}
	}
	return out, nil
}

// mark records the contents of the store. An unreadable configuration does not replace a readable one.
func (s *Server) mark() error {
	held, err := s.contents()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := marks{Streams: map[string]mark{}}
	for name, d := range held {
		k := mark{
			First: d.State.FirstSeq, Last: d.State.LastSeq, Messages: d.State.Msgs, Oldest: d.State.FirstTime, Deleted: d.State.NumDeleted,
			Floors: map[string]uint64{}, Meta: s.marks.Streams[name].Meta, Sum: s.marks.Streams[name].Sum,
		}
		for _, c := range d.Consumer {
			k.Floors[c.Name] = c.AckFloor.Stream
		}
		if meta, sum, err := readMeta(streamDir(s.data, name), name); err == nil {
			k.Meta, k.Sum = meta, sum
		}
		next.Streams[name] = k
	}
	s.marks = next
	return next.write(s.data)
}

// restore writes back the configuration of streams that have lost it: a recreated
// stream would be another one for every component that stores its sequences.
func (m marks) restore(data string) ([]string, error) {
	var restored []string
	for name, k := range m.Streams {
		dir := streamDir(data, name)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || len(k.Meta) == 0 {
			continue
		}
		if _, _, err := readMeta(dir, name); err == nil {
			continue
		}
		if err := errors.Join(
			os.WriteFile(filepath.Join(dir, server.JetStreamMetaFile), k.Meta, 0o600),
			os.WriteFile(filepath.Join(dir, server.JetStreamMetaFileSum), k.Sum, 0o600),
		); err != nil {
			return restored, fmt.Errorf("restore the configuration of %s in %s: %w", name, dir, err)
		}
		restored = append(restored, name)
	}
	return restored, nil
}

// Loss is what a stream held when the server last ran and has lost.
type Loss struct {
	Stream   string
	Dir      string
	Messages uint64 // at least
	Last     uint64 // the highest sequence before
	Now      uint64 // the highest sequence now; below Last it would reuse sequences
	Empty    bool   // nothing is left in the stream
}

// Losses compares the store with its contents when the server last ran.
func (s *Server) Losses() ([]Loss, error) {
	held, err := s.contents()
	if err != nil {
		return nil, err
	}
	var out []Loss
	for name, before := range s.before.Streams {
		d, there := held[name]
		lost := before.lost(d, there, time.Now())
		if lost == 0 && (!there || d.State.LastSeq >= before.Last) {
			continue
		}
		out = append(out, Loss{
			Stream: name, Dir: streamDir(s.data, name), Messages: lost,
			Last: before.Last, Now: d.State.LastSeq, Empty: d.State.Msgs == 0,
		})
	}
	return out, nil
}

// lost returns how many messages are missing that no limit has removed. The number
// is only known for streams whose messages expire from the front; for a bucket,
// where a new value removes the old one, it is only known whether all are missing.
func (m mark) lost(d server.StreamDetail, there bool, now time.Time) uint64 {
	switch {
	case m.Messages == 0:
		return 0
	case !there:
		return m.Messages
	case d.Config != nil && (d.Config.AllowMsgTTL || aged(d.Config, m.Oldest, now)):
		return 0 // its messages expire
	case d.Config != nil && d.Config.MaxMsgsPer > 0:
		if d.State.FirstSeq > m.Last || d.State.Msgs == 0 {
			return m.Messages
		}
		return 0
	case d.Config != nil && d.Config.MaxBytes > 0 && d.State.Bytes > uint64(d.Config.MaxBytes)/2: //nolint:gosec // above 0
		// The oldest messages may have expired through a limit; those after the first do not.
		return uint64(max(0, d.State.NumDeleted-m.Deleted)) //nolint:gosec // not negative
	}
	return m.Messages - min(m.Messages, m.still(d))
}

// still returns how many of the marked messages are present.
func (m mark) still(d server.StreamDetail) uint64 {
	if d.State.LastSeq <= m.Last {
		return d.State.Msgs
	}
	later := d.State.LastSeq - m.Last // stored after the mark
	return d.State.Msgs - min(d.State.Msgs, later)
}

// aged reports whether the oldest marked message was due to expire.
func aged(c *server.StreamConfig, oldest, now time.Time) bool {
	return c.MaxAge > 0 && now.Sub(oldest) >= c.MaxAge
}

// Floor returns the sequence up to which a consumer had settled
// everything when that was last recorded; 0 if it never was.
func (s *Server) Floor(stream, durable string) uint64 {
	return s.before.Streams[stream].Floors[durable]
}

// Aside is a consumer whose state was damaged.
type Aside struct {
	Stream, Durable string
	To              string // where its directory is now
}

// Aside returns the consumers that this start has set aside: they must be recreated, at Floor.
func (s *Server) Aside() []Aside { return s.aside }

// setAside moves consumers with unreadable state to the directory damaged of the store. The server would not
// open them, and no request could remove them; or, if the state is truncated, it would skip what was pending.
func setAside(data string) ([]Aside, error) {
	files, err := filepath.Glob(filepath.Join(streamDir(data, "*"), "obs", "*", "o.dat"))
	if err != nil {
		return nil, err
	}
	var out []Aside
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return out, fmt.Errorf("read the state of a consumer: %w", err)
		}
		if len(raw) == 0 {
			continue // it delivers everything again
		}
		if _, err := consumerFloor(raw); err == nil {
			continue
		}
		from := filepath.Dir(f)
		a := Aside{Stream: filepath.Base(filepath.Dir(filepath.Dir(from))), Durable: filepath.Base(from)}
		a.To = filepath.Join(data, "damaged", fmt.Sprintf("%s-%s-%d", a.Stream, a.Durable, time.Now().UnixNano()))
		if err := errors.Join(os.MkdirAll(filepath.Dir(a.To), 0o700), os.Rename(from, a.To)); err != nil {
			return out, fmt.Errorf("set aside %s: %w; move it away by hand", from, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// StreamDir returns the directory of a stream's files.
func (s *Server) StreamDir(stream string) string { return streamDir(s.data, stream) }

func streamDir(data, stream string) string {
	return filepath.Join(data, "jetstream", "$G", "streams", stream)
}
