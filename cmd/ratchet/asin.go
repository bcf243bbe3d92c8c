package main

import (
	"cmp"
	"context"
	"io"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// asinCmd is a command about one ASIN, by some rules.
type asinCmd struct {
	natsFlags `embed:""`
	judgedBy  `embed:""`
	ASIN      string `arg:"" help:"An ASIN, an ISBN-10 or ISBN-13 (hyphens do not matter), or a link to Amazon or Keepa."`
	JSON      bool   `help:"One JSON object."`
}

// answer is a result: an object, or text for people.
type answer interface {
	Write(w io.Writer) error
}

// print prints what find makes of the ASIN.
func (c asinCmd) print(a *app, find func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) (answer, error)) error {
	return c.about(a, func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) error {
		found, err := find(ctx, b, j, asin)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(a, found)
		}
		return found.Write(a.out)
	})
}

// about calls do with the ASIN and the rules once both are valid and NATS is reached.
func (c asinCmd) about(a *app, do func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) error) error {
	asin, err := asinOf(c.ASIN)
	if err != nil {
		return err
	}
	loaded, err := c.load(a.ctx)
	if err != nil {
		return err
	}
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		on, err := cli.Serving(ctx, b, asin)
		if err != nil {
			return err
		}
		judge, err := c.current(ctx, on, loaded)
		if err != nil {
			return err
		}
		return do(ctx, b, judge, asin)
	})
}

// asinOf is an argument as an ASIN.
func asinOf(arg string) (string, error) {
	name, err := named(arg)
	return name.ASIN, err
}

// named is an argument as a product.
func named(arg string) (deal.Name, error) {
	name, err := deal.Named(arg)
	if err != nil {
		return name, &process.UsageError{Err: err}
	}
	return name, nil
}

type whyCmd struct {
	natsFlags `embed:""`
	judgedBy  `embed:""`
	sinceFlag `embed:""`
	ASIN      string `arg:"" optional:"" help:"An ASIN, an ISBN-10 or ISBN-13 (hyphens do not matter), or a link to Amazon or Keepa; without one, why nothing is found."`
	JSON      bool   `help:"One JSON object about the ASIN." xor:"form"`
	Chart     bool   `help:"Draw its prices, sales rank and inferred sales, the copy on offer, and what it sells for." xor:"form"`
	Range     string `help:"How far back --chart draws: ${enum}." enum:"90d,1y,all" default:"1y"`
}

// nothing explains why nothing, or so little, is found.
func (c whyCmd) nothing(a *app) error {
	return c.withHistory(a, c.natsFlags, c.judgedBy, func(h cli.History, j *verdict.Judge) error { return h.WriteNothing(a.out, j) })
}

// pipeColumns is how wide a picture is that goes to no terminal.
const pipeColumns = 80

// draw draws the history behind the answer.
func (c whyCmd) draw(a *app) error {
	span, _ := chart.RangeOf(c.Range) // the flag's enum knows no other
	return c.one().about(a, func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) error {
		p, err := cli.PictureOf(ctx, b, j.Settings(), asin)
		if err != nil {
			return err
		}
		_, err = io.WriteString(a.out, chart.Plot(p.Product, span, cmp.Or(widthOf(a.out), pipeColumns)))
		return err
	})
}

// one is the question about one ASIN.
func (c whyCmd) one() asinCmd {
	return asinCmd{natsFlags: c.natsFlags, judgedBy: c.judgedBy, ASIN: c.ASIN, JSON: c.JSON}
}

// Run prints the story of one ASIN.
func (c whyCmd) Run(a *app) error {
	switch {
	case c.Chart && c.ASIN == "":
		return process.Usagef("--chart: want an ASIN, an ISBN or a link to draw")
	case c.ASIN == "":
		return c.nothing(a)
	case c.Chart:
		return c.draw(a)
	}
	return c.one().print(a, func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) (answer, error) {
		s, err := cli.Why(ctx, b, asin)
		s.AddSentences(j)
		return s, err
	})
}
