package messages

import "errors"

var errNoObject = errors.New("no JSON object")

// Members calls f for every member of a JSON object, with the raw value. It does no
// validation, so it is only for messages that we wrote and of which a reader needs a part.
func Members(b []byte, f func(name, value []byte) error) error {
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return errNoObject
	}
	for i = space(b, i+1); i < len(b) && b[i] != '}'; {
		if b[i] == ',' {
			i = space(b, i+1)
		}
		end := valueEnd(b, i)
		if end <= i+1 || b[i] != '"' {
			return errNoObject
		}
		name := b[i+1 : end-1]
		if i = space(b, end); i >= len(b) || b[i] != ':' {
			return errNoObject
		}
		i = space(b, i+1)
		if end = valueEnd(b, i); end <= i {
			return errNoObject
		}
		if err := f(name, b[i:end]); err != nil {
			return err
		}
		i = space(b, end)
	}
	if i >= len(b) {
		return errNoObject
	}
	return nil
}

// space returns the first position from i on that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the end of the value at i; i if there is none.
func valueEnd(b []byte, i int) int {
	depth := 0
	for j := i; j < len(b); j++ {
		switch b[j] {
		case '"':
			if j = stringEnd(b, j); j >= len(b) {
				return i
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return j
			}
			continue
		default:
			continue
		}
		switch {
		case depth == 0:
			return j + 1
		case depth < 0:
			return j // the closing bracket of the enclosing value
		}
	}
	return i
}

// stringEnd returns the position of the closing quote of the string at i; len(b) without one.
func stringEnd(b []byte, i int) int {
	for j := i + 1; j < len(b); j++ {
		switch b[j] {
		case '\\':
			j++
		case '"':
			return j
		}
	}
	return len(b)
}
