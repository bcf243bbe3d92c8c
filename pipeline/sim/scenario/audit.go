package scenario

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/cluster"
	"ratchet/pipeline/sim/keepasim"
)

// audit collects the differences between Keepa's books, the grants, the streams and ClickHouse.
type audit struct {
	wrong    []string
	messages int
	repeated int
	decided  int
}

func (a *audit) miss(bad bool, format string, args ...any) {
	if bad {
		a.wrong = append(a.wrong, fmt.Sprintf(format, args...))
	}
}

// mark is what a stream held when it was last compared.
type mark struct {
	last   uint64
	digest uint64 // of every message up to last
}

// quietWithin bounds the wait until nothing moves: a dead worker's claim lives 12 s at speed 10, its deliveries 30.
const quietWithin = 60 * time.Second

// compare pauses the pipeline, compares, and resumes it.
func (c *clustered) compare(ctx context.Context) (a audit, err error) {
	if err := c.wish(ctx, token.Paused); err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, c.wish(ctx, token.Run)) }()
	if err := eventually(ctx, quietWithin, c.quiet); err != nil {
		a.miss(true, "%v", err)
	}
	if err := eventually(ctx, quietWithin, c.alike); err != nil {
		a.miss(true, "%v", err)
	}
	for _, part := range []func(context.Context, *audit) error{c.tokens, c.works, c.streams, c.topology, c.rows} {
		// A server that thaws leads for a moment and answers nothing: what could not be read is read again.
		if err := eventually(ctx, recoverWithin, func(ctx context.Context) error { return part(ctx, &a) }); err != nil {
			return a, err
		}
	}
	a.miss(c.posts.repeated() > c.kills, "doubled: %d messages to the webhook, after %d kills", c.posts.repeated(), c.kills)
	lines, err := c.servers.Corrupt()
	a.miss(len(lines) > 0, "corrupt: %d lines in the servers' logs, such as %v", len(lines), lines[:min(len(lines), 1)])
	return a, err
}

