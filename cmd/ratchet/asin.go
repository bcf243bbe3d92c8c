package main

import (
	"context"
	"io"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/console"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/verdict"
)

// asinCmd is a command that tells of one ASIN, by some rules.
type asinCmd struct {
	natsFlags `embed:""`
	rulesFlag `embed:""`
	ASIN      string `arg:"" help:"The ASIN."`
	JSON      bool   `help:"One JSON object."`
}

// tale is what is told: as an object, or written for people.
type tale interface {
	Write(w io.Writer) error
}

// tell prints what find makes of the ASIN.
func (c asinCmd) tell(a *app, find func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) (tale, error)) error {
	asin, err := asinOf(c.ASIN)
	if err != nil {
		return err
	}
	judge, err := c.judge()
	if err != nil {
		return err
	}
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		told, err := find(ctx, b, judge, asin)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(a, told)
		}
		return told.Write(a.out)
	})
}

// asinOf is an argument as an ASIN.
func asinOf(arg string) (string, error) {
	asin := strings.ToUpper(strings.TrimSpace(arg))
	if !pipeline.ValidASIN(asin) {
		return "", daemon.Usagef("%q is no ASIN: want ten letters and digits", arg)
	}
	return asin, nil
}

type whyCmd struct {
	asinCmd `embed:""`
}

// Run prints the story of one ASIN.
func (c whyCmd) Run(a *app) error {
	return c.tell(a, func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) (tale, error) {
		s, err := console.Why(ctx, b, asin)
		s.Tell(j)
		return s, err
	})
}
