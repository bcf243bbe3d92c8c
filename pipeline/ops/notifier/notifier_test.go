package notifier

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/schemas"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

// running is a notifier that a test stops.
type running struct {
	*notifier
	stop     func()
	stopping <-chan struct{}
}

// start starts a notifier of these targets as Run does, with what the settings say otherwise. It waits little.
func start(t testing.TB, d *desk.Desk, env process.Env, settings Settings, targets ...string) running {
	t.Helper()
	n := opened(t, env, settings, targets...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var senders sync.WaitGroup
	for _, l := range n.senders {
		senders.Go(func() { l.run(ctx) })
	}
	stop := sync.OnceFunc(func() { cancel(); senders.Wait(); n.b.Close() })
	t.Cleanup(stop)
	return running{notifier: n, stop: stop, stopping: ctx.Done()}
}

// aDayLater returns settings with a daily digest, and an environment in which that of the first day is due.
func aDayLater(d *desk.Desk) (Settings, process.Env) {
	late := d.Env
	late.Clock = process.NewClock(d.Env.Now().Add(24*time.Hour), 1)
	return Settings{Digest: "daily@" + desk.T0.Add(time.Minute).Format("15:04"), Since: time.Hour}, late
}

// opened is a notifier whose senders do not run: the test takes their steps.
func opened(t testing.TB, env process.Env, settings Settings, targets ...string) *notifier {
	t.Helper()
	settings.Targets = process.Secret(strings.Join(targets, "\n"))
	if settings.Digest == "" {
		settings.Digest = "each"
	}
	n, err := newNotifier(settings, env, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	n.ackWait, n.settleWithin = 2*time.Second, 5*time.Second
	for _, l := range n.senders {
		l.pause = func(_ int, asked time.Duration) time.Duration { return max(asked, 10*time.Millisecond) }
	}
	if n.b, err = bus.Connect(t.Context(), streams.Config(), env, "notifier"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.b.Close)
	if err := n.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// published publishes a version of a book's deal under other work, whose price began so many minutes later.
func published(t testing.TB, d *desk.Desk, asin, work string, later int64, change map[string]any) {
	t.Helper()
	j, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	w.Survivor.CreationDate += later
	r := decide.Commit(j, w, decide.Answer{ID: "1", Key: asin, Body: d.Product(t, asin, true)}, nil, 6, d.Env.Now())
	var deal map[string]any
	if err := json.Unmarshal(r.Verdict.Deal, &deal); err != nil {
		t.Fatal(err)
	}
	deal["creation_date"] = w.Survivor.CreationDate
	maps.Copy(deal, change)
	m, err := bus.Encode(pipeline.SubjectDeal(1, w.Survivor.PriceType, asin), pipeline.SchemaDeal, "deal:"+asin+work, asin+work, deal)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Bus.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func slackAt(f *fake) string { return "slack+" + f.url + "/services/T0/B0/SECRETSECRET" }

func discordAt(f *fake) string { return "discord+" + f.url + "/api/webhooks/1/SECRETSECRET" }

func telegramAt(f *fake) string { return "telegram://123:SECRETSECRET@telegram?chats=7&api=" + f.url }

func mailAt(p *postbox) string {
	return "smtp://me:SECRETSECRET@" + p.addr + "/?from=ratchet@example.com&to=me@example.com"
}

func once(t *testing.T, target string, all []got, asins []string) {
	t.Helper()
	for _, asin := range asins {
		if n := naming(all, asins)[asin]; n != 1 {
			t.Errorf("%s was sent %s %d times", target, asin, n)
		}
	}
}

// done reports whether a service has taken so many messages.
func done(n int, services ...interface{ took() []got }) func() bool {
	return func() bool {
		return !slices.ContainsFunc(services, func(s interface{ took() []got }) bool { return len(s.took()) < n })
	}
}

// settled waits until the targets of a notifier, or of one that had the same, are sent all that they are to be sent.
func settled(t *testing.T, d *desk.Desk, r running) {
	t.Helper()
	for _, l := range r.senders {
		desk.Await(t, "all to be settled for "+l.target.Name(), func() bool {
			pending, unsettled, err := d.Bus.Waiting(t.Context(), pipeline.StreamDeals, pipeline.DurableNotify(l.target.hash))
			return err == nil && pending+unsettled == 0
		})
	}
}

func TestEveryServiceIsSentEveryDealOnceAndARestartRepeatsAndLosesNone(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:5]
	d.Accepted(t, good[4]) // before the notifier first ran: not from now on
	s, c, g, h, n, p := newFake(t, ok), newFake(t, always(204)), newFake(t, ok), newFake(t, ok), newFake(t, ok), newPostbox(t)
	targets := []string{slackAt(s), discordAt(c), telegramAt(g), h.url, "ntfy+http://" + strings.TrimPrefix(n.url, "http://") + "/deals", mailAt(p)}
	r := start(t, d, d.Env, Settings{}, targets...)
	for _, asin := range good[:2] {
		d.Accepted(t, asin)
	}
	desk.Await(t, "all have the first two", done(2, s, c, g, h, n, p))
	remembers(t, d, r)
	r.stop()
	published(t, d, good[0], "refresh", 0, nil) // found again
	d.Accepted(t, good[2])                      // while the notifier is away
	r = start(t, d, d.Env, Settings{}, targets...)
	d.Accepted(t, good[3])
	desk.Await(t, "all have four", done(4, s, c, g, h, n, p))
	published(t, d, good[0], "cheaper", 60, nil) // a new price is a new deal
	desk.Await(t, "all have the new price", done(5, s, c, g, h, n, p))
	settled(t, d, r)
	r.stop()
	for target, all := range map[string][]got{"slack": s.took(), "discord": c.took(), "telegram": g.took(), "the webhook": h.took(), "ntfy": n.took(), "mail": p.took()} {
		once(t, target, all, good[1:4])
		if at := naming(all, good); at[good[0]] != 2 || at[good[4]] != 0 {
			t.Errorf("%s was sent %v", target, at)
		}
	}
	keys := map[string]bool{}
	for _, m := range h.took() {
		valid(t, m.JSON)
		keys[m.Key] = true
	}
	if len(keys) != 5 {
		t.Errorf("five messages, and the keys %v", keys)
	}
	if got := g.took()[0]; got.Path != "/bot123:SECRETSECRET/sendMessage" || got.JSON["chat_id"] != "7" || got.JSON["parse_mode"] != "HTML" {
		t.Errorf("telegram: %s %v", got.Path, got.JSON)
	}
	if len(p.logins) != 5 || c.took()[0].JSON["allowed_mentions"] == nil || h.took()[0].JSON["deal"] == nil || n.took()[0].JSON["topic"] != "deals" {
		t.Errorf("logins %v, discord %v, webhook %v, ntfy %v", p.logins, c.took()[0].JSON, h.took()[0].JSON, n.took()[0].JSON)
	}
}

// remembers fails unless a notifier may be away for as long as its stream holds deals, and misses none.
func remembers(t *testing.T, d *desk.Desk, r running) {
	t.Helper()
	deals, err := d.Bus.JS.Stream(t.Context(), pipeline.StreamDeals)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.senders {
		c, err := deals.Consumer(t.Context(), pipeline.DurableNotify(l.target.hash))
		if err != nil {
			t.Fatal(err)
		}
		if after := c.CachedInfo().Config.InactiveThreshold; after != 0 && after < deals.CachedInfo().Config.MaxAge {
			t.Errorf("what %s was not sent is forgotten %s after the notifier stops, and DEALS holds it for %s", l.target.Name(), after, deals.CachedInfo().Config.MaxAge)
		}
	}
}

func TestATargetIsSentEveryDealOnceWhateverItAnswers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("four servers, each with failures")
	}
	for name, answers := range map[string]func(n int) reply{
		"it is away at first":             func(n int) reply { return reply{status: map[bool]int{true: 503, false: 200}[n <= 7]} },
		"every other request is too many": func(n int) reply { return reply{status: map[bool]int{true: 429, false: 201}[n%2 == 1]} },
		"it cuts some connections":        func(n int) reply { return reply{status: map[bool]int{true: 0, false: 200}[n%3 == 0]} },
		"it redirects at first": func(n int) reply {
			return reply{status: map[bool]int{true: 302, false: 200}[n <= 2], header: map[string]string{"Location": "/elsewhere"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, 1)
			good := d.ASINs(keepasim.Good)[:5]
			f := newFake(t, answers)
			r := start(t, d, d.Env, Settings{}, slackAt(f))
			for _, asin := range good {
				d.Accepted(t, asin)
			}
			desk.Await(t, "it has all", done(len(good), f))
			settled(t, d, r)
			once(t, name, f.took(), good)
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]reply{
		"too many requests, in the body": {status: 429, body: `{"ok":false,"description":"Too Many Requests","parameters":{"retry_after":1}}`},
		"unavailable, in the header":     {status: 503, header: map[string]string{"Retry-After": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, 1)
			good := d.ASINs(keepasim.Good)[:2]
			f := newFake(t, func(n int) reply {
				if n == 1 {
					return first
				}
				return reply{status: 200}
			})
			r := start(t, d, d.Env, Settings{}, telegramAt(f))
			for _, asin := range good {
				d.Accepted(t, asin)
			}
			desk.Await(t, "it has both", done(2, f))
			settled(t, d, r)
			if all := f.messages(); all[1].At.Sub(all[0].At) < time.Second {
				t.Errorf("asked to wait 1 s, and asked again after %s", all[1].At.Sub(all[0].At))
			}
			once(t, name, f.took(), good)
		})
	}
}

func TestARequestedDelayIsReadFromHeaderAndBody(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header, body string
		want         time.Duration
	}{
		{"30", "", 30 * time.Second},
		{"0.5", `{"retry_after":9}`, 500 * time.Millisecond},
		{"Mon, 02 Mar 2026 09:01:00 GMT", "", time.Minute},
		{"Mon, 02 Mar 2026 08:59:00 GMT", "", 0},
		{"soon", `{"message":"You are being rate limited.","retry_after":1.5}`, 1500 * time.Millisecond},
		{"", `{"ok":false,"parameters":{"retry_after":35}}`, 35 * time.Second},
		{"-7", "", 0},
		{"", "no JSON", 0},
		{"", "", 0},
		{"1e300", "", 1e6 * time.Second},
	} {
		if got := asked(c.header, []byte(c.body), now); got != c.want {
			t.Errorf("%q, %s: %s, want %s", c.header, c.body, got, c.want)
		}
	}
}

func TestARefusedMessageIsSetAsideAndShownAndBlocksNoOther(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:3]
	f := newFake(t, func(n int) reply {
		if n == 1 {
			return reply{status: 400, body: `{"ok":false,"description":"Bad Request: message of 123:SECRETSECRET is too odd"}`}
		}
		return reply{status: 200}
	})
	p := newPostbox(t)
	p.refuse = func(n int) string { return map[bool]string{true: "550 no such mailbox", false: ""}[n == 1] }
	r := start(t, d, d.Env, Settings{}, telegramAt(f), mailAt(p))
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	desk.Await(t, "both have the others", done(2, f, p))
	for _, l := range r.senders {
		if s := l.status(); s.Refused != 1 || s.LastRefused == "" {
			t.Errorf("without a restart the status of %s shows %d refused, %q", l.target.Name(), s.Refused, s.LastRefused)
		}
	}
	r.stop()
	r = start(t, d, d.Env, Settings{}, telegramAt(f), mailAt(p))
	published(t, d, good[0], "again", 0, nil)
	published(t, d, good[1], "cheaper", 60, nil)
	desk.Await(t, "both have what came after", done(3, f, p))
	once(t, "telegram", f.messages(), good[:1])
	h := r.beat()
	body, err := json.Marshal(h)
	if err != nil || h.Counters["refused"] != 2 || strings.Contains(string(body), "SECRET") {
		t.Errorf("%s, %v", body, err)
	}
	var beat pipeline.Heartbeat
	if err := json.Unmarshal(body, &beat); err != nil {
		t.Fatal(err)
	}
	beat.Daemon = "notifier"
	var out bytes.Buffer
	if err := (cli.Status{Daemons: []pipeline.Heartbeat{beat}, At: d.Env.Now()}).Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 telegram", "2 mail", "400 Bad Request", "550 no such mailbox", good[0]} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the status does not show %q:\n%s", want, out.String())
		}
	}
}

