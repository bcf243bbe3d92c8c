package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/cluster"
)

// fault is one thing that goes wrong. do does the harm and ends it.
type fault struct {
	name     string
	do       func(context.Context) error
	skip     string        // why it cannot be tried here
	decision time.Duration // longest time without a decision
	paid     time.Duration // and without a paid call
	restart  int           // a server that is restarted afterwards if it is unhealthy; -1: none
}

// faults are each fault once, in order, or as many as were asked for, drawn by the seed.
func (c *clustered) faults() []fault {
	all := c.each()
	if len(c.o.Only) > 0 {
		all = slices.DeleteFunc(all, func(f fault) bool {
			return !slices.ContainsFunc(c.o.Only, func(part string) bool { return strings.Contains(f.name, part) })
		})
	}
	if c.o.Faults == 0 || len(all) == 0 {
		return all
	}
	var out []fault
	for len(out) < c.o.Faults {
		order := c.rng.Perm(len(all))
		for _, i := range order[:min(len(order), c.o.Faults-len(out))] {
			out = append(out, all[i])
		}
	}
	return out
}

// each is every fault once.
func (c *clustered) each() []fault {
	of := func(name string, do func(context.Context) error) fault {
		return fault{name: name, do: do, decision: decisionWithin, paid: paidWithin, restart: -1}
	}
	all := of("all servers die", c.killAll)
	all.decision, all.paid = bothWithin, bothWithin
	full := of("a disk is full", c.fillDisk)
	if full.restart = cluster.Size - 1; c.disk == "" {
		full.skip = "no tmpfs could be mounted: this needs root"
	}
	out := []fault{
		of("each server dies in turn", c.killInTurn), all,
		of("the leader of TOKENS dies", c.leaderDies(pipeline.BucketStream(pipeline.BucketTokens))),
		of("the leader of the cluster dies", c.leaderDies("")),
		of("the leader of VERDICTS dies", c.leaderDies(pipeline.StreamVerdicts)),
		of("a server freezes", c.leading(func(ctx context.Context, i int) error { return c.during(ctx, i, c.servers.Freeze, c.servers.Thaw) })),
		of("a server is cut off", c.leading(func(ctx context.Context, i int) error { return c.during(ctx, i, c.servers.Cut, c.servers.Heal) })),
		full,
		of("everything is restarted", c.rolling),
	}
	daemons := slices.Clone(two)
	if c.CH != "" {
		daemons = append(daemons, "recorder")
	}
	for _, name := range daemons {
		out = append(out, of(name+" dies", c.daemonDies(name)), of(name+" freezes", c.daemonFreezes(name)))
	}
	if c.Ps.has("clickhouse-1") {
		out = append(out, of("ClickHouse is away", c.clickHouseAway))
	}
	return out
}

// downFor is how long a supervisor takes to start a process again.
const downFor = time.Second

// killInTurn kills each server, and the next when the last one is healthy, Keepa was called again, and something was
// decided: these are three faults.
func (c *clustered) killInTurn(ctx context.Context) error {
	for i := range cluster.Size {
		if err := c.serverDies(ctx, i); err != nil {
			return err
		}
		if err := c.healthy(ctx, i); err != nil {
			return err
		}
		if err := c.calls.await(ctx, process.MachineNow(), recoverWithin); err != nil {
			return err
		}
		if err := eventually(ctx, recoverWithin, c.decides()); err != nil {
			return err
		}
	}
	return nil
}

// decides returns a check that reports an error until there is a verdict that its first call did not see.
func (c *clustered) decides() func(context.Context) error {
	var seen uint64
	return func(ctx context.Context) error {
		last, err := c.Bus.Last(ctx, pipeline.StreamVerdicts)
		switch {
		case err != nil:
			return err
		case seen == 0:
			seen = last
		}
		if last == seen && c.calls.work.Load() {
			return errors.New("no decision")
		}
		return nil
	}
}

