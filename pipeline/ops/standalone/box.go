package standalone

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/clickhouse"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/health"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/tokend"
	"ratchet/pipeline/watermarker"
)

// readyWithin bounds the start of every daemon, on the machine's clock.
const readyWithin = 60 * time.Second

// tokendWithin is how long the start waits for the balance from Keepa.
const tokendWithin = 10 * time.Second

// Box is the running pipeline.
type Box struct {
	Bus     *bus.Bus      // a connection for observers
	Sim     *keepasim.Sim // nil in the real world
	Env     process.Env   // pipeline time and the logger
	T0      time.Time     // pipeline time at which every daemon was ready
	NATSURL string        // for clients outside; empty without a listener
	Monitor string        // host:port of its monitoring; empty without
	Probes  string        // host:port of /livez and /readyz; empty without
	CHURL   string        // ClickHouse as clickhouse-go takes it; empty without one
	Page    string        // URL of the live page; empty without one
	Phone   string        // address with a code by which a phone is admitted, once; empty without --page-lan
	NoPage  error         // why the requested page does not run

	o        Options
	nats     *natsd.Server
	ch       *clickhouse.Server
	sim      *simServer
	stages   *supervisor // the daemons that spend
	tokends  *supervisor
	recorder *supervisor
	notifier *supervisor    // nil without targets
	notifies bool           // there are targets
	door     *page.Listener // the address of the page; nil without one
	page     *page.Server   // nil before it is served
	fatal    chan error
	running  *os.File // the lock file of a running box; nil before

	unprobe      context.CancelFunc // ends the probes; nil without
	unprovision  context.CancelFunc // ends the provisioning of ClickHouse; nil without one
	provisioning sync.WaitGroup
}

// Start opens everything in the order in which things need each other and
// returns when every daemon is ready. A simulated Keepa answers from that
// instant on, so that no simulated minute passes before.
func Start(ctx context.Context, o Options) (_ *Box, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.dir(), 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w; choose another with --data", err)
	}
	b := &Box{o: o, fatal: make(chan error, 8)}
	defer func() {
		if err != nil {
			b.Stop(context.WithoutCancel(ctx))
		}
	}()
	if err = errors.Join(access.Share(o.Data, o.dir("nats")), access.Share(o.Data, o.dir("clickhouse"))); err != nil {
		return nil, err
	}
	if b.nats, err = natsd.Start(ctx, natsd.Options{Data: o.dir("nats"), Addr: o.NATSAddr, Monitor: o.Monitor, TLS: o.TLS, Log: o.Log}); err != nil {
		return nil, err
	}
	b.NATSURL, b.Monitor = b.nats.URL(), b.nats.Monitor()
	if err = b.openPage(); err != nil {
		return nil, err
	}
	if err = b.openClickHouse(ctx); err != nil {
		return nil, err
	}
	if err = b.openKeepa(); err != nil {
		return nil, err
	}
	b.Env = process.Env{Log: o.Log, Lookup: b.lookup(), Clock: b.clock(), Version: o.Version}
	if o.World != Given { // the finds of a forecast or a soak are not notified
		if b.notifies, err = notifier.Configured(ctx, b.Env); err != nil {
			return nil, err
		}
	}
	if err = b.openProbes(ctx); err != nil {
		return nil, err
	}
	// Connections within a process do not hang, so frequent pings would find nothing.
	b.Env.NATSOptions = append(b.Env.NATSOptions, b.nats.InProcess(), nats.PingInterval(time.Minute))
	cfg, err := process.Load[bus.Configured](ctx, b.Env.Lookup)
	if err != nil {
		return nil, err
	}
	if b.Bus, err = bus.Connect(ctx, cfg.NATS, b.Env, "ratchet"); err != nil {
		return nil, err
	}
	if err = b.ensure(ctx); err != nil {
		return nil, err
	}
	if err = b.provision(ctx); err != nil {
		return nil, err
	}
	if err = b.startDaemons(ctx); err != nil {
		return nil, err
	}
	if err = b.startNotifier(ctx); err != nil {
		return nil, err
	}
	b.startPage(ctx)
	return b, b.writeRunning()
}

