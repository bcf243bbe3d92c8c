package scenario

import (
	"context"
	"time"

	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
)

// Rig is a running pipeline under test: one process, or many.
type Rig struct {
	Bus *bus.Bus        // a connection for the observer
	Sim *keepasim.Sim   // the outside world
	Env process.Env     // pipeline time
	T0  time.Time       // pipeline time at which every daemon was ready
	Box *standalone.Box // nil if the daemons are processes of their own
	CH  string          // ClickHouse; empty without one
	Ps  *fleet          // nil if they are not

	failed        <-chan error
	stopWorkers   func()
	stopStages    func()
	awaitRecorder func(context.Context, time.Duration)
}

// boxed returns a rig of one process.
func boxed(b *standalone.Box) *Rig {
	return &Rig{
		Bus: b.Bus, Sim: b.Sim, Env: b.Env, T0: b.T0, Box: b, CH: b.CHURL,
		failed: b.Failed(), stopWorkers: b.StopWorkers, stopStages: b.StopStages, awaitRecorder: b.AwaitRecorder,
	}
}
