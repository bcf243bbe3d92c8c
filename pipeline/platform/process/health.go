package process

import (
	"context"
	"os"

	"ratchet/pipeline/platform/health"
)

// metricsAddr is the variable that names the address of the probes. Without it nothing listens.
const metricsAddr = "METRICS_ADDR"

// withHealth is env with the probes of one daemon, answered until ctx ends, where the environment asks for them.
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
