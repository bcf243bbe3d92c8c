package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/sim/cluster"
	"ratchet/pipeline/sim/keepasim"
)

// The scenario cluster runs three nats-servers, every stream on each of them, and two of every daemon, all of them
// processes, and does one thing after another to them. One fault is:
//
//	calm ──harm──▶ harmed ──repair──▶ recovering ──healthy, and Keepa was called──▶ paused ──quiet──▶ compared ──▶ calm
//
// A supervisor starts a process again a second after it has died, and restarts a server that is unhealthy after its
// disk has room again. From the harm until it has recovered, the soak measures the longest time without a decision, and
// without a paid call, in which tokens for one were left and work waited. Then the operator's mode is paused, and when
// no claim is open and nothing is unrecorded, the books of Keepa, the grants, LEDGER, RESPONSES, VERDICTS, DEALS,
// ClickHouse and what a webhook received are compared to the message, and with what they held before.
//
// What each fault may leave, and why nothing of it is lost, doubled or overspent:
//
//	a server dies             the others elect its streams' leaders; what was acknowledged is on two of three disks
//	all servers die           what was acknowledged is on disk; calls in flight keep their answers and store them later
//	a server freezes, or      peers and clients give it up after seconds without an answer and continue with the others;
//	is cut off                publishes are repeated under the same ids
//	a disk is full            its server stops storing; the others continue; it is restarted when there is room
//	tokend dies or freezes    the other takes the lease and a new epoch; the old one's swap fails
//	the watermarker           the other takes the lease; a page that was read and not ratcheted is read again
//	a worker dies             its claim is given up, its work is delivered again, and at most one call is paid again
//	a worker freezes          the same, and what it publishes when it continues has ids that are known
//	the recorder, ClickHouse  the streams keep everything; rows carry the sequence of their message
//	the notifier              at most one message is sent again, under its key

// What a fault may cost, on the machine's clock.
const (
	decisionWithin = 10 * time.Second
	paidWithin     = 15 * time.Second
	bothWithin     = 20 * time.Second // after all servers at once
	startWithin    = 30 * time.Second // the first decision, in whatever order everything starts
)

// The rows of the list: work must wait for tokens until the last fault, or it proves nothing.
const (
	leastRows  = 12_000
	rowsAFault = 200
)

// clusterOf runs the cluster; see above.
func clusterOf() Scenario {
	s := Scenario{
		Name:  "cluster",
		About: "three nats-servers, two of every daemon, each fault once; --faults N for more; real processes",
		Speed: 10,
		Box:   standalone.Options{Rate: 30, Balance: 120},
	}
	s.Drive = s.cluster
	return s
}

// clustered is a cluster under test.
type clustered struct {
	*Rig
	o       Options
	servers *cluster.Cluster
	disk    string // the mount point of the last server's store; empty where nothing can be mounted
	calls   *calls
	posts   *posts          // the target of the notifiers
	marks   map[string]mark // what each stream held at the last comparison
	verdict uint64          // the last verdict whose time is known
	decided []time.Time     // machine time of the decisions
	kills   int             // and freezes of a daemon: each may cost a call again
	began   time.Time       // when servers and daemons were started, machine time
	rng     *rand.Rand
}

// FaultFigures are what one fault came to; times are seconds of the machine.
type FaultFigures struct {
	Fault     string  `json:"fault"`
	Skipped   string  `json:"skipped,omitempty"` // why it was not tried
	DecisionS float64 `json:"decision_s"`        // longest time without a decision while work waited that tokens were left for
	PaidS     float64 `json:"paid_s"`            // the same without a paid call
	HealthyS  float64 `json:"healthy_s"`         // from the repair until every server was healthy
	Messages  int     `json:"messages"`          // that were compared
	RepeatRun int     `json:"repeat_paid"`       // answers paid for again so far
}

