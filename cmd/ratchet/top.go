package main

import (
	"context"
	"os"

	"ratchet/pipeline/ops/cli"
)

type topCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
}

// Run shows the screen.
func (c topCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	b, err := c.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	visible := cli.NewVisible(b, c.URL)
	defer visible.Close()
	top := cli.NewTop(b, visible)
	if widthOf(a.out) == 0 {
		ctx, cancel := context.WithTimeout(a.ctx, answerWithin)
		defer cancel()
		return a.complete(top.WriteOnce(ctx, a.out))
	}
	a.untilSignal = true
	return top.Run(a.ctx, os.Stdin, a.out.(*os.File)) //nolint:forcetypeassert // what has a width is a file
}
