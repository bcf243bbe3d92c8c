package cli

import (
	"fmt"
	"regexp"
	"strconv"
)

// Amount is money as people write it: 12, 12.50 or $12.50. Units is nil if absent.
type Amount struct{ Units *float64 }

var amountForm = regexp.MustCompile(`^[$£€¥]?(-?[0-9]{1,9}(?:\.[0-9]{1,2})?)$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Amount) UnmarshalText(text []byte) error {
	found := amountForm.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("want an amount like 12.50, got %q", text)
	}
	units, err := strconv.ParseFloat(string(found[1]), 64)
	a.Units = &units
	return err
}

// Odds are a chance, as 0.3 or 30%. Share is nil if absent.
type Odds struct{ Share *float64 }

var oddsForm = regexp.MustCompile(`^([0-9]{1,3}(?:\.[0-9]+)?|\.[0-9]+) ?(%?)$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Odds) UnmarshalText(text []byte) error {
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
	o.Share = &share
	return nil
}
