package notifier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
)

const (
	// ackWait is longer than sending a message takes. It bounds how long a crash delays the deals in hand; a deal
	// that is redelivered although it was sent is found in POSTED.
	ackWait = 20 * time.Second
	// forgotten is how long the position of a target that is no longer configured is kept.
	forgotten = 90 * 24 * time.Hour
	// mostHeld is how many deals one message may hold.
	mostHeld = 500
	// gatherWithin is how long a further deal is waited for; if none comes, the digest is complete.
	gatherWithin = 300 * time.Millisecond
	// acceptWithin is the delay after which a deal without its verdict is checked again: the verdict is published
	// next.
	acceptWithin = time.Second
	// acceptAtMost is how long that is repeated: a committer that dies between the two publishes the verdict when
	// its work is redelivered.
	acceptAtMost = 15 * time.Minute
	// answerWithin is how long a target may still answer when the notifier is stopped: without its answer the message
	// would be sent again.
	answerWithin = 3 * time.Second
	// settleWithin bounds what is written after a message was sent, although ctx has ended.
	settleWithin = 15 * time.Second
)

// sender sends to one target.
type sender struct {
	n      *notifier
	target Target
	inlet  *bus.Inlet
	began  time.Time                                             // when the consumer was opened first: a new one begins there, and what was sent is not sent again
	pause  func(failures int, asked time.Duration) time.Duration // nil: notify.Pause

	failures int       // in a row
	left     string    // why the target left a recipient out last
	resumes  time.Time // machine time: nothing is sent before
	held     time.Time // pipeline time: no deal is due before
	synced   *map[string]string
	unstored *notify.Alarm // the change that was sent last, if that is not stored yet

	mu sync.Mutex
	is targetStatus
}

// targetStatus is a sender's part of the heartbeat.
type targetStatus struct {
	cli.Notified
	failures int
	at       time.Time // when a message was last sent, pipeline time
}

func (l *sender) note(f func(*targetStatus)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.is)
}

func (l *sender) status() targetStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.is
}

// open opens the target's consumer. A new target begins with what is found from now on, or NOTIFY_SINCE before.
func (l *sender) open(ctx context.Context) error {
	durable := pipeline.DurableNotify(l.target.hash)
	_, err := l.n.b.JS.Consumer(ctx, pipeline.StreamDeals, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cfg := jetstream.ConsumerConfig{
			Durable: durable, Description: "notifies " + l.target.Kind + " at " + l.target.Where,
			FilterSubject: "deal.>", DeliverPolicy: jetstream.DeliverNewPolicy,
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: l.n.ackWait, MaxDeliver: -1, MaxAckPending: 2 * mostHeld, InactiveThreshold: forgotten,
		}
		from := l.began
		if from.IsZero() && l.n.since > 0 {
			from = process.MachineNow().Add(-l.n.env.Clock.Machine(l.n.since)).UTC()
		}
		if !from.IsZero() {
			cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
		}
		_, err = l.n.b.JS.CreateOrUpdateConsumer(ctx, pipeline.StreamDeals, cfg)
	}
	if err != nil {
		return fmt.Errorf("open a consumer for %s: %w", l.target.Name(), err)
	}
	if l.inlet, err = l.n.b.Inlet(ctx, pipeline.StreamDeals, durable); err != nil {
		return err
	}
	if l.began.IsZero() {
		l.began = process.MachineNow().UTC()
	}
	s, err := l.state(ctx)
	l.note(func(is *targetStatus) { is.Target, is.Refused, is.LastRefused = l.target.Name(), s.Refused, s.last() })
	return err
}

// reopen creates the consumer again if it is gone: DEALS was restored or created again. It begins where this process
// did: what is held back until later is lost with the consumer.
func (l *sender) reopen(ctx context.Context) {
	if _, err := l.n.b.JS.Consumer(ctx, pipeline.StreamDeals, pipeline.DurableNotify(l.target.hash)); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return
	}
	if err := l.open(ctx); err != nil {
		l.n.env.Log.Debug("open the consumer again", "target", l.target.Name(), "err", err)
		return
	}
	l.n.env.Log.Warn("the consumer of a target was gone, it is open again", "target", l.target.Name())
}

// run sends until ctx ends.
func (l *sender) run(ctx context.Context) {
	for ctx.Err() == nil {
		if wait := process.MachineUntil(l.resumes); wait > 0 {
			_ = process.Sleep(ctx, min(wait, time.Second))
			continue
		}
		if err := l.step(ctx); err != nil && ctx.Err() == nil {
			l.n.env.Log.Debug("not notified just now", "target", l.target.Name(), "err", err)
			_ = process.Sleep(ctx, time.Second)
			l.reopen(ctx)
		}
	}
}

