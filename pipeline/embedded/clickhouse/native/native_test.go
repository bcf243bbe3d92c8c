package native_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	driver "github.com/ClickHouse/clickhouse-go/v2/lib/proto"
	"pgregory.net/rapid"

	"ratchet/pipeline/embedded/clickhouse/native"
)

func reader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

func TestAHelloArrivesAsItWasSentAtTheSmallerRevision(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sent := proto.ClientHello{
			Name: rapid.String().Draw(t, "name"), Major: 26, Minor: 7, ProtocolVersion: rapid.IntRange(54401, 60000).Draw(t, "revision"),
			Database: rapid.String().Draw(t, "database"), User: rapid.String().Draw(t, "user"), Password: rapid.String().Draw(t, "password"),
		}
		var b proto.Buffer
		sent.Encode(&b)
		got, err := native.ReadHello(reader(b.Buf[1:]))
		want := native.Hello{
			Client: sent.Name, Revision: min(sent.ProtocolVersion, native.Revision),
			Database: sent.Database, User: sent.User, Password: sent.Password,
		}
		if err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestAQueryArrivesAsTheDriverSentIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.StringMatching(`[a-z_]{1,9}`)
		sent := driver.Query{
			ID: rapid.String().Draw(t, "id"), ClientName: "a client", Body: rapid.String().Draw(t, "body"), QuotaKey: "q",
			Compression: rapid.Bool().Draw(t, "compression"), InitialAddress: "127.0.0.1:1", ClientTCPProtocolVersion: 54460,
		}
		want := native.Query{ID: sent.ID, Text: sent.Body, Compress: sent.Compression}
		for range rapid.IntRange(0, 3).Draw(t, "settings") {
			name, value, important := words.Draw(t, "setting"), rapid.String().Draw(t, "value"), rapid.Bool().Draw(t, "important")
			sent.Settings = append(sent.Settings, driver.Setting{Key: name, Value: value, Important: important})
			want.Settings = append(want.Settings, native.Setting{Name: name, Value: value, Optional: !important})
		}
		for range rapid.IntRange(0, 3).Draw(t, "parameters") {
			name, value := words.Draw(t, "parameter"), rapid.String().Draw(t, "value")
			sent.Parameters = append(sent.Parameters, driver.Parameter{Key: name, Value: value})
			want.Params = append(want.Params, native.Setting{Name: name, Value: value, Optional: true})
		}
		var b proto.Buffer
		if err := sent.Encode(&b, uint64(native.Revision)); err != nil {
			t.Fatal(err)
		}
		in := reader(append(b.Buf, "rest"...))
		got, err := native.ReadQuery(in, native.Revision)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "rest" {
			t.Fatalf("it left %q", rest)
		}
	})
}

// A server says of its own client how that one came; what comes after depends on it.
func TestAQueryArrivesWholeWhicheverWayItsFirstClientCame(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]struct {
		way  byte
		says func(*proto.Buffer)
	}{
		"natively": {1, func(b *proto.Buffer) {
			b.PutString("user")
			b.PutString("host")
			b.PutString("a client")
			b.PutInt(26)
			b.PutInt(7)
			b.PutInt(54513)
		}},
		"by HTTP": {2, func(b *proto.Buffer) {
			b.PutByte(2) // POST
			b.PutString("curl")
			b.PutString("forwarded")
			b.PutString("referer")
		}},
		"in the same process": {6, func(*proto.Buffer) {}},
	} {
		var b proto.Buffer
		b.PutString("id")
		b.PutByte(byte(proto.ClientQuerySecondary))
		b.PutString("first user")
		b.PutString("first id")
		b.PutString("[::1]:1")
		b.PutInt64(1)
		b.PutByte(by.way)
		by.says(&b)
		b.PutString("quota")
		b.PutInt(1) // depth
		if by.way == 1 {
			b.PutInt(3) // patch
		}
		b.PutByte(0) // no trace
		b.PutInt(0)
		b.PutInt(0)
		b.PutInt(0)
		b.PutString("") // no settings
		b.PutString("") // no secret
		b.PutInt(int(proto.StageComplete))
		b.PutInt(1)
		b.PutString("SELECT 1")
		b.PutString("") // no parameters
		in := reader(append(b.Buf, "rest"...))
		got, err := native.ReadQuery(in, native.Revision)
		if want := (native.Query{ID: "id", Text: "SELECT 1", Compress: true, Inner: true}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "rest" {
			t.Errorf("%s: it left %q", name, rest)
		}
	}
}

func TestWhoAsksForTablesIsToldWhichAreThere(t *testing.T) {
	t.Parallel()
	var b proto.Buffer
	b.PutInt(2)
	for _, word := range []string{"a", "b", "", "c"} {
		b.PutString(word)
	}
	asked, err := native.ReadTablesStatus(reader(b.Buf))
	if want := []native.Table{{Database: "a", Name: "b"}, {Name: "c"}}; err != nil || !reflect.DeepEqual(asked, want) {
		t.Fatalf("got %v, %v", asked, err)
	}
	var said proto.Buffer
	native.TablesStatus(&said, asked[:1])
	if want := "\x09\x01\x01a\x01b\x00"; string(said.Buf) != want {
		t.Errorf("said %q, want %q", said.Buf, want)
	}
	var wrong *native.ProtocolError
	if _, err := native.ReadTablesStatus(reader([]byte{0xff, 0xff, 0xff, 0x7f})); !errors.As(err, &wrong) {
		t.Errorf("too many: got %v", err)
	}
}

