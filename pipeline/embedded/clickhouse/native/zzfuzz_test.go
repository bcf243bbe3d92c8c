package native_test

import (
	"bufio"
	"bytes"
	"io"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/native"
)

// recorded is a session as a client sends it: hello, a statement with settings, blocks.
func recorded() (hello, query, block []byte) {
	var h, q, b proto.Buffer
	proto.ClientHello{Name: "raw", ProtocolVersion: native.Revision, User: "default"}.Encode(&h)
	proto.Query{
		ID: "id", Body: "SELECT {a:UInt8}", Stage: proto.StageComplete, Info: proto.ClientInfo{Interface: proto.InterfaceTCP, Query: proto.ClientQueryInitial},
		Settings: []proto.Setting{{Key: "max_threads", Value: "1"}}, Parameters: []proto.Parameter{{Key: "a", Value: "'1'"}},
	}.EncodeAware(&q, native.Revision)
	proto.BlockInfo{BucketNum: -1}.Encode(&b)
	b.PutInt(3)
	b.PutInt(1)
	for _, c := range []struct{ kind, value string }{
		{"Map(String, Array(Nullable(UInt8)))", "\x01\x00\x00\x00\x00\x00\x00\x00\x01k\x01\x00\x00\x00\x00\x00\x00\x00\x00\x07"},
		{"LowCardinality(String)", "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01x\x01\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"Variant(String, UInt8)", "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x05"},
	} {
		b.PutString("c")
		b.PutString(c.kind)
		b.PutBool(false)
		b.PutRaw([]byte(c.value))
	}
	return h.Buf[1:], q.Buf[1:], b.Buf
}

func TestTheRecordedSessionIsUnderstood(t *testing.T) {
	hello, query, block := recorded()
	if _, err := native.ReadHello(bufio.NewReader(bytes.NewReader(hello))); err != nil {
		t.Error("hello", err)
	}
	if _, err := native.ReadQuery(bufio.NewReader(bytes.NewReader(query)), native.Revision); err != nil {
		t.Error("query", err)
	}
	in := bufio.NewReader(bytes.NewReader(block))
	if b, err := native.Recode(io.Discard, in, native.Revision, 0); err != nil || len(b.Columns) != 3 || b.Rows != 1 {
		t.Error("block", b, err)
	}
	if rest, _ := io.ReadAll(in); len(rest) != 0 {
		t.Errorf("the block left %q", rest)
	}
}

// Whatever comes, every reader ends, and what it passes on is not more than came.
func FuzzZZ(f *testing.F) {
	hello, query, block := recorded()
	for i, b := range [][]byte{hello, query, block, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}} {
		f.Add(byte(i), b)
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		in := bufio.NewReader(bytes.NewReader(b))
		switch which % 5 {
		case 0:
			_, _ = native.ReadHello(in)
		case 1:
			_, _ = native.ReadQuery(in, native.Revision)
		case 2, 3:
			from := int(which%2) * native.Revision
			var out bytes.Buffer
			_, _ = native.Recode(&out, in, from, native.Revision-from)
			if out.Len() > len(b)+10*len(b)+64 { // a number of many bytes may become shorter, a type's mark is new
				t.Errorf("%d bytes became %d", len(b), out.Len())
			}
		case 4:
			_, _ = native.ReadTablesStatus(in)
		}
	})
}