// cluster runs the faults and judges them.
func (s Scenario) cluster(ctx context.Context, o Options) (Figures, error) {
	f := Figures{Scenario: s.Name, Speed: o.Speed, Seed: o.Seed, Failures: []string{}}
	began := process.MachineNow()
	s.World = living(max(leastRows, rowsAFault*o.Faults))
	c, err := s.assemble(ctx, o)
	if err != nil {
		return f, err
	}
	defer c.Ps.end()
	first, err := c.firstDecision(ctx)
	if err != nil {
		return f, err
	}
	f.miss(first.Seconds() > max(o.Slack, 1)*startWithin.Seconds(), "start: the first decision came after %s, want %s", first.Round(time.Millisecond), startWithin)
	f.Notes = append(f.Notes, fmt.Sprintf("first decision %.1f s after everything was started at once", first.Seconds()))
	for n, fault := range c.faults() {
		if ctx.Err() != nil {
			return f, ctx.Err()
		}
		missed := len(f.Failures)
		line := c.suffer(ctx, fault, &f)
		f.Faults = append(f.Faults, line)
		fmt.Fprintf(o.Progress, "%4.0f s  %3d %s\n", process.MachineSince(began).Seconds(), n+1, line)
		for _, miss := range f.Failures[missed:] {
			fmt.Fprintf(o.Progress, "            %s\n", miss)
		}
	}
	f.Hours = c.Env.Now().Sub(c.T0).Hours()
	f.Kills = c.kills
	f.OK = len(f.Failures) == 0
	if !f.OK && o.Keep {
		fmt.Fprintf(o.Progress, "logs and stores are in %s\n", o.Data)
	}
	return f, nil
}

// miss adds a failure.
func (f *Figures) miss(bad bool, format string, args ...any) {
	if bad {
		f.Failures = append(f.Failures, fmt.Sprintf(format, args...))
	}
}

// String is one line for people.
func (l FaultFigures) String() string {
	if l.Skipped != "" {
		return fmt.Sprintf("%-28s skipped: %s", l.Fault, l.Skipped)
	}
	return fmt.Sprintf("%-28s decision %5.1f s  paid call %5.1f s  healthy %5.1f s  %6d messages compared, %d paid again",
		l.Fault, l.DecisionS, l.PaidS, l.HealthyS, l.Messages, l.RepeatRun)
}

// two are the daemons, two of each.
var two = []string{"tokend", "watermarker", "peeker", "committer", "notifier"}

// assemble starts everything at once, daemons first, and provisions last.
func (s Scenario) assemble(ctx context.Context, o Options) (_ *clustered, err error) {
	f, err := newFleet(o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.end()
		}
	}()
	sim, url, err := f.keepa(s, o, s.World(o.Seed), keepasim.Faults{})
	if err != nil {
		return nil, err
	}
	c := &clustered{
		o: o, marks: map[string]mark{}, rng: rand.New(rand.NewPCG(o.Seed, 0xc1)), //nolint:gosec // which server dies is no secret
		Rig: &Rig{Sim: sim, Env: f.here, Ps: f, failed: make(chan error)}, posts: newPosts(),
	}
	target, err := f.serve(c.posts)
	if err != nil {
		return nil, err
	}
	stores := map[int]string{}
	if dir := filepath.Join(o.Data, "disk"); mount(dir) == nil {
		c.disk = dir
		stores[cluster.Size-1] = filepath.Join(dir, "store")
		f.ends = append(f.ends, func() { _ = unmount(dir) }) // it goes with the directory
	}
	if err := c.clickHouse(ctx); err != nil {
		return nil, err
	}
	c.began = process.MachineNow()
	c.servers, err = cluster.Start(cluster.Options{Dir: filepath.Join(o.Data, "nats"), Command: []string{f.self, "daemon", "natsd"}, Stores: stores})
	if err != nil {
		return nil, err
	}
	f.ends = append(f.ends, c.servers.End)
	if err := c.startDaemons(url, target); err != nil {
		return nil, err
	}
	b, err := f.connect(ctx, bus.Config{URL: c.servers.URL(), Replicas: cluster.Size, MaxStore: 20e9})
	if err != nil {
		return nil, err
	}
	if c.CH != "" {
		if err := warehouse.ProvisionWhenUp(ctx, c.CH, 400, func(error) {}); err != nil {
			return nil, err
		}
	}
	c.Bus, c.T0 = b, f.here.Now()
	sim.Start(c.T0)
	c.calls = follow(sim, b, f.here.Clock)
	f.ends = append(f.ends, c.calls.end)
	return c, nil
}

// clickHouse starts ClickHouse as a process, if the options require it.
func (c *clustered) clickHouse(ctx context.Context) (err error) {
	switch c.o.ClickHouse {
	case standalone.None:
	case standalone.Embedded:
		c.CH, err = c.Ps.startClickHouse(ctx, filepath.Join(c.o.Data, "clickhouse"), c.o.CHLib)
	default:
		c.CH = c.o.ClickHouse
	}
	return err
}