// openProbes answers the probes of an orchestrator for all daemons of the box. Between its start and its end it is
// alive.
func (b *Box) openProbes(ctx context.Context) error {
	if b.o.Probes == "" {
		return nil
	}
	l, err := process.Listen("--metrics-addr", b.o.Probes)
	if err != nil {
		return err
	}
	parts := []string{"tokend", "watermarker", "peeker", "committer"}
	if b.CHURL != "" {
		parts = append(parts, "recorder")
	}
	if b.notifies {
		parts = append(parts, "notifier")
	}
	b.Env.Health = health.New(parts...)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.unprobe = stop
	b.Env.Health.Serve(running, l, b.o.Log)
	b.Probes = l.Addr().String()
	return nil
}

func (b *Box) startDaemons(ctx context.Context) error {
	if b.CHURL != "" {
		b.recorder = newSupervisor(b.Env, b.fatal)
		if err := b.recorder.start(context.WithoutCancel(ctx), readyWithin, map[string]run{"recorder": recorder.Run}); err != nil {
			return err
		}
	}
	if err := b.setPolicy(ctx); err != nil {
		return err
	}
	stages := map[string]run{"watermarker": watermarker.Run, "peeker": peeker.Run, "committer": committer.Run}
	for n := 2; n <= b.o.Workers; n++ {
		stages[fmt.Sprintf("peeker-%d", n)], stages[fmt.Sprintf("committer-%d", n)] = peeker.Run, committer.Run
	}
	b.stages = newSupervisor(b.Env, b.fatal)
	err := b.stages.start(context.WithoutCancel(ctx), readyWithin, stages)
	if err != nil {
		return err
	}
	// No stage can spend before tokend issues, so simulated time begins here: with
	// everyone waiting for the first grant.
	b.T0 = b.Env.Now()
	if b.sim != nil {
		b.sim.sim.Start(b.T0)
	}
	issuers := map[string]run{"tokend": tokend.Run}
	for n := 2; n <= b.o.Tokends; n++ {
		issuers[fmt.Sprintf("tokend-%d", n)] = tokend.Run
	}
	b.tokends = newSupervisor(b.Env, b.fatal)
	err = b.tokends.start(context.WithoutCancel(ctx), tokendWithin, issuers)
	if errors.Is(err, errNotReady) {
		// The balance is not known yet. Start in any case: free work continues, and
		// the summary and the status report what is wrong.
		b.o.Log.Warn("the balance is not known yet; nothing is spent until Keepa reports it")
		return nil
	}
	return err
}

// startNotifier notifies where the environment names targets.
func (b *Box) startNotifier(ctx context.Context) error {
	if !b.notifies {
		return nil
	}
	b.notifier = newSupervisor(b.Env, b.fatal)
	return b.notifier.start(context.WithoutCancel(ctx), readyWithin, map[string]run{"notifier": notifier.Run})
}

// openPage takes the address of the live page, before anything runs that could not be served. That its usual port is
// in use does not stop the box.
func (b *Box) openPage() (err error) {
	if b.o.Page == "" || b.o.Page == PageOff {
		return nil
	}
	rules, _ := b.lookup().Lookup("RULES")
	b.door, err = page.Listen(page.Options{Addr: b.o.Page, Flag: "--page", Data: b.o.Data, TLS: b.o.TLS, Rules: rules, Simulated: b.o.World != Real, LAN: b.o.PageLAN})
	if _, ok := errors.AsType[*process.TakenError](err); ok && b.o.Page == DefaultPage && !b.o.PageLAN {
		b.NoPage = err
		return nil
	}
	return err
}

// startPage serves the live page.
func (b *Box) startPage(ctx context.Context) {
	if b.door != nil {
		b.page = b.door.Serve(ctx, b.Bus, b.Env, b.CHURL)
		b.Page, b.Phone = b.page.URL(), b.page.Invite()
	}
}

