package process

import (
	"context"
	"os"

	"ratchet/pipeline/platform/health"
)

// metricsAddr is the variable with the address of the probes. Without it nothing listens.
const metricsAddr = "METRICS_ADDR"

// withHealth adds the probes of one daemon to env if the environment asks for them, and serves them until ctx ends.
func withHealth(ctx context.Context, env Env, name string) (Env, error) {
	addr := os.Getenv(metricsAddr)
	if addr == "" {
		return env, nil
	}
	l, err := Listen(metricsAddr, addr)
	if err != nil {
		return env, err
	}
	env.Health = health.New(name)
	env.Health.Serve(ctx, l, env.Log)
	return env, nil
}
