package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/streams"
)

// errLost is what a write that got no answer ends with.
var errLost = errors.New("nats: timeout")

// faulty makes the next writes through a connection fail: lost on the way there, or
// landed and reported lost.
type faulty struct {
	jetstream.JetStream

	mu     sync.Mutex
	next   int
	landed bool
	silent bool // asynchronous writes are reported neither stored nor lost
	failed int
}

// trip reports whether this write fails.
func (f *faulty) trip() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == 0 {
		return false
	}
	f.next--
	f.failed++
	return true
}

func (f *faulty) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if !f.trip() {
		return f.JetStream.PublishMsg(ctx, m, opts...)
	}
	if f.landed {
		if _, err := f.JetStream.PublishMsg(ctx, m, opts...); err != nil {
			return nil, err
		}
	}
	return nil, errLost
}

func (f *faulty) Publish(ctx context.Context, subject string, body []byte, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	return f.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}, opts...)
}

func (f *faulty) PublishMsgAsync(m *nats.Msg, opts ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	if !f.trip() {
		return f.JetStream.PublishMsgAsync(m, opts...)
	}
	if f.landed {
		if _, err := f.JetStream.PublishMsg(context.Background(), m); err != nil {
			return nil, err
		}
	}
	bad := future{m: m, err: make(chan error, 1)}
	if !f.silent {
		bad.err <- errLost
	}
	return bad, nil
}

// future is an asynchronous write that is never acknowledged.
type future struct {
	m   *nats.Msg
	err chan error
}

func (future) Ok() <-chan *jetstream.PubAck { return nil }
func (f future) Err() <-chan error          { return f.err }
func (f future) Msg() *nats.Msg             { return f.m }

// between puts the proxy between a bus and its server.
func between(b *bus.Bus) *faulty {
	f := &faulty{JetStream: b.JS}
	b.JS = f
	b.Between(func(ctx context.Context) (landed bool, lost error) {
		if !f.trip() {
			return false, nil
		}
		if f.silent {
			<-ctx.Done()
			return false, ctx.Err()
		}
		return f.landed, errLost
	})
	return f
}

