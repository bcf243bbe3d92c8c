package main

import (
	"fmt"
	"regexp"
	"strconv"
)

// money is an amount as people write it: 12, 12.50 or $12.50. nil where none was given.
type money struct{ units *float64 }

var moneyForm = regexp.MustCompile(`^[$£€¥]?(-?[0-9]{1,9}(?:\.[0-9]{1,2})?)$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *money) UnmarshalText(text []byte) error {
	found := moneyForm.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("want an amount like 12.50, got %q", text)
	}
	units, err := strconv.ParseFloat(string(found[1]), 64)
	m.units = &units
	return err
}

// odds are a chance, as 0.3 or 30%. nil where none were given.
type odds struct{ share *float64 }

var oddsForm = regexp.MustCompile(`^([0-9]{1,3}(?:\.[0-9]+)?|\.[0-9]+) ?(%?)$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *odds) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("want odds like 30%% or 0.3, got %q", text)
	found := oddsForm.FindSubmatch(text)
	if found == nil {
		return bad
	}
	share, err := strconv.ParseFloat(string(found[1]), 64)
	if len(found[2]) > 0 {
		share /= 100
	}
	if err != nil || share > 1 {
		return bad
	}
	o.share = &share
	return nil
}
