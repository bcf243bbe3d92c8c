package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/loop"
)

// The server's advisories for a message that it stops delivering, and
// the queue group in which one of several recorders receives each.
const (
	adviseMaxDeliveries = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"
	adviseTerminated    = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>"
	adviseQueue         = "recorder"
)

// advisory is the body of both kinds.
type advisory struct {
	Type       string `json:"type"`
	Stream     string `json:"stream"`
	Consumer   string `json:"consumer"`
	Sequence   uint64 `json:"stream_seq"`
	Deliveries uint64 `json:"deliveries"`
	Reason     string `json:"reason"`
}

// advisories copies messages that the server stopped delivering into DEAD. It backs up
// the stages, which write their own dead letters; the ID is the same, so that the copy of
// one is dropped. Advisories are not stored, so nothing is copied while no recorder runs.
type advisories struct {
	r        *recorder
	received chan *nats.Msg
	subs     []*nats.Subscription
}

func (r *recorder) watchAdvisories() (*advisories, error) {
	g := &advisories{r: r, received: make(chan *nats.Msg, 1024)}
	for _, subject := range []string{adviseMaxDeliveries, adviseTerminated} {
		s, err := r.bus.NC.ChanQueueSubscribe(subject, adviseQueue, g.received)
		if err != nil {
			return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		g.subs = append(g.subs, s)
	}
	return g, nil
}

func (g *advisories) stop() {
	for _, s := range g.subs {
		_ = s.Unsubscribe() // the connection closes next
	}
}

func (g *advisories) run(ctx, working context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-g.received:
			if err := g.copy(working, m.Data); err != nil {
				g.r.pulse.failed(err)
				g.r.env.Log.Warn("advisory cannot be copied", "subject", m.Subject, "err", err)
			}
		}
	}
}

func (g *advisories) copy(ctx context.Context, raw []byte) error {
	var a advisory
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("decode advisory: %w", err)
	}
	if a.Stream == pipeline.StreamDead || !ours(a.Stream) {
		return nil // a dead letter stays in DEAD
	}
	it, err := g.message(ctx, a)
	if err != nil {
		return err
	}
	reason := "max_deliveries"
	if strings.HasSuffix(a.Type, ".terminated") {
		reason = "terminated"
	}
	cause := fmt.Errorf("consumer %s gave it up after %d deliveries", a.Consumer, a.Deliveries)
	if a.Reason != "" {
		cause = fmt.Errorf("%w: %s", cause, a.Reason)
	}
	if err := g.r.deadLetter(ctx, stageOf(a.Consumer), it, reason, cause); err != nil {
		return fmt.Errorf("copy message %d of %s: %w", a.Sequence, a.Stream, err)
	}
	g.r.pulse.count("advisories", 1)
	return nil
}

// message reads the undeliverable message from its stream; one
// that the stream has deleted has no body in its dead letter.
func (g *advisories) message(ctx context.Context, a advisory) (loop.Item, error) {
	it := loop.Item{Stream: a.Stream, Sequence: a.Sequence, Deliveries: a.Deliveries}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := g.r.bus.JS.Stream(ctx, a.Stream)
	if err != nil {
		return it, fmt.Errorf("open stream %s: %w", a.Stream, err)
	}
	m, err := s.GetMsg(ctx, a.Sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return it, nil
	}
	if err != nil {
		return it, fmt.Errorf("read message %d of %s: %w", a.Sequence, a.Stream, err)
	}
	it.Subject, it.Header, it.Body = m.Subject, m.Header, m.Data
	return it, nil
}

// ours reports whether a stream belongs to the pipeline.
func ours(stream string) bool {
	switch stream {
	case pipeline.StreamCandidates, pipeline.StreamSurvivors, pipeline.StreamVerdicts, pipeline.StreamDeals, pipeline.StreamLedger, pipeline.StreamResponses, pipeline.StreamActions:
		return true
	}
	return false
}

// stageOf returns the stage that owns a durable, as in the stage's own dead letters.
func stageOf(durable string) string {
	lane, _, _ := strings.Cut(pipeline.AnyBase(durable), "-")
	switch lane {
	case pipeline.DurableGlance, pipeline.DurableStray, "peek":
		return string(pipeline.StagePeeker)
	case "commit":
		return string(pipeline.StageCommitter)
	}
	return lane
}
