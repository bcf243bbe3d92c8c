package native

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// noCode stands for a failure to which ClickHouse has given no code: STD_EXCEPTION.
const noCode = 1001

// Exception ends an answer. The text is the engine's: "Code: N. DB::Exception: …".
func Exception(b *proto.Buffer, code int, text string) {
	if code == 0 {
		code = noCode
	}
	text = strings.TrimPrefix(strings.TrimRight(text, "\n"), fmt.Sprintf("Code: %d. ", code))
	proto.ServerCodeException.Encode(b)
	e := proto.Exception{Code: proto.Error(code), Name: "DB::Exception", Message: text}
	e.EncodeAware(b, Revision)
}

// Progress says what a statement has read and written.
func Progress(b *proto.Buffer, readRows, readBytes, wroteRows, wroteBytes uint64, revision int) {
	proto.ServerCodeProgress.Encode(b)
	p := proto.Progress{Rows: readRows, Bytes: readBytes, TotalRows: readRows, WroteRows: wroteRows, WroteBytes: wroteBytes}
	p.EncodeAware(b, revision)
}

// Data begins a block of an answer, of rows, totals or extremes; the block itself follows, compressed if the client asked
// for that.
func Data(b *proto.Buffer, kind proto.ServerCode) {
	kind.Encode(b)
	b.PutString("") // no table's name
}

// Header is a block without rows, which tells a client the columns.
func Header(b *proto.Buffer, columns []Column, revision int) {
	proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(columns)}.EncodeAware(b, revision)
	for _, c := range columns {
		b.PutString(c.Name)
		b.PutString(c.Type)
		if proto.FeatureCustomSerialization.In(revision) {
			b.PutBool(false)
		}
	}
}
