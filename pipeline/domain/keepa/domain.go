package keepa

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Domain is Keepa's number of an Amazon marketplace.
type Domain int

// The marketplaces; 7 is unused. The deal list serves all of them except Brazil.
const (
	DomainCom Domain = 1
	DomainUK  Domain = 2
	DomainDE  Domain = 3
	DomainFR  Domain = 4
	DomainJP  Domain = 5
	DomainCA  Domain = 6
	DomainIT  Domain = 8
	DomainES  Domain = 9
	DomainIN  Domain = 10
	DomainMX  Domain = 11
	DomainBR  Domain = 12
)

// Currency is the currency of a marketplace's prices. Keepa counts its smallest unit.
type Currency struct {
	Code     string // ISO 4217
	Symbol   string
	Decimals int // of the unit that people write
}

var domains = map[Domain]struct {
	suffix   string
	currency Currency
}{
	DomainCom: {"com", Currency{"USD", "$", 2}},
	DomainUK:  {"co.uk", Currency{"GBP", "£", 2}},
	DomainDE:  {"de", Currency{"EUR", "€", 2}},
	DomainFR:  {"fr", Currency{"EUR", "€", 2}},
	DomainJP:  {"co.jp", Currency{"JPY", "¥", 0}},
	DomainCA:  {"ca", Currency{"CAD", "CA$", 2}},
	DomainIT:  {"it", Currency{"EUR", "€", 2}},
	DomainES:  {"es", Currency{"EUR", "€", 2}},
	DomainIN:  {"in", Currency{"INR", "₹", 2}},
	DomainMX:  {"com.mx", Currency{"MXN", "MX$", 2}},
	DomainBR:  {"com.br", Currency{"BRL", "R$", 2}},
}

// Domains returns every marketplace, in the order of Keepa's numbers.
func Domains() []Domain { return slices.Sorted(maps.Keys(domains)) }

// Valid reports whether there is such a marketplace.
func (d Domain) Valid() bool { return domains[d].suffix != "" }

// Listed reports whether the deal list serves the marketplace; Brazil has only products.
func (d Domain) Listed() bool { return d.Valid() && d != DomainBR }

// Suffix returns the end of the marketplace's host name ("com", "co.uk"); "com" for an unknown one.
func (d Domain) Suffix() string {
	if known, ok := domains[d]; ok {
		return known.suffix
	}
	return domains[DomainCom].suffix
}

// DomainOf returns the marketplace with that end of its host name; false without one.
func DomainOf(suffix string) (Domain, bool) {
	for d, known := range domains {
		if known.suffix == suffix {
			return d, true
		}
	}
	return 0, false
}

// Suffixes names the ends of all host names, for messages.
func Suffixes() string {
	var all []string
	for _, known := range domains {
		all = append(all, known.suffix)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// Currency returns the currency of the marketplace's prices; dollars for an unknown one.
func (d Domain) Currency() Currency {
	if known, ok := domains[d]; ok {
		return known.currency
	}
	return domains[DomainCom].currency
}

// Money formats an amount in the marketplace's currency; absent is a dash.
func (d Domain) Money(units *int64) string {
	if units == nil {
		return "–"
	}
	return d.Currency().Format(*units)
}

// Units converts an amount to the smallest unit: 12.5 is 1250, or 13 for a currency without decimals.
func (c Currency) Units(amount float64) int64 {
	return int64(math.Round(amount * math.Pow10(c.Decimals)))
}

// Amount formats an amount of the smallest unit without its symbol: "1250.05", "-3.00", "4980".
func (c Currency) Amount(units int64) string {
	sign, n := "", uint64(units)
	if units < 0 {
		sign, n = "-", -n
	}
	digits := strconv.FormatUint(n, 10)
	if c.Decimals == 0 {
		return sign + digits
	}
	if missing := c.Decimals + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	at := len(digits) - c.Decimals
	return sign + digits[:at] + "." + digits[at:]
}

// Format formats an amount with its symbol in front: "$12.50", "-£3.00", "¥4980".
func (c Currency) Format(units int64) string {
	if units < 0 {
		return "-" + c.Symbol + strings.TrimPrefix(c.Amount(units), "-")
	}
	return c.Symbol + c.Amount(units)
}

// Parse reads an amount as people write it, with or without the symbol ("12.50", "$12"), into the smallest unit.
func (c Currency) Parse(text string) (int64, error) {
	whole, part, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), c.Symbol), ".")
	wrong := fmt.Errorf("%q is not an amount in %s like %s", text, c.Code, c.Amount(1250))
	if len(part) > c.Decimals || strings.Trim(whole+part, "0123456789") != "" || whole == "" {
		return 0, wrong
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", c.Decimals-len(part)), 10, 64)
	if err != nil {
		return 0, wrong
	}
	return n, nil
}