// step sends what is due: alarms, then deals.
func (l *sender) step(ctx context.Context) error {
	now := l.n.env.Now()
	if !l.n.policy.Silent(now) {
		if err := l.reconcile(ctx); err != nil || l.waits() {
			return err
		}
	}
	if wait := l.n.env.Clock.Machine(l.held.Sub(now)); wait > 0 {
		_ = process.Sleep(ctx, min(wait, time.Second))
		return nil
	}
	items, err := l.take(ctx)
	if err != nil || len(items) == 0 {
		return err
	}
	return l.deals(ctx, items)
}

// waits reports whether the target is to be left alone for now.
func (l *sender) waits() bool { return process.MachineSince(l.resumes) < 0 }

// take returns one deal, and if quiet hours or a digest held it back, up to mostHeld deals in all of those that wait.
func (l *sender) take(ctx context.Context) ([]loop.Item, error) {
	items, err := l.inlet.Take(ctx, 1, time.Second)
	if err != nil || len(items) == 0 {
		return items, err
	}
	if found := foundAt(items[0]); !l.n.policy.DueAt(l.n.env.Now(), found)[0].After(found) {
		return items, nil
	}
	for began := process.MachineNow(); len(items) < mostHeld && process.MachineSince(began) < l.n.ackWait/4; {
		more, err := l.inlet.Take(ctx, mostHeld-len(items), gatherWithin)
		if err != nil {
			l.n.env.Log.Debug("the rest of a digest cannot be taken just now", "err", err)
		}
		if len(more) == 0 {
			break
		}
		items = append(items, more...)
	}
	return items, nil
}

// foundAt is when a message of DEALS was published, pipeline time.
func foundAt(it loop.Item) time.Time {
	if o, err := it.Stored().Origin(); err == nil {
		return o.At
	}
	return it.StoredAt
}

// deals sends those that are due and hands back the others until they are.
func (l *sender) deals(ctx context.Context, items []loop.Item) error {
	found := make([]time.Time, len(items))
	for i, it := range items {
		found[i] = foundAt(it)
	}
	now := l.n.env.Now()
	groups, wake := l.n.policy.Plan(found, now)
	var failed []error
	for i, due := range l.n.policy.DueAt(now, found...) {
		if wait := l.n.env.Clock.Machine(due.Sub(now)); wait > 0 {
			failed = append(failed, items[i].Settle.Again(ctx, wait))
		}
	}
	for _, g := range groups {
		var together []loop.Item
		for _, i := range g {
			together = append(together, items[i])
		}
		if l.waits() { // a message before this one failed: this one waits as long
			failed = append(failed, again(ctx, together, process.MachineUntil(l.resumes)))
			continue
		}
		failed = append(failed, l.message(ctx, together))
	}
	l.held = wake
	l.note(func(s *targetStatus) { s.Next = wake })
	return errors.Join(failed...)
}

// message sends one message about these deals, as they stand now, and settles them.
func (l *sender) message(ctx context.Context, items []loop.Item) error {
	items, err := l.resumeDigests(ctx, items)
	if err != nil {
		return err
	}
	var about []cli.Current
	var keep, done, early []loop.Item
	chosen := map[pipeline.Identity]bool{}
	for _, it := range items {
		d, wanted, err := l.look(ctx, it)
		switch {
		case err != nil:
			return errors.Join(err, again(ctx, items, time.Second))
		case d.Awaits && process.MachineSince(it.StoredAt) < acceptAtMost:
			early = append(early, it)
		case !wanted:
			done = append(done, it)
		case chosen[d.Identity()]:
			keep = append(keep, it)
		default:
			chosen[d.Identity()] = true
			about, keep = append(about, d), append(keep, it)
		}
	}
	err = errors.Join(settle(ctx, done), again(ctx, early, acceptWithin))
	if len(about) == 0 {
		return err
	}
	return errors.Join(err, l.send(ctx, sorted(about), keep))
}

// sorted are deals, the most profitable first.
func sorted(about []cli.Current) []cli.Current {
	plain, by := make([]cli.Deal, len(about)), map[pipeline.Identity]cli.Current{}
	for i, d := range about {
		plain[i], by[d.Identity()] = d.Deal, d
	}
	cli.Best(plain)
	out := make([]cli.Current, len(about))
	for i, d := range plain {
		out[i] = by[d.Identity()]
	}
	return out
}

// look is the deal of a delivery, and whether the target is to be sent it: it is visible, within the limits, and
// not known.
func (l *sender) look(ctx context.Context, it loop.Item) (d cli.Current, wanted bool, err error) {
	d, err = cli.CurrentOf(ctx, l.n.b, it.Stored())
	if err != nil || !d.Visible || !l.n.choice.Admits(&d.Deal) {
		return d, false, err
	}
	known, err := l.knows(ctx, d.Identity())
	return d, !known, err
}

