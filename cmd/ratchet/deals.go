package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

type dealsCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	Since         span     `help:"Only deals decided within this much pipeline time (24h, 7d …); a confirmation does not count as a decision." placeholder:"D"`
	MinProfit     money    `help:"Only deals with at least this profit, in the marketplace's currency." placeholder:"12.50"`
	MaxLossChance odds     `help:"Only deals with at most these odds of a loss." placeholder:"30%"`
	Condition     string   `help:"Only copies in this condition or a better one: ${conditions}." placeholder:"GOOD"`
	MaxRank       int64    `help:"Only products with at most this sales rank." placeholder:"N"`
	Sort          string   `help:"Sort by ${enum}; the best first." enum:"${orders}" default:"profit"`
	Limit         int      `help:"At most the first N." placeholder:"N"`
	Columns       []string `help:"Columns of the table or csv, in this order: ${fields}." placeholder:"NAME,…"`
	Follow        bool     `help:"Continue and print every new deal, until Ctrl-C."`
	Format        string   `help:"table, json (with --follow an object a line) or csv (for a spreadsheet: amounts in the marketplace's currency, times in UTC, ASINs and ISBNs as text)." enum:"table,json,csv" default:"table"`
}

// show returns how the flags want the deals shown.
func (c dealsCmd) show(a *app) (cli.Show, error) {
	s := cli.Show{
		Choice: cli.Choice{MinProfit: c.MinProfit.Units, MaxLossChance: c.MaxLossChance.Share, Condition: strings.ToLower(c.Condition), MaxRank: c.MaxRank},
		By:     cli.By(c.Sort), Limit: c.Limit, Format: c.Format, Fields: c.Columns, Width: widthOf(a.out),
	}
	if err := s.Check(); err != nil {
		return s, process.Usagef("--%w", err)
	}
	return s, nil
}

// widthOf returns the width of the terminal in columns; 0 if the output is not a terminal.
func widthOf(w io.Writer) int {
	if fold, ok := w.(*cli.Fold); ok {
		w = fold.To
	}
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, _ := term.GetSize(int(f.Fd())) //nolint:gosec // a descriptor is small; -1 if it is not a terminal
	return max(width, 0)
}

// Run prints the deals.
func (c dealsCmd) Run(a *app) error {
	if c.Since < 0 {
		return process.Usagef("--since: want a positive duration, got %s", c.Since)
	}
	if c.Limit != 0 && c.Follow {
		return process.Usagef("--limit: --follow prints every new deal until Ctrl-C; use one of them without the other")
	}
	if err := c.check(); err != nil {
		return err
	}
	show, err := c.show(a)
	if err != nil {
		return err
	}
	a.untilSignal = c.Follow
	b, err := c.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	now := cli.Now(a.ctx, b)
	show.Now = now
	var since time.Time
	if c.Since > 0 {
		since = now.Add(-time.Duration(c.Since))
	}
	return c.print(a.ctx, a, b, since, show)
}

// Without ClickHouse the deals are read from the streams, along with three months of verdicts.
const (
	listsWithin      = 3 * time.Minute
	saysReadingAfter = 3 * time.Second
)

func (c dealsCmd) print(ctx context.Context, a *app, b *bus.Bus, since time.Time, show cli.Show) error {
	visible := cli.NewVisible(b, c.URL)
	defer visible.Close()
	// On standard error: a program may read the deals.
	say := func(from cli.Source) {
		if from.Because != "" {
			fmt.Fprintf(a.errOut, "deals come %s\n", from)
		}
	}
	if c.Follow {
		return visible.Follow(ctx, since, show, a.out, say)
	}
	list := cli.NewListing(a.out, show)
	slow := time.AfterFunc(saysReadingAfter, func() { fmt.Fprintln(a.errOut, "reading the deals …") })
	defer slow.Stop()
	all, err := visible.Each(ctx, listsWithin, since, show.By, func(d cli.Deal) error {
		slow.Stop()
		return list.Deal(d)
	})
	if err != nil {
		return err
	}
	if err := list.End(); err != nil {
		return err
	}
	fmt.Fprintln(a.errOut, all)
	return nil
}
