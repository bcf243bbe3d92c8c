package scenario

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/cluster"
	"ratchet/pipeline/sim/keepasim"
)

// fleetKey is the API key that the processes send to the simulated Keepa.
const fleetKey = "simulated"

// fleet is the pipeline as in production: every daemon and NATS a process of its own. The
// processes are this binary under another command; revive acts as their supervisor.
type fleet struct {
	self string      // this binary
	logs string      // directory of their logs
	here process.Env // of this process
	ends []func()    // what end does, the last first

	mu       sync.Mutex
	procs    map[string]*proc
	natsAddr string // host:port, once NATS has reported it
	ended    bool
	kills    int
}

// proc is one process, under its name: peeker-1.
type proc struct {
	name, command string
	args          []string
	env           []string
	cmd           *exec.Cmd
	said          chan string // the first line of its standard output
	gone          chan struct{}
}

// crew are the daemons to run.
var crew = []string{"tokend-1", "tokend-2", "watermarker-1", "watermarker-2", "peeker-1", "peeker-2", "committer-1", "committer-2"}

// newFleet returns a fleet without processes, and its directory of logs. end must be called.
func newFleet(o Options) (*fleet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	clock := process.NewClock(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), o.Speed)
	f := &fleet{self: self, logs: filepath.Join(o.Data, "logs"), here: process.Env{Log: o.Log, Clock: clock, Version: o.Version}, procs: map[string]*proc{}}
	if err := os.MkdirAll(f.logs, 0o700); err != nil {
		return nil, fmt.Errorf("create the directory of the logs: %w", err)
	}
	f.ends = append(f.ends, f.kill)
	return f, nil
}

// launch starts Keepa in this process and everything else as processes.
func (s Scenario) launch(ctx context.Context, o Options, world keepasim.Catalogue) (_ *Rig, err error) {
	f, err := newFleet(o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.end()
		}
	}()
	sim, url, err := f.keepa(s, o, world, s.Box.Faults)
	if err != nil {
		return nil, err
	}
	b, err := f.nats(ctx, o)
	if err != nil {
		return nil, err
	}
	env := f.environ("nats://"+f.natsAddr, url)
	for _, name := range crew {
		if err := f.start(name, env); err != nil {
			return nil, err
		}
	}
	if err := answers(ctx, b); err != nil {
		return nil, err
	}
	r := &Rig{
		Bus: b, Sim: sim, Env: f.here, T0: f.here.Now(), Ps: f, failed: make(chan error), awaitRecorder: func(context.Context, time.Duration) {},
		stopWorkers: f.stopWorkers, stopStages: func() { f.stop("tokend") },
	}
	sim.Start(r.T0)
	return r, nil
}

// keepa serves a simulated Keepa to the processes.
func (f *fleet) keepa(s Scenario, o Options, world keepasim.Catalogue, faults keepasim.Faults) (*keepasim.Sim, string, error) {
	sim := keepasim.New(keepasim.Options{
		Now: f.here.Now, After: f.here.After, Seed: o.Seed, Key: fleetKey, Rate: s.Box.Rate, Balance: s.Box.Balance,
		StartEmpty: true, Tick: time.Minute, Catalogue: world, Faults: faults, Log: o.Log,
	})
	url, err := f.serve(sim)
	return sim, url, err
}

// serve serves a handler to the processes.
func (f *fleet) serve(h http.Handler) (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for the processes: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // it always returns an error
	f.ends = append(f.ends, func() { _ = server.Close() })
	return "http://" + l.Addr().String(), nil
}

// nats starts NATS and connects to it.
func (f *fleet) nats(ctx context.Context, o Options) (*bus.Bus, error) {
	if err := f.startNATS(filepath.Join(o.Data, "nats")); err != nil {
		return nil, err
	}
	return f.connect(ctx, bus.Config{URL: "nats://" + f.natsAddr, MaxStore: 50e9})
}

// connect connects to NATS and creates the streams.
func (f *fleet) connect(ctx context.Context, cfg bus.Config) (*bus.Bus, error) {
	cfg.MaxAge = 90 * 24 * time.Hour
	b, err := bus.Connect(ctx, cfg, f.here, "soak")
	if err != nil {
		return nil, err
	}
	f.ends = append(f.ends, b.Close)
	return b, b.Ensure(ctx)
}

// environ is what every daemon has in its environment.
func (f *fleet) environ(nats, keepa string) []string {
	return append(f.here.Clock.Environ(), "NATS_URL="+nats, "KEEPA_URL="+keepa, "KEEPA_API_KEY="+fleetKey, "LOG_LEVEL=info")
}

// answers waits until every kind of daemon has a heartbeat.
func answers(ctx context.Context, b *bus.Bus) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		missing := ""
		for _, name := range []string{"tokend", "watermarker", "peeker", "committer"} {
			if len(b.AskAll(ctx, []string{name}, 300*time.Millisecond)) == 0 {
				missing = name
			}
		}
		if missing == "" {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("start the processes: no %s answers", missing)
		}
	}
}

