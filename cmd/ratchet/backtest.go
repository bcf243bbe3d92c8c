package main

import (
	"context"
	"os"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
)

type backtestCmd struct {
	natsFlags `embed:""`
	judgedBy  `embed:""`
	Captures  string   `help:"Score the answers in the files of DIR (.json, .json.gz) instead of the stored ones." placeholder:"DIR"`
	Previous  string   `help:"Another rule file to score on the same cases." type:"path" placeholder:"FILE"`
	Without   []string `help:"ASINs to leave out." placeholder:"ASIN"`
	Most      int      `help:"Score at most this many products, chosen by a repeatable sample. 0: all." default:"20000" placeholder:"N"`
	JSON      bool     `help:"One JSON object."`
}

// Run scores the rules on stored histories. It costs no token.
func (c backtestCmd) Run(a *app) error {
	test, err := c.test(a.ctx)
	if err != nil {
		return err
	}
	if c.Captures != "" {
		held, err := c.captured(test.Rules.Settings().Domain())
		if err != nil {
			return err
		}
		return c.score(a, test, held)
	}
	b, err := c.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	if test.Rules, err = c.current(a.ctx, b, test.Rules); err != nil {
		return a.complete(err)
	}
	held, err := replay.ProductsOn(a.ctx, b, test.Rules.Settings().Domain())
	if err != nil {
		return a.complete(err)
	}
	return c.score(a, test, held)
}

func (c backtestCmd) score(a *app, test replay.Backtest, held []replay.StoredProduct) error {
	bar := replay.NewBar(a.errOut, isTerminal(a.errOut))
	scored, err := test.Run(a.ctx, held, bar.Show)
	bar.End()
	if err != nil {
		return a.complete(err)
	}
	if c.JSON {
		return writeJSON(a, scored)
	}
	return scored.Write(a.out, test.Rules.Settings().Domain().Currency())
}

func (c backtestCmd) test(ctx context.Context) (replay.Backtest, error) {
	t := replay.Backtest{Most: c.Most}
	if c.Most < 0 {
		return t, process.Usagef("--most: want a number of products or 0, got %d", c.Most)
	}
	for _, arg := range c.Without {
		asin, err := asinOf(arg)
		if err != nil {
			return t, process.Usagef("--without: %w", err)
		}
		t.Without = append(t.Without, asin)
	}
	var err error
	if t.Rules, err = c.load(ctx); err != nil || c.Previous == "" {
		return t, err
	}
	t.Previous, err = previous(ctx, c.Previous)
	return t, err
}

// previous loads the other rule file.
func previous(ctx context.Context, file string) (*verdict.Judge, error) {
	j, err := worker.LoadRules(ctx, file)
	if err != nil {
		return nil, process.Usagef("--previous: %w; `ratchet rules check %s` shows what to change", err, file)
	}
	return j, nil
}

// captured are the products in the files.
func (c backtestCmd) captured(domain keepa.Domain) ([]replay.StoredProduct, error) {
	if info, err := os.Stat(c.Captures); err != nil || !info.IsDir() {
		return nil, process.Usagef("--captures: %s is not a directory", c.Captures)
	}
	held, err := replay.ProductsIn(c.Captures, domain)
	if err != nil {
		return nil, process.Usagef("--captures: %w; want answers of Keepa or product objects, .json or .json.gz", err)
	}
	if len(held) == 0 {
		return nil, process.Usagef("--captures: %s has no product of amazon.%s in .json or .json.gz files", c.Captures, domain.Suffix())
	}
	return held, nil
}
