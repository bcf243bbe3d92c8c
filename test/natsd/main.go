// Command natsd is a NATS server with JetStream, for tests that want it as a
// process of its own. It prints its address on one line and stops on SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"ratchet/pipeline/daemon"
	"ratchet/pipeline/embedded/natsd"
)

func main() { daemon.Main("natsd", run) }

// run serves until the process is told to stop. NATSD_DATA is the directory of
// its store, NATSD_ADDR where it listens.
func run(ctx context.Context, env daemon.Env) error {
	data, ok := env.Lookup.Lookup("NATSD_DATA")
	if !ok {
		return errors.New("NATSD_DATA: must name a directory")
	}
	addr, ok := env.Lookup.Lookup("NATSD_ADDR")
	if !ok {
		addr = "127.0.0.1:0"
	}
	s, err := natsd.Start(ctx, natsd.Options{Data: data, Addr: addr, Log: env.Log})
	if err != nil {
		return err
	}
	defer s.Stop()
	fmt.Fprintln(os.Stdout, s.URL())
	env.AnnounceReady()
	<-ctx.Done()
	return nil
}
