// Package standalone is the whole pipeline in one process: an embedded NATS, an
// embedded ClickHouse, a Keepa (the real one, or a simulated one on loopback)
// and every daemon, wired as the separate processes are: same code, same
// subjects, same tables.
//
//	natsd ◀── tokend, watermarker, peeker, committer ──▶ keepasim or api.keepa.com
//	  ▲
//	  ├────── recorder ──▶ clickhouse (a supervised child process)
//	  ├────── notifier ──▶ Slack, Telegram, mail …, where NOTIFY_TARGETS names them
//	  └────── page ──▶ browsers on this machine
package standalone

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/spend/gateway"
)

// Embedded and None are the two values of Options.ClickHouse that are not URLs.
const (
	Embedded = "embedded"
	None     = "none"
)

// DefaultPage is the default address of the live page: if another process has taken it, the box runs
// without one. PageOff is the value of Options.Page without one.
const (
	DefaultPage = "127.0.0.1:8080"
	PageOff     = "off"
)

// World is which Keepa the box talks to. Each has a directory of its own below
// Options.Data, so that simulated deals are never among real ones.
type World string

// The worlds.
const (
	Real      World = "real"      // Keepa itself
	Simulated World = "simulated" // a living catalogue, seeded
	Captured  World = "captured"  // captured answers, served again
	Backlog   World = "backlog400"
	Given     World = "given" // Options.Catalogue, from a fixed instant on
)

// Options choose what to start.
type Options struct {
	Data        string             // root of the data directory
	World       World              // which Keepa
	Key         process.Secret     // Keepa's key; needed in the real world
	KeepaURL    string             // overrides Keepa's address
	CapturedDir string             // where captured answers are
	NATSAddr    string             // host:port for clients of the embedded NATS; empty: none
	Monitor     string             // host:port of its monitoring; empty: none
	ClickHouse  string             // Embedded, None or a URL
	CHAddr      string             // host:port of the embedded ClickHouse
	TLS         access.TLS         // of addresses that other machines reach
	Probes      string             // host:port of /livez, /readyz and /metrics; empty: none
	Page        string             // host:port of the live page; empty or off: none. DefaultPage may be taken
	PageLAN     bool               // also to other machines of the private network, in plain HTTP, by a one-time code
	CHLib       string             // a libchdb.so got another way; empty: the one npm fetched
	Speed       float64            // pipeline seconds per machine second; 1 in the real world
	Seed        uint64             // of the simulated catalogue
	Rate        int                // tokens a minute of the simulated plan
	Balance     int                // at the start; negative debts are allowed; see FullBucket
	Tick        time.Duration      // between refills of the simulated plan; 0: Keepa's 60.2 s
	Catalogue   keepasim.Catalogue // of a Given world
	Faults      keepasim.Faults    // of a simulated Keepa
	Policy      string             // written to TOKENS as the policy, JSON; empty: the default
	Tokends     int                // how many tokends contend; 0 is one
	Workers     int                // how many peekers and committers share the work; 0 is one each
	SkipPeek    bool               // a commit for every candidate, to show what the peek saves
	Settings    map[string]string
	Log         *slog.Logger
	Version     string
	Progress    io.Writer // where a download shows its progress
}

// FullBucket asks for a simulated balance at capacity.
const FullBucket = -1 << 31

// DefaultData is the user's own data directory for Ratchet.
func DefaultData() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "ratchet"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w; set --data", err)
	}
	return filepath.Join(home, ".local", "share", "ratchet"), nil
}

// Validate names the flag that is wrong.
func (o Options) Validate() error {
	switch {
	case o.Data == "":
		return process.Usagef("--data: must not be empty")
	case o.Speed < 1 || o.Speed > 100000:
		return process.Usagef("--speed: want 1 to 100000, got %g", o.Speed)
	case o.World == Real && o.Speed != 1:
		return process.Usagef("--speed %g: only simulated time can be scaled; add --simulate or leave --speed out", o.Speed)
	case o.World == Real && o.Key == "":
		return process.Usagef("KEEPA_API_KEY is not set; set it, or add --simulate")
	case o.World == Captured && o.CapturedDir == "":
		return process.Usagef("--captured: want a directory of captured answers")
	case o.ClickHouse != Embedded && o.ClickHouse != None && o.ClickHouse != "" && warehouse.CheckURL(o.ClickHouse) != nil:
		return process.Usagef("--clickhouse: want %s, %s or the URL of a server: %w", Embedded, None, warehouse.CheckURL(o.ClickHouse))
	case o.Rate < 1 || o.Rate > 5000:
		return process.Usagef("--rate: want 1 to 5000 tokens a minute, got %d", o.Rate)
	}
	if o.World == Real && o.KeepaURL != "" {
		if err := gateway.CheckURL(o.KeepaURL, o.Key); err != nil {
			return &process.UsageError{Err: err}
		}
	}
	if o.PageLAN && (o.Page == "" || o.Page == PageOff) {
		return process.Usagef("--page-lan: there is no page to serve; leave out --page %s", PageOff)
	}
	if err := o.TLS.Validate(); err != nil {
		return err
	}
	for _, a := range [][2]string{
		{"--metrics-addr", o.Probes}, {"--nats", o.NATSAddr}, {"--nats-monitor", o.Monitor}, {"--clickhouse-addr", o.CHAddr}, {"--page", o.Page},
	} {
		if a[1] == "" || a[1] == PageOff {
			continue // not asked for
		}
		if _, _, err := process.Address(a[0], a[1]); err != nil {
			return err
		}
	}
	return nil
}

// Engines are the ClickHouse directories below a data directory: one for each world that has run in it.
func Engines(data string) []string {
	var found []string
	for _, w := range []World{Real, Simulated, Captured} {
		dir := Options{Data: data, World: w}.dir("clickhouse")
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
			found = append(found, dir)
		}
	}
	return found
}

// Stores are the NATS stores below a data directory: one for each world that has run in it, or the directory itself
// where it is the store of another NATS.
func Stores(data string) []string {
	var found []string
	for _, dir := range []string{
		Options{Data: data, World: Real}.dir("nats"), Options{Data: data, World: Simulated}.dir("nats"), Options{Data: data, World: Captured}.dir("nats"), data,
	} {
		if fi, err := os.Stat(filepath.Join(dir, "jetstream")); err == nil && fi.IsDir() {
			found = append(found, dir)
		}
	}
	return found
}

// dir is the world's own directory.
func (o Options) dir(parts ...string) string {
	return filepath.Join(append([]string{o.Data, string(o.World)}, parts...)...)
}

// errNotReady means that a daemon did not open its doors in time.
var errNotReady = errors.New("not ready in time")
