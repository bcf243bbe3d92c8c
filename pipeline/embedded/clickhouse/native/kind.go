package native

import (
	"slices"
	"strconv"
	"strings"
)

// A kind is a column's type as far as its bytes go: how long a value is, or what it is made of.
type kind struct {
	form  form
	width uint64 // of a fixed one
	inner []*kind
}

type form int

const (
	fixed   form = iota
	str          // a length, then bytes
	null         // a mask, then inner
	array        // offsets, then inner
	tuple        // inner side by side
	low          // a dictionary of inner, then keys
	variant      // discriminators, then inner
	dynamic      // a variant whose types come with the data
	object       // JSON: inner are its typed paths, sorted
)

// widths are the types whose values are all of one length.
var widths = map[string]uint64{
	"UInt8": 1, "UInt16": 2, "UInt32": 4, "UInt64": 8, "UInt128": 16, "UInt256": 32,
	"Int8": 1, "Int16": 2, "Int32": 4, "Int64": 8, "Int128": 16, "Int256": 32,
	"Float32": 4, "Float64": 8, "BFloat16": 2, "Bool": 1, "Date": 2, "Date32": 4, "DateTime": 4, "DateTime64": 8, "Time": 4, "Time64": 8,
	"Decimal32": 4, "Decimal64": 8, "Decimal128": 16, "Decimal256": 32, "UUID": 16, "IPv4": 4, "IPv6": 16, "Enum8": 1, "Enum16": 2, "Nothing": 1,
}

// shapes are types that are other names of composed ones.
var shapes = map[string]string{
	"Point": "Tuple(Float64, Float64)", "Ring": "Array(Point)", "LineString": "Array(Point)", "Polygon": "Array(Ring)",
	"MultiLineString": "Array(LineString)", "MultiPolygon": "Array(Polygon)", "SharedVariant": "String",
}

// deepest is how far types may nest.
const deepest = 40

// kindOf understands a type.
func kindOf(text string) (*kind, error) { return parse(text, 0) }

func parse(text string, depth int) (*kind, error) {
	text = strings.TrimSpace(text)
	if depth > deepest {
		return nil, bad("type %.100s… nests too deep", text)
	}
	name, args := split(text)
	if width, ok := widths[name]; ok {
		return &kind{width: width}, nil
	}
	if shape, ok := shapes[name]; ok {
		return parse(shape, depth+1)
	}
	if strings.HasPrefix(name, "Interval") {
		return &kind{width: 8}, nil
	}
	return compose(text, name, args, depth)
}

func compose(text, name string, args []string, depth int) (*kind, error) {
	of := func(f form, types ...string) (*kind, error) {
		k := &kind{form: f}
		for _, t := range types {
			in, err := parse(t, depth+1)
			if err != nil {
				return nil, err
			}
			k.inner = append(k.inner, in)
		}
		return k, nil
	}
	switch {
	case name == "String":
		return &kind{form: str}, nil
	case name == "Dynamic":
		return &kind{form: dynamic}, nil
	case name == "JSON":
		return of(object, typedPaths(args)...)
	case name == "Tuple":
		return of(tuple, unnamed(args)...)
	case name == "Variant":
		return of(variant, args...)
	case name == "FixedString" && len(args) == 1:
		if n, err := strconv.ParseUint(args[0], 10, 24); err == nil {
			return &kind{width: n}, nil
		}
	case name == "Decimal" && len(args) > 0:
		if p, err := strconv.Atoi(args[0]); err == nil {
			return &kind{width: decimal(p)}, nil
		}
	case name == "Nullable" && len(args) == 1:
		return of(null, args...)
	case name == "Array" && len(args) == 1:
		return of(array, args...)
	case name == "Map" && len(args) == 2:
		return of(array, "Tuple("+strings.Join(args, ", ")+")")
	case name == "Nested" && len(args) > 0:
		return of(array, "Tuple("+strings.Join(args, ", ")+")")
	case name == "SimpleAggregateFunction" && len(args) == 2:
		return parse(args[1], depth+1)
	case name == "LowCardinality" && len(args) == 1:
		k, err := of(low, args...)
		if err == nil && k.inner[0].form == null {
			k.inner = k.inner[0].inner // the dictionary holds no mask
		}
		return k, err
	}
	return nil, bad("values of type %.200s do not travel by the native protocol here; use HTTP, or toString", text)
}

func decimal(precision int) uint64 {
	switch {
	case precision <= 9:
		return 4
	case precision <= 18:
		return 8
	case precision <= 38:
		return 16
	}
	return 32
}

// split takes a type apart: Map(String, UInt8) is Map and its two arguments.
func split(text string) (name string, args []string) {
	open := strings.IndexByte(text, '(')
	if open < 0 || !strings.HasSuffix(text, ")") {
		return text, nil
	}
	name, text = strings.TrimSpace(text[:open]), text[open+1:len(text)-1]
	depth, from := 0, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '(':
			depth++
		case ')':
			depth--
		case '\'', '`', '"':
			i = quoted(text, i)
		case ',':
			if depth == 0 {
				args = append(args, strings.TrimSpace(text[from:i]))
				from = i + 1
			}
		}
	}
	if last := strings.TrimSpace(text[from:]); last != "" {
		args = append(args, last)
	}
	return name, args
}

// quoted is where the quote that begins at i ends.
func quoted(text string, i int) int {
	q := text[i]
	for i++; i < len(text) && text[i] != q; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i
}

// named takes the name from in front of a type; empty if there is none.
func named(arg string) (name, kind string) {
	end := 0
	if arg != "" && arg[0] == '`' {
		end = min(quoted(arg, 0)+1, len(arg))
	} else {
		end = strings.IndexAny(arg, " (")
	}
	if end <= 0 || end >= len(arg) || arg[end] != ' ' {
		return "", arg
	}
	return arg[:end], strings.TrimSpace(arg[end:])
}

func unnamed(args []string) []string {
	types := make([]string, len(args))
	for i, a := range args {
		_, types[i] = named(a)
	}
	return types
}

// typedPaths are the types of JSON's paths that have one, in the order in which they travel.
func typedPaths(args []string) []string {
	var paths [][2]string
	for _, a := range args {
		name, kind := named(a)
		if name != "" && name != "SKIP" && !strings.Contains(name, "=") && !strings.HasPrefix(kind, "=") {
			paths = append(paths, [2]string{strings.ReplaceAll(name, "`", ""), kind})
		}
	}
	slices.SortFunc(paths, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	types := make([]string, len(paths))
	for i, p := range paths {
		types[i] = p[1]
	}
	return types
}
