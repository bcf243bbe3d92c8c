package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/cage"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/spend/gateway"
)

type doctorCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	Data          string `help:"Data directory." placeholder:"DIR"`
	KeepaURL      string `help:"" env:"KEEPA_URL" hidden:"" default:"https://api.keepa.com"`
}

var errUnwell = errors.New("something is wrong; each BAD line above gives the next step")

// Run checks everything that a pipeline needs, in the order in which problems must be fixed. It costs no token.
func (c doctorCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	well, first := true, ""
	check := func(what string, f func(context.Context) (string, error)) {
		ctx, cancel := a.bounded(10 * time.Second)
		defer cancel()
		text, err := f(ctx)
		mark := "ok  "
		if err != nil {
			well, mark, text = false, "BAD ", strings.ReplaceAll(err.Error(), "\n", "; ")
			first = cmp.Or(first, what+": "+text)
		}
		fmt.Fprintf(a.out, "%s %-11s %s\n", mark, what, text)
	}
	asks := func(what string, f func(context.Context, *app) (string, error)) {
		check(what, func(ctx context.Context) (string, error) { return f(ctx, a) })
	}
	check("build", func(context.Context) (string, error) { return a.env.Version, nil })
	check("data", c.disk)
	if !c.stores(a) {
		well, first = false, cmp.Or(first, "store: repair or restore what is BAD above, while nothing runs; see docs/damage.md")
	}
	asks("nats", c.nats)
	asks("daemons", c.daemons)
	asks("versions", c.versions)
	asks("keepa", c.keepa)
	asks("clock", c.clock)
	check("clickhouse", c.clickhouse)
	asks("ports", c.ports)
	check("cage", cageState)
	asks("deals", c.deals)
	asks("work", c.work)
	if !well {
		fmt.Fprintf(a.out, "\nDo this first: %s\n", first)
		return errUnwell
	}
	_, err := fmt.Fprintln(a.out, "\nNothing to do.")
	return err
}

// leastDisk is what months of stored answers want at 5 tokens a minute.
const leastDisk = 5 << 30

func (c doctorCmd) disk(context.Context) (string, error) {
	dir, err := c.dataDir()
	if err != nil {
		return "", err
	}
	var free int64
	for at := dir; ; at = filepath.Dir(at) {
		if free, err = process.FreeBytes(at); err == nil {
			break
		}
		if !errors.Is(err, unix.ENOENT) || at == filepath.Dir(at) {
			return "", fmt.Errorf("inspect %s: %w; choose another directory with --data", at, err)
		}
	}
	text := fmt.Sprintf("%s, %.1f GB free", dir, float64(free)/1e9)
	if free < leastDisk {
		return "", fmt.Errorf("%s; want at least 5 GB: choose another directory with --data", text)
	}
	return text, nil
}

// stores looks at every stream, consumer and bucket of the stores in the data directory, while nothing runs on them. It
// reports whether all of them are intact, and names each one only where --data asks for it or it is not.
func (c doctorCmd) stores(a *app) bool {
	dir, err := c.dataDir()
	if err != nil {
		return true // the previous check reported it
	}
	well := true
	for _, store := range standalone.Stores(dir) {
		parts, err := natsd.Survey(store)
		if errors.Is(err, natsd.ErrInUse) {
			fmt.Fprintf(a.out, "ok   %-11s %s is in use: the running pipeline is checked below; stop it to check every file\n", "store", store)
			continue
		}
		if err != nil {
			fmt.Fprintf(a.out, "BAD  %-11s %v\n", "store", err)
			well = false
			continue
		}
		well = c.parts(a, store, parts) && well
	}
	return well
}

// parts prints what a store holds.
func (c doctorCmd) parts(a *app, store string, parts []natsd.Part) bool {
	intact, lost := 0, 0
	for _, p := range parts {
		switch {
		case p.Err != nil:
			lost++
			fmt.Fprintf(a.out, "BAD  %-11s %s: %v\n", "store", p.Name, p.Err)
		case p.Repair != "":
			fmt.Fprintf(a.out, "heal %-11s %s: %s; the next start does it\n", "store", p.Name, p.Repair)
		default:
			intact++
			if c.Data != "" {
				fmt.Fprintf(a.out, "ok   %-11s %s: %s\n", "store", p.Name, p.Contents)
			}
		}
	}
	fmt.Fprintf(a.out, "%s %-11s %s: %d of %d streams, consumers and buckets are intact\n", map[bool]string{true: "ok  ", false: "BAD "}[lost == 0], "store", store, intact, len(parts))
	return lost == 0
}

// dataDir is the data directory, the user's own unless another is named.
func (c doctorCmd) dataDir() (string, error) {
	if c.Data != "" {
		return c.Data, nil
	}
	return standalone.DefaultData()
}

