package complaint

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Largest bounds the numbers of a file, positive and negative, so that arithmetic on them does not overflow.
const Largest = 1_000_000_000_000

var (
	wholeForm    = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	fractionForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	zeroesForm   = regexp.MustCompile(`^([-+]?)0+([0-9]+)(\.[0-9]+)?$`)
	insideForm   = regexp.MustCompile(`^[^0-9+.,-]{0,4}([-+]?[0-9.,_']*[0-9])(?:[eE]([-+]?[0-9]{1,2}))?[^0-9]{0,12}$`)
)

// Whole reads a whole number. wrong describes a mistake and proposes a correction; "" if there is none.
// cents marks an amount of money, for which people often write a fraction of the larger unit.
func Whole(text string, cents bool) (n int64, wrong string) {
	if wholeForm.MatchString(text) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n > Largest || n < -Largest {
			return 0, fmt.Sprintf("%s is too large: at most %d", text, int64(Largest))
		}
		return n, ""
	}
	unit := "a whole number"
	if cents {
		unit = "whole cents"
	}
	if octal(text) {
		return 0, octalWrong(text)
	}
	return 0, clip(text) + " is not " + unit + DidYouMean(wholeProposal(text, cents))
}

// wholeProposal returns the whole number that was most likely meant.
func wholeProposal(text string, cents bool) string {
	if n, ok := based(text); ok {
		return strconv.FormatInt(n, 10)
	}
	v, decimals, ok := inside(text)
	switch {
	case !ok:
		return ""
	case cents && decimals > 0 && decimals <= 2 && (decimals == 2 || v != math.Trunc(v)):
		v *= 100
	}
	if v = math.Round(v); math.Abs(v) > Largest {
		return ""
	}
	return strconv.FormatInt(int64(v), 10)
}

// Fraction reads a number that may have a fraction. wrong is as for Whole.
func Fraction(text string) (v float64, wrong string) {
	if fractionForm.MatchString(text) {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.Abs(v) > Largest {
			return 0, fmt.Sprintf("%s is too large: at most %d", clip(text), int64(Largest))
		}
		return v, ""
	}
	if octal(text) {
		return 0, octalWrong(text)
	}
	proposal := ""
	if n, ok := based(text); ok {
		proposal = strconv.FormatInt(n, 10)
	} else if v, _, ok := inside(text); ok && math.Abs(v) <= Largest {
		proposal = strconv.FormatFloat(v, 'f', -1, 64)
	}
	return 0, clip(text) + " is not a number" + DidYouMean(proposal)
}

func octal(text string) bool {
	m := zeroesForm.FindStringSubmatch(text)
	return m != nil
}

// octalWrong reports leading zeros, which some readers interpret as octal.
func octalWrong(text string) string {
	m := zeroesForm.FindStringSubmatch(text)
	proposal := strings.TrimPrefix(m[1], "+") + m[2] + m[3]
	if v, err := strconv.ParseFloat(proposal, 64); err != nil || math.Abs(v) > Largest {
		proposal = ""
	}
	return clip(text) + " begins with a zero, as octal numbers do" + DidYouMean(proposal)
}

// based reads a number written to another base.
func based(text string) (int64, bool) {
	low := strings.ToLower(strings.TrimLeft(text, "+-"))
	if !strings.HasPrefix(low, "0x") && !strings.HasPrefix(low, "0o") && !strings.HasPrefix(low, "0b") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ToLower(strings.TrimPrefix(text, "+")), 0, 64)
	return n, err == nil && n <= Largest && n >= -Largest
}

// inside finds the single number in a text like "$2.75", "2,75 EUR", "1_000" or "5 %", and the number of its decimals.
func inside(text string) (v float64, decimals int, ok bool) {
	m := insideForm.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	number := strings.NewReplacer("_", "", "'", "").Replace(m[1])
	if whole, part, one := strings.Cut(number, ","); one && !strings.Contains(part, ",") && !strings.Contains(number, ".") && len(part) != 3 {
		number = whole + "." + part // a decimal comma
	}
	number = strings.ReplaceAll(number, ",", "")
	if _, part, has := strings.Cut(number, "."); has {
		decimals = len(part)
	}
	if m[2] != "" {
		number, decimals = number+"e"+m[2], 0
	}
	v, err := strconv.ParseFloat(number, 64)
	return v, decimals, err == nil
}

// clip shortens any text for use in a message.
func clip(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(strings.ToValidUTF8(text[:most], "")) + "…"
	}
	if text == "" || strings.ContainsAny(text, " \n\t") {
		return strconv.Quote(text)
	}
	return text
}
