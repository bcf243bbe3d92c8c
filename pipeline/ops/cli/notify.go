package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/seen"
)

// Notifier tells a webhook of every deal, each once.
//
//	DEALS ─notify-HASH─▶ known? ─no─▶ POST ─2xx─▶ POSTED ─▶ acknowledged
//	                       └yes▶ ack    └else▶ back to the consumer, later and later
//
// The consumer remembers what is not told yet, the bucket what is. Dying between the
// answer and the bucket is the one way to tell twice; the second request then carries
// the same Idempotency-Key. Several notifiers of one webhook share its consumer.
type Notifier struct {
	b      *bus.Bus
	env    process.Env
	target *url.URL
	client *http.Client
	inlet  *bus.Inlet
	posted jetstream.KeyValue
	name   string // of the webhook: a hash, since the address may hold a secret

	// Pause is how long to wait after the nth failure in a row.
	Pause  func(n int) time.Duration
	broken int // failures in a row
	Told   int // deals that the webhook took
}

const (
	// postWithin bounds one request to the webhook.
	postWithin = 15 * time.Second
	// notifyAckWait is longer than a request and what is written after it.
	notifyAckWait = time.Minute
	// notifierForgotten is how long a webhook that nobody tells any more is remembered.
	notifierForgotten = 90 * 24 * time.Hour
	// longestPause bounds the wait between two tries.
	longestPause = 5 * time.Minute
)

// Webhook is the address of a webhook. What is none is wrong usage, and not repeated:
// it may hold a secret.
func Webhook(address string) (*url.URL, error) {
	target, err := url.Parse(address)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return nil, process.Usagef("--notify: want an address like https://host/path")
	}
	return target, nil
}

// NewNotifier opens the way to a webhook. An address that is none is wrong usage.
func NewNotifier(ctx context.Context, b *bus.Bus, env process.Env, address string) (*Notifier, error) {
	target, err := Webhook(address)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(address))
	n := &Notifier{
		b: b, env: env, target: target, name: hex.EncodeToString(sum[:])[:12], Pause: pause,
		client: &http.Client{
			Timeout: postWithin,
			// A redirected POST would arrive as a GET and look like success.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if n.posted, err = b.Store(ctx, pipeline.BucketPosted); err != nil {
		return nil, fmt.Errorf("%w; no daemon of this version has run on this NATS yet: start one with `ratchet up`", err)
	}
	_, err = b.JS.CreateOrUpdateConsumer(ctx, pipeline.StreamDeals, jetstream.ConsumerConfig{
		Durable: pipeline.DurableNotify(n.name), Description: "tells a webhook at " + target.Host,
		FilterSubject: "deal.>", DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: notifyAckWait, MaxDeliver: -1, MaxAckPending: 1000, InactiveThreshold: notifierForgotten,
	})
	if err != nil {
		return nil, fmt.Errorf("open a consumer for the webhook: %w", err)
	}
	n.inlet, err = b.Inlet(ctx, pipeline.StreamDeals, pipeline.DurableNotify(n.name))
	return n, err
}

// Host is where the webhook is; the rest of its address is nobody's business.
func (n *Notifier) Host() string { return n.target.Host }

// pause is 1 s after the first failure, twice as long after each further one.
func pause(n int) time.Duration { return min(longestPause, time.Second<<min(n-1, 20)) }

// Run tells of deals decided since then. With follow it goes on until ctx ends;
// without, until nothing waits, or until patience is over.
func (n *Notifier) Run(ctx context.Context, since time.Time, follow bool, patience time.Duration) error {
	over := process.MachineNow().Add(patience)
	for ctx.Err() == nil {
		items, err := n.inlet.Take(ctx, 1, time.Second)
		if err != nil {
			if !follow {
				return err
			}
			n.env.Log.Debug("deals cannot be read just now", "err", err)
			n.wait(ctx, time.Second)
			continue
		}
		for _, it := range items {
			if err := n.tell(ctx, it, since); err != nil {
				return err
			}
		}
		if follow {
			continue
		}
		waits, err := n.waits(ctx)
		switch {
		case err != nil || waits == 0:
			return err
		case process.MachineSince(over) > 0:
			return fmt.Errorf("%d deals are not told to the webhook at %s yet; the next run posts them", waits, n.target.Host)
		}
	}
	return nil
}

