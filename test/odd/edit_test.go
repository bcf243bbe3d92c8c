package odd_test

import (
	"encoding/json"

	"ratchet/test/odd"
)

// in edits the value of a key.
func in(good []byte, key string, e odd.Edit) []byte {
	var m map[string]json.RawMessage
	if json.Unmarshal(good, &m) != nil {
		return good
	}
	m[key] = e(m[key])
	return odd.Object(m)
}

// list edits the array of a key.
func list(good []byte, key string, e func([]json.RawMessage) [][]byte) []byte {
	return in(good, key, func(raw []byte) []byte {
		var all []json.RawMessage
		if json.Unmarshal(raw, &all) != nil {
			return raw
		}
		return odd.Array(e(all))
	})
}

func plain(all []json.RawMessage) [][]byte {
	out := make([][]byte, len(all))
	for i, one := range all {
		out[i] = one
	}
	return out
}

// edited puts a value at a place of an array.
func edited(good []byte, key string, at int, value string) []byte {
	return list(good, key, func(all []json.RawMessage) [][]byte {
		out := plain(all)
		if at < len(out) {
			out[at] = []byte(value)
		}
		return out
	})
}

// numbers writes every number of an array in another way.
func numbers(good []byte, key string, write func(string) string) []byte {
	return list(good, key, func(all []json.RawMessage) [][]byte {
		out := plain(all)
		for i := range out {
			out[i] = []byte(write(string(out[i])))
		}
		return out
	})
}

// longer appends ten nulls to an array.
func longer(good []byte, key string) []byte {
	return list(good, key, func(all []json.RawMessage) [][]byte {
		out := plain(all)
		for range 10 {
			out = append(out, []byte("null"))
		}
		return out
	})
}

// grown appends text before the end of an array.
func grown(good []byte, key, tail string) []byte {
	return in(good, key, func(raw []byte) []byte {
		if len(raw) < 3 || raw[0] != '[' {
			return raw
		}
		return append(append(append([]byte(nil), raw[:len(raw)-1]...), tail...), ']')
	})
}

// series edits one history, if there is one.
func series(good []byte, at int, e func(string) string) []byte {
	return list(good, "csv", func(all []json.RawMessage) [][]byte {
		out := plain(all)
		if at < len(out) && len(out[at]) > 2 && out[at][0] == '[' {
			out[at] = []byte(e(string(out[at])))
		}
		return out
	})
}