func TestASlowTargetHoldsNoOther(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:4]
	free := make(chan struct{})
	slow := newFake(t, func(int) reply { return reply{status: 200, before: func() { <-free }} })
	quick := newFake(t, ok)
	r := start(t, d, d.Env, Settings{}, slackAt(slow), slackAt(quick))
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	desk.Await(t, "the quick one has all", done(len(good), quick))
	if n := len(slow.messages()); n != 1 {
		t.Errorf("the slow one got %d requests, want 1", n)
	}
	close(free)
	desk.Await(t, "the slow one has all", done(len(good), slow))
	r.stop()
	once(t, "the slow one", slow.took(), good)
}

func TestQuietHoursHoldEverythingAndEndWithOneMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until quiet hours end")
	}
	t.Parallel()
	d := desk.New(t, 600) // a minute is a tenth of a second
	good := d.ASINs(keepasim.Good)[:4]
	f := newFake(t, ok)
	begins := desk.T0.Add(-time.Hour)
	ends := desk.T0.Add(40 * time.Minute)
	quiet := begins.Format("15:04") + "-" + ends.Format("15:04")
	start(t, d, d.Env, Settings{Quiet: quiet}, slackAt(f))
	for _, asin := range good[:3] {
		d.Accepted(t, asin)
	}
	if now := d.Env.Now(); !now.Before(ends) {
		t.Skipf("the machine is too slow: it is %s already", now)
	}
	desk.Await(t, "it is sent", done(1, f))
	if now := d.Env.Now(); now.Before(ends) {
		t.Errorf("sent at %s, within quiet hours %s", now, quiet)
	}
	d.Accepted(t, good[3])
	desk.Await(t, "what comes after is sent", done(2, f))
	all := f.took()
	once(t, "it", all, good)
	if naming(all[:1], good)[good[2]] != 1 || !strings.HasPrefix(all[0].Text, "3 deals") {
		t.Errorf("first %q", all[0].Text)
	}
}