// waits is how many deals the webhook was not told of.
func (n *Notifier) waits(ctx context.Context) (int, error) {
	pending, unsettled, err := n.b.Waiting(ctx, pipeline.StreamDeals, pipeline.DurableNotify(n.name))
	return pending + unsettled, err
}

// tell settles one deal: told, not worth telling, or later. Once the webhook was
// asked, what came of it is written although ctx may have ended.
func (n *Notifier) tell(ctx context.Context, it loop.Item, since time.Time) error {
	d, body, err := n.read(ctx, it)
	if err == nil && body == nil {
		return it.Settle.Never(ctx, "unreadable") // the recorder buries it
	}
	var skip, early bool
	if err == nil {
		skip, early, err = n.skips(ctx, d, since)
	}
	if err == nil && !skip {
		err = n.post(ctx, d, body)
	}
	settled, cancel := context.WithTimeout(context.WithoutCancel(ctx), postWithin)
	defer cancel()
	if err == nil && early {
		return it.Settle.Again(settled, acceptWithin)
	}
	if err == nil && !skip {
		n.broken, n.Told = 0, n.Told+1
		err = n.remember(settled, d)
	}
	if err == nil {
		return it.Settle.Done(settled)
	}
	if ctx.Err() != nil {
		return it.Settle.Again(settled, 0) // stopped meanwhile: the next run begins with it
	}
	n.broken++
	// Each deal comes back after its own wait; the notifier pauses for as long as the
	// webhook has failed in a row.
	again, rest := n.Pause(int(min(it.Deliveries, 20))), n.Pause(min(n.broken, 20))
	n.env.Log.Warn("webhook not told, will retry", "host", n.target.Host, "asin", d.ASIN, "tries", it.Deliveries, "wait", max(again, rest), "err", err)
	err = it.Settle.Again(settled, again)
	n.wait(ctx, rest)
	return err
}

// read is the deal of a delivery and the message that says it, cleaned. What cannot be read hides nothing: the last version
// before it that can be stands for it; nil where there is none.
func (n *Notifier) read(ctx context.Context, it loop.Item) (d Deal, body []byte, err error) {
	m := it.Stored()
	v, why := visibility.ReadVersion(m)
	if why != nil {
		n.env.Log.Warn("deal cannot be read, the version before it counts", "subject", it.Subject, "sequence", it.Sequence, "err", why)
		if v, m.Body, err = newestReadable(ctx, n.b, it.Subject, it.Sequence); err != nil || m.Body == nil {
			return d, nil, err
		}
	}
	if body, err = json.Marshal(v.Members); err != nil {
		return d, nil, fmt.Errorf("encode deal of %s: %w", v.ASIN, err)
	}
	d, err = dealOf(visibility.Shown{State: visibility.State{Place: v.Place}, WorkID: v.WorkID, Members: v.Members})
	return d, body, err
}

// acceptWithin is how long after a deal its verdict may come: they are published one
// after the other.
const acceptWithin = time.Second

// skips reports whether the webhook need not be told: it knows, the deal is too old,
// or it is hidden. A deal is early while the verdict that makes it visible is on its
// way.
func (n *Notifier) skips(ctx context.Context, d Deal, since time.Time) (skip, early bool, err error) {
	known, err := n.knows(ctx, d)
	if err != nil || known || d.DecidedAt.Before(since) {
		return true, false, err
	}
	book, err := hearOf(ctx, n.b, d.place())
	if err != nil {
		return true, false, err
	}
	hidden := len(book.Visible(time.Time{})) == 0
	return hidden, hidden && book.Awaits(d.place(), d.DecidedAt), nil
}

