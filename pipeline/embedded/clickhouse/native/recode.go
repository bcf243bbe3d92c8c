package native

import (
	"bufio"
	"encoding/binary"
	"io"
	"slices"

	"github.com/ClickHouse/ch-go/proto"
)

// Column is a column's name and type.
type Column struct{ Name, Type string }

// Block is what a block was.
type Block struct {
	Columns []Column
	Rows    uint64
}

// End reports whether it is the empty block that ends a series.
func (b Block) End() bool { return len(b.Columns) == 0 && b.Rows == 0 }

// What a block may claim. Nothing is allocated by these numbers: they only keep sums from running over.
const (
	mostColumns = 10_000
	mostRows    = 1 << 32
)

// Recode copies one block from one revision to another. Between the revisions that are spoken here the columns' bytes
// are the same and only what stands around them differs; but where a column ends only its type says. The engine writes
// and reads revision 0. The columns get the names, if there are any.
func Recode(out io.Writer, in *bufio.Reader, from, to int, names ...string) (Block, error) {
	c := copier{wire: wire{in: in}, out: out}
	if from > 0 {
		c.passInfo()
	}
	if to > 0 {
		var info proto.Buffer
		proto.BlockInfo{BucketNum: -1}.Encode(&info)
		c.put(info.Buf)
	}
	var b Block
	columns := c.uvarint()
	b.Rows = c.uvarint()
	if c.err == nil && (columns > mostColumns || b.Rows > mostRows) {
		c.err = bad("a block of %d columns and %d rows", columns, b.Rows)
	}
	if c.err != nil {
		return b, c.err
	}
	c.number(columns)
	c.number(b.Rows)
	for range columns {
		col := Column{Name: c.wire.text(mostWords), Type: c.wire.text(mostWords)}
		if proto.FeatureCustomSerialization.In(from) && c.byte() != 0 && c.err == nil {
			c.err = bad("column %.100s comes in a special encoding", col.Name)
		}
		if i := len(b.Columns); i < len(names) {
			col.Name = names[i]
		}
		b.Columns = append(b.Columns, col)
		c.column(col, b.Rows, to)
		if c.err != nil {
			return b, c.err
		}
	}
	return b, nil
}

func (c *copier) column(col Column, rows uint64, to int) {
	if c.err != nil {
		return
	}
	for _, text := range []string{col.Name, col.Type} {
		c.number(uint64(len(text)))
		c.put([]byte(text))
	}
	if proto.FeatureCustomSerialization.In(to) {
		c.put([]byte{0})
	}
	if rows == 0 {
		return
	}
	k, err := kindOf(col.Type)
	if err != nil {
		c.err = err
		return
	}
	c.data(c.prefix(k), rows)
}

// passInfo reads what stands before a block at revisions above 0.
func (c *copier) passInfo() {
	for c.err == nil {
		switch field := c.uvarint(); {
		case field == 0:
			return
		case field == 1:
			c.byte()
		case field == 2:
			c.skip(4)
		case c.err == nil:
			c.err = bad("field %d in a block's heading is unknown", field)
		}
	}
}

// A copier passes bytes on and looks at those that say how many follow.
type copier struct {
	wire
	out io.Writer
	num [binary.MaxVarintLen64]byte
}

func (c *copier) put(b []byte) {
	if c.err == nil {
		_, err := c.out.Write(b)
		c.lost(err)
	}
}

// lost keeps an error of the writing side, which says nothing about the wire.
func (c *copier) lost(err error) {
	if c.err == nil && err != nil {
		c.err = &writeError{err}
	}
}

// writeError is a fault of where a block goes to, not of where it comes from.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

func (c *copier) number(n uint64) { c.put(binary.AppendUvarint(c.num[:0], n)) }

// bytes copies n bytes.
func (c *copier) bytes(n uint64) {
	for n > 0 && c.err == nil {
		have := c.in.Buffered()
		if have == 0 {
			if _, err := c.in.Peek(1); err != nil {
				c.fault(err)
				return
			}
			have = c.in.Buffered()
		}
		piece, err := c.in.Peek(int(min(n, uint64(have)))) //nolint:gosec // at most what is buffered
		c.fault(err)
		c.put(piece)
		c.skip(len(piece))
		n -= uint64(len(piece))
	}
}

// values copies n values of a width.
func (c *copier) values(n, width uint64) {
	if n > mostRows && c.err == nil {
		c.err = bad("a column of %d values", n)
		return
	}
	c.bytes(n * width)
}

// u64 copies a number of eight bytes.
func (c *copier) u64() uint64 {
	if c.err != nil {
		return 0
	}
	b, err := c.in.Peek(8)
	if err != nil {
		c.fault(err)
		return 0
	}
	v := binary.LittleEndian.Uint64(b)
	c.put(b)
	c.skip(8)
	return v
}

func (c *copier) copyNumber() uint64 {
	n := c.uvarint()
	c.number(n)
	return n
}

func (c *copier) copyText() string {
	t := c.wire.text(mostWords)
	c.number(uint64(len(t)))
	c.put([]byte(t))
	return t
}

// A node is a column's kind with what its heading in the block added.
type node struct {
	*kind
	inner   []*node
	version uint64 // of dynamic and object
}

// prefix copies what stands before the values of a column.
func (c *copier) prefix(k *kind) *node {
	n := &node{kind: k}
	switch k.form {
	case low:
		c.u64()
		n.inner = []*node{{kind: k.inner[0]}} // a dictionary has no heading of its own
	case dynamic:
		c.dynamicPrefix(n)
	case object:
		c.objectPrefix(n)
	case variant:
		c.u64()
		c.prefixes(n, k.inner)
	case fixed, str, null, array, tuple:
		c.prefixes(n, k.inner)
	}
	return n
}

