package notifier

import (
	"context"
	"sync"
	"time"

	"ratchet/pipeline/platform/process"
)

// Result is what became of the test of a target.
type Result struct {
	Target Target
	Err    error // nil: it arrived
}

// Test sends an example to every configured target at once, and returns for each whether it arrived, in their order.
func Test(ctx context.Context, env process.Env) ([]Result, error) {
	s, err := process.Load[Settings](ctx, env.Lookup)
	if err != nil {
		return nil, err
	}
	n, err := newNotifier(s, env, time.Local)
	if err != nil {
		return nil, err
	}
	out := make([]Result, len(n.senders))
	var all sync.WaitGroup
	for i, l := range n.senders {
		all.Go(func() { out[i] = Result{Target: l.target, Err: l.target.Send(ctx, Example(process.MachineNow()))} })
	}
	all.Wait()
	return out, nil
}
