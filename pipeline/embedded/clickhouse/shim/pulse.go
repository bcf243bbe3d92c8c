package shim

import (
	"errors"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/native"
)

// beat is how often a server tells its client how far a statement is.
const beat = 100 * time.Millisecond

// pulse tells the client that its statement still runs, until the returned function is called. What the engine has read
// meanwhile it does not say, so these are steps of nothing. Clients need them all the same: one that hears nothing for its
// receive_timeout gives up, and remote() heeds that it is to stop only between two packets. When the client can no longer
// be told, it is called lost.
func (p *peer) pulse(lost func()) (stop func()) {
	var step proto.Buffer
	native.Progress(&step, 0, 0, 0, 0, p.revision)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if p.sendStep(step.Buf) != nil {
				lost()
				return
			}
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

func (p *peer) sendStep(step []byte) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	_, err := p.out.Write(step)
	return errors.Join(err, p.out.Flush())
}
