package foreign

import (
	"bytes"
	"encoding/json"
)

// JSON is a JSON document with every string cleaned as Of does; names of members, numbers and layout stay byte for byte.
// Where there is nothing to clean it is raw itself. What is not JSON is returned as it is.
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

// closing is the position of the quote that ends the string at i; -1 without one.
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

// literal is a string with its quotes, cleaned; nil where there is nothing to clean.
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

// names says that the string before rest is the name of a member.
func names(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}