// send sends deals in one message and settles their deliveries.
func (l *sender) send(ctx context.Context, about []cli.Current, items []loop.Item) error {
	key, ids := keyOf(about), make([]pipeline.Identity, len(about))
	for i, d := range about {
		ids[i] = d.Identity()
	}
	if len(ids) > 1 {
		if err := l.begin(ctx, key, ids); err != nil {
			return errors.Join(err, again(ctx, items, time.Second))
		}
	}
	switch taken, err := l.deliver(ctx, key, about, ids); {
	case err != nil:
		return errors.Join(err, again(context.WithoutCancel(ctx), items, time.Second))
	case taken:
		settled, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.n.settleWithin)
		defer cancel()
		return settle(settled, items)
	}
	return l.handBack(ctx, items)
}

// deliver sends one message and records that the target was sent it; false if the target does not accept it now.
// Once the target was asked the outcome is stored, even if ctx ends.
func (l *sender) deliver(ctx context.Context, key string, about []cli.Current, ids []pipeline.Identity) (taken bool, err error) {
	err = l.attempt(ctx, Message{Key: key, Deals: about})
	why := ""
	if refused, is := errors.AsType[*refusal](err); is && refused.outcome == notify.Refused {
		why = refused.text
	} else if err != nil {
		return false, nil // it is logged, and the sender rests
	}
	settled, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.n.settleWithin)
	defer cancel()
	return true, l.remembered(settled, key, ids, why)
}

// handBack hands back what the target does not take now, after a backoff of its own, so that it does not hold the
// others; at once if the notifier was stopped meanwhile, so that the next run begins with it.
func (l *sender) handBack(ctx context.Context, items []loop.Item) error {
	stopped := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.n.settleWithin)
	defer cancel()
	if stopped {
		return again(ctx, items, 0)
	}
	times := uint64(1)
	for _, it := range items {
		times = max(times, it.Deliveries)
	}
	return again(ctx, items, max(notify.Pause(int(min(times, 20)), 0, 0), process.MachineUntil(l.resumes)))
}

// attempt sends one message and notes what came of it. A message that the target will never take is logged and
// counted; after any other failure the sender rests.
func (l *sender) attempt(ctx context.Context, m Message) error {
	ctx, cancel := loop.Graceful(ctx, answerWithin)
	defer cancel()
	err := l.target.Send(ctx, m)
	refused, _ := errors.AsType[*refusal](err)
	if err == nil || refused != nil && refused.outcome == notify.Sent {
		l.taken(refused)
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	if refused != nil && refused.outcome == notify.Refused {
		l.n.env.Log.Warn("a message was refused and is set aside", "target", l.target.Name(), "key", m.Key, "err", err)
		return errors.Join(err, l.setAside(ctx, m.Key, refused.text))
	}
	l.failures++
	var asked time.Duration
	if refused != nil {
		asked = refused.after
	}
	wait := l.wait(asked)
	l.resumes = process.MachineNow().Add(wait)
	l.n.env.Log.Warn("target not notified, will retry", "target", l.target.Name(), "failures", l.failures, "wait", wait.Round(time.Millisecond), "err", err)
	l.note(func(s *targetStatus) { s.failures++; s.LastError = err.Error() })
	return err
}

// taken notes a message that the target took, and why it left a recipient out.
func (l *sender) taken(left *refusal) {
	why := ""
	if left != nil {
		why = left.text
	}
	if why != "" && why != l.left {
		l.n.env.Log.Warn("a recipient is refused, the others get the messages", "target", l.target.Name(), "err", why)
	}
	l.failures, l.left = 0, why
	l.note(func(s *targetStatus) { s.Sent++; s.LastError, s.at = why, l.n.env.Now() })
}

// wait is how long the sender rests after a failure.
func (l *sender) wait(asked time.Duration) time.Duration {
	if l.pause != nil {
		return l.pause(l.failures, asked)
	}
	return notify.Pause(l.failures, asked, rand.Float64()) //nolint:gosec // jitter
}

// keyOf is the same whenever the same deals are sent.
func keyOf(about []cli.Current) string {
	one := func(d cli.Current) string {
		return pipeline.KeyPosted("deal", d.Identity()) + "." + strconv.FormatInt(d.CreationDate, 10)
	}
	if len(about) == 1 {
		return one(about[0])
	}
	all := make([]string, len(about))
	for i, d := range about {
		all[i] = one(d)
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return "digest." + hex.EncodeToString(sum[:])[:16]
}

// settle acknowledges deliveries.
func settle(ctx context.Context, items []loop.Item) error {
	return errors.Join(loop.Done(ctx, items)...)
}

// again hands deliveries back.
func again(ctx context.Context, items []loop.Item, after time.Duration) error {
	var failed []error
	for _, it := range items {
		failed = append(failed, it.Settle.Again(ctx, max(after, 0)))
	}
	return errors.Join(failed...)
}