// columns are types and values as the driver takes them.
var columns = []struct {
	kind   string
	values []any
}{
	{"UInt8", []any{uint8(1), uint8(255)}},
	{"Int64", []any{int64(-1), int64(1)}},
	{"Float64", []any{1.5, -2.5}},
	{"Bool", []any{true, false}},
	{"String", []any{"", strings.Repeat("long", 5000)}},
	{"FixedString(3)", []any{"abc", "def"}},
	{"DateTime64(3, 'UTC')", []any{time.UnixMilli(1), time.UnixMilli(2)}},
	{"DateTime('UTC')", []any{time.Unix(1, 0), time.Unix(2, 0)}},
	{"Decimal(18, 4)", []any{"12.3456", "-1"}},
	{"UUID", []any{"61f0c404-5cb3-11e7-907b-a6006ad3dba0", "00000000-0000-0000-0000-000000000001"}},
	{"IPv6", []any{net.ParseIP("::1"), net.ParseIP("2001:db8::1")}},
	{"Enum8('a' = 1, 'b, (c' = 2)", []any{"a", "b, (c"}},
	{"LowCardinality(String)", []any{"x", "x"}},
	{"LowCardinality(Nullable(String))", []any{nil, "x"}},
	{"Nullable(UInt32)", []any{nil, uint32(7)}},
	{"Array(Array(String))", []any{[][]string{{"a"}, {}, {"b", "c"}}, [][]string{}}},
	{"Array(LowCardinality(String))", []any{[]string{}, []string{}}},
	{"Map(String, Array(UInt8))", []any{map[string][]uint8{"k": {1, 2}}, map[string][]uint8{}}},
	{"Tuple(a UInt8, b String)", []any{map[string]any{"a": uint8(1), "b": "x"}, map[string]any{"a": uint8(2), "b": "y"}}},
	{"SimpleAggregateFunction(max, UInt32)", []any{uint32(1), uint32(2)}},
	{"Dynamic", []any{"text", int64(4)}},
	{"JSON", []any{`{"a":{"b":1}}`, `{"c":["x"]}`}},
}

func blockOf(t testing.TB, kinds ...int) *driver.Block {
	t.Helper()
	b := driver.NewBlock()
	b.ServerContext.VersionMajor, b.ServerContext.VersionMinor, b.ServerContext.Timezone = 26, 7, time.UTC
	for _, k := range kinds {
		if err := b.AddColumn(columns[k].kind, column.Type(columns[k].kind)); err != nil {
			t.Fatal(err)
		}
	}
	for row := range 2 {
		var values []any
		for _, k := range kinds {
			values = append(values, columns[k].values[row])
		}
		if err := b.Append(values...); err != nil {
			t.Fatalf("%v: %v", kinds, err)
		}
	}
	return b
}

func TestABlockOfAnyTypesGoesToTheEnginesRevisionAndBackUnchanged(t *testing.T) {
	t.Parallel()
	for i, c := range columns {
		t.Run(c.kind, func(t *testing.T) {
			var sent proto.Buffer
			// A second column shows whether the first was measured rightly.
			if err := blockOf(t, i, 4, i).Encode(&sent, uint64(native.Revision)); err != nil {
				t.Fatal(err)
			}
			var plain, back bytes.Buffer
			in := reader(append(sent.Buf, "rest"...))
			b, err := native.Recode(&plain, in, native.Revision, 0)
			if err != nil || b.Rows != 2 || len(b.Columns) != 3 || b.Columns[0].Type != c.kind {
				t.Fatalf("got %+v, %v", b, err)
			}
			if rest, _ := io.ReadAll(in); string(rest) != "rest" {
				t.Fatalf("it left %d bytes", len(rest))
			}
			if _, err := native.Recode(&back, reader(plain.Bytes()), 0, native.Revision); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back.Bytes(), sent.Buf) {
				t.Error("the block came back changed")
			}
		})
	}
}

// What the driver does not know, or never sends: values by hand.
func TestKindsTheDriverDoesNotSendAreMeasuredToo(t *testing.T) {
	t.Parallel()
	for kind, length := range map[string]int{
		"Tuple(`a, (b` UInt8, \"c\" UInt16)": 3, "Tuple()": 1, "Decimal(40, 1)": 32, "IntervalDay": 8, "Nothing": 1, "Point": 16,
		"FixedString(0)": 0, "Nested(a UInt8, b Enum8('x y' = 1))": 8, "QBit": -1, "JSON(a.b UInt8, SKIP c, max_dynamic_paths=2)": -2,
	} {
		var b proto.Buffer
		b.PutInt(1) // column
		b.PutInt(1) // row
		b.PutString("c")
		b.PutString(kind)
		head := len(b.Buf)
		if length == -2 {
			b.PutUInt64(0) // version
			b.PutInt(2)    // most paths
			b.PutInt(0)    // paths
			length = 8 + 2 + 1 + 8
		}
		var out bytes.Buffer
		_, err := native.Recode(&out, reader(append(b.Buf, make([]byte, 64)...)), 0, 0)
		if length < 0 && err == nil || length >= 0 && (err != nil || out.Len() != head+length) {
			t.Errorf("%s: %d bytes, %v; want %d", kind, out.Len()-head, err, length)
		}
	}
}

