package messages

import "errors"

var errNoObject = errors.New("no JSON object")

// Members calls f for every member of a message's JSON object, with the value as it
// stands: for messages that we wrote, of which a reader wants a part.
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

// space is the first position from i on that is not white space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd is where the value at i ends; i if there is none.
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
			return j // the bracket of what surrounds a plain value
		}
	}
	return i
}

// stringEnd is the closing quote of the string at i; len(b) without one.
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