func (c doctorCmd) keepa(ctx context.Context, a *app) (string, error) {
	// The running tokend knows the key and the plan that are in use, which the environment of this shell may not.
	known := false
	text, err := c.runs(ctx, a, func(_ *bus.Bus, s cli.Status) (text string, err error) {
		text, err, known = s.Keepa()
		return text, err
	})
	if known {
		return text, err
	}
	env := a.env
	key, set, err := process.Find(env.Lookup, "KEEPA_API_KEY")
	if err != nil {
		return "", err
	}
	if !set {
		return "KEEPA_API_KEY is not set: `ratchet up` uses the simulated Keepa", nil
	}
	g, err := gateway.New(gateway.Config{URL: c.KeepaURL, Key: key, Timeout: 10 * time.Second}, env)
	if err != nil {
		return "", err
	}
	asked := time.Now()
	r, err := g.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("%w; check the network, KEEPA_API_KEY, and KEEPA_URL if it is set", err)
	}
	if why := token.Starved(r); why != "" {
		return "", errors.New(why)
	}
	ahead, err := offset(time.UnixMilli(r.TS).Sub(asked.Add(time.Since(asked) / 2)))
	return fmt.Sprintf("%d tokens a minute, balance %d of %d; %s", r.Rate, r.Left, 60*r.Rate, ahead), err
}

// listens reports whether something takes connections at a server's address, or at one of several with commas between.
func listens(ctx context.Context, urls string) bool { return reach(ctx, urls) == nil }

// reach tries all addresses at once, because one whose host is down answers nothing. It returns why none is reached.
func reach(ctx context.Context, urls string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	all := strings.Split(urls, ",")
	tried := make(chan error, len(all))
	for _, one := range all {
		go func() {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostOf(strings.TrimSpace(one)))
			if err == nil {
				err = conn.Close() // it only had to open
			}
			tried <- err
		}()
	}
	var failed error
	for range all {
		if failed = <-tried; failed == nil {
			return nil
		}
	}
	return failed
}

func (c doctorCmd) nats(ctx context.Context, a *app) (string, error) {
	if !listens(ctx, c.NATSURL) {
		return "nothing listens at " + bus.RedactURL(c.NATSURL) + ": `ratchet up` will start one", nil
	}
	b, err := c.connect(ctx, a)
	if err != nil {
		return "", err
	}
	defer b.Close()
	s, err := cli.ReadStatus(ctx, b)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return bus.RedactURL(c.NATSURL) + " answers; no pipeline has run on it yet", nil
	}
	if err != nil {
		return "", err
	}
	var wrong []error
	for _, st := range s.Stuck {
		wrong = append(wrong, fmt.Errorf("%s is stuck: %s", st.Daemon, st.Reason))
	}
	if len(s.Late) > 0 {
		wrong = append(wrong, fmt.Errorf("no answer in time: %s", strings.Join(s.Late, "; ")))
	}
	if len(wrong) > 0 {
		return "", fmt.Errorf("%w; see docs/operate.md", errors.Join(wrong...))
	}
	return fmt.Sprintf("%s, %d daemons alive", bus.RedactURL(c.NATSURL), len(s.Daemons)), nil
}

func (c doctorCmd) clickhouse(ctx context.Context) (string, error) {
	if c.URL == standalone.None {
		return "none is used: reports and deals come from the streams", nil
	}
	if !listens(ctx, c.URL) {
		return "nothing listens at " + cli.RedactURL(c.URL) + ": `ratchet up` will start the embedded engine", nil
	}
	w, err := warehouse.Reach(ctx, c.URL)
	if errors.Is(err, warehouse.ErrNoDatabase) {
		return cli.RedactURL(c.URL) + " answers; `ratchet up` will make the database", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = w.Close() }() // read only
	return cli.RedactURL(c.URL) + " answers", nil
}

// cageState names what the embedded engine's process is kept from, and what this kernel cannot keep it from.
func cageState(context.Context) (string, error) {
	lacks := cage.Missing()
	if len(lacks) == 0 {
		return "the embedded engine is kept to its own files, and from TCP, UDP, unix sockets and signals to others", nil
	}
	return "this kernel cannot keep the embedded engine from: " + strings.Join(lacks, ", ") + "; SQL statements are restricted in any case", nil
}

// deals counts the visible deals and, if both ClickHouse and the streams answer, compares the two counts.
func (c doctorCmd) deals(ctx context.Context, a *app) (string, error) {
	if !listens(ctx, c.NATSURL) {
		return "not counted: NATS does not answer", nil
	}
	b, err := c.connect(ctx, a)
	if err != nil {
		return "not counted: NATS does not answer", nil //nolint:nilerr // reported above
	}
	defer b.Close()
	visible := cli.NewVisible(b, c.URL)
	defer visible.Close()
	return visible.Examine(ctx)
}