func (c *clustered) healthy(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, recoverWithin)
	defer cancel()
	return c.servers.Healthy(ctx, i)
}

func (c *clustered) serverDies(ctx context.Context, i int) error {
	c.kills++
	c.servers.Kill(i)
	if err := process.Sleep(ctx, downFor); err != nil {
		return err
	}
	return c.servers.Revive(i)
}

func (c *clustered) killAll(ctx context.Context) error {
	for i := range cluster.Size {
		c.kills++
		c.servers.Kill(i)
	}
	if err := process.Sleep(ctx, downFor); err != nil {
		return err
	}
	for i := range cluster.Size {
		if err := c.servers.Revive(i); err != nil {
			return err
		}
	}
	return nil
}

// leaderDies kills the server that leads a stream; "" is the cluster.
func (c *clustered) leaderDies(stream string) func(context.Context) error {
	return func(ctx context.Context) error {
		i, err := c.servers.Leader(ctx, stream)
		if err != nil {
			return err
		}
		return c.serverDies(ctx, i)
	}
}

// leading does something to the server that leads TOKENS, where silence costs the most.
func (c *clustered) leading(do func(context.Context, int) error) func(context.Context) error {
	return func(ctx context.Context) error {
		i, err := c.servers.Leader(ctx, pipeline.BucketStream(pipeline.BucketTokens))
		if err != nil {
			return err
		}
		return do(ctx, i)
	}
}

// during harms a server for the duration in the options.
func (c *clustered) during(ctx context.Context, i int, harm, end func(int)) error {
	harm(i)
	defer end(i)
	return process.Sleep(ctx, c.o.Wait)
}

// fillDisk leaves the last server no room.
func (c *clustered) fillDisk(ctx context.Context) error {
	if err := shrink(c.disk); err != nil {
		return err
	}
	err := process.Sleep(ctx, c.o.Wait)
	return cmp.Or(grow(c.disk), err)
}

// rolling restarts the servers and then the daemons, one after another, as an upgrade does.
func (c *clustered) rolling(ctx context.Context) error {
	for i := range cluster.Size {
		c.servers.Stop(i)
		if err := c.servers.Revive(i); err != nil {
			return err
		}
		if err := c.healthy(ctx, i); err != nil {
			return err
		}
	}
	for _, name := range c.Ps.names() {
		if strings.HasPrefix(name, "clickhouse") {
			continue
		}
		if err := c.Ps.restart(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// instance is the process to harm: the leader where there is one, else the first.
func (c *clustered) instance(ctx context.Context, daemon string) string {
	key := map[string]string{"tokend": pipeline.KeyLeader, "watermarker": pipeline.KeyWatermarkerLeader}[daemon]
	if key != "" {
		if name := c.Ps.leaderOf(ctx, c.Bus, daemon, key); name != "" {
			return name
		}
	}
	return fmt.Sprintf("%s-%d", daemon, 1+c.rng.IntN(2))
}

func (c *clustered) daemonDies(daemon string) func(context.Context) error {
	return func(ctx context.Context) error {
		c.kills++
		c.Ps.signal(c.instance(ctx, daemon), syscall.SIGKILL)
		return nil
	}
}

func (c *clustered) daemonFreezes(daemon string) func(context.Context) error {
	return func(ctx context.Context) error {
		c.kills++ // to the others it is dead
		name := c.instance(ctx, daemon)
		c.Ps.signal(name, syscall.SIGSTOP)
		defer c.Ps.signal(name, syscall.SIGCONT)
		return process.Sleep(ctx, c.o.Wait)
	}
}

// clickHouseAway stops ClickHouse where it stands, kills it and starts it again.
func (c *clustered) clickHouseAway(ctx context.Context) error {
	c.Ps.signal("clickhouse-1", syscall.SIGSTOP)
	if err := process.Sleep(ctx, c.o.Wait); err != nil {
		return err
	}
	c.Ps.signal("clickhouse-1", syscall.SIGKILL)
	return nil
}
