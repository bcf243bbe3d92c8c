package native

import (
	"bufio"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// Query is a statement that a client sends.
type Query struct {
	ID       string
	Text     string
	Compress bool // blocks come and go compressed
	Inner    bool // another server's, as a part of one of its own
	Settings []Setting
	Params   []Setting
}

// Setting is a setting or a parameter.
type Setting struct {
	Name, Value string
	Optional    bool // a server that does not know it may leave it out
}

// flags of a setting on the wire.
const (
	important = 1
	custom    = 2
)

// ReadQuery reads what follows the packet's number.
func ReadQuery(in *bufio.Reader, revision int) (Query, error) {
	w := wire{in: in}
	q := Query{ID: w.text(mostWords)}
	q.Inner = w.clientInfo(revision) == proto.ClientQuerySecondary
	q.Settings = w.settings(revision)
	if proto.FeatureInterServerSecret.In(revision) && w.text(mostWords) != "" && w.err == nil {
		w.err = bad("queries between servers are not served")
	}
	if stage := w.uvarint(); w.err == nil && stage != uint64(proto.StageComplete) {
		w.err = bad("queries up to stage %d are not served: there is one server", stage)
	}
	q.Compress = w.uvarint() != 0
	q.Text = w.text(mostText)
	if proto.FeatureParameters.In(revision) {
		q.Params = w.settings(revision)
	}
	return q, w.err
}

// clientInfo passes over what a client says about itself. A server that asks for its own client says the same about that
// one, whichever way it came.
func (w *wire) clientInfo(revision int) (kind proto.ClientQueryKind) {
	if kind = proto.ClientQueryKind(w.byte()); kind == proto.ClientQueryNone {
		return kind
	}
	w.text(mostWords) // initial user, query id, address
	w.text(mostWords)
	w.text(mostWords)
	if proto.FeatureQueryStartTime.In(revision) {
		w.skip(8)
	}
	by := proto.Interface(w.byte())
	w.cameBy(by, revision)
	if proto.FeatureQuotaKeyInClientInfo.In(revision) {
		w.text(mostWords)
	}
	if proto.FeatureDistributedDepth.In(revision) {
		w.uvarint()
	}
	if by == proto.InterfaceTCP {
		w.uvarint() // patch
	}
	if proto.FeatureOpenTelemetry.In(revision) && w.byte() != 0 {
		w.skip(16 + 8) // trace, span
		w.text(mostWords)
		w.skip(1)
	}
	if proto.FeatureParallelReplicas.In(revision) {
		w.uvarint()
		w.uvarint()
		w.uvarint()
	}
	return kind
}

// cameBy passes over what depends on how the first client came. Of other ways than these two nothing is said.
func (w *wire) cameBy(by proto.Interface, revision int) {
	switch by {
	case proto.InterfaceTCP:
		w.text(mostWords) // user of the system, host, program
		w.text(mostWords)
		w.text(mostWords)
		w.uvarint() // its version and revision
		w.uvarint()
		w.uvarint()
	case proto.InterfaceHTTP:
		w.byte()          // method
		w.text(mostWords) // program
		if proto.FeatureXForwardedForInClientInfo.In(revision) {
			w.text(mostWords)
		}
		if proto.FeatureRefererInClientInfo.In(revision) {
			w.text(mostWords)
		}
	}
}

// settings reads names, flags and values up to an empty name.
func (w *wire) settings(revision int) []Setting {
	var list []Setting
	for {
		s := Setting{Name: w.text(mostWords)}
		switch {
		case w.err != nil || s.Name == "":
			return list
		case !proto.FeatureSettingsSerializedAsStrings.In(revision):
			w.err = bad("settings of protocol revision %d are not understood; leave setting %s out, or use a newer client", revision, s.Name)
			return nil
		case len(list) == mostItems:
			w.err = bad("more than %d settings", mostItems)
			return nil
		}
		flags := w.uvarint()
		s.Value = w.text(mostText)
		s.Optional = flags&important == 0
		if flags&custom != 0 {
			s.Value = undumped(s.Value)
		}
		list = append(list, s)
	}
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '0': 0, 'b': '\b', 'f': '\f', 'a': '\a', 'v': '\v', 'e': 0x1b}

// undumped is the text of a value in quotes, as custom settings and parameters come. Anything else is as it is.
func undumped(dump string) string {
	if len(dump) < 2 || dump[0] != '\'' || dump[len(dump)-1] != '\'' {
		return dump
	}
	var b strings.Builder
	for i := 1; i < len(dump)-1; i++ {
		c := dump[i]
		if c == '\\' && i+1 < len(dump)-1 {
			i++
			if c = dump[i]; escapes[c] != 0 || c == '0' {
				c = escapes[c]
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// ReadName reads what stands between the number of a block's packet and the block: the name of an external table.
func ReadName(in *bufio.Reader) (string, error) {
	w := wire{in: in}
	name := w.text(mostWords)
	return name, w.err
}
