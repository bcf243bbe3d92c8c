package native

import (
	"bufio"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// Hello is how a client introduces itself.
type Hello struct {
	Client                   string
	Revision                 int // what both sides speak: the smaller of theirs and ours
	Database, User, Password string
}

// mostIntro is how long each text of a hello may be: who sends it is not known yet.
const mostIntro = 64 << 10

// ReadHello reads what follows the packet's number.
func ReadHello(in *bufio.Reader) (Hello, error) {
	w := wire{in: in}
	h := Hello{Client: w.text(mostIntro)}
	w.uvarint() // its version
	w.uvarint()
	revision := w.uvarint()
	h.Database, h.User, h.Password = w.text(mostIntro), w.text(mostIntro), w.text(mostIntro)
	if w.err != nil {
		return h, w.err
	}
	if revision < uint64(oldest) {
		return h, bad("the client speaks protocol revision %d; the oldest that is understood is %d", revision, oldest)
	}
	h.Revision = int(min(revision, uint64(Revision))) //nolint:gosec // at most Revision
	return h, nil
}

// ReadAddendum reads what newer clients send after our hello: a quota key, which nobody asks for.
func ReadAddendum(in *bufio.Reader, revision int) error {
	w := wire{in: in}
	if proto.FeatureAddendum.In(revision) {
		w.text(mostWords)
	}
	return w.err
}

// Welcome is our hello, for a server of the given version, such as 26.7.2.1.
func Welcome(b *proto.Buffer, version string, revision int) {
	var v [3]int
	for i, part := range strings.SplitN(version, ".", 4)[:min(3, 1+strings.Count(version, "."))] {
		v[i], _ = strconv.Atoi(part) // not a number: 0
	}
	h := proto.ServerHello{
		Name: "ClickHouse", Major: v[0], Minor: v[1], Patch: v[2], Revision: Revision, Timezone: "UTC", DisplayName: "ratchet",
	}
	h.EncodeAware(b, revision)
}