func TestWhatWasFoundBeforeQuietHoursAndNotSentIsOneMessageAfterThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		later    time.Duration
		messages int
	}{
		{"in quiet hours", 90 * time.Minute, 0},
		{"after them", 3 * time.Hour, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, 1)
			good := d.ASINs(keepasim.Good)[:2]
			for _, asin := range good {
				d.Accepted(t, asin)
			}
			quiet := desk.T0.Add(time.Hour).Format("15:04") + "-" + desk.T0.Add(2*time.Hour).Format("15:04")
			late := d.Env
			late.Clock = process.NewClock(d.Env.Now().Add(c.later), 1)
			f := newFake(t, ok)
			n := opened(t, late, Settings{Quiet: quiet, Since: time.Hour}, slackAt(f))
			if err := n.senders[0].step(t.Context()); err != nil || len(f.took()) != c.messages {
				t.Fatalf("it was sent %v, %v", f.messages(), err)
			}
			if c.messages > 0 {
				once(t, "it", f.took(), good)
			}
		})
	}
}

func TestADigestHoldsEveryDealOnceWithWhatDecides(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for an hour of pipeline time")
	}
	t.Parallel()
	d := desk.New(t, 1800) // an hour is two seconds
	good := d.ASINs(keepasim.Good)[:12]
	g, s, p, h := newFake(t, ok), newFake(t, ok), newPostbox(t), newFake(t, ok)
	r := start(t, d, d.Env, Settings{Digest: "hourly"}, telegramAt(g), slackAt(s), mailAt(p), h.url)
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	settled(t, d, r)
	for target, all := range map[string][]got{"telegram": g.took(), "slack": s.took(), "mail": p.took(), "the webhook": h.took()} {
		once(t, target, all, good)
	}
	if n := len(h.took()); n > 6 {
		t.Errorf("%d messages", n)
	}
	for _, m := range h.took() {
		valid(t, m.JSON)
		if deals, _ := m.JSON["deals"].([]any); len(deals) > 1 && !strings.HasPrefix(m.JSON["text"].(string), fmt.Sprintf("%d deals\n\n", len(deals))) { //nolint:forcetypeassert // it is text
			t.Errorf("%v", m.JSON["text"])
		}
	}
	for _, part := range []string{"profit $", "odds of a loss", "sells for $", "months", "rank "} {
		if !strings.Contains(s.took()[0].Text, part) || !strings.Contains(g.took()[0].Text, part) {
			t.Errorf("a digest does not say %q: %s", part, s.took()[0].Text)
		}
	}
}