// told is what POSTED keeps.
type told struct {
	CreationDate int64     `json:"creation_date"`
	At           time.Time `json:"at"`
}

// Sane reports what cannot be there: a price that never began would keep the webhook from hearing of any.
func (t told) Sane() error {
	if t.CreationDate < 0 || t.CreationDate > seen.Beyond {
		return fmt.Errorf("creation_date %d: want Keepa minutes", t.CreationDate)
	}
	return nil
}

func (n *Notifier) cell(d Deal) bus.Cell {
	return bus.NewCell(n.posted, pipeline.KeyPosted(n.name, d.identity()))
}

// knows reports whether the webhook was told of this price, or of a later one. Where that cannot be read it is told
// again, with the same Idempotency-Key: a deal is worth more than a repeat.
func (n *Notifier) knows(ctx context.Context, d Deal) (bool, error) {
	raw, _, err := n.cell(d).Read(ctx)
	if err != nil || raw == nil {
		return false, err
	}
	t, err := bus.Decode[told](n.cell(d), raw)
	if err != nil {
		n.env.Log.Warn("what a webhook was told cannot be read, it is told again", "host", n.target.Host, "asin", d.ASIN, "err", err)
		return false, nil
	}
	return t.CreationDate >= d.CreationDate, nil
}

func (n *Notifier) remember(ctx context.Context, d Deal) error {
	_, err := bus.ChangeOwn(ctx, n.cell(d), func(t told) (told, bool, error) {
		return told{CreationDate: d.CreationDate, At: n.env.Now().UTC()}, t.CreationDate < d.CreationDate, nil
	})
	return err
}

// condition is one that Keepa has a number for, whatever the message says; "" for any other.
func (d Deal) condition() string {
	if keepa.ConditionOf(d.Condition) == keepa.ConditionUnknown {
		return ""
	}
	return d.Condition
}

// line is a deal as a chat shows it, with the title as the chat's sink wrote it.
func (d Deal) line(title string) string {
	return fmt.Sprintf("%s profit (%s to %s, %s odds of a loss) · buy %s, %s · sells for %s (%s to %s) in about %s months · %s · %s",
		d.money(d.ProfitCents), d.money(d.ProfitLow), d.money(d.ProfitHigh), chance(d.LossChance), d.money(d.LandedCents), orDash(d.condition()),
		d.money(d.SaleCents), d.money(d.SaleLow), d.money(d.SaleHigh), orDash(decimal(d.MonthsToSell)), title, cmp.Or(d.URL, simulated+": nobody sells this"))
}

// posted is what a webhook receives. Slack shows the text, Discord the content, and neither notifies anybody whom a
// title names; programs read the deal.
type posted struct {
	Text     string              `json:"text"`
	Content  string              `json:"content"`
	Mentions map[string][]string `json:"allowed_mentions"` // Discord's
	Deal     json.RawMessage     `json:"deal"`
}

// post tells the webhook.
func (n *Notifier) post(ctx context.Context, d Deal, message json.RawMessage) error {
	title := d.Title.Short(80)
	body, err := json.Marshal(posted{
		Text: d.line(title.Slack()), Content: d.line(title.Discord()), Mentions: map[string][]string{"parse": {}}, Deal: message,
	})
	if err != nil {
		return fmt.Errorf("encode deal of %s: %w", d.ASIN, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.target.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("make a request of the address")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ratchet/"+n.env.Version)
	req.Header.Set("Idempotency-Key", pipeline.KeyPosted("deal", d.identity())+"."+strconv.FormatInt(d.CreationDate, 10))
	res, err := n.client.Do(req)
	if err != nil {
		var named *url.Error
		if errors.As(err, &named) {
			err = named.Err // without the address, which may hold a secret
		}
		return fmt.Errorf("post: %w", err)
	}
	defer func() { _ = res.Body.Close() }()                      // nothing was written that a close could lose
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // read, so that the connection serves again
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("post: the webhook answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	}
	return nil
}

// wait rests until d is over or ctx ends.
func (n *Notifier) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