// startDaemons starts two of every daemon; recorders only where there is a ClickHouse.
func (c *clustered) startDaemons(keepa, target string) error {
	names := slices.Clone(two)
	env := append(c.Ps.environ(c.servers.URL(), keepa), "NOTIFY_TARGETS="+target)
	if c.CH != "" {
		names = append(names, "recorder")
		env = append(env, "CLICKHOUSE_URL="+c.CH)
	}
	for _, name := range names {
		for n := range 2 {
			if err := c.Ps.start(fmt.Sprintf("%s-%d", name, n+1), env); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstDecision waits for it and returns how long it took from the start of servers and daemons.
func (c *clustered) firstDecision(ctx context.Context) (time.Duration, error) {
	for {
		last, err := c.Bus.Last(ctx, pipeline.StreamVerdicts)
		if err == nil && last > 0 {
			return process.MachineSince(c.began), nil
		}
		if process.MachineSince(c.began) > 4*startWithin {
			return 0, errors.Join(err, fmt.Errorf("no decision within %s; logs are in %s", 4*startWithin, c.Ps.logs))
		}
		if err := process.Sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// suffer does one fault, waits until everything is well again, and compares.
func (c *clustered) suffer(ctx context.Context, what fault, f *Figures) FaultFigures {
	line := FaultFigures{Fault: what.name}
	miss := func(err error) {
		f.miss(err != nil, "%s: %v", what.name, err)
	}
	if line.Skipped = what.skip; line.Skipped != "" {
		f.miss(c.o.All, "%s: skipped: %s", what.name, what.skip)
		return line
	}
	c.calls.reset()
	began := process.MachineNow()
	if err := what.do(ctx); err != nil {
		miss(err)
		return line
	}
	repaired := process.MachineNow()
	miss(c.recover(ctx, what))
	line.HealthyS = process.MachineSince(repaired).Seconds()
	miss(c.calls.await(ctx, repaired, recoverWithin))
	decided, err := c.decisions(ctx, began)
	miss(err)
	decision, paid := c.calls.longest(decided)
	line.DecisionS, line.PaidS = decision.Seconds(), paid.Seconds()
	most := max(c.o.Slack, 1)
	f.miss(line.DecisionS > most*what.decision.Seconds(), "%s: %.1f s without a decision, want at most %g × %s", what.name, line.DecisionS, most, what.decision)
	f.miss(line.PaidS > most*what.paid.Seconds(), "%s: %.1f s without a paid call, want at most %g × %s", what.name, line.PaidS, most, what.paid)
	a, err := c.compare(ctx)
	miss(err)
	for _, wrong := range a.wrong {
		f.miss(true, "%s: %s", what.name, wrong)
	}
	line.Messages, line.RepeatRun, f.RepeatPaid, f.Decided = a.messages, a.repeated, a.repeated, a.decided
	return line
}

// recoverWithin bounds the time from the repair until everything is well.
const recoverWithin = time.Minute

// recover waits until every server is healthy; one whose disk was full is restarted, as a probe would have it.
func (c *clustered) recover(ctx context.Context, what fault) error {
	ctx, cancel := context.WithTimeoutCause(ctx, recoverWithin, fmt.Errorf("not healthy %s after the repair", recoverWithin))
	defer cancel()
	if what.restart >= 0 && c.servers.Health(ctx, what.restart) != nil {
		c.servers.Stop(what.restart)
		if err := c.servers.Revive(what.restart); err != nil {
			return err
		}
	}
	return c.servers.Ready(ctx)
}

// printFaults writes the figures of each fault for people.
func (f Figures) printFaults(w io.Writer) error {
	worst := FaultFigures{Fault: "worst"}
	for _, l := range f.Faults {
		if _, err := fmt.Fprintf(w, "  %s\n", l); err != nil {
			return err
		}
		worst.DecisionS, worst.PaidS, worst.HealthyS = max(worst.DecisionS, l.DecisionS), max(worst.PaidS, l.PaidS), max(worst.HealthyS, l.HealthyS)
		worst.Messages, worst.RepeatRun = max(worst.Messages, l.Messages), max(worst.RepeatRun, l.RepeatRun)
	}
	_, err := fmt.Fprintf(w, "  %s\n  %d decided, %d kills and freezes of daemons\n", worst, f.Decided, f.Kills)
	return err
}
