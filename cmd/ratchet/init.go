package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/starter"
	"ratchet/pipeline/platform/process"
)

type initCmd struct {
	Dir           string `arg:"" optional:"" default:"." help:"The directory to write into (default: this one)."`
	Marketplace   string `help:"The end of Amazon's host name: com, co.uk, de … (default: com)." placeholder:"SUFFIX"`
	Category      string `help:"Keepa's number of the root category of books there (default: that of amazon.com)." placeholder:"N"`
	Budget        string `help:"The most that one book may cost at the door, in the marketplace's currency (default: 451.00)." placeholder:"AMOUNT"`
	MinProfit     string `help:"The minimum expected profit of a deal (default: 3.00)." placeholder:"AMOUNT"`
	MaxLossChance string `help:"The highest acceptable odds of a loss, as 30% or 0.3 (default: 40%)." placeholder:"ODDS"`
	Prep          string `help:"What it costs you to prepare one book (default: 2.75)." placeholder:"AMOUNT"`
	Inbound       string `help:"What it costs you to send one book to the warehouse (default: 0.50)." placeholder:"AMOUNT"`
	Other         string `help:"Other costs of one book (default: 0.00)." placeholder:"AMOUNT"`
	Tax           string `help:"Sales tax on what you buy, in percent; 0 for the exempt (default: 5)." placeholder:"PERCENT"`
	Force         bool   `help:"Overwrite existing files."`
}

// Run writes the files that a user begins with.
func (c initCmd) Run(a *app) error {
	asks := io.Reader(nil)
	if isTerminal(os.Stdin) && isTerminal(os.Stdout) {
		asks = os.Stdin
	}
	return c.write(a, asks)
}

// write asks and writes; answers is nil if there is no terminal.
func (c initCmd) write(a *app, answers io.Reader) error {
	choice, err := c.choose(a, answers)
	if err != nil {
		return err
	}
	whole, err := filepath.Abs(c.Dir)
	if err != nil {
		return fmt.Errorf("find the directory: %w", err)
	}
	files := []struct {
		name string
		body []byte
		mode os.FileMode
	}{
		{starter.RulesFile, choice.Rules(), 0o644},
		{starter.QueryFile, choice.Query(), 0o644},
		{starter.EnvFile, starter.Env(filepath.ToSlash(whole)), 0o600}, // its copy holds the key, and cp keeps the mode
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil { //nolint:gosec // it holds no secret
		return fmt.Errorf("create the directory: %w; name another", err)
	}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(c.Dir, f.name)); err == nil && !c.Force {
			return process.Usagef("%s exists: name another directory, or add --force to overwrite it", filepath.Join(c.Dir, f.name))
		}
	}
	for _, f := range files {
		name := filepath.Join(c.Dir, f.name)
		err := os.WriteFile(name, f.body, f.mode)
		if err == nil && f.name == starter.EnvFile {
			err = os.Chmod(name, f.mode) // with --force, the file of an earlier build is readable by everybody
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
		fmt.Fprintln(a.out, "wrote", name)
	}
	if d := choice.Settings.Domain(); d != keepa.DomainCom {
		fmt.Fprintf(a.errOut, "The fees in %s are those of amazon.com: set those of amazon.%s before you trust a profit.\n", starter.RulesFile, d.Suffix())
	}
	_, err = fmt.Fprintf(a.out, "Start with: ratchet up --rules %s --query %s\n", filepath.Join(c.Dir, starter.RulesFile), filepath.Join(c.Dir, starter.QueryFile))
	return err
}

