package cli

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Asked is the selection of deals in a URL, with the names of the flags of `ratchet deals`.
type Asked struct {
	Show
	Since time.Duration // pipeline time; 0: any
}

// parameters maps the name of a URL parameter to the function that applies it.
var parameters = map[string]func(*Asked, string) error{
	"min-profit": func(a *Asked, text string) error {
		var amount Amount
		err := amount.UnmarshalText([]byte(text))
		a.MinProfit = amount.Units
		return err
	},
	"max-loss-chance": func(a *Asked, text string) error {
		var odds Odds
		err := odds.UnmarshalText([]byte(text))
		a.MaxLossChance = odds.Share
		return err
	},
	"since": func(a *Asked, text string) error {
		var span Span
		err := span.UnmarshalText([]byte(text))
		if err == nil && span < 0 {
			err = fmt.Errorf("want a positive duration, got %s", span)
		}
		a.Since = time.Duration(span)
		return err
	},
	"condition": func(a *Asked, text string) error { a.Condition = strings.ToLower(text); return nil },
	"max-rank": func(a *Asked, text string) (err error) {
		if a.MaxRank, err = strconv.ParseInt(text, 10, 64); err != nil {
			err = fmt.Errorf("want a rank like 500000, got %q", text)
		}
		return err
	},
	"sort":    func(a *Asked, text string) error { a.By = By(text); return nil },
	"columns": func(a *Asked, text string) error { a.Fields = strings.Split(text, ","); return nil },
}

// AskedBy reads the parameters of a URL. An empty one is ignored, and so are those that do not select deals. The error
// names a parameter that is invalid; the others are applied.
func AskedBy(q url.Values) (Asked, error) {
	var a Asked
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
		return Asked{}, err
	}
	return a, wrong
}
