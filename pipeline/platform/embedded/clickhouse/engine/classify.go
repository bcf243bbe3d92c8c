package engine

import (
	"errors"
	"runtime"
	"unsafe"
)

// Kind is the lasting effect of a text, according to the engine's parser.
type Kind uint32

// The kinds, from harmless to unknown.
const (
	Reads    Kind = 0 // SELECT, SHOW, DESCRIBE, EXPLAIN
	Changes  Kind = 1 // a database
	Global   Kind = 2 // objects outside of databases, such as functions
	Controls Kind = 3 // USE, SET, SYSTEM, BACKUP, or a file outside
	Unknown  Kind = 4 // it does not parse
)

// analysis is the library's chdb_query_analysis_v1.
type analysis struct{ size, statements, flags, kind uint32 }

// Classify returns the number of statements in a text and the highest of their kinds. It runs nothing.
func (c *Conn) Classify(sql string) (statements int, kind Kind, err error) {
	result := &analysis{size: uint32(unsafe.Sizeof(analysis{}))}
	text := append([]byte(sql), 0)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(result)
	pin.Pin(&text[0])
	if c.lib.c.classify(c.handle, unsafe.Pointer(&text[0]), uintptr(len(sql)), nil, 0, unsafe.Pointer(result)) != 0 {
		return 0, Unknown, errors.New("the engine does not classify the statement")
	}
	return int(result.statements), Kind(result.kind), nil
}
