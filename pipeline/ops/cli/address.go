package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Selection is the selection of deals in a URL, with the names of the flags of `ratchet deals`.
type Selection struct {
	Show
	Since time.Duration // pipeline time; 0: any
}

// parameters maps the name of a URL parameter to the function that applies it.
var parameters = map[string]func(*Selection, string) error{
	"min-profit": func(a *Selection, text string) error {
		var amount Amount
		err := amount.UnmarshalText([]byte(text))
		a.MinProfit = amount.Units
		return err
	},
	"max-loss-chance": func(a *Selection, text string) error {
		var odds Odds
		err := odds.UnmarshalText([]byte(text))
		a.MaxLossChance = odds.Share
		return err
	},
	"since": func(a *Selection, text string) error {
		var span Span
		err := span.UnmarshalText([]byte(text))
		if err == nil && span < 0 {
			err = fmt.Errorf("want a positive duration, got %s", span)
		}
		a.Since = time.Duration(span)
		return err
	},
	"condition": func(a *Selection, text string) error { a.Condition = strings.ToLower(text); return nil },
	"max-rank": func(a *Selection, text string) (err error) {
		if a.MaxRank, err = strconv.ParseInt(text, 10, 64); err != nil {
			err = fmt.Errorf("want a rank like 500000, got %q", text)
		}
		return err
	},
	"sort":    func(a *Selection, text string) error { a.By = By(text); return nil },
	"columns": func(a *Selection, text string) error { a.Fields = strings.Split(text, ","); return nil },
}

// ParseSelection reads the parameters of a URL. Empty ones and those that do not select deals are ignored. The error
// names a parameter that is invalid; the others are applied.
func ParseSelection(q url.Values) (Selection, error) {
	var a Selection
	var wrong error
	for name, read := range parameters {
		text := strings.TrimSpace(q.Get(name))
		if text == "" {
			continue
		}
		before := a
		if err := read(&a, text); err != nil {
			a, wrong = before, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := a.Check(); err != nil {
		return Selection{}, err
	}
	return a, wrong
}
