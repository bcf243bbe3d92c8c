package standalone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"

	"ratchet/pipeline/platform/daemon"
	"ratchet/pipeline/platform/process"
)

// run is a daemon's Run.
type run func(context.Context, process.Env) error

// supervisor runs daemons and starts one again that ends with an error, after a pause
// that grows from 1 s to 30 s of machine time.
type supervisor struct {
	env    process.Env
	cancel []context.CancelFunc
	wait   sync.WaitGroup
	fatal  chan error // a daemon whose configuration is wrong
}

func newSupervisor(env process.Env, fatal chan error) *supervisor {
	return &supervisor{env: env, fatal: fatal}
}

// start runs more daemons and returns when each of them has announced that it is
// ready.
func (c *supervisor) start(ctx context.Context, within time.Duration, daemons map[string]run) error {
	ctx, cancel := context.WithCancel(ctx)
	c.cancel = append(c.cancel, cancel)
	ready := make(chan string, len(daemons))
	early := make(chan error, len(daemons))
	for name, f := range daemons {
		c.wait.Go(func() { c.supervise(ctx, name, f, ready, early) })
	}
	patience := time.NewTimer(within)
	defer patience.Stop()
	waiting := map[string]bool{}
	for name := range daemons {
		waiting[name] = true
	}
	for len(waiting) > 0 {
		select {
		case name := <-ready:
			delete(waiting, name)
		case err := <-early:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			for name := range waiting {
				return fmt.Errorf("start %s: %w", name, errNotReady)
			}
		}
	}
	return nil
}

// supervise runs one daemon until ctx ends. An error before it was ever ready is reported and final: its
// configuration is wrong, or it cannot reach a service.
func (c *supervisor) supervise(ctx context.Context, name string, f run, ready chan<- string, early chan<- error) {
	backoff := process.Backoff{First: time.Second, Most: 30 * time.Second}
	once := sync.OnceFunc(func() { ready <- name })
	var wasReady atomic.Bool
	base, _, _ := strings.Cut(name, "-") // without the number of a second one
	env, end, err := daemon.Traced(ctx, c.env.Named(name), base)
	if err != nil {
		early <- fmt.Errorf("start %s: %w", name, err)
		return
	}
	defer end()
	env.Ready = func() { wasReady.Store(true); once() }
	for {
		began := time.Now()
		err := f(ctx, env)
		if ctx.Err() != nil {
			return
		}
		if !wasReady.Load() {
			early <- fmt.Errorf("start %s: %w", name, err)
			return
		}
		if _, ok := errors.AsType[*process.UsageError](err); ok {
			c.fatal <- fmt.Errorf("%s: %w", name, err)
			return
		}
		if time.Since(began) > time.Minute {
			backoff.Reset()
		}
		pause := backoff.Next()
		env.Log.Error("daemon ended, starting it again", "pause", pause, tint.Err(err))
		if process.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// stop ends the daemons and waits for them.
func (c *supervisor) stop() {
	for _, cancel := range c.cancel {
		cancel()
	}
	c.wait.Wait()
}
