package keepa

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// MaxPages is how many pages of a deal query Keepa serves: 150 rows each, 10,000 rows at most.
const MaxPages = 66

// RowsPerPage is the size of a full page of the deal list.
const RowsPerPage = 150

// SortType is the order of the deal list; negative inverts.
type SortType int

// The orders. By age is newest first and cannot be inverted; no order is by lastUpdate.
const (
	SortByAge     SortType = 1
	SortByDelta   SortType = 2
	SortByRank    SortType = 3
	SortByPercent SortType = 4
)

// Range is an interval with both ends included.
type Range struct{ Low, High int }

// Selection is a deal query: the parameters of Keepa's deal list. Optional fields with their zero
// value are not sent, which Keepa reads as off. Page is not part of it: Encode takes it.
type Selection struct {
	Domain          Domain    `json:"domainId"`
	PriceType       PriceType `json:"priceTypes"` // sent as an array of exactly one
	DateRange       Interval  `json:"dateRange"`
	Sort            SortType  `json:"sortType"`
	RangesEnabled   bool      `json:"isRangeEnabled"`
	FiltersEnabled  bool      `json:"isFilterEnabled"`
	Current         *Range    `json:"currentRange"`
	Delta           *Range    `json:"deltaRange"`
	DeltaPercent    *Range    `json:"deltaPercentRange"`
	DeltaLast       *Range    `json:"deltaLastRange"`
	SalesRank       *Range    `json:"salesRankRange"` // High -1 is open
	MinRating       *int      `json:"minRating"`      // 0 to 50; -1 off
	Include         []int64   `json:"includeCategories"`
	Exclude         []int64   `json:"excludeCategories"`
	Lowest          bool      `json:"isLowest"`
	Lowest90        bool      `json:"isLowest90"`
	LowestOffer     bool      `json:"isLowestOffer"`
	Highest         bool      `json:"isHighest"`
	OutOfStock      bool      `json:"isOutOfStock"`
	BackInStock     bool      `json:"isBackInStock"`
	HasReviews      bool      `json:"hasReviews"`
	FilterErotic    bool      `json:"filterErotic"`
	SingleVariation bool      `json:"singleVariation"`
	Risers          bool      `json:"isRisers"`
	PrimeExclusive  bool      `json:"isPrimeExclusive"`
	MustAmazon      bool      `json:"mustHaveAmazonOffer"`
	MustNotAmazon   bool      `json:"mustNotHaveAmazonOffer"`
	Warehouse       []int     `json:"warehouseConditions"`
	TitleSearch     string    `json:"titleSearch"`

	// The attributes: a product matches when it has one of the values.
	Binding         []string `json:"binding"`
	Author          []string `json:"author"`
	Brand           []string `json:"brand"`
	BrandStore      []string `json:"brandStoreName"`
	BrandStoreURL   []string `json:"brandStoreUrlName"`
	Manufacturer    []string `json:"manufacturer"`
	ProductGroup    []string `json:"productGroup"`
	DisplayGroup    []string `json:"websiteDisplayGroup"`
	DisplayGroupAs  []string `json:"websiteDisplayGroupName"`
	RankGroup       []string `json:"salesRankDisplayGroup"`
	Languages       []string `json:"languages"`
	Format          []string `json:"format"`
	Edition         []string `json:"edition"`
	Material        []string `json:"material"`
	Type            []string `json:"type"`
	Model           []string `json:"model"`
	Color           []string `json:"color"`
	Size            []string `json:"size"`
	UnitType        []string `json:"unitType"`
	Scent           []string `json:"scent"`
	ItemForm        []string `json:"itemForm"`
	Pattern         []string `json:"pattern"`
	Style           []string `json:"style"`
	ItemKeywords    []string `json:"itemTypeKeyword"`
	AudienceKeyword []string `json:"targetAudienceKeyword"`
}

// selectionFields maps the names on the wire to the fields.
func selectionFields(s *Selection) map[string]any {
	v := reflect.ValueOf(s).Elem()
	fields := map[string]any{}
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("json")] = v.Field(i).Addr().Interface()
	}
	return fields
}

func wanted(into any) string {
	t := reflect.TypeOf(into).Elem()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return "an array of strings"
		}
		return "an array of whole numbers"
	default:
		return "a whole number, not a string"
	}
}

func clip(raw json.RawMessage) string {
	const most = 60
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}

// Validate names every field whose value Keepa refuses or that nothing can match.
func (s Selection) Validate() error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
	}
	if !s.Domain.Listed() {
		bad("domainId", "%d is not a marketplace of the deal list (1-6, 8-11)", s.Domain)
	}
	if !s.PriceType.DealUsable() {
		bad("priceTypes", "%d (%s) is not accepted by the deal list", s.PriceType, s.PriceType)
	}
	if s.DateRange < Day || s.DateRange > NinetyDays {
		bad("dateRange", "%d: must be 0 (day), 1 (week), 2 (month) or 3 (90 days)", s.DateRange)
	}
	if n := max(s.Sort, -s.Sort); n < SortByAge || n > SortByPercent || s.Sort == -SortByAge {
		bad("sortType", "%d: must be 1 (newest first), 2, 3 or 4, or -2, -3 or -4", s.Sort)
	}
	s.checkRanges(bad)
	for _, name := range s.idle() {
		bad(name, "has no effect while isFilterEnabled is false")
	}
	for _, c := range s.Include {
		if slices.Contains(s.Exclude, c) {
			bad("excludeCategories", "%d is included as well: nothing can match", c)
		}
	}
	if s.MinRating != nil && (*s.MinRating < -1 || *s.MinRating > 50) {
		bad("minRating", "%d: must be from 0 to 50, or -1 for off", *s.MinRating)
	}
	if len(s.Include) > 500 || len(s.Exclude) > 500 {
		bad("includeCategories", "at most 500 categories, and as many excluded")
	}
	if s.MustAmazon && s.MustNotAmazon {
		bad("mustHaveAmazonOffer", "contradicts mustNotHaveAmazonOffer")
	}
	if len(strings.Fields(s.TitleSearch)) > 50 {
		bad("titleSearch", "at most 50 words")
	}
	for _, c := range s.Warehouse {
		if c < 1 || c > 5 && c != 24 {
			bad("warehouseConditions", "%d: must be 1 to 5, or 24", c)
		}
	}
	return errors.Join(errs...)
}

