package main

import (
	"context"
	"errors"
	"fmt"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

type deadCmd struct {
	Ls    deadLsCmd    `cmd:"" help:"List what could not be processed, oldest first."`
	Show  deadShowCmd  `cmd:"" help:"Everything about one dead letter."`
	Retry deadRetryCmd `cmd:"" help:"Retry dead letters, each once."`
}

// deadFlags select dead letters.
type deadFlags struct {
	Stage  string `help:"Only letters of this stage: peeker, committer, recorder …" placeholder:"S"`
	Reason string `help:"Only letters with this reason." placeholder:"R"`
}

type deadLsCmd struct {
	natsFlags `embed:""`
	deadFlags `embed:""`
	Open      bool   `help:"Only letters that were not retried."`
	Format    string `help:"table or json." enum:"table,json" default:"table"`
}

// Run lists dead letters.
func (c deadLsCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		ls, err := cli.DeadLetters(ctx, b, cli.DeadFilter{Stage: c.Stage, Reason: c.Reason, Open: c.Open})
		if err != nil {
			return err
		}
		return cli.WriteLetters(a.out, ls, c.Format)
	})
}

type deadShowCmd struct {
	natsFlags `embed:""`
	Letter    uint64 `arg:"" help:"The letter's number, as ls shows it."`
	JSON      bool   `help:"One JSON object; the body is in base64."`
}

// Run prints one dead letter.
func (c deadShowCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		l, err := cli.DeadLetter(ctx, b, c.Letter)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(a, l)
		}
		return l.Write(a.out)
	})
}

type deadRetryCmd struct {
	natsFlags `embed:""`
	deadFlags `embed:""`
	Letters   []uint64 `arg:"" optional:"" help:"The letters' numbers."`
	All       bool     `help:"All letters that were not retried; --stage and --reason restrict them."`
	Pay       bool     `help:"Ask Keepa again, for tokens. Without it the stored answers are used, for no tokens."`
}

// Run retries dead letters. One that cannot be retried does not keep the others
// back.
func (c deadRetryCmd) Run(a *app) error {
	if c.All == (len(c.Letters) > 0) {
		return process.Usagef("dead retry: want the letters' numbers, or --all; `ratchet dead ls` lists them")
	}
	if !c.All && (c.Stage != "" || c.Reason != "") {
		return process.Usagef("dead retry: --stage and --reason go with --all")
	}
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		letters, err := c.letters(ctx, b)
		if err != nil {
			return err
		}
		var errs []error
		for _, l := range letters {
			subject, err := cli.Retry(ctx, b, l, c.Pay)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(a.out, "letter %d: again on %s\n", l.Sequence, subject)
		}
		if len(letters) == 0 {
			fmt.Fprintln(a.out, "No dead letters to retry.")
		}
		return errors.Join(errs...)
	})
}

func (c deadRetryCmd) letters(ctx context.Context, b *bus.Bus) ([]cli.Letter, error) {
	if c.All {
		return cli.DeadLetters(ctx, b, cli.DeadFilter{Stage: c.Stage, Reason: c.Reason, Open: true})
	}
	var out []cli.Letter
	for _, n := range c.Letters {
		l, err := cli.DeadLetter(ctx, b, n)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}