// startNATS starts the server on a port that it chooses once and keeps.
func (f *fleet) startNATS(data string) error {
	if err := f.start("natsd-1", []string{"NATSD_DATA=" + data, "LOG_LEVEL=info"}); err != nil {
		return err
	}
	p := f.procs["natsd-1"]
	select {
	case url := <-p.said:
		f.natsAddr = strings.TrimPrefix(url, "nats://")
	case <-p.gone:
		return fmt.Errorf("start NATS: it ended at once; see %s", f.log(p.name))
	case <-time.After(30 * time.Second):
		return errors.New("start NATS: no address within 30 s")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.env = append(p.env, "NATSD_ADDR="+f.natsAddr)
	return nil
}

func (f *fleet) log(name string) string { return filepath.Join(f.logs, name+".log") }

// start starts a process and restarts it a second after it dies, as a supervisor would.
func (f *fleet) start(name string, env []string) error {
	command, _, _ := strings.Cut(name, "-")
	return f.startAs(name, []string{"daemon", command}, env)
}

// startAs is start for any command of this binary.
func (f *fleet) startAs(name string, args, env []string) error {
	command, _, _ := strings.Cut(name, "-")
	p := &proc{name: name, command: command, args: args, env: env, said: make(chan string, 1)}
	if err := f.run(p); err != nil {
		return err
	}
	go f.revive(p)
	return nil
}

func (f *fleet) run(p *proc) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return errors.New("the run is over")
	}
	log, err := os.OpenFile(f.log(p.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer func() { _ = log.Close() }()                                  // the child has its own
	cmd := exec.CommandContext(context.Background(), f.self, p.args...) // ended by signal or stop only
	cmd.Env, cmd.Stderr = p.env, log
	for _, keep := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(keep); ok {
			cmd.Env = append(cmd.Env, keep+"="+v)
		}
	}
	cluster.DieWithParent(cmd)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.gone = cmd, make(chan struct{})
	f.procs[p.name] = p
	go func(gone chan struct{}) {
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			select {
			case p.said <- lines.Text():
			default:
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // how it ended is in its log
		close(gone)
	}(p.gone)
	return nil
}

func (f *fleet) revive(p *proc) {
	for {
		f.mu.Lock()
		gone := p.gone
		f.mu.Unlock()
		<-gone
		time.Sleep(time.Second)
		f.mu.Lock()
		over := f.ended || f.procs[p.name] != p
		f.mu.Unlock()
		if over || f.run(p) != nil {
			return
		}
	}
}

// signal sends a signal to a process, if it runs.
func (f *fleet) signal(name string, sig syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.procs[name]; ok {
		_ = p.cmd.Process.Signal(sig) // it may be between two runs
	}
	if sig == syscall.SIGKILL {
		f.kills++
	}
}

// killed returns how often kill -9 was sent.
func (f *fleet) killed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kills
}

// stop ends the processes of these daemons for good and waits for them.
func (f *fleet) stop(commands ...string) {
	var ended []*proc
	f.mu.Lock()
	for name, p := range f.procs {
		for _, c := range commands {
			if p.command == c {
				delete(f.procs, name)
				ended = append(ended, p)
				_ = p.cmd.Process.Signal(syscall.SIGCONT)
				_ = p.cmd.Process.Signal(syscall.SIGTERM)
			}
		}
	}
	f.mu.Unlock()
	for _, p := range ended {
		select {
		case <-p.gone:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.gone
		}
	}
}

// stopWorkers ends what works on candidates.
func (f *fleet) stopWorkers() { f.stop("watermarker", "peeker", "committer") }

// end kills every process and closes what was opened for them.
func (f *fleet) end() {
	for _, end := range slices.Backward(f.ends) {
		end()
	}
}

// kill kills every process that still runs.
func (f *fleet) kill() {
	f.mu.Lock()
	f.ended = true
	procs := f.procs
	f.mu.Unlock()
	for _, p := range procs {
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// leaderOf returns the name of the process that holds a lease; empty if none does.
func (f *fleet) leaderOf(ctx context.Context, b *bus.Bus, command, key string) string {
	kv, err := b.Store(ctx, pipeline.BucketLeaders)
	if err != nil {
		return ""
	}
	e, err := kv.Get(ctx, key)
	if err != nil {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, p := range f.procs {
		if p.command == command && strings.Contains(string(e.Value()), fmt.Sprintf(".%d-", p.cmd.Process.Pid)) {
			return name
		}
	}
	return ""
}

// names are the processes, in alphabetical order.
func (f *fleet) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.procs))
}

func (f *fleet) has(name string) bool { return slices.Contains(f.names(), name) }

// restart ends a process as its supervisor does and waits until it runs again.
func (f *fleet) restart(ctx context.Context, name string) error {
	f.mu.Lock()
	before := f.procs[name].gone
	f.mu.Unlock()
	f.signal(name, syscall.SIGTERM)
	for range 600 {
		f.mu.Lock()
		again := f.procs[name].gone != before
		f.mu.Unlock()
		if again {
			return nil
		}
		if err := process.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("restart %s: it still runs a minute after SIGTERM; see %s", name, f.log(name))
}

// startClickHouse starts it on a port that it keeps, and returns its address.
func (f *fleet) startClickHouse(ctx context.Context, data, lib string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port for ClickHouse: %w", err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", fmt.Errorf("find a port for ClickHouse: %w", err)
	}
	var env []string
	if lib != "" {
		env = append(env, "CHDB_LIB_PATH="+lib)
	}
	if err := f.startAs("clickhouse-1", []string{"clickhouse", "--data", data, "--addr", addr}, env); err != nil {
		return "", err
	}
	p := f.procs["clickhouse-1"]
	select {
	case line := <-p.said:
		return strings.TrimPrefix(line, "ready "), nil
	case <-p.gone:
		return "", fmt.Errorf("start ClickHouse: it ended at once; see %s", f.log(p.name))
	case <-time.After(5 * time.Minute):
		return "", errors.New("start ClickHouse: not ready within 5 minutes")
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