// eventually repeats a check until it returns nil.
func eventually(ctx context.Context, within time.Duration, check func(context.Context) error) error {
	began := process.MachineNow()
	for {
		err := check(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if process.MachineSince(began) > within {
			return fmt.Errorf("after %s: %w", within, err)
		}
		if err := process.Sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// wish writes the operator's mode.
func (c *clustered) wish(ctx context.Context, w token.Wish) error {
	return eventually(ctx, recoverWithin, func(ctx context.Context) error {
		kv, err := c.Bus.Store(ctx, pipeline.BucketTokens)
		if err != nil {
			return err
		}
		_, err = kv.Put(ctx, pipeline.KeyMode, []byte(w))
		return err
	})
}

// quiet reports what still moves; nil when no claim is open, every token is explained, and all free work is done.
func (c *clustered) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	kv, err := c.Bus.Store(ctx, pipeline.BucketTokens)
	if err != nil {
		return err
	}
	for _, stage := range pipeline.Stages() {
		var g token.Grant
		read(ctx, kv, pipeline.KeyGrant(stage), &g)
		if len(g.Open) > 0 {
			return fmt.Errorf("%d claims of the %s are open", len(g.Open), stage)
		}
	}
	if b := c.Sim.Account(); explained(ctx, kv) != b.Consumed() {
		return fmt.Errorf("the grants explain %d tokens, Keepa charged %d", explained(ctx, kv), b.Consumed())
	}
	free, err := c.Bus.Backlogs(ctx, pipeline.StreamCandidates)
	if err != nil {
		return err
	}
	if g := free[pipeline.DurableGlance]; g.Pending+g.Unsettled > 0 {
		return fmt.Errorf("%d candidates wait for their glance", g.Pending+g.Unsettled)
	}
	if err := c.notified(ctx); err != nil || c.CH == "" {
		return err
	}
	left, err := unrecorded(ctx, c.Rig, nil)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("unrecorded: %v", left)
	}
	return err
}

// notified reports deals that are shown to users and were not sent, with the messages about the first of them.
func (c *clustered) notified(ctx context.Context) error {
	deals, err := onStreams(ctx, c.Rig)
	if err != nil {
		return err
	}
	sent := c.posts.sent()
	missing := slices.DeleteFunc(slices.Clone(deals), func(d cli.Deal) bool { return sent[d.ASIN] })
	if len(missing) == 0 {
		return nil
	}
	about, err := c.about(ctx, missing[0].Identity())
	return errors.Join(fmt.Errorf("%d of %d deals were not sent to the webhook: %s", len(missing), len(deals), about), err)
}

// about names the messages about a deal, in the order in which they were stored.
func (c *clustered) about(ctx context.Context, id pipeline.Identity) (string, error) {
	var all []bus.Read
	for stream, subject := range map[string]string{
		pipeline.StreamDeals:                         pipeline.SubjectDeal(id.Domain, id.PriceType, id.ASIN),
		pipeline.StreamVerdicts:                      pipeline.SubjectVerdict(id.Domain, "*", "*", id.ASIN),
		pipeline.BucketStream(pipeline.BucketPosted): pipeline.KeySubject(pipeline.BucketPosted, pipeline.KeyPosted("*", id)),
	} {
		err := c.Bus.Scan(ctx, stream, bus.From{Subjects: []string{subject}}, func(m bus.Read) error {
			all = append(all, m)
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	slices.SortFunc(all, func(a, b bus.Read) int { return a.StoredAt.Compare(b.StoredAt) })
	var out strings.Builder
	for _, m := range all {
		o, _ := m.Stored().Origin()
		fmt.Fprintf(&out, "\n  %s %s %d of %s at %s %.120s", m.StoredAt.Format(time.TimeOnly), m.Subject, m.Sequence, o.WorkID, o.At.Format(time.RFC3339Nano), m.Body)
	}
	return out.String(), nil
}

// alike reports a replica that differs from the others.
func (c *clustered) alike(ctx context.Context) error {
	first, err := c.servers.View(ctx, 0)
	if err != nil {
		return err
	}
	for i := 1; i < cluster.Size; i++ {
		other, err := c.servers.View(ctx, i)
		if err != nil {
			return err
		}
		for name, want := range first.Replicas {
			got := other.Replicas[name]
			volatile := name == pipeline.BucketStream(pipeline.BucketStatus) || name == pipeline.BucketStream(pipeline.BucketLeaders) || name == pipeline.BucketStream(pipeline.BucketTokens) ||
				name == pipeline.BucketStream(pipeline.BucketWatermarks) // heartbeats and leases continue
			if !volatile && (got.Last != want.Last || got.Messages != want.Messages || got.Bytes != want.Bytes) {
				return fmt.Errorf("replicas of %s differ: %s has %+v, %s has %+v", name, c.servers.Name(0), want, c.servers.Name(i), got)
			}
		}
	}
	return nil
}

// tokens compares Keepa's books with LEDGER and RESPONSES.
func (c *clustered) tokens(ctx context.Context, a *audit) error {
	sum, err := cli.ReadReport(ctx, c.Bus)
	if err != nil {
		return err
	}
	b := c.Sim.Account()
	a.miss(b.Consumed() != sum.Tokens()+sum.Drift(), "ledger: %d tokens and %d of drift, Keepa charged %d", sum.Tokens(), sum.Drift(), b.Consumed())
	a.miss(astray(b, sum) != 0, "ledger: %d tokens under a stage that did not spend them", astray(b, sum))
	a.miss(b.Avoidable() > 0, "overspent: %d calls were refused that the last answer announced", b.Avoidable())
	lowest := 0
	for _, p := range b.Paid {
		if p.Cost > 0 && p.Before > 0 {
			lowest = min(lowest, p.After+p.Unseen)
		}
	}
	a.miss(lowest < 0, "overspent: the balance was %d after a call", lowest)
	return c.answers(ctx, a, b)
}

// answers compares what was paid for with what is stored.
func (c *clustered) answers(ctx context.Context, a *audit, b keepasim.Account) error {
	stored := map[string]int{}
	err := c.Bus.Scan(ctx, pipeline.StreamResponses, bus.From{Headers: true, Subjects: []string{"response.*.peek.>", "response.*.commit.>"}},
		func(r bus.Read) error { stored[r.Subject]++; return nil })
	if err != nil {
		return err
	}
	missing, domain := 0, 1
	for kind, paid := range map[pipeline.Kind]map[string]int{pipeline.KindPeek: b.Peeks, pipeline.KindCommit: b.Commits} {
		for asin, n := range paid {
			missing += max(0, n-stored[pipeline.SubjectResponse(domain, kind, asin)])
		}
	}
	a.miss(missing > keepasimBatch*c.kills, "lost: %d answers were paid for and are not stored, after %d kills", missing, c.kills)
	return nil
}

// keepasimBatch is how many answers one lost call may have held.
const keepasimBatch = 100

// works compares candidates, verdicts and deals by their Work-Id.
func (c *clustered) works(ctx context.Context, a *audit) error {
	w, err := works(ctx, c.Bus, report.New())
	if err != nil {
		return err
	}
	finals, accepted, deals := map[string]int{}, map[string]bool{}, map[string]int{}
	err = bus.ScanJSON(ctx, c.Bus, pipeline.StreamVerdicts, bus.From{}, func(r bus.Read, v pipeline.Verdict) error {
		if id := r.Header.Get(pipeline.HeaderWorkID); v.Outcome.Final() && v.Look != pipeline.LookList {
			finals[id]++
			accepted[id] = accepted[id] || v.Outcome == pipeline.Accept
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = c.Bus.Scan(ctx, pipeline.StreamDeals, bus.From{Headers: true}, func(r bus.Read) error {
		deals[r.Header.Get(pipeline.HeaderWorkID)]++
		return nil
	})
	if err != nil {
		return err
	}
	a.decided = len(finals)
	lost, twice := 0, 0
	for id := range w.listed {
		if finals[id] == 0 && !w.waiting[id] {
			lost++
		}
	}
	for _, n := range finals {
		twice += n - 1
	}
	a.miss(lost > 0, "lost: %d works are neither decided nor waiting", lost)
	a.miss(twice > 0, "doubled: %d verdicts", twice)
	for id, yes := range accepted {
		a.miss(yes && deals[id] == 0, "lost: the deal of work %s", id)
		a.miss(yes && deals[id] > 1, "doubled: %d deals of work %s", deals[id], id)
	}
	for id := range deals {
		a.miss(!accepted[id], "a deal without a verdict: work %s", id)
	}
	var f Figures
	f.repeats(c.Sim.Account(), w)
	a.repeated = f.RepeatPaid
	a.miss(a.repeated > c.kills, "paid again: %d answers, after %d kills", a.repeated, c.kills)
	return nil
}

// streams compares every stream with what it held before: nothing of it may have changed.
func (c *clustered) streams(ctx context.Context, a *audit) error {
	a.messages = 0
	for _, name := range pipeline.Streams() {
		was := c.marks[name]
		now, gaps, n, then := mark{}, 0, 0, uint64(0)
		sum := fnv.New64a()
		err := c.Bus.Scan(ctx, name, bus.From{Headers: name == pipeline.StreamResponses}, func(r bus.Read) error {
			if n > 0 && r.Sequence != now.last+1 {
				gaps++
			}
			n++
			now.last = r.Sequence
			var seq [8]byte
			binary.BigEndian.PutUint64(seq[:], r.Sequence)
			for _, part := range [][]byte{seq[:], []byte(r.Subject), []byte(r.Header.Get(pipeline.HeaderMsgID)), r.Body} {
				_, _ = sum.Write(part) // it never fails
			}
			if now.digest = sum.Sum64(); now.last == was.last {
				then = now.digest
			}
			return nil
		})
		if err != nil {
			return err
		}
		a.messages += n
		a.miss(gaps > 0, "lost: %s has %d gaps", name, gaps)
		a.miss(now.last < was.last, "lost: %s ends at %d and ended at %d", name, now.last, was.last)
		a.miss(was.last > 0 && now.last >= was.last && then != was.digest, "changed: the first %d messages of %s are not those of before", was.last, name)
		c.marks[name] = now
	}
	return nil
}

// topology expects every stream unchanged since it was provisioned.
func (c *clustered) topology(ctx context.Context, a *audit) error {
	found, err := c.Bus.Differences(ctx)
	if err != nil {
		return err
	}
	for _, d := range found {
		a.miss(true, "topology: %s", d)
	}
	return nil
}

// rows compares ClickHouse with the streams. What daemons store meanwhile, such as a line of the ledger, is recorded a
// moment later.
func (c *clustered) rows(ctx context.Context, a *audit) error {
	var f Figures
	err := eventually(ctx, recoverWithin, func(ctx context.Context) error {
		f = Figures{}
		if err := f.recorded(ctx, c.Rig); err != nil || f.Unrecorded == 0 && len(f.SumsAstray) == 0 {
			return err
		}
		return errUnrecorded // rows and sums are read one after the other, and a batch may come in between
	})
	if err != nil && !errors.Is(err, errUnrecorded) {
		return err
	}
	a.miss(f.Unrecorded != 0, "clickhouse: %d of %d messages are not recorded", f.Unrecorded, f.Messages)
	a.miss(f.RecordedTwice != 0, "clickhouse: %d rows too many", f.RecordedTwice)
	a.miss(len(f.SumsAstray) != 0, "clickhouse: %v", f.SumsAstray)
	return nil
}

var errUnrecorded = errors.New("messages are not recorded")

// decisions are the machine's times of all decisions, of which those since the last call are read.
func (c *clustered) decisions(ctx context.Context, since time.Time) ([]time.Time, error) {
	err := eventually(ctx, recoverWithin, func(ctx context.Context) error {
		return bus.ScanJSON(ctx, c.Bus, pipeline.StreamVerdicts, bus.From{Sequence: c.verdict + 1}, func(r bus.Read, v pipeline.Verdict) error {
			if c.verdict = r.Sequence; v.Outcome.Final() && v.Look != pipeline.LookList {
				c.decided = append(c.decided, r.StoredAt)
			}
			return nil
		})
	})
	i, _ := slices.BinarySearchFunc(c.decided, since, time.Time.Compare)
	return c.decided[i:], err
}