func TestAPublishCountsAsStoredOnlyOnceItIs(t *testing.T) {
	t.Parallel()
	b := open(t)
	f := between(b)
	message := func(id string) bus.Message {
		return bus.Message{Subject: "candidate.1.live.B000000001", Schema: pipeline.SchemaCandidate, ID: id, Body: []byte("{}")}
	}
	held := func() uint64 {
		t.Helper()
		n, err := b.Held(t.Context(), pipeline.StreamCandidates)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	publish := map[string]func(context.Context, string) error{
		"one":     func(ctx context.Context, id string) error { _, err := b.Publish(ctx, message(id)); return err },
		"several": func(ctx context.Context, id string) error { return b.PublishAll(ctx, []bus.Message{message(id)}) },
		"a batch": func(ctx context.Context, id string) error { return b.PublishBatch(ctx, []bus.Message{message(id)}) },
	}
	for name, do := range publish {
		for _, landed := range []bool{false, true} {
			f.next, f.landed, f.failed = 1, landed, 0
			before, id := held(), name+map[bool]string{true: "+", false: "-"}[landed]
			if err := do(t.Context(), id); err != nil {
				t.Errorf("%s, landed %t: %v", name, landed, err)
			}
			if n := held() - before; n != 1 {
				t.Errorf("%s, landed %t: %d are stored, want one", name, landed, n)
			}
		}
	}
	// A batch of which the server knows one is published one by one.
	before := held()
	if err := b.PublishBatch(t.Context(), []bus.Message{message("one+"), message("new")}); err != nil || held()-before != 1 {
		t.Errorf("a batch with a repeat: %d are new (%v), want one", held()-before, err)
	}
	// What stays lost is an error, not silence.
	for name, do := range publish {
		f.next, f.landed = 1000, false
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		before := held()
		if err := do(ctx, name+" lost"); err == nil || held() != before {
			t.Errorf("%s: %d messages were stored, want an error and none: %v", name, held()-before, err)
		}
		cancel()
		f.next = 0
	}
	f.next, f.silent = 1, true
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.PublishAll(ctx, []bus.Message{message("silent")}); err == nil {
		t.Error("an unacknowledged asynchronous publish is reported stored")
	}
}

// What was stored has the sequence that it got first, and messages of several streams are stored in the order of each.
func TestMessagesAreStoredOnceAtTheirSequencesHoweverTheyAreSent(t *testing.T) {
	t.Parallel()
	b := open(t)
	f := between(b)
	message := func(to string, i int) bus.Message {
		return bus.Message{Subject: fmt.Sprintf("%s.1.live.B%09d", to, i), Schema: pipeline.SchemaCandidate, ID: fmt.Sprint(to, i), Body: []byte("{}")}
	}
	several := func(from, to int) (ms []bus.Message) {
		for i := from; i < to; i++ {
			ms = append(ms, message("candidate", i))
		}
		return ms
	}
	for _, c := range []struct {
		name     string
		from, to int
		lost     bool
		landed   bool
	}{
		{"few", 0, 3, false, false},
		{"many", 3, 43, false, false},
		{"many, all of them again", 3, 43, false, false},
		{"many, one of them again", 42, 82, false, false},
		{"a batch that is lost", 82, 122, true, false},
		{"a batch that lands and is reported lost", 122, 162, true, true},
	} {
		f.landed, f.next = c.landed, 0
		if c.lost {
			f.next = 1
		}
		ms := several(c.from, c.to)
		sequences, err := b.PublishSequences(t.Context(), ms)
		if err != nil {
			t.Fatal(c.name, err)
		}
		for i, m := range ms {
			got, err := b.Newest(t.Context(), pipeline.StreamCandidates, []string{m.Subject}, bus.Until{})
			if err != nil || len(got) != 1 || got[0].Sequence != sequences[i] {
				t.Fatalf("%s: message %d has sequence %d, and is stored as %v; %v", c.name, c.from+i, sequences[i], got, err)
			}
		}
	}
	if n, err := b.Held(t.Context(), pipeline.StreamCandidates); n != 162 || err != nil {
		t.Errorf("%d messages are stored, want 162: %v", n, err)
	}
	var mixed []bus.Message
	for i := range 60 {
		mixed = append(mixed, message("verdict", i))
		if i < 40 {
			mixed = append(mixed, message("survivor", i))
		}
		if i < 2 {
			mixed = append(mixed, message("dead", i))
		}
	}
	if err := b.PublishAll(t.Context(), mixed); err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]int{pipeline.StreamVerdicts: 60, pipeline.StreamSurvivors: 40, pipeline.StreamDead: 2} {
		n := 0
		err := b.Scan(t.Context(), stream, bus.From{}, func(r bus.Read) error {
			if !strings.HasSuffix(r.Subject, fmt.Sprintf("B%09d", n)) {
				t.Errorf("%s: message %d is %s", stream, n, r.Subject)
			}
			n++
			return nil
		})
		if n != want || err != nil {
			t.Errorf("%s holds %d, want %d: %v", stream, n, want, err)
		}
	}
}

func TestKeysAreChangedAllOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := open(t)
	f := between(b)
	updates := func(revisions []uint64, value string) (all []bus.Update) {
		for i, r := range revisions {
			all = append(all, bus.Update{Key: fmt.Sprint("key", i), Rev: r, Value: []byte(value)})
		}
		return all
	}
	stored := func() (values []string, revisions []uint64) {
		t.Helper()
		kv, err := b.Store(t.Context(), pipeline.BucketSeen)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			v, r, err := bus.NewCell(kv, fmt.Sprint("key", i)).Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			values, revisions = append(values, string(v)), append(revisions, r)
		}
		return values, revisions
	}
	none := []uint64{0, 0, 0}
	f.next, f.landed = 1, false
	if _, err := b.UpdateAll(t.Context(), pipeline.BucketSeen, updates(none, "lost")); err == nil {
		t.Error("changes that were lost are reported stored")
	}
	if _, is := stored(); !slices.Equal(is, none) {
		t.Errorf("of changes that were lost %v are stored", is)
	}
	f.next, f.landed = 1, true
	if _, err := b.UpdateAll(t.Context(), pipeline.BucketSeen, updates(none, "landed")); err == nil {
		t.Error("the fault was not injected")
	}
	values, first := stored()
	if !slices.Equal(values, []string{"landed", "landed", "landed"}) {
		t.Errorf("%v are stored", values)
	}
	for _, revisions := range [][]uint64{none, {first[0], first[1], first[2] + 9}} {
		if _, err := b.UpdateAll(t.Context(), pipeline.BucketSeen, updates(revisions, "stale")); err == nil {
			t.Errorf("changes of %v are stored at revisions %v", revisions, first)
		}
	}
	next, err := b.UpdateAll(t.Context(), pipeline.BucketSeen, updates(first, "next"))
	if values, is := stored(); err != nil || !slices.Equal(is, next) || !slices.Equal(values, []string{"next", "next", "next"}) {
		t.Errorf("%v at %v are stored (%v), want next at %v", values, is, err, next)
	}
	purges := updates(next, "")
	for i := range purges {
		purges[i].Purge = true
	}
	if _, err := b.UpdateAll(t.Context(), pipeline.BucketSeen, purges); err != nil {
		t.Error(err)
	}
	if _, is := stored(); !slices.Equal(is, none) {
		t.Errorf("after a purge there are revisions %v", is)
	}
}

