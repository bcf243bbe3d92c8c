package visibility

import (
	"fmt"
	"strings"

	"ratchet/pipeline"
)

// Sequences are how far the streams were counted: of each, the sequence of the last message that counts. Counts at
// equal sequences are equal, whoever counted.
type Sequences struct {
	Deals    uint64 `json:"deals"`
	Verdicts uint64 `json:"verdicts"`
	Actions  uint64 `json:"actions"`
}

// String names the sequences as streams have them: "DEALS 41, VERDICTS 812". A stream without a message is left out.
func (s Sequences) String() string {
	var out []string
	for _, of := range []struct {
		stream string
		n      uint64
	}{{pipeline.StreamDeals, s.Deals}, {pipeline.StreamVerdicts, s.Verdicts}, {pipeline.StreamActions, s.Actions}} {
		if of.n > 0 {
			out = append(out, fmt.Sprintf("%s %d", of.stream, of.n))
		}
	}
	if len(out) == 0 {
		return "the beginning of the streams"
	}
	return strings.Join(out, ", ")
}
