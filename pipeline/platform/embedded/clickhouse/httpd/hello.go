package httpd

import (
	"encoding/binary"
	"strings"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// hello is the query with which clickhouse-go identifies a server.
const hello = "SELECT displayName(), version(), revision(), timezone()"

// customSerialization is the protocol revision since which a
// Native block has a flag for a special encoding of each column.
const customSerialization = 54454

// greet answers hello with revision 0, so that the driver reads every later block
// as the engine writes it. Only this block is read at the driver's revision.
func greet(c *engine.Conn, revision int) ([]byte, error) {
	raw, _, err := c.Query("SELECT displayName(), version(), timezone()", "TabSeparatedRaw", nil)
	if err != nil {
		return nil, err
	}
	row := strings.Split(strings.TrimRight(string(raw), "\n"), "\t")
	for len(row) < 3 {
		row = append(row, "")
	}
	b := blockInfo(nil, revision)
	b = append(b, 4, 1) // columns, rows
	b = column(b, revision, "displayName()", "String", text(row[0]))
	b = column(b, revision, "version()", "String", text(row[1]))
	b = column(b, revision, "revision()", "UInt32", make([]byte, 4))
	return column(b, revision, "timezone()", "String", text(row[2])), nil
}

// blockInfo returns the bytes before a Native block at revisions above 0: no overflow row, no bucket.
func blockInfo(b []byte, revision int) []byte {
	if revision <= 0 {
		return b
	}
	return append(b, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0)
}

func column(b []byte, revision int, name, kind string, value []byte) []byte {
	b = append(b, text(name)...)
	b = append(b, text(kind)...)
	if revision >= customSerialization {
		b = append(b, 0)
	}
	return append(b, value...)
}

func text(s string) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(s))), s...)
}
