package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/synadia-io/orbit.go/jetstreamext"
)

const (
	// newestMost is how many subjects one request asks for; the server takes 1,024.
	newestMost = 1000
	// newestBatch bounds the messages of one response, so that large ones do not fill the connection.
	newestBatch = 200
	// batchWithin bounds, in machine time, how long the messages of one request
	// may take to arrive. Without a deadline of ours the client ends them after
	// two seconds and reports nothing, so that stored messages would look absent.
	batchWithin = 30 * time.Second
	// pendingHeader holds how many messages of the same request are still to come.
	pendingHeader = "Nats-Num-Pending"
)

// Until selects the state of a stream to read; the zero value means now.
type Until struct {
	Sequence uint64
	Time     time.Time // machine time of the server
}

// ErrBrokeOff means that the response ended before its last message:
// what was requested may be stored although it did not arrive.
var ErrBrokeOff = errors.New("the answer broke off; is NATS overloaded?")

// Newest returns the newest message of each of the subjects that has one. It returns
// all of them or an error, because an answer that is not found is paid for again.
func (b *Bus) Newest(ctx context.Context, stream string, subjects []string, until Until) ([]Read, error) {
	var out []Read
	for part := range slices.Chunk(subjects, newestMost) {
		for len(part) > 0 {
			got, pending, err := b.newestOf(ctx, stream, part, until)
			if err != nil {
				return nil, fmt.Errorf("read the newest of %d subjects on %s: %w", len(subjects), stream, err)
			}
			out = append(out, got...)
			if pending == 0 {
				break
			}
			part = without(part, got)
		}
	}
	return out, nil
}

// newestOf is one request. It returns the messages received and the number of those still missing.
func (b *Bus) newestOf(ctx context.Context, stream string, subjects []string, until Until) (out []Read, pending int, err error) {
	ctx, cancel := context.WithTimeout(ctx, batchWithin)
	defer cancel()
	as := []jetstreamext.GetLastForOpt{jetstreamext.GetLastMsgsBatchSize(newestBatch)}
	switch {
	case until.Sequence > 0:
		as = append(as, jetstreamext.GetLastMsgsUpToSeq(until.Sequence))
	case !until.Time.IsZero():
		as = append(as, jetstreamext.GetLastMsgsUpToTime(until.Time))
	}
	msgs, err := jetstreamext.GetLastMsgsFor(ctx, b.JS, stream, subjects, as...)
	if err != nil {
		return nil, 0, err
	}
	last := ""
	for m, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) && len(out) == 0 {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		out, last = append(out, readOf(m)), m.Header.Get(pendingHeader)
	}
	if ctx.Err() != nil || last == "" {
		return nil, 0, errors.Join(ErrBrokeOff, ctx.Err())
	}
	if _, err := fmt.Sscan(last, &pending); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", pendingHeader, err)
	}
	return out, pending, nil
}

// without returns the subjects for which nothing has arrived yet.
func without(subjects []string, got []Read) []string {
	came := make(map[string]bool, len(got))
	for _, r := range got {
		came[r.Subject] = true
	}
	var rest []string
	for _, s := range subjects {
		if !came[s] {
			rest = append(rest, s)
		}
	}
	return rest
}