func TestWhatWaitsBehindADigestThatFailsIsSent(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for two digests")
	}
	t.Parallel()
	d := desk.New(t, 7200) // an hour is half a second
	good := d.ASINs(keepasim.Good)[:4]
	f := newFake(t, func(n int) reply {
		if n == 1 {
			return reply{status: 429, header: map[string]string{"Retry-After": "1"}}
		}
		return reply{status: 200}
	})
	passes := func(hours time.Duration) {
		over := d.Env.Now().Add(hours * time.Hour)
		desk.Await(t, "an hour to pass", func() bool { return d.Env.Now().After(over) })
	}
	for _, asin := range good { // each is in a digest of its own
		d.Accepted(t, asin)
		passes(1)
	}
	passes(1)
	r := start(t, d, d.Env, Settings{Digest: "hourly", Since: 100 * 24 * time.Hour}, slackAt(f))
	desk.Await(t, "all are sent", done(len(good), f))
	settled(t, d, r)
	once(t, "it", f.took(), good)
}

func TestWhatADigestHeldIsNotSentAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:4]
	f := newFake(t, ok)
	settings, late := aDayLater(d)
	for _, asin := range good[:3] {
		d.Accepted(t, asin)
	}
	r := start(t, d, late, settings, slackAt(f))
	desk.Await(t, "the digest is sent", done(1, f))
	r.stop()
	for _, asin := range good[:3] {
		published(t, d, asin, "refresh", 0, nil)
	}
	d.Accepted(t, good[3])
	start(t, d, late, settings, slackAt(f))
	desk.Await(t, "the new one is sent", done(2, f))
	settled(t, d, r)
	once(t, "it", f.took(), good)
	if n := len(naming(f.took()[:1], good)); n != 3 {
		t.Errorf("the digest has %d deals", n)
	}
}

func TestATargetThatAnswersWhileTheNotifierStopsIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:1]
	var r running
	started := make(chan struct{})
	f := newFake(t, func(n int) reply {
		return reply{status: 200, before: func() {
			if <-started; n == 1 {
				go r.stop()
				<-r.stopping
			}
		}}
	})
	r = start(t, d, d.Env, Settings{}, slackAt(f))
	close(started)
	d.Accepted(t, good[0])
	<-r.stopping
	r.stop()
	settled(t, d, start(t, d, d.Env, Settings{}, slackAt(f)))
	once(t, "it", f.took(), good)
}

func TestAKillBetweenSentAndAcknowledgedRepeatsOnceWithTheSameKey(t *testing.T) {
	t.Parallel()
	for _, digest := range []string{"each", "hourly"} {
		t.Run(digest, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, map[string]float64{"each": 1, "hourly": 3600}[digest])
			good := d.ASINs(keepasim.Good)[:3]
			var r running
			f := newFake(t, func(n int) reply {
				if n == 1 { // taken; what would be written after it is lost, as in a kill
					return reply{status: 200, before: func() { r.b.NC.Close() }}
				}
				return reply{status: 200}
			})
			r = start(t, d, d.Env, Settings{Digest: digest}, slackAt(f))
			for _, asin := range good {
				d.Accepted(t, asin)
			}
			desk.Await(t, "the first is sent", func() bool { return len(f.messages()) > 0 })
			r.stop()
			start(t, d, d.Env, Settings{Digest: digest}, slackAt(f))
			settled(t, d, r)
			all, keys := f.messages(), map[string]int{}
			for _, g := range all {
				keys[g.Key]++
			}
			if keys[all[0].Key] != 2 || len(all) != len(keys)+1 {
				t.Errorf("keys %v", keys)
			}
			for asin, n := range naming(all, good) {
				if want := 1 + naming(all[:1], good)[asin]; n != want {
					t.Errorf("%s was sent %d times, want %d", asin, n, want)
				}
			}
		})
	}
}

