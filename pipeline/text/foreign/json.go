package foreign

import (
	"bytes"
	"encoding/json"
)

// JSON returns a JSON document with every string cleaned as by Of; member names, numbers and layout are
// unchanged byte for byte. It returns raw itself when there is nothing to clean or raw is not JSON.
func JSON(raw []byte) []byte {
	var out []byte
	done := 0 // how much of raw is in out
	for i := 0; i < len(raw); i++ {
		if raw[i] != '"' {
			continue
		}
		end := closing(raw, i)
		if end < 0 {
			return raw
		}
		if cleaned := literal(raw[i : end+1]); cleaned != nil && !names(raw[end+1:]) {
			out = append(append(out, raw[done:i]...), cleaned...)
			done = end + 1
		}
		i = end
	}
	if done == 0 {
		return raw
	}
	return append(out, raw[done:]...)
}

// closing returns the position of the quote that ends the string at i; -1 if there is none.
func closing(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// literal returns a string with its quotes, cleaned; nil when there is nothing to clean.
func literal(quoted []byte) []byte {
	if inner := quoted[1 : len(quoted)-1]; bytes.IndexByte(inner, '\\') < 0 && plain(inner) {
		return nil
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	cleaned := clean(s)
	if cleaned == s {
		return nil
	}
	out, err := json.Marshal(cleaned)
	if err != nil {
		return nil
	}
	return out
}

// names reports whether the string before rest is a member's name.
func names(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}
