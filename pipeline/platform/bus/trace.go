package bus

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// hexOnly returns s if it is lower-case hex, else its hash.
func hexOnly(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }) < 0 {
		return s
	}
	return spanOf(s) + spanOf(s+"'")
}

// spanOf returns 16 hex digits, never all zero, as the ID of a message.
func spanOf(id string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // a hash never fails
	return fmt.Sprintf("%016x", h.Sum64()|1)
}