func TestADigestThatACrashRepeatsIsUnchangedWhateverTheOrderOfItsDeals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ half, hidden bool }{
		"nothing is remembered": {}, "half is remembered": {half: true}, "one is hidden since": {hidden: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, 1)
			good := d.ASINs(keepasim.Good)[:4]
			var r running
			f := newFake(t, func(n int) reply {
				if n == 1 { // taken; what would be written after it is lost, as in a kill
					return reply{status: 200, before: func() { r.b.NC.Close() }}
				}
				return reply{status: 200}
			})
			settings, late := aDayLater(d)
			for _, asin := range good {
				d.Accepted(t, asin)
			}
			r = start(t, d, late, settings, slackAt(f))
			desk.Await(t, "the digest is sent", func() bool { return len(f.messages()) > 0 })
			r.stop()
			hash := r.senders[0].target.hash
			if c.hidden {
				acts(t, d, "asin", good[1])
			}
			if c.half {
				kv, err := d.Bus.Store(t.Context(), pipeline.BucketPosted)
				if err != nil {
					t.Fatal(err)
				}
				id := d.Work(t, good[0], pipeline.SourceLive, pipeline.FirstGeneration).Survivor.Identity
				if _, err := kv.PutString(t.Context(), pipeline.KeyPosted(hash, id), fmt.Sprintf(`{"creation_date":%d}`, id.CreationDate)); err != nil {
					t.Fatal(err)
				}
			}
			apart(t, d, hash, len(good))
			start(t, d, late, settings, slackAt(f))
			settled(t, d, r)
			all := f.messages()
			last := all[len(all)-1]
			if want := map[bool]int{true: 1, false: 2}[c.half]; len(all) != want || last.Key != all[0].Key || (last.Text != all[0].Text) != c.hidden {
				t.Errorf("it was sent %d messages, want %d, all the same unless a deal is hidden", len(all), want)
			}
			if n := naming([]got{last}, good); c.hidden && (len(n) != len(good)-1 || n[good[1]] != 0 || !strings.Contains(last.Text, "3 deals")) {
				t.Errorf("the last message names %v, want all but %s:\n%s", n, good[1], last.Text)
			}
			if n := naming(all[:1], good); len(n) != len(good) {
				t.Errorf("the digest has %d of %d deals", len(n), len(good))
			}
		})
	}
}

// TestADigestThatAnotherNotifierIsSendingIsLeftToIt has two notifiers with the same target, which is slow, and a new
// version of one of the deals in the message that the first is sending.
func TestADigestThatAnotherNotifierIsSendingIsLeftToIt(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:3]
	free := make(chan struct{})
	defer close(free)
	f := newFake(t, func(n int) reply {
		if n == 1 {
			return reply{status: 200, before: func() { <-free }}
		}
		return reply{status: 200}
	})
	settings, late := aDayLater(d)
	for _, asin := range good {
		d.Accepted(t, asin)
	}
	start(t, d, late, settings, slackAt(f))
	desk.Await(t, "the digest is being sent", func() bool { return len(f.messages()) > 0 })
	second := opened(t, late, settings, slackAt(f))
	second.ackWait = time.Hour // the first has not had it for long
	published(t, d, good[0], "again", 0, nil)
	l := second.senders[0]
	items, err := l.inlet.Take(t.Context(), 1, time.Minute)
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if err := l.message(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	if n := len(f.messages()); n != 1 {
		t.Errorf("the target got %d requests, want the one that it has not answered yet", n)
	}
}

// apart hands the deals that a dead notifier held back at different times.
func apart(t *testing.T, d *desk.Desk, hash string, n int) {
	t.Helper()
	inlet, err := d.Bus.Inlet(t.Context(), pipeline.StreamDeals, pipeline.DurableNotify(hash))
	if err != nil {
		t.Fatal(err)
	}
	for n > 0 {
		items, err := inlet.Take(t.Context(), n, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if err := it.Settle.Again(t.Context(), time.Duration(n)*2*gatherWithin); err != nil {
				t.Fatal(err)
			}
			n--
		}
	}
}

func TestOnlyWhatIsWithinTheLimitsNotBoughtAndNotIgnoredIsSent(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:7]
	f := newFake(t, ok)
	set := func(i int, change map[string]any) { published(t, d, good[i], "set", 0, change) }
	set(0, map[string]any{"profit_cents": 1200, "loss_chance": 0.1})
	set(1, map[string]any{"profit_cents": 1199, "loss_chance": 0.1})
	set(2, map[string]any{"profit_cents": 5000, "loss_chance": 0.31})
	set(3, map[string]any{"profit_cents": 5000, "loss_chance": nil}) // unknown is not low
	set(4, map[string]any{"profit_cents": 5000, "loss_chance": 0.1, "seller_id": "A2L77EE7U53NWQ"})
	set(5, map[string]any{"profit_cents": 5000, "loss_chance": 0.1})
	acts(t, d, "seller", "A2L77EE7U53NWQ")
	acts(t, d, "asin", good[5])
	set(6, map[string]any{"profit_cents": 5000, "loss_chance": 0.3})
	start(t, d, d.Env, Settings{MinProfit: "12.00", MaxLossChance: "30%", Since: time.Hour}, slackAt(f))
	desk.Await(t, "two are sent", done(2, f))
	want := map[string]int{good[0]: 1, good[6]: 1}
	if got := naming(f.messages(), good); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatIsHiddenIsSentOnceTheVerdictThatAcceptsItIsThere(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:2]
	d.Accepts(t, good[0], d.Env.Now().Truncate(time.Millisecond))
	w := d.Work(t, good[0], pipeline.SourceRefresh, pipeline.RefreshGeneration(d.Env.Now()))
	reject := pipeline.Verdict{Identity: w.Survivor.Identity, Look: pipeline.LookList, Outcome: pipeline.Reject, Reason: "expired", DecidedAt: d.Env.Now().Truncate(time.Millisecond)}
	if _, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, w.ID, "", reject)); err != nil {
		t.Fatal(err)
	}
	f := newFake(t, ok)
	start(t, d, d.Env, Settings{}, slackAt(f))
	published(t, d, good[0], "new", 60, nil)
	reject.Look, reject.Reason, reject.DecidedAt = pipeline.LookPeek, "low_roi", d.Env.Now().Add(time.Second).Truncate(time.Millisecond)
	if _, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, w.ID+"between", "", reject)); err != nil {
		t.Fatal(err)
	}
	d.Accepted(t, good[1])
	desk.Await(t, "the other is sent", done(1, f))
	accept := reject
	accept.CreationDate, accept.Look, accept.Outcome, accept.DecidedAt = accept.CreationDate+60, pipeline.LookCommit, pipeline.Accept, d.Env.Now().Truncate(time.Millisecond)
	if _, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, w.ID+"new", "", accept)); err != nil {
		t.Fatal(err)
	}
	desk.Await(t, "both are sent", done(2, f))
	once(t, "it", f.took(), good)
}

