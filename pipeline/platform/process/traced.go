package process

import (
	"context"

	"ratchet/pipeline/platform/trace"
)

// Traced returns the environment of a daemon with its tracer, if the standard variables ask for traces. close sends
// the last spans. A wrong value is a UsageError that names the variable.
func Traced(ctx context.Context, env Env, daemon string) (_ Env, end func(), err error) {
	settings, err := trace.Read(func(name string) (string, bool, error) { return Lookup(env.Lookup, name) })
	if err == nil {
		env.Trace, err = trace.Open(ctx, settings, daemon, Instance(), env.Version, env.Log)
	}
	if err != nil {
		return env, nil, &UsageError{Err: err}
	}
	return env, env.Trace.Close, nil
}
