package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// tradeFlags are what a purchase and a sale have in common.
type tradeFlags struct {
	natsFlags `embed:""`
	Product   string `arg:"" name:"asin" help:"An ASIN, an ISBN-10 or ISBN-13, or a link to Amazon."`
	Price     money  `help:"Price of one copy, in the marketplace's currency." placeholder:"12.50"`
	On        string `help:"The day, as 2026-03-02 (default: today)." placeholder:"DATE"`
	Copy      int    `help:"Which of several copies of the same day and price: 2 for the second." default:"1"`
	Undo      bool   `help:"Undo what was recorded of this product."`
}

type buyCmd struct {
	tradeFlags `embed:""`
	Condition  string `help:"Condition of the copy: ${conditions}."`
}

// Run records a purchase, or takes it back.
func (c buyCmd) Run(a *app) error {
	condition := strings.ToLower(c.Condition)
	if condition != "" && !slices.Contains(cli.Conditions(), condition) {
		return process.Usagef("--condition %q: want one of %s", c.Condition, strings.Join(cli.Conditions(), ", "))
	}
	return c.trade(a, action.Buy, condition)
}

type soldCmd struct {
	tradeFlags `embed:""`
}

// Run records a sale, or takes it back.
func (c soldCmd) Run(a *app) error { return c.trade(a, action.Sold, "") }

// trade records a purchase or a sale.
func (c tradeFlags) trade(a *app, kind action.Kind, condition string) error {
	name, err := named(c.Product)
	if err != nil {
		return err
	}
	if !c.Undo && (c.Price.Units == nil || *c.Price.Units < 0) {
		return process.Usagef("--price: want what one copy cost or brought, like --price 12.50")
	}
	if c.Copy < 1 || c.Copy > 1000 {
		return process.Usagef("--copy %d: want 1 to 1000", c.Copy)
	}
	day, err := dayOf(c.On)
	if err != nil {
		return err
	}
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		now := cli.Now(ctx, b)
		domain, err := marketplace(ctx, b, name.ASIN, name.Domain)
		if err != nil {
			return err
		}
		does := action.Action{Kind: kind, Target: action.Target{By: action.ByASIN, Domain: domain, Value: name.ASIN}, At: now}
		if c.Undo {
			return takeBack(ctx, a, b, does)
		}
		if day.IsZero() {
			day = now
		}
		if day.After(now.Add(24 * time.Hour)) {
			return process.Usagef("--on %s: want a day that has come", c.On)
		}
		does = cli.Trade(does, *c.Price.Units, condition, day, c.Copy)
		return act(ctx, a, b, does)
	})
}

// dayOf returns the day of an argument; zero if absent.
func dayOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, process.Usagef("--on %q: want a day like 2026-03-02", text)
	}
	return day, nil
}

// marketplace is the one that the product's link names, else the one in which it is a deal, else amazon.com.
func marketplace(ctx context.Context, b *bus.Bus, asin string, domain int) (int, error) {
	if domain > 0 {
		return domain, nil
	}
	all, err := cli.Marketplaces(ctx, b, asin)
	switch {
	case err != nil:
		return 0, err
	case len(all) > 1:
		return 0, process.Usagef("%s is a deal in several marketplaces: give the address of its page instead, like https://www.amazon.%s/dp/%s",
			asin, keepa.Domain(all[0]).Suffix(), asin)
	case len(all) == 1:
		return all[0], nil
	}
	return int(keepa.DomainCom), nil
}

type ignoreCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	What          []string `arg:"" optional:"" help:"An ASIN, an ISBN or a link; or seller ID; or brand NAME; or words, followed by words of the title in their order."`
	For           span     `help:"For this long, in pipeline time (30d, 2w); else until --undo." placeholder:"D"`
	Undo          bool     `help:"Show them again."`
}

// Run ignores something, shows it again, or lists what is ignored.
func (c ignoreCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case c.For < 0:
		return process.Usagef("--for: want a positive duration, got %s", c.For)
	case c.Undo && (c.For > 0 || len(c.What) == 0):
		return process.Usagef("--undo: name what is to be shown again, as `ratchet ignore` lists it, and leave out --for")
	case len(c.What) == 0:
		return c.natsFlags.with(a, func(ctx context.Context, b *bus.Bus) error { return listIgnored(ctx, a, b) })
	}
	by, value, domain, err := c.target()
	if err != nil {
		return err
	}
	return c.natsFlags.with(a, func(ctx context.Context, b *bus.Bus) error {
		if by == action.ByASIN {
			if domain, err = marketplace(ctx, b, value, domain); err != nil {
				return err
			}
		}
		now := cli.Now(ctx, b)
		does := action.Action{Kind: action.Ignore, Target: action.Target{By: by, Domain: domain, Value: value}, At: now}
		if c.Undo {
			return takeBack(ctx, a, b, does)
		}
		if c.For > 0 {
			does.Until = now.Add(time.Duration(c.For)).Truncate(time.Second)
		}
		visible := cli.NewVisible(b, c.URL)
		defer visible.Close()
		hides, err := visible.Hidden(ctx, does)
		if err != nil {
			return err
		}
		if err := act(ctx, a, b, does); err != nil {
			return err
		}
		leave := "deals leave"
		if hides == 1 {
			leave = "deal leaves"
		}
		_, err = fmt.Fprintf(a.out, "%d visible %s the list.\n", hides, leave)
		return err
	})
}

// target reads what is to be ignored.
func (c ignoreCmd) target() (by action.By, value string, domain int, err error) {
	by, value = action.By(strings.ToLower(c.What[0])), strings.Join(c.What[1:], " ")
	switch by {
	case action.BySeller, action.ByBrand, action.ByWords:
		value, err = action.Clean(by, value)
		if err != nil {
			err = process.Usagef("ignore %s: %w", by, err)
		}
		if err != nil && by == action.BySeller {
			err = process.Usagef("%w; `ratchet deals --columns seller,seller_id` shows it", err)
		}
		return by, value, 0, err
	case action.ByASIN:
	default:
		value = strings.Join(c.What, " ")
	}
	name, err := named(value)
	return action.ByASIN, name.ASIN, name.Domain, err
}

// act prints what was done.
func act(ctx context.Context, a *app, b *bus.Bus, does action.Action) error {
	isNew, err := cli.Act(ctx, b, does)
	if err != nil {
		return err
	}
	text := cli.Sentence(does)
	if !isNew {
		text += " That was recorded before: it counts once."
	}
	_, err = fmt.Fprintln(a.out, text)
	return err
}

// takeBack undoes everything of the kind about the target.
func takeBack(ctx context.Context, a *app, b *bus.Bus, does action.Action) error {
	done, err := cli.Undo(ctx, b, action.Action{Of: does.Kind, Target: does.Target, At: does.At})
	if err != nil {
		return err
	}
	text := "Undone: " + cli.Sentence(does)
	if !done {
		text = fmt.Sprintf("Nothing to undo: there is no %s of %s %s.", does.Kind, does.By, does.Value)
	}
	_, err = fmt.Fprintln(a.out, text)
	return err
}

func listIgnored(ctx context.Context, a *app, b *bus.Bus) error {
	all, err := cli.Ignored(ctx, b)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		_, err = fmt.Fprintln(a.out, "Nothing is ignored.")
	}
	for _, s := range all {
		if _, err := fmt.Fprintln(a.out, cli.Sentence(s.Action)); err != nil {
			return err
		}
	}
	return err
}