func TestAWriteIsRepeatedUnlessTheServerRefusesIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nats.ErrTimeout, true},
		{&jetstream.APIError{Code: 503, ErrorCode: 10008}, true},
		{&jetstream.APIError{Code: 409, ErrorCode: 10158}, true}, // its first copy is not replicated yet
		{&jetstream.APIError{Code: 400, ErrorCode: 10071}, false},
		{nats.ErrMaxPayload, false},
	} {
		if got := bus.Transient(c.err); got != c.want {
			t.Errorf("%v: repeated %t, want %t", c.err, got, c.want)
		}
	}
}

// The leader of a stream that dies takes a whole window with it.
func TestAWindowThatNobodyAcknowledgesIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	b := open(t)
	f := between(b)
	var ms []bus.Message
	for i := range 64 {
		ms = append(ms, bus.Message{Subject: fmt.Sprintf("candidate.1.live.B%09d", i), Schema: pipeline.SchemaCandidate, ID: fmt.Sprint(i), Body: []byte("{}")})
	}
	f.next, f.silent = 1+len(ms), true                              // as a batch, and then as a window
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // one after the other they take 320 s
	defer cancel()
	if err := b.PublishAll(ctx, ms); err != nil {
		t.Error(err)
	}
}

func TestMoreThanAWindowIsStored(t *testing.T) {
	t.Parallel()
	b := open(t)
	ms := make([]bus.Message, 150)
	for i := range ms {
		ms[i] = bus.Message{Subject: "candidate.1.live.B000000001", Schema: pipeline.SchemaCandidate, ID: fmt.Sprint(i), Body: []byte("{}")}
	}
	for _, some := range [][]bus.Message{ms[:1], ms} { // a batch with a repeat is published in windows
		if err := b.PublishAll(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	last, n := "", 0
	err := b.Scan(t.Context(), pipeline.StreamCandidates, bus.From{}, func(r bus.Read) error {
		last = r.Header.Get(pipeline.HeaderMsgID)
		n++
		return nil
	})
	if n != len(ms) || last != "149" || err != nil {
		t.Errorf("%d are read, the last is %q (%v), want %d", n, last, err, len(ms))
	}
}

// faultyKV makes the next change of a key fail.
type faultyKV struct {
	jetstream.KeyValue
	next   int
	landed bool
}

func (f *faultyKV) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	if f.next == 0 {
		return f.KeyValue.Update(ctx, key, value, rev)
	}
	f.next--
	if f.landed {
		if _, err := f.KeyValue.Update(ctx, key, value, rev); err != nil {
			return 0, err
		}
	}
	return 0, errLost
}

func TestAChangeWhoseOutcomeIsUnknownIsDecidedAgainOnWhatIsThere(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	type sum struct {
		By map[string]int `json:"by"`
	}
	f := &faultyKV{KeyValue: kv}
	cell := bus.NewCell(f, "sum")
	add := func(id string) sum {
		t.Helper()
		out, err := bus.Change(t.Context(), cell, func(s sum) (sum, bool, error) {
			if s.By[id] > 0 {
				return s, false, nil // it has landed
			}
			next := sum{By: map[string]int{id: 1}}
			for k, v := range s.By {
				next.By[k] = v
			}
			return next, true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	add("first")
	for _, landed := range []bool{false, true} {
		f.next, f.landed = 2, landed
		id := map[bool]string{true: "landed", false: "lost"}[landed]
		if got := add(id); got.By[id] != 1 || got.By["first"] != 1 {
			t.Errorf("%s: %v", id, got)
		}
	}
	if _, err := kv.Put(t.Context(), "sum", []byte("{")); err != nil {
		t.Fatal(err)
	}
	var bad *bus.BadCell
	_, err = bus.Change(t.Context(), cell, func(s sum) (sum, bool, error) { return s, true, nil })
	if !errors.As(err, &bad) || bad.Key != "sum" {
		t.Errorf("a value that cannot be read is changed: %v", err)
	}
	if got, err := bus.ChangeOwn(t.Context(), cell, func(s sum) (sum, bool, error) { s.By = map[string]int{"own": 1}; return s, true, nil }); err != nil || got.By["own"] != 1 {
		t.Errorf("a value that is ours alone is made again: %v, %v", got, err)
	}
}

func TestAChangeThatCannotSucceedEnds(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	change := func(key, value string, want error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := bus.Change(ctx, bus.NewCell(kv, key), func(string) (string, bool, error) { return value, true, nil })
		if ctx.Err() != nil || !errors.Is(err, want) {
			t.Errorf("it is retried after %v (%v)", want, err)
		}
	}
	change("a b", "", jetstream.ErrInvalidKey)
	change("large", strings.Repeat("x", int(b.NC.MaxPayload())), nats.ErrMaxPayload)
	b.Close()
	change("key", "", nats.ErrConnectionClosed)
}

func TestAWriteThatKeepsFailingIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	env, said := logged(env)
	b := streams.Connect(t, env)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(failing, over int) {
		t.Helper()
		if f, o := said.count("writes to nats keep failing"), said.count("writes to nats succeed again"); f != failing || o != over {
			t.Errorf("logged %d times that a write fails and %d times that it is over, want %d and %d", f, o, failing, over)
		}
	}
	f := between(b)
	publish := func() {
		t.Helper()
		f.next = 3
		if _, err := b.Publish(t.Context(), bus.Message{Subject: "candidate.1.live.B000000001", Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	lines(0, 0) // an election takes longer
	b.SetStuckAfter(0)
	publish()
	lines(1, 1)

	if err := b.JS.DeleteStream(t.Context(), pipeline.BucketStream(pipeline.BucketTokens)); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	go func() {
		_, err := bus.Change(t.Context(), bus.NewCell(kv, "key"), func(string) (string, bool, error) { return "value", true, nil })
		changed <- err
	}()
	until(t, "the change is reported as failing", func() bool { return said.count("writes to nats keep failing") > 1 })
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-changed; err != nil {
		t.Error(err)
	}
	lines(2, 2)
}

// clock is a machine clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func TestALeaderThatIsCutOffStopsBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel()
	b := open(t)
	began := time.Now()
	f, c := between(b), &clock{at: began}
	l := bus.NewLease(b, pipeline.KeyLeader)
	l.SetClock(c.now)
	hold(t, l, true, true)
	f.next = 1000
	for c.pass(bus.LeaseTTL / 3); c.at.Sub(began) < bus.LeaseTTL/2; c.pass(time.Second) {
		hold(t, l, true, false) // not renewed yet, and not lost
	}
	c.pass(bus.LeaseTTL / 4)
	if leads, _, err := l.Hold(t.Context()); leads {
		t.Errorf("it leads when its lease ends: %v", err)
	}
	f.next = 0
	hold(t, l, true, true) // its own key: it is back
	f.next, f.landed = 1, true
	c.pass(bus.LeaseTTL / 2)
	hold(t, l, true, false) // renewed, but reported as failed
	c.pass(time.Second)
	hold(t, l, true, true) // its key moved, and bears its name
	if f.failed < 2 {
		t.Errorf("%d renewals failed", f.failed)
	}
}

func TestALeaderThatWasDeposedNeitherRenewsNorDeletesItsSuccessorsLease(t *testing.T) {
	t.Parallel()
	b := open(t)
	c := &clock{at: time.Now()}
	l := bus.NewLease(b, pipeline.KeyLeader)
	l.SetClock(c.now)
	hold(t, l, true, true)
	kv, err := b.Store(t.Context(), pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	holder := func() string {
		t.Helper()
		e, err := kv.Get(t.Context(), pipeline.KeyLeader)
		if err != nil {
			t.Fatal(err)
		}
		return string(e.Value())
	}
	successor := `{"id":"another"}`
	if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(successor)); err != nil {
		t.Fatal(err)
	}
	stopped := bus.NewLease(b, pipeline.KeyLeader)
	*stopped = *l
	stopped.Release()
	if got := holder(); got != successor {
		t.Errorf("a stop left %q", got)
	}
	c.pass(bus.LeaseTTL / 2)
	hold(t, l, false, false)
	if got := holder(); got != successor {
		t.Errorf("a renewal left %q", got)
	}
}

func TestALeaseThatDoesNotMoveForThreeLivesIsTakenOver(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(`{"id":"by hand"}`)); err != nil { // it has no TTL
		t.Fatal(err)
	}
	c := &clock{at: time.Now()}
	l := bus.NewLease(b, pipeline.KeyLeader)
	l.SetClock(c.now)
	hold(t, l, false, false)
	c.pass(3*bus.LeaseTTL - time.Second)
	hold(t, l, false, false)
	c.pass(2 * time.Second)
	hold(t, l, true, true)
	if _, err := kv.Put(t.Context(), pipeline.KeyWatermarkerLeader, []byte(`not a lease`)); err != nil {
		t.Fatal(err)
	}
	hold(t, bus.NewLease(b, pipeline.KeyWatermarkerLeader), true, true)
}

// A server counts what is pending for a consumer a moment after it has acknowledged the publish.
func TestWhatWasPublishedAMomentAgoIsNotSettled(t *testing.T) {
	t.Parallel()
	b := open(t)
	durable := pipeline.DurableRecorder(pipeline.StreamVerdicts)
	for round := range 150 {
		var ms []bus.Message
		for i := range 1 + round%2*bus.BatchLeast {
			id := fmt.Sprint(round, ".", i)
			ms = append(ms, bus.Message{Subject: fmt.Sprintf("verdict.1.peek.reject.B%09d", i), Schema: pipeline.SchemaVerdict, ID: id, Body: []byte("{}")})
		}
		if err := b.PublishAll(t.Context(), ms); err != nil {
			t.Fatal(err)
		}
		if settled, last, err := b.Settled(t.Context(), pipeline.StreamVerdicts, durable); err != nil || settled == last {
			t.Fatalf("round %d: %d of %d are settled, and none was delivered: %v", round, settled, last, err)
		}
		s, err := b.JS.Stream(t.Context(), pipeline.StreamVerdicts)
		if err == nil {
			err = s.Purge(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		// What was deleted undelivered is settled.
		if settled, last, err := b.Settled(t.Context(), pipeline.StreamVerdicts, durable); err != nil || settled != last {
			t.Fatalf("round %d: %d of %d are settled, and nothing is left: %v", round, settled, last, err)
		}
	}
}

func TestAMessageThatAConsumerDoesNotCountYetIsFound(t *testing.T) {
	t.Parallel()
	b := open(t)
	for i := range 3 {
		m := bus.Message{Subject: "verdict.1.peek.reject.B000000001", Schema: pipeline.SchemaVerdict, ID: fmt.Sprint(i), Body: []byte("{}")}
		if _, err := b.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name            string
		delivered, last uint64
		filters         []string
		want            bool
	}{
		{"nothing was delivered", 0, 3, nil, true},
		{"two were delivered", 2, 3, nil, true},
		{"all were delivered", 3, 3, nil, false},
		{"one came after the last was read", 2, 2, nil, false},
		{"one of its filters", 2, 3, []string{"verdict.1.commit.>", "verdict.1.peek.>"}, true},
		{"none of its filters", 0, 3, []string{"verdict.1.commit.>", "verdict.1.glance.>"}, false},
	} {
		info := &jetstream.ConsumerInfo{Config: jetstream.ConsumerConfig{FilterSubjects: c.filters}, Delivered: jetstream.SequenceInfo{Stream: c.delivered}}
		if got, err := b.Undelivered(t.Context(), pipeline.StreamVerdicts, info, c.last); err != nil || got != c.want {
			t.Errorf("%s: %t, want %t; %v", c.name, got, c.want, err)
		}
	}
}