func TestABlockCutAnywhereIsAnErrorAndNeverAWholeBlock(t *testing.T) {
	t.Parallel()
	var sent proto.Buffer
	if err := blockOf(t, 0, 12, 15, 17, 20, 21).Encode(&sent, uint64(native.Revision)); err != nil {
		t.Fatal(err)
	}
	for n := range sent.Buf {
		if _, err := native.Recode(io.Discard, reader(sent.Buf[:n]), native.Revision, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d: got %v", n, err)
		}
	}
}

func TestWhatNoColumnIsIsRefusedByName(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"AggregateFunction(sum, UInt8)", "Nope", "Array(", "Array()", "FixedString(x)", "", strings.Repeat("Array(", 60) + "UInt8" + strings.Repeat(")", 60)} {
		var b proto.Buffer
		b.PutInt(1) // column
		b.PutInt(1) // row
		b.PutString("c")
		b.PutString(kind)
		var wrong *native.ProtocolError
		if _, err := native.Recode(io.Discard, reader(append(b.Buf, make([]byte, 64)...)), 0, 0); !errors.As(err, &wrong) {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestALengthThatAStrangerClaimsIsNotAllocated(t *testing.T) {
	t.Parallel()
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	var wrong *native.ProtocolError
	if _, err := native.ReadHello(reader(huge)); !errors.As(err, &wrong) {
		t.Errorf("hello: got %v", err)
	}
	if _, err := native.ReadQuery(reader(huge), native.Revision); !errors.As(err, &wrong) {
		t.Errorf("query: got %v", err)
	}
	if _, err := native.Recode(io.Discard, reader(append([]byte{0}, append(huge, huge...)...)), native.Revision, 0); !errors.As(err, &wrong) {
		t.Errorf("block: got %v", err)
	}
}

func FuzzHello(f *testing.F) {
	var b proto.Buffer
	proto.ClientHello{Name: "c", Major: 1, ProtocolVersion: 54460, Database: "d", User: "u", Password: "p"}.Encode(&b)
	f.Add(b.Buf[1:])
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := native.ReadHello(reader(in))
		if err == nil && (h.Revision > native.Revision || len(h.User)+len(h.Password)+len(h.Database)+len(h.Client) > len(in)) {
			t.Errorf("got %+v", h)
		}
	})
}

func FuzzQuery(f *testing.F) {
	var b proto.Buffer
	q := driver.Query{ID: "i", Body: "SELECT 1", Settings: driver.Settings{{Key: "a", Value: 1}}, Parameters: driver.Parameters{{Key: "p", Value: "v\n"}}}
	if err := q.Encode(&b, uint64(native.Revision)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Buf, native.Revision)
	f.Add(b.Buf, 54412)
	f.Fuzz(func(t *testing.T, in []byte, revision int) {
		q, err := native.ReadQuery(reader(in), revision)
		if err == nil && len(q.Text) > len(in) {
			t.Errorf("%d bytes of text out of %d", len(q.Text), len(in))
		}
	})
}

// Whatever comes, a block takes no more than it brought, and what passes passes again.
func FuzzRecode(f *testing.F) {
	for i := range columns {
		var b proto.Buffer
		if err := blockOf(f, i).Encode(&b, uint64(native.Revision)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Buf)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var out, back bytes.Buffer
		b, err := native.Recode(&out, reader(in), native.Revision, 0)
		if out.Len() > len(in)+16 {
			t.Fatalf("%d bytes became %d", len(in), out.Len())
		}
		if err != nil {
			return
		}
		again, err := native.Recode(&back, reader(out.Bytes()), 0, native.Revision)
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("got %+v, %v; want %+v", again, err, b)
		}
	})
}

func TestAPacketOfManyTextsIsRefusedBeforeTheyFillTheMemory(t *testing.T) {
	t.Parallel()
	var b proto.Buffer
	b.PutInt(9000) // columns
	b.PutInt(0)
	long := strings.Repeat("x", 1<<20)
	name := append([]byte(nil), b.Buf...)
	b.Reset()
	b.PutString(long)
	texts := io.MultiReader(bytes.NewReader(name), &endlessly{b.Buf, 0})
	_, err := native.Recode(io.Discard, bufio.NewReader(texts), 0, 0)
	var wrong *native.ProtocolError
	if !errors.As(err, &wrong) || !strings.Contains(wrong.Text, "texts") {
		t.Errorf("got %v", err)
	}
}

// endlessly repeats itself.
type endlessly struct {
	text []byte
	at   int
}

func (e *endlessly) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}