// TestADealIsHeldUntilItsCommittersWorkIsRedelivered is about a committer that died between the deal and its verdict:
// the verdict comes with the redelivery.
func TestADealIsHeldUntilItsCommittersWorkIsRedelivered(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.Good)[0]
	l := opened(t, d.Env, Settings{}, slackAt(newFake(t, ok))).senders[0]
	w := d.Work(t, asin, pipeline.SourceRefresh, pipeline.RefreshGeneration(d.Env.Now()))
	reject := pipeline.Verdict{Identity: w.Survivor.Identity, Look: pipeline.LookList, Outcome: pipeline.Reject, Reason: "expired", DecidedAt: d.Env.Now().Truncate(time.Millisecond)}
	if _, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, w.ID, "", reject)); err != nil {
		t.Fatal(err)
	}
	published(t, d, asin, "new", 60, nil)
	items, err := l.inlet.Take(t.Context(), 1, time.Minute)
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	commits, err := d.Bus.JS.Consumer(t.Context(), pipeline.StreamSurvivors, pipeline.DurableCommit("a"))
	if err != nil {
		t.Fatal(err)
	}
	items[0].StoredAt = items[0].StoredAt.Add(-commits.CachedInfo().Config.AckWait - time.Minute)
	if err := l.message(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	if pending, unsettled, err := d.Bus.Waiting(t.Context(), pipeline.StreamDeals, pipeline.DurableNotify(l.target.hash)); err != nil || pending+unsettled != 1 {
		t.Errorf("%d deals wait for a verdict (%v), want 1", pending+unsettled, err)
	}
}

func TestAlarmsAreSentOnceAtTheirBeginningAndOnceAtTheirEnd(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	f, h := newFake(t, func(n int) reply { return reply{status: map[bool]int{true: 503, false: 200}[n == 1]} }), newFake(t, ok)
	set := func(r running, now map[string]string) { r.alarms.now.Store(&now) }
	r := start(t, d, d.Env, Settings{}, telegramAt(f), h.url)
	set(r, map[string]string{"keepa": "Keepa: the key is refused", "stuck:peeker": "peeker: <b>@everyone</b>"})
	desk.Await(t, "both begin", done(2, f, h))
	desk.Await(t, "that is stored for both targets", func() bool { // a stop waits for it, and on a busy machine not long enough
		return !slices.ContainsFunc(r.senders, func(l *sender) bool { s, err := l.state(t.Context()); return err != nil || s.Changes < 2 })
	})
	r.stop()
	r = start(t, d, d.Env, Settings{}, telegramAt(f), h.url)
	set(r, map[string]string{"keepa": "Keepa: the key is refused, still"}) // after a restart it is known
	desk.Await(t, "one ends", done(3, f, h))
	set(r, map[string]string{})
	desk.Await(t, "all end", done(4, f, h))
	r.stop()
	for target, all := range map[string][]got{"telegram": f.took(), "webhook": h.took()} {
		var says []string
		for _, g := range all {
			says = append(says, g.Text[:5])
		}
		if want := []string{"Somet", "Somet", "Over:", "Over:"}; !slices.Equal(says, want) {
			t.Errorf("%s: %v", target, all)
		}
	}
	if strings.Contains(f.took()[1].Text, "<b>") {
		t.Errorf("%s", f.took()[1].Text)
	}
	if all := f.messages(); all[0].Key != all[1].Key {
		t.Errorf("repeated with another key: %s, %s", all[0].Key, all[1].Key)
	}
	valid(t, h.took()[0].JSON)
	alarm, _ := h.took()[0].JSON["alarm"].(map[string]any)
	if alarm["name"] != "keepa" || alarm["ended"] != false {
		t.Errorf("%v", h.took()[0].JSON)
	}
}

func TestAlarmsWaitForTheEndOfTheQuietHours(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	f := newFake(t, ok)
	n := opened(t, d.Env, Settings{Quiet: desk.T0.Add(-time.Hour).Format("15:04") + "-" + desk.T0.Add(time.Hour).Format("15:04")}, slackAt(f))
	n.alarms.now.Store(&map[string]string{"keepa": "Keepa: the key is refused"})
	if err := n.senders[0].step(t.Context()); err != nil || len(f.messages()) != 0 {
		t.Errorf("in quiet hours it was sent %v, %v", f.messages(), err)
	}
	n.policy.Quiet = notify.Quiet{} // they are over
	if err := n.senders[0].step(t.Context()); err != nil || len(f.took()) != 1 {
		t.Errorf("after them it was sent %v, %v", f.messages(), err)
	}
}