// choose reads the flags, and asks for what they leave open.
func (c initCmd) choose(a *app, answers io.Reader) (starter.Choice, error) {
	choice := starter.Defaults()
	ask := asker{out: a.errOut}
	if answers != nil {
		ask.in = bufio.NewScanner(answers)
	}
	s := &choice.Settings
	err := ask.each(
		question{"marketplace", "Which Amazon marketplace? The end of its host name", c.Marketplace, &s.Marketplace, nil},
	)
	d, known := keepa.DomainOf(s.Marketplace)
	if err != nil || !known {
		return choice, cmp.Or(err, process.Usagef("--marketplace: %q is not a marketplace; want one of %s", s.Marketplace, keepa.Suffixes()))
	}
	choice.Category = starter.Books(d)
	money := d.Currency()
	if choice.Category == 0 || c.Category != "" {
		err = ask.each(question{"category", "Keepa's number of the root category of books there", c.Category, &choice.Category, nil})
	}
	loss := odds{Share: &choice.MaxLossChance}
	if err == nil {
		err = ask.each(
			question{"budget", "The most that one book may cost at the door", c.Budget, &choice.BudgetCents, &money},
			question{"min-profit", "The minimum profit that is worth your while", c.MinProfit, &choice.MinProfitCents, &money},
			question{"max-loss-chance", "The highest acceptable odds of a loss", c.MaxLossChance, &loss, nil},
			question{"prep", "Your cost to prepare one book", c.Prep, &s.PrepCents, &money},
			question{"inbound", "Your cost to send one book to the warehouse", c.Inbound, &s.InboundCents, &money},
			question{"other", "Other costs of one book", c.Other, &s.OtherCents, &money},
			question{"tax", "Sales tax on what you buy, in percent", c.Tax, &s.TaxPercent, nil},
		)
	}
	choice.MaxLossChance = *loss.Share
	if err == nil {
		if invalid := choice.Validate(); invalid != nil {
			err = &process.UsageError{Err: invalid}
		}
	}
	return choice, err
}

// question is one thing to decide: its flag, its text, the flag's value, and where the answer goes.
type question struct {
	flag, asks, given string
	into              any             // *string, *int64, *float64 or *odds, with the default
	money             *keepa.Currency // into is an amount
}

// asker asks on a terminal; without one the defaults stand.
type asker struct {
	in  *bufio.Scanner
	out io.Writer
}

func (k asker) each(questions ...question) error {
	for _, q := range questions {
		if q.given != "" {
			if err := q.set(q.given); err != nil {
				return process.Usagef("--%s: %w", q.flag, err)
			}
			continue
		}
		for k.in != nil {
			fmt.Fprintf(k.out, "%s [%s]: ", q.asks, q.preset())
			if !k.in.Scan() {
				return process.Usagef("no answer to --%s; give it as a flag", q.flag)
			}
			err := error(nil)
			if answer := strings.TrimSpace(k.in.Text()); answer != "" {
				err = q.set(answer)
			}
			if err == nil {
				break
			}
			fmt.Fprintln(k.out, err)
		}
	}
	return nil
}

// preset is the default as people write it.
func (q question) preset() string {
	switch v := q.into.(type) {
	case *int64:
		if q.money != nil {
			return q.money.Format(*v)
		}
		return strconv.FormatInt(*v, 10)
	case *float64:
		return strconv.FormatFloat(*v, 'f', -1, 64)
	case *odds:
		return strconv.FormatFloat(math.Round(1e4**v.Share)/100, 'f', -1, 64) + "%"
	case *string:
		return *v
	}
	return ""
}

// set reads an answer. One that cannot be read leaves the default.
func (q question) set(answer string) error {
	switch v := q.into.(type) {
	case *int64:
		return q.setWhole(v, answer)
	case *float64:
		f, err := strconv.ParseFloat(answer, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", answer)
		}
		*v = f
	case *odds:
		return v.UnmarshalText([]byte(answer))
	case *string:
		*v = strings.TrimPrefix(strings.ToLower(answer), "amazon.")
	}
	return nil
}

// setWhole reads a whole number, or an amount as one.
func (q question) setWhole(into *int64, answer string) error {
	n, err := int64(0), error(nil)
	if q.money != nil {
		n, err = q.money.Parse(answer)
	} else if n, err = strconv.ParseInt(answer, 10, 64); err != nil {
		err = fmt.Errorf("%q is not a whole number", answer)
	}
	if err == nil {
		*into = n
	}
	return err
}
