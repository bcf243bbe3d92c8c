package bus

import (
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// metaMade is the metadata of a restored stream: when the original was created, so that its rows in ClickHouse, which
// were restored with it, still match.
const metaMade = "ratchet.made"

// Made is when a stream was made, Unix seconds. A stream that was deleted and created again numbers its messages from 1
// again, which distinguishes it from the old one. A stream that was restored continues the numbers, and is the old one.
func Made(i *jetstream.StreamInfo) uint32 {
	if made, err := strconv.ParseUint(i.Config.Metadata[metaMade], 10, 32); err == nil {
		return uint32(made)
	}
	return uint32(i.Created.Unix()) //nolint:gosec // until 2106
}