func TestAnAlarmThatIsOverBeforeItsBeginIsStoredHasItsEndSent(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	f := newFake(t, ok)
	n := opened(t, d.Env, Settings{}, slackAt(f))
	l := n.senders[0]
	n.settleWithin = -time.Second // nothing can be stored
	n.alarms.now.Store(&map[string]string{"engine": "ClickHouse is away"})
	if err := l.reconcile(t.Context()); err == nil || len(f.took()) != 1 {
		t.Fatalf("it was sent %v, %v", f.took(), err)
	}
	n.settleWithin = settleWithin
	n.alarms.now.Store(&map[string]string{})
	for range 2 {
		if err := l.reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	all := f.took()
	if len(all) != 2 || !strings.HasPrefix(all[1].Text, "Over: ") || all[0].Key == all[1].Key {
		t.Errorf("it was sent %v, want the begin and the end", all)
	}
}

func TestWhatIsWrongForHalfAMinuteIsAnAlarm(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	n := opened(t, d.Env, Settings{}, slackAt(newFake(t, ok)))
	began := time.Now()
	w := n.look(t.Context(), notify.Watch{}, began)
	if now := n.alarms.now.Load(); now != nil {
		t.Errorf("at once there are the alarms %v", *now)
	}
	n.look(t.Context(), w, began.Add(notify.Confirm))
	if now := *n.alarms.now.Load(); !strings.Contains(now["stuck:tokend"], "does not run") {
		t.Errorf("no tokend runs, and the alarms are %v", now)
	}
}

func TestWhatWaitsIsReportedByTheLeaderOnly(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	n := opened(t, d.Env, Settings{}, slackAt(newFake(t, ok)))
	d.Accepted(t, d.ASINs(keepasim.Good)[0])
	desk.Await(t, "a deal waits", func() bool {
		n.count(t.Context()) // it led until now
		return n.senders[0].status().Waiting == 1
	})
	if leads, _, err := bus.NewLease(d.Bus, pipeline.KeyNotifierLeader).Hold(t.Context()); err != nil || !leads {
		t.Fatalf("another notifier leads: %t, %v", leads, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { n.watch(ctx) })
	defer watching.Wait()
	defer cancel()
	desk.Await(t, "what waits is left to the leader", func() bool { return n.senders[0].status().Waiting == 0 })
}

func TestANotifierThatLeadsAgainLooksForLongEnoughBeforeItSendsAnAlarm(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	n := opened(t, d.Env, Settings{}, slackAt(newFake(t, ok)))
	w, now := n.watcher(), time.Now()
	leads := func(when string) {
		t.Helper()
		for at := time.Duration(0); at <= notify.Confirm; at += lookEvery {
			w.turn(t.Context(), now)
			if known := n.alarms.now.Load() != nil; known != (at == notify.Confirm) {
				t.Errorf("%s, after %s the alarms are known: %t", when, at, known)
			}
			now = now.Add(lookEvery)
		}
	}
	leads("at first")
	w.lease.Release()
	other := bus.NewLease(d.Bus, pipeline.KeyNotifierLeader)
	if leads, _, err := other.Hold(t.Context()); err != nil || !leads {
		t.Fatalf("another notifier leads: %t, %v", leads, err)
	}
	w.turn(t.Context(), now)
	if n.alarms.now.Load() != nil {
		t.Error("it sends alarms while another leads")
	}
	other.Release()
	now = now.Add(time.Hour)
	leads("after another led")
}

func TestAnAlarmThatLastsWhileTheNotifierRestartsIsNotSentAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	f := newFake(t, ok)
	n := opened(t, d.Env, Settings{}, slackAt(f))
	l := n.senders[0]
	s, err := cli.Health(t.Context(), n.b)
	if err != nil {
		t.Fatal(err)
	}
	before := wrongs(s) // no tokend runs, and before the restart Keepa refused the key as well
	before["keepa"] = "Keepa: the key is refused"
	for name, text := range before {
		if _, err := l.sent(t.Context(), notify.Alarm{Name: name, Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	began, w := time.Now(), notify.Watch{}
	for at := time.Duration(0); at <= notify.Confirm; at += lookEvery {
		if n := len(f.messages()); n != 0 {
			t.Errorf("within %s of the start there are %d messages", at, n)
		}
		w = n.look(t.Context(), w, began.Add(at))
		if err := l.reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if all := f.took(); len(all) != 1 || !strings.Contains(all[0].Text, "Over: `Keepa") {
		t.Errorf("it was sent %v, want the end of one alarm", all)
	}
}

func TestQuietHoursAreThoseOfTheMachinesZone(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	var log bytes.Buffer
	d.Env.Log = slog.New(slog.NewTextHandler(&log, nil))
	stop := d.Run(t, Run, map[string]string{"NOTIFY_TARGETS": slackAt(newFake(t, ok)), "NOTIFY_QUIET": "22:00-07:00"})
	stop()
	if want := fmt.Sprintf("zone=%q", zoneName(time.Local, d.Env.Now())); !strings.Contains(log.String(), want) || !strings.Contains(log.String(), "quiet=22:00-07:00") {
		t.Errorf("want %s in the log:\n%s", want, log.String())
	}
}

func TestNoAddressIsLoggedOrReported(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	var log bytes.Buffer
	env := d.Env
	env.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	quoting := newFake(t, func(int) reply { return reply{status: 500, body: "no route for /services/T0/B0/SECRETSECRET"} })
	r := start(t, d, env, Settings{},
		"http://user:SECRETSECRET@127.0.0.1:9/SECRETSECRET", slackAt(quoting), "telegram://1:SECRETSECRET@telegram?chats=1&api=http://127.0.0.1:9",
		"smtp://me:SECRETSECRET@127.0.0.1:9/?from=a@b.example&to=a@b.example")
	d.Accepted(t, d.ASINs(keepasim.Good)[0])
	desk.Await(t, "all have failed", func() bool {
		return !slices.ContainsFunc(r.senders, func(l *sender) bool { return l.status().LastError == "" })
	})
	beat, err := json.Marshal(r.beat())
	r.stop()
	if err != nil || strings.Contains(log.String()+string(beat), "SECRETSECRET") || !strings.Contains(log.String(), "target not notified, will retry") {
		t.Errorf("%v\n%s\n%s", err, log.String(), beat)
	}
	for _, list := range []string{
		"", "# nothing", "ftp://SECRETSECRET", "https:///SECRETSECRET", "telegram://telegram?chats=SECRETSECRET", "ntfy://h/SECRET/SECRET",
		"smtp://u:SECRETSECRET@h", "smtp://u:SECRETSECRET@h?from=a@b", "pushover://SECRETSECRET", "https://h/SECRETSECRET https://h/SECRETSECRET", "https://h:SECRET%zz",
	} {
		env.Lookup = envconfig.MapLookuper(map[string]string{"NOTIFY_TARGETS": list})
		if err := Run(t.Context(), env); process.ExitCode(err) != process.ExitUsage || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", list, err)
		}
	}
}

// BenchmarkAcceptToTarget is from the accept to its arrival at the target; the bar is a p99 of 2 s.
func BenchmarkAcceptToTarget(b *testing.B) {
	d := desk.New(b, 1)
	good := d.ASINs(keepasim.Good)
	f := newFake(b, ok)
	start(b, d, d.Env, Settings{}, slackAt(f))
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		at := time.Now()
		published(b, d, good[i%len(good)], fmt.Sprint("work", i), int64(i), nil)
		desk.Await(b, "it", func() bool { return len(f.took()) > i })
		took = append(took, f.took()[i].At.Sub(at))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50_ms")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99_ms")
}

// valid holds what a webhook received against the schema.
func valid(t *testing.T, body map[string]any) {
	t.Helper()
	raw, err := fs.ReadFile(schemas.Messages, "message/notification.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("notification", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("notification")
	if err == nil {
		err = s.Validate(body)
	}
	if err != nil {
		t.Error(err)
	}
}

// acts records that the user ignores something.
func acts(t *testing.T, d *desk.Desk, by action.By, value string) {
	t.Helper()
	domain := 0
	if by == action.ByASIN {
		domain = 1
	}
	does := action.Action{Kind: action.Ignore, Target: action.Target{By: by, Domain: domain, Value: value}, At: d.Env.Now()}
	if _, err := cli.Act(t.Context(), d.Bus, does); err != nil {
		t.Fatal(err)
	}
}

func TestWhatATargetWasSentIsRenewedBeforeItIsForgotten(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	f := newFake(t, func(int) reply { return reply{status: 200} })
	id := d.Work(t, d.ASINs(keepasim.Good)[0], pipeline.SourceLive, pipeline.FirstGeneration).Survivor.Identity
	l := start(t, d, d.Env, Settings{}, telegramAt(f)).senders[0]
	revision := func(sent time.Duration) (before, after uint64) {
		t.Helper()
		body, err := json.Marshal(Sent{CreationDate: id.CreationDate, At: d.Env.Now().Add(-sent), Refused: "400"})
		if err != nil {
			t.Fatal(err)
		}
		before, err = l.n.posted.Put(t.Context(), l.cell(id).Key(), body)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if known, err := l.knows(t.Context(), id); err != nil || !known {
				t.Fatalf("known: %t, %v", known, err)
			}
		}
		raw, after, err := l.cell(id).Read(t.Context())
		if err != nil || !strings.Contains(string(raw), `"refused":"400"`) {
			t.Errorf("%s, %v", raw, err)
		}
		return before, after
	}
	if before, after := revision(29 * 24 * time.Hour); after != before {
		t.Error("what was sent within a month is written again")
	}
	if before, after := revision(31 * 24 * time.Hour); after != before+1 {
		t.Errorf("what was sent a month ago is written %d times, want once", after-before)
	}
}

func TestATargetWhoseConsumerIsGoneIsSentWhatIsFoundAfterwards(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	good := d.ASINs(keepasim.Good)[:3]
	service := newFake(t, ok)
	r := start(t, d, d.Env, Settings{}, slackAt(service))
	d.Accepted(t, good[0])
	desk.Await(t, "the first is sent", done(1, service))
	settled(t, d, r)
	if err := d.Bus.JS.DeleteConsumer(t.Context(), pipeline.StreamDeals, pipeline.DurableNotify(r.senders[0].target.hash)); err != nil {
		t.Fatal(err)
	}
	for _, asin := range good[1:] {
		d.Accepted(t, asin)
	}
	desk.Await(t, "the others are sent", done(len(good), service))
	r.stop()
	once(t, "the target", service.took(), good)
}
