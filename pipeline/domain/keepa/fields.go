package keepa

import (
	"errors"
	"html"

	"ratchet/pipeline/text/foreign"
)

// The helpers below bind one JSON value to one field. null leaves the field absent.

func (s *scanner) intoInt(p *int) error {
	n, ok, err := s.integer()
	if ok {
		*p = int(n)
	}
	return err
}

func (s *scanner) intoInt64(p *int64) error {
	n, ok, err := s.integer()
	if ok {
		*p = n
	}
	return err
}

func (s *scanner) intoMinute(p *Minute) error {
	n, ok, err := s.integer()
	if ok && n >= earliest && n <= latest {
		*p = Minute(n)
	}
	return err
}

// intoCount binds a number that is absent when it is negative.
func (s *scanner) intoCount(p **int) error {
	n, ok, err := s.integer()
	if ok && n >= 0 {
		v := int(n)
		*p = &v
	}
	return err
}

// mostFee is one more than the largest plausible fee: 1,000 dollars, or 100,000 yen.
const mostFee = 100_000

// intoFee binds an amount of cents; an implausible one is absent.
func (s *scanner) intoFee(p **int) error {
	err := s.intoCount(p)
	if *p != nil && **p >= mostFee {
		*p = nil
	}
	return err
}

// intoFeeAboveZero is intoFee for a fee that is never 0: 0 means absent too.
func (s *scanner) intoFeeAboveZero(p **int) error {
	err := s.intoFee(p)
	if *p != nil && **p == 0 {
		*p = nil
	}
	return err
}

// mostPercent is the largest plausible fee, in percent of the price.
const mostPercent = 60

// intoPercent binds a share of the price; an implausible one is absent.
func (s *scanner) intoPercent(p *float64) error {
	f, ok, err := s.float()
	if ok && f > 0 && f <= mostPercent {
		*p = f
	}
	return err
}

func (s *scanner) intoFloat(p *float64) error {
	f, ok, err := s.float()
	if ok {
		*p = f
	}
	return err
}

func (s *scanner) intoBool(p *bool) error {
	v, ok, err := s.boolean()
	if ok {
		*p = v
	}
	return err
}

// intoTruth binds a boolean that may be unknown.
func (s *scanner) intoTruth(p **bool) error {
	v, ok, err := s.boolean()
	if ok {
		*p = &v
	}
	return err
}

// intoText binds an identifier; its users check its shape.
func (s *scanner) intoText(p *string) error {
	t, err := s.text()
	if err == nil {
		*p = t.String()
	}
	return err
}

// intoForeign binds untrusted text.
func (s *scanner) intoForeign(p *foreign.Text) error {
	t, err := s.text()
	if err == nil {
		*p = t
	}
	return err
}

// intoTitle binds a title, in which Keepa leaves HTML entities.
func (s *scanner) intoTitle(p *foreign.Text) error {
	t, err := s.text()
	if err == nil {
		*p = foreign.Of(html.UnescapeString(t.String()))
	}
	return err
}

// values decodes an array of whole numbers in which null means "no data".
func (s *scanner) values() (Values, error) {
	if s.null() {
		return nil, nil
	}
	var few [40]int64
	if flat, ok := s.flatInts(few[:0], mostElements); ok {
		v := make(Values, len(flat))
		for i, n := range flat {
			v[i] = int(n)
		}
		return v, nil
	}
	v := make(Values, 0, 36)
	err := s.array(func(int) error {
		n, ok, err := s.value()
		if !ok {
			n = noData
		}
		v = append(v, int(n))
		return err
	})
	return v, err
}

func (s *scanner) intoValues(p *Values) error {
	v, err := s.values()
	if err == nil {
		*p = v
	}
	return err
}

func (s *scanner) int64s() ([]int64, error) {
	if s.null() {
		return nil, nil
	}
	if v, ok := s.flatInts(nil, mostElements); ok {
		return v, nil
	}
	var v []int64
	err := s.array(func(int) error {
		n, ok, err := s.integer()
		if ok {
			v = append(v, n)
		}
		return err
	})
	return v, err
}

func (s *scanner) intoInt64s(p *[]int64) error {
	v, err := s.int64s()
	if err == nil {
		*p = v
	}
	return err
}

// intoTexts decodes an array of strings; null elements are left out.
func (s *scanner) intoTexts(p *[]string) error {
	*p = nil
	return s.array(func(int) error {
		if s.null() {
			return nil
		}
		t, err := s.text()
		*p = append(*p, t.String())
		return err
	})
}

// tolerate decodes a field that no decision needs. If its type changed, the field stays absent, the change is
// recorded under its path, and the rest is decided on: a new shape of a brand's name must not cost a deal.
func (s *scanner) tolerate(in string, key []byte, decode func() error) error {
	start, depth := s.i, s.depth
	err := decode()
	var typed *TypeError
	if err == nil || !errors.As(err, &typed) || typed.hard() {
		return err
	}
	s.i, s.depth = start, depth
	if err := s.skip(); err != nil {
		return err
	}
	if len(s.changed) == mostElements {
		return errTooMany()
	}
	_ = within(in+string(key), typed)
	s.changed = append(s.changed, typed)
	return nil
}
