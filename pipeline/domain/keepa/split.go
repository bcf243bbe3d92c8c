package keepa

import (
	"fmt"
	"slices"
)

// Element is one product or seller of an answer, still encoded.
type Element struct {
	Position int    // in the answer
	Key      string // ASIN or seller id; "" when absent
	Body     []byte // its JSON, a part of the answer; nil if Keepa answered null
	Err      error  // why it cannot be read, as far as its brackets show; the decoder may find more
}

// Elements is an answer cut into its elements, without decoding it. Cutting never
// fails as a whole: what can be separated is there, and Part describes the rest.
type Elements struct {
	Envelope
	All []Element
	// Named reports that the answer had the payload's key, products or sellers.
	Named bool
	// Part is where a truncated answer ends: what lies behind is missing. Nil for a complete answer.
	Part error
	// Odd is a payload that is neither list nor object: it answers for every requested key.
	Odd []byte
}

// CutProducts cuts an answer about products.
func CutProducts(body []byte) Elements {
	return cut(body, "products", func(_ []byte, raw []byte) string { return productASIN(raw) })
}

// CutSellers cuts an answer about sellers, which is an object by seller id.
func CutSellers(body []byte) Elements {
	return cut(body, "sellers", func(key []byte, _ []byte) string { return string(key) })
}

func cut(body []byte, payload string, name func(key, raw []byte) string) Elements {
	var all Elements
	s := scanner{b: body}
	one := func(key []byte) error {
		if len(all.All) == mostElements {
			return errTooMany()
		}
		raw, why, err := s.element()
		if err != nil {
			return err
		}
		e := Element{Position: len(all.All), Body: raw}
		if string(raw) == "null" {
			e.Body = nil
		}
		if why != nil {
			e.Err = within(fmt.Sprintf("%s[%d]", payload, e.Position), why)
		}
		e.Key = name(key, raw)
		all.All = append(all.All, e)
		return nil
	}
	all.Envelope, all.Part = s.envelope(func(key []byte) (bool, error) {
		if string(key) != payload {
			return false, nil
		}
		all.Named = true
		switch s.peek() {
		case '[':
			return true, s.array(func(int) error { return one(nil) })
		case '{':
			return true, s.object(one)
		}
		raw, err := s.raw()
		all.Odd = raw
		return true, err
	})
	return all
}

// Separated reports whether the answer is complete and every element was cut out, is readable as far as its brackets
// show, and has a name.
func (all Elements) Separated() bool {
	return all.Part == nil && all.Odd == nil && !slices.ContainsFunc(all.All, func(e Element) bool { return e.Err != nil || e.Body != nil && e.Key == "" })
}

// For returns the element that answers each requested key, and how many elements were not requested. The first of a
// key wins. One without a name answers for the key at its index, if the answer has as many elements as were requested.
func (all Elements) For(asked []string) (found map[string]Element, extra int) {
	found = make(map[string]Element, len(asked))
	for _, key := range asked {
		if all.Odd != nil {
			found[key] = Element{Body: all.Odd, Err: &TypeError{Path: "the payload", Want: "an array", Got: (&scanner{b: all.Odd}).describe()}}
		}
	}
	for _, e := range all.All {
		if _, known := found[e.Key]; e.Body != nil && e.Key != "" && !known && slices.Contains(asked, e.Key) {
			found[e.Key] = e
		} else if e.Key != "" {
			extra++
		}
	}
	if len(all.All) != len(asked) || all.Part != nil {
		return found, extra
	}
	for i, e := range all.All {
		if _, known := found[asked[i]]; !known && e.Key == "" && e.Body != nil {
			found[asked[i]] = e
		}
	}
	return found, extra
}

// productASIN finds the ASIN of an encoded product; "" without one.
func productASIN(raw []byte) string {
	var asin string
	s := scanner{b: raw}
	if s.peek() != '{' {
		return ""
	}
	_ = s.object(func(key []byte) error { // errors do not matter: the ASIN may come before them
		if string(key) == "asin" && asin == "" && s.peek() == '"' {
			return s.intoText(&asin)
		}
		_, _, err := s.element()
		return err
	})
	return asin
}