func (c *copier) prefixes(n *node, kinds []*kind) {
	for _, k := range kinds {
		if c.err != nil {
			return
		}
		n.inner = append(n.inner, c.prefix(k))
	}
}

// Versions of how Dynamic and JSON travel.
const (
	dynamicOne  = 1
	objectOne   = 0
	objectText  = 1
	flattenedJS = 3
)

func (c *copier) dynamicPrefix(n *node) {
	switch n.version = c.u64(); {
	case c.err != nil:
		return
	case n.version == dynamicOne:
		c.copyNumber() // most types
	case n.version != flattenedJS:
		c.err = bad("version %d of Dynamic is unknown", n.version)
		return
	}
	names := c.list()
	if n.version == dynamicOne {
		names = append(names, "SharedVariant")
		slices.Sort(names)
		c.u64()
	}
	for _, name := range names {
		k, err := kindOf(name)
		if c.err == nil && err != nil {
			c.err = err
		}
		if c.err != nil {
			return
		}
		if k.form == dynamic || k.form == object {
			c.err = bad("type %.100s within Dynamic", name)
			return
		}
		n.inner = append(n.inner, c.prefix(k))
	}
}

func (c *copier) objectPrefix(n *node) {
	switch n.version = c.u64(); n.version {
	case objectOne:
		c.copyNumber() // most paths
	case objectText:
		return
	case flattenedJS:
	default:
		if c.err == nil {
			c.err = bad("version %d of JSON is unknown", n.version)
		}
		return
	}
	paths := c.list()
	c.prefixes(n, n.kind.inner)
	for range paths {
		c.prefixes(n, []*kind{{form: dynamic}})
	}
}

// list copies a counted list of texts.
func (c *copier) list() []string {
	count := c.copyNumber()
	if count > mostColumns && c.err == nil {
		c.err = bad("a list of %d names", count)
	}
	var names []string
	for i := uint64(0); i < count && c.err == nil; i++ {
		names = append(names, c.copyText())
	}
	return names
}

// data copies the values of rows.
func (c *copier) data(n *node, rows uint64) {
	if c.err != nil {
		return
	}
	switch n.form {
	case fixed:
		c.values(rows, n.width)
	case str:
		c.texts(rows)
	case null:
		c.values(rows, 1)
		c.data(n.inner[0], rows)
	case array:
		c.data(n.inner[0], c.offsets(rows))
	case tuple:
		if len(n.inner) == 0 {
			c.values(rows, 1)
		}
		for _, in := range n.inner {
			c.data(in, rows)
		}
	case low:
		c.keys(n, rows)
	case variant:
		c.chosen(n, rows, 1)
	case dynamic:
		width := uint64(1)
		if n.version == flattenedJS && len(n.inner) > 255 {
			width = 2
		}
		c.chosen(n, rows, width)
	case object:
		c.objects(n, rows)
	}
}

func (c *copier) texts(rows uint64) {
	for i := uint64(0); i < rows && c.err == nil; i++ {
		c.bytes(c.copyNumber())
	}
}

// offsets copies where arrays end; the last is how many elements there are.
func (c *copier) offsets(rows uint64) uint64 {
	var last uint64
	for i := uint64(0); i < rows && c.err == nil; i++ {
		at := c.u64()
		if c.err == nil && at < last {
			c.err = bad("the ends of arrays go back")
		}
		last = at
	}
	return last
}

// Bits of how a dictionary travels.
const (
	keyWidth = 0xff
	global   = 1 << 8
	keys     = 1 << 9
)

func (c *copier) keys(n *node, rows uint64) {
	if rows == 0 {
		return
	}
	flags := c.u64()
	if c.err == nil && (flags&keyWidth > 3 || flags&global != 0 || flags&keys == 0) {
		c.err = bad("a dictionary of an unknown encoding %#x", flags)
	}
	c.data(n.inner[0], c.u64())
	if count := c.u64(); c.err == nil && count != rows {
		c.err = bad("%d keys for %d rows", count, rows)
	}
	if c.err == nil {
		c.values(rows, 1<<(flags&keyWidth))
	}
}

// chosen copies which of the inner kinds each row has, then the values of each.
func (c *copier) chosen(n *node, rows, width uint64) {
	counts := make([]uint64, len(n.inner))
	for i := uint64(0); i < rows && c.err == nil; i++ {
		b, err := c.in.Peek(int(width)) //nolint:gosec // 1 or 2
		if err != nil {
			c.fault(err)
			return
		}
		which := int(b[0])
		if width == 2 {
			which = int(binary.LittleEndian.Uint16(b))
		}
		if which < len(counts) { // else NULL
			counts[which]++
		}
		c.put(b)
		c.skip(int(width)) //nolint:gosec // 1 or 2
	}
	for i, in := range n.inner {
		c.data(in, counts[i])
	}
}

// shared is what JSON keeps of paths that have no column: arrays of path and value.
var shared = &node{kind: &kind{form: array}, inner: []*node{{kind: &kind{form: tuple}, inner: []*node{{kind: &kind{form: str}}, {kind: &kind{form: str}}}}}}

func (c *copier) objects(n *node, rows uint64) {
	if n.version == objectText {
		c.texts(rows)
		return
	}
	for _, in := range n.inner {
		c.data(in, rows)
	}
	if n.version == objectOne {
		c.data(shared, rows)
	}
}