// checkRanges calls bad for every range that Keepa refuses or that nothing can be in.
func (s Selection) checkRanges(bad func(name, format string, args ...any)) {
	for _, r := range []struct {
		name       string
		of         *Range
		low, high  int
		open, gate bool
	}{
		{"currentRange", s.Current, 0, math.MaxInt32, false, s.RangesEnabled},
		{"deltaRange", s.Delta, 0, math.MaxInt32, false, s.RangesEnabled},
		{"deltaPercentRange", s.DeltaPercent, s.leastPercent(), math.MaxInt32, false, s.RangesEnabled},
		{"deltaLastRange", s.DeltaLast, 0, math.MaxInt32, false, s.RangesEnabled},
		{"salesRankRange", s.SalesRank, 0, math.MaxInt32, true, s.RangesEnabled},
	} {
		if r.of == nil {
			continue
		}
		open := r.open && r.of.High == -1
		switch {
		case !open && r.of.Low > r.of.High:
			bad(r.name, "[%d, %d]: the lower end is above the upper", r.of.Low, r.of.High)
		case r.of.Low < r.low || r.of.High > r.high:
			bad(r.name, "[%d, %d]: must lie within %d and %d", r.of.Low, r.of.High, r.low, r.high)
		case r.name == "deltaPercentRange" && r.of.Low > 100:
			bad(r.name, "[%d, %d]: nothing falls by more than 100 %%", r.of.Low, r.of.High)
		case !r.gate:
			bad(r.name, "has no effect while isRangeEnabled is false")
		}
	}
}

// idle returns the filters that are set although filters are off.
func (s Selection) idle() []string {
	if s.FiltersEnabled {
		return nil
	}
	var out []string
	for name, set := range map[string]bool{
		"minRating": s.MinRating != nil && *s.MinRating >= 0, "includeCategories": len(s.Include) > 0, "excludeCategories": len(s.Exclude) > 0,
		"isLowest": s.Lowest, "isLowest90": s.Lowest90, "isLowestOffer": s.LowestOffer, "isHighest": s.Highest, "isOutOfStock": s.OutOfStock,
		"isBackInStock": s.BackInStock, "hasReviews": s.HasReviews, "filterErotic": s.FilterErotic, "singleVariation": s.SingleVariation,
		"isRisers": s.Risers, "isPrimeExclusive": s.PrimeExclusive, "mustHaveAmazonOffer": s.MustAmazon, "mustNotHaveAmazonOffer": s.MustNotAmazon,
	} {
		if set {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// leastPercent returns Keepa's own minimum of the percentage filter.
func (s Selection) leastPercent() int {
	if s.PriceType == Sales {
		return 80
	}
	return 10
}

// Encode returns the query for one page as Keepa expects it: the same bytes for the same query and page.
func (s Selection) Encode(page int) []byte {
	fields := s.wire()
	fields["page"] = page
	b, err := json.Marshal(fields) // sorts the keys
	if err != nil {
		panic("encode a deal query: " + err.Error()) // only plain values: cannot happen
	}
	return b
}

// wire returns the fields to send: required ones, and optional ones that are set.
func (s Selection) wire() map[string]any {
	fields := map[string]any{}
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Tag.Get("json"), v.Field(i)
		switch value := f.Interface().(type) {
		case PriceType:
			fields[name] = []int{int(value)}
		case Domain, Interval, SortType:
			fields[name] = value
		case *Range:
			if value != nil {
				fields[name] = []int{value.Low, value.High}
			}
		default:
			if !f.IsZero() || name == "isRangeEnabled" || name == "isFilterEnabled" {
				fields[name] = value
			}
		}
	}
	return fields
}

// Version returns the short hash of the query's meaning; the order and spacing of its file do not matter.
func (s Selection) Version() string {
	b, err := json.Marshal(s.wire())
	if err != nil {
		panic("encode a deal query: " + err.Error()) // only plain values: cannot happen
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:4])
}

// Query is a deal query with the name of its file, as candidates carry it.
type Query struct {
	Name string // the file's name without .json
	Selection
}

// ID returns NAME@VERSION.
func (q Query) ID() string { return q.Name + "@" + q.Version() }

// ParseQuery reads a query file and names it. The name becomes part of subjects and keys.
func ParseQuery(name string, data []byte) (Query, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	}) {
		return Query{}, fmt.Errorf("deal query %s: the name must be lower case letters, digits, - and _", strconv.Quote(name))
	}
	s, err := ParseSelection(data)
	if err != nil {
		return Query{}, fmt.Errorf("deal query %q: %w", name, err)
	}
	return Query{Name: name, Selection: s}, nil
}

// Root returns the one root or other category that the query lists,
// which CategoryCount needs; false when it names none or several.
func (s Selection) Root() (int64, bool) {
	if !s.FiltersEnabled || len(s.Include) != 1 {
		return 0, false
	}
	return s.Include[0], true
}
