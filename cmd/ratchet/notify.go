package main

import (
	"fmt"
	"text/tabwriter"

	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/platform/process"
)

type notifyCmd struct {
	Test notifyTestCmd `cmd:"" help:"Send one example to every target and report whether each arrived; exit code 1 if one did not."`
}

type notifyTestCmd struct {
	EnvFile string `help:"Read environment variables from a file of NAME=VALUE lines; variables that are set take precedence." placeholder:"FILE"`
}

// Run sends the examples.
func (c notifyTestCmd) Run(a *app) error {
	if c.EnvFile != "" {
		if err := process.ReadEnv(c.EnvFile, a.errOut); err != nil {
			return err
		}
		a.env.Lookup = process.Environment()
	}
	results, err := notifier.Test(a.ctx, a.env)
	if err != nil {
		return err
	}
	failed := 0
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	for _, r := range results {
		result := "ok"
		if r.Err != nil {
			failed++
			result = r.Err.Error()
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", r.Target.Number, r.Target.Kind, r.Target.Where, result)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d targets did not take the test", failed, len(results))
	}
	return nil
}
