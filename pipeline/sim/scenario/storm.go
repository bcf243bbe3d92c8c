package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/process"
)

// storm kills a random process, NATS included, every few seconds of machine time while a backlog is decided.
func storm() Scenario {
	s := Scenario{
		Name:  "storm",
		About: "every 4 seconds kill -9 of a random process, NATS among them; real processes",
		Speed: 10, Limit: 4 * time.Hour, Rows: 800, World: backlog(800),
		Box: standalone.Options{Rate: 10, Balance: 120},
		// A worker that dies during its call has paid for an answer that is lost; everything else must be used.
		Bars: Bars{StallMin: 10, UsedShare: 0.97, Good: 40},
	}
	s.Drive = func(ctx context.Context, o Options) (Figures, error) { return s.processes(ctx, o, kills(o.Seed)) }
	return s
}

// thaw freezes one process after another for minutes of machine time.
func thaw() Scenario {
	s := Scenario{
		Name:  "thaw",
		About: "SIGSTOP for a minute and SIGCONT: the leading tokend, a committer, a peeker, NATS, a watermarker",
		Speed: 10, Limit: 4 * time.Hour, Rows: 800, World: backlog(800),
		Box:  standalone.Options{Rate: 10, Balance: 120},
		Bars: Bars{StallMin: 10, UsedShare: 0.97, Good: 40},
	}
	s.Drive = func(ctx context.Context, o Options) (Figures, error) { return s.processes(ctx, o, freeze) }
	return s
}

// processes runs a scenario on real processes while disturb interferes.
func (s Scenario) processes(ctx context.Context, o Options, disturb func(context.Context, Options, *Rig)) (Figures, error) {
	world := s.World(o.Seed)
	r, err := s.launch(ctx, o, world)
	if err != nil {
		return Figures{}, err
	}
	defer r.Ps.end()
	done := make(chan struct{})
	disturbing, calm := context.WithCancel(ctx)
	defer calm()
	go func() { defer close(done); disturb(disturbing, o, r) }()
	s.quiet = func() { calm(); <-done }
	return s.follow(ctx, o, r, world)
}

// killEvery is on the machine's clock.
const killEvery = 4 * time.Second

func kills(seed uint64) func(context.Context, Options, *Rig) {
	rng := rand.New(rand.NewPCG(seed, 0x5707)) //nolint:gosec // which process dies is no secret
	names := append([]string{"natsd-1"}, crew...)
	return func(ctx context.Context, o Options, r *Rig) {
		for process.Sleep(ctx, killEvery) == nil {
			r.Ps.signal(names[rng.IntN(len(names))], syscall.SIGKILL)
		}
	}
}

// frozen is how long a process is stopped, on the machine's clock, and calmFor how long nothing happens in between.
const (
	frozen  = time.Minute
	calmFor = 10 * time.Second
)

func freeze(ctx context.Context, o Options, r *Rig) {
	for {
		for _, name := range []string{"tokend", "committer-1", "peeker-1", "natsd-1", "watermarker-1", "committer-2", "peeker-2"} {
			long := frozen
			if name == "natsd-1" {
				long /= 3 // it has no second instance: a minute would be ten of pipeline time
			}
			if name == "tokend" {
				if name = r.Ps.leaderOf(ctx, r.Bus, name, pipeline.KeyLeader); name == "" {
					name = "tokend-1"
				}
			}
			fmt.Fprintf(o.Progress, "%6.2f h  %s is stopped\n", r.Env.Now().Sub(r.T0).Hours(), name)
			r.Ps.signal(name, syscall.SIGSTOP)
			err := process.Sleep(ctx, long)
			r.Ps.signal(name, syscall.SIGCONT)
			if err != nil || process.Sleep(ctx, calmFor) != nil {
				return
			}
		}
	}
}