// setPolicy writes the policy before tokend starts.
func (b *Box) setPolicy(ctx context.Context) error {
	if b.o.Policy == "" {
		return nil
	}
	kv, err := b.Bus.Store(ctx, pipeline.BucketTokens)
	if err != nil {
		return err
	}
	if _, err := kv.Put(ctx, pipeline.KeyPolicy, []byte(b.o.Policy)); err != nil {
		return fmt.Errorf("write the policy: %w", err)
	}
	return nil
}

func (b *Box) openClickHouse(ctx context.Context) error {
	switch b.o.ClickHouse {
	case None:
		return nil
	case Embedded:
	default:
		b.CHURL = b.o.ClickHouse
		return nil
	}
	lib, err := clickhouse.Fetch(ctx, clickhouse.FetchOptions{Lib: b.o.CHLib, Log: b.o.Log, Progress: b.o.Progress})
	if err != nil {
		return err
	}
	if b.ch, err = clickhouse.Start(ctx, clickhouse.StartOptions{Lib: lib, Data: b.o.dir("clickhouse"), Addr: b.o.CHAddr, TLS: b.o.TLS, Log: b.o.Log}); err != nil {
		return err
	}
	b.CHURL = b.ch.URL()
	return nil
}

// lookup is the daemons' configuration: what the box knows, then the caller's
// settings, then the environment.
func (b *Box) lookup() envconfig.Lookuper {
	set := map[string]string{
		"NATS_URL":      "nats://in-process",
		"KEEPA_API_KEY": b.o.Key.Reveal(),
	}
	if b.o.KeepaURL != "" {
		set["KEEPA_URL"] = b.o.KeepaURL
	}
	if b.sim != nil {
		set["KEEPA_URL"], set["KEEPA_API_KEY"] = b.sim.url, simKey
	}
	if b.CHURL != "" {
		set["CLICKHOUSE_URL"] = b.CHURL
	}
	if b.o.SkipPeek {
		set["PEEKER_SKIP"] = "true"
	}
	maps.Copy(set, b.o.Settings)
	return envconfig.MultiLookuper(envconfig.MapLookuper(set), process.Environment())
}

// Failed delivers the error of a daemon that cannot be started again.
func (b *Box) Failed() <-chan error { return b.fatal }

// StopWorkers ends everything that spends; tokend keeps running, so that it can explain
// the last answers. Stopping twice does nothing.
func (b *Box) StopWorkers() {
	if b.stages != nil {
		b.stages.stop()
	}
}

// StopStages ends the workers and tokend; the streams and ClickHouse stay up, so
// that a report can be read. Stopping twice does nothing.
func (b *Box) StopStages() {
	b.StopWorkers()
	if b.tokends != nil {
		b.tokends.stop()
	}
}

// Stop ends the stages, then the recorder, then the engines: what was decided is
// recorded, and what was not is still in its stream.
func (b *Box) Stop(ctx context.Context) {
	b.removeRunning()
	switch {
	case b.page != nil:
		b.page.Stop()
	case b.door != nil:
		b.door.Close()
	}
	if b.notifier != nil {
		b.notifier.stop() // before the stages, so that their end raises no alarm
	}
	b.StopStages()
	if b.unprovision != nil {
		b.unprovision()
		b.provisioning.Wait()
	}
	if b.sim != nil {
		b.sim.close(b.o)
	}
	if b.recorder != nil {
		b.awaitTaken(ctx, 5*time.Second)
		b.recorder.stop()
	}
	if b.ch != nil {
		if err := b.ch.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
			b.o.Log.Warn("stop ClickHouse", "err", err)
		}
	}
	if b.Bus != nil {
		b.Bus.Close()
	}
	if b.nats != nil {
		b.nats.Stop()
	}
	if b.unprobe != nil {
		b.unprobe()
	}
}
