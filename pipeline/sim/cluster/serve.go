package cluster

import (
	"context"
	"fmt"

	natsd "github.com/nats-io/nats-server/v2/server"
)

// Version is the version of the servers.
const Version = natsd.VERSION

// Serve runs a server by a configuration file until ctx ends.
func Serve(ctx context.Context, config string) error {
	o, err := natsd.ProcessConfigFile(config)
	if err != nil {
		return fmt.Errorf("read %s: %w", config, err)
	}
	o.NoSigs = true
	s, err := natsd.NewServer(o)
	if err != nil {
		return fmt.Errorf("configure NATS: %w", err)
	}
	s.ConfigureLogger()
	s.Start()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
