package refresher

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/worker"
	"ratchet/test/desk"
)

var settings = Config{Period: 24 * time.Hour, Share: 0.15, Repairs: 2, Sellers: true}

// budget stores a balance as tokend would.
func budget(t *testing.T, d *desk.Desk, text string) {
	t.Helper()
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyBalance, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// accept publishes at T0 that a book is a deal.
func accept(t *testing.T, d *desk.Desk, asin string) decide.Work { return d.Accepts(t, asin, desk.T0) }

// at returns a refresher that starts at an instant.
func at(t *testing.T, d *desk.Desk, now time.Time) *refresher {
	t.Helper()
	return on(t, d, d.Bus, now)
}

// on is at for the connection of a plan.
func on(t *testing.T, d *desk.Desk, b *bus.Bus, now time.Time) *refresher {
	t.Helper()
	env := d.Env
	env.Clock = process.NewClock(now, 1)
	cfg := settings
	cfg.Sellers = false
	k, err := open(t.Context(), env, b, cfg, worker.NewStatus(env))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

func candidates(t *testing.T, d *desk.Desk, asin string) []pipeline.Candidate {
	t.Helper()
	var out []pipeline.Candidate
	if err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamCandidates, bus.From{Subjects: []string{"candidate.*.*." + asin}},
		func(_ bus.Read, c pipeline.Candidate) error { out = append(out, c); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// half runs a step that dies after so many of its statements.
func half(ctx context.Context, k *refresher, statements int) error {
	now := k.env.Now()
	news, err := k.readVerdicts(ctx)
	if err != nil {
		return err
	}
	signs, rate, err := k.signs(ctx)
	if err != nil {
		return err
	}
	r := k.round(refresh.Checkpoint{Clock: k.state.Tick(signs.Stalled(now), now), Rate: rate, Cost: news.cost}, news.changed, now)
	for _, statement := range []func() error{
		func() error { return k.publish(ctx, r, now) },
		func() error { return k.swap(ctx, r) },
	}[:statements] {
		if err := statement(); err != nil {
			return err
		}
	}
	return nil
}

func TestADealThatWasBoughtIsNotRefreshedUntilThatIsUndone(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := d.ASINs(keepasim.Good)[0]
	accept(t, d, asin)
	k := at(t, d, desk.T0.Add(48*time.Hour))
	k.state.Rate = 5
	target := action.Target{By: action.ByASIN, Domain: 1, Value: asin}
	say := func(kind, of action.Kind) {
		t.Helper()
		a := action.Action{Kind: kind, Of: of, Target: target, At: desk.T0}
		if kind == action.Buy {
			price := int64(999)
			a.PriceCents, a.On = &price, "2026-01-05"
		}
		if _, err := d.Bus.Publish(t.Context(), messages.Action(a)); err != nil {
			t.Fatal(err)
		}
	}
	say(action.Buy, "")
	if err := k.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := candidates(t, d, asin); len(got) != 0 {
		t.Fatalf("offered for a refresh although it was bought: %+v", got)
	}
	say(action.Undo, action.Buy)
	if err := k.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := candidates(t, d, asin); len(got) != 1 {
		t.Errorf("offered %d times after the undo, want once", len(got))
	}
}

func TestWhatIsIgnoredForATimeLapsesOnceWhereverTheRefresherDies(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	asin := action.Target{By: action.ByASIN, Domain: 1, Value: d.ASINs(keepasim.Good)[0]}
	words := action.Target{By: action.ByWords, Value: "large print"}
	for _, a := range []action.Action{
		{Kind: action.Ignore, Target: asin, At: desk.T0, Until: desk.T0.Add(time.Hour)},
		{Kind: action.Ignore, Target: words, At: desk.T0},
	} {
		if _, err := d.Bus.Publish(t.Context(), messages.Action(a)); err != nil {
			t.Fatal(err)
		}
	}
	standing := func() (out []action.Target) {
		var r action.Record
		if err := d.Bus.Scan(t.Context(), pipeline.StreamActions, bus.From{}, func(m bus.Read) error {
			said, err := action.Read(m.Stored())
			r.Add(said)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Current() {
			out = append(out, s.Target)
		}
		return out
	}
	for _, c := range []struct {
		after time.Duration
		want  []action.Target
	}{
		{59 * time.Minute, []action.Target{asin, words}},
		{time.Hour, []action.Target{words}},
		{2 * time.Hour, []action.Target{words}}, // another refresher, which has not read the lapse
	} {
		k := at(t, d, desk.T0.Add(c.after))
		if err := errors.Join(k.lapse(t.Context()), k.lapse(t.Context())); err != nil {
			t.Fatal(err)
		}
		if got := standing(); !slices.Equal(got, c.want) {
			t.Errorf("after %s ignored are %v, want %v", c.after, got, c.want)
		}
	}
	if last, err := d.Bus.Last(t.Context(), pipeline.StreamActions); err != nil || last != 3 {
		t.Errorf("%d messages, %v; want the two and one lapse", last, err)
	}
}

func TestWorkIsOfferedOnceWhereverTheRefresherDies(t *testing.T) {
	t.Parallel()
	due := desk.T0.Add(25 * time.Hour)
	for name, disturb := range map[string]func(context.Context, *testing.T, *desk.Desk) error{
		"nothing happens":          func(context.Context, *testing.T, *desk.Desk) error { return nil },
		"killed before publishing": func(ctx context.Context, t *testing.T, d *desk.Desk) error { return half(ctx, at(t, d, due), 0) },
		"killed between publish and swap": func(ctx context.Context, t *testing.T, d *desk.Desk) error {
			return half(ctx, at(t, d, due), 1)
		},
		"killed between swap and books": func(ctx context.Context, t *testing.T, d *desk.Desk) error { return half(ctx, at(t, d, due), 2) },
		"publish landed and was reported lost, twice": func(ctx context.Context, t *testing.T, d *desk.Desk) error {
			k := at(t, d, due)
			return errors.Join(half(ctx, k, 1), half(ctx, k, 1))
		},
		"swap landed and was reported lost": func(ctx context.Context, t *testing.T, d *desk.Desk) error {
			k := at(t, d, due)
			before := k.stock
			k.stock.all = maps.Clone(before.all)
			for key, b := range before.all {
				copied := *b
				k.stock.all[key] = &copied
			}
			err := half(ctx, k, 2)
			k.stock = before
			if moved := half(ctx, k, 2); !errors.Is(moved, errMoved) {
				t.Errorf("what it did not write itself, for all it knows: %v, want %v", moved, errMoved)
			}
			return errors.Join(err, k.load(ctx), half(ctx, k, 2))
		},
		"two refreshers at once": func(ctx context.Context, t *testing.T, d *desk.Desk) error {
			a, b := at(t, d, due), at(t, d, due.Add(time.Minute))
			if err := a.step(ctx); err != nil {
				return err
			}
			if err := b.step(ctx); !errors.Is(err, errMoved) {
				t.Errorf("the second refresher: %v, want %v", err, errMoved)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, 1)
			budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
			asin := d.ASINs(keepasim.Good)[0]
			w := accept(t, d, asin)
			if err := at(t, d, desk.T0.Add(time.Minute)).step(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := len(candidates(t, d, asin)); n != 0 {
				t.Fatalf("offered %d times before it was due", n)
			}
			if err := disturb(t.Context(), t, d); err != nil {
				t.Fatal(err)
			}
			k := at(t, d, due.Add(5*time.Minute))
			if err := k.step(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := candidates(t, d, asin)
			if len(got) != 1 || got[0].Source != pipeline.SourceRefresh || got[0].Identity != w.Survivor.Identity || string(got[0].Row) != string(w.Survivor.Row) {
				t.Errorf("offered %d times, want its row once as a refresh", len(got))
			}
			if h := k.stock.holding(pipeline.KeySeen(w.Survivor.Identity)); !h.Due.Equal(desk.T0.Add(24*time.Hour)) || h.State != refresh.Held {
				t.Errorf("the holding is %s, due %v", h.State, h.Due)
			}
		})
	}
}

func TestAnOutageMakesDealsStaleWithTheReasonAndExpiresNone(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	asins := d.ASINs(keepasim.Good)
	for _, asin := range asins {
		accept(t, d, asin)
	}
	for _, hours := range []int{1, 25, 27, 49, 60, 80, 100, 120} {
		if err := at(t, d, desk.T0.Add(time.Duration(hours)*time.Hour)).step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	published := 0
	for _, v := range d.Verdicts(t) {
		if v.Look == pipeline.LookList {
			published++
			if v.Outcome != pipeline.Fail || v.Reason != "stale_no_answers" {
				t.Errorf("%s: %s because %s", v.ASIN, v.Outcome, v.Reason)
			}
		}
	}
	k := at(t, d, desk.T0.Add(121*time.Hour))
	if s := k.state.Summary; published != len(asins) || s.Stale != len(asins) || s.Expired != 0 {
		t.Errorf("published %d, %d are stale, %d expired; want %d stale", published, s.Stale, s.Expired, len(asins))
	}
	if k.state.Stalled != refresh.StalledSilent {
		t.Errorf("looks stand still because %q", k.state.Stalled)
	}
}

func TestDealsGoStaleAlsoWhileNoBalanceIsKnown(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	accept(t, d, d.ASINs(keepasim.Good)[0])
	for _, hours := range []int{1, 49} {
		if err := at(t, d, desk.T0.Add(time.Duration(hours)*time.Hour)).step(t.Context()); err != nil {
			t.Fatal(err)
		}
		budget(t, d, `{"est":0,"rate":0,"state":"unknown"}`) // tokend started afresh, and Keepa does not answer
	}
	vs := d.Verdicts(t)
	if last := vs[len(vs)-1]; last.Reason != "stale_no_balance" || last.Outcome != pipeline.Fail {
		t.Errorf("the last verdict is %s because %s", last.Outcome, last.Reason)
	}
}

func TestADealThatALookRejectedIsGoneAndIsNotOfferedAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	w := accept(t, d, d.ASINs(keepasim.Good)[0])
	_, err := d.Bus.Publish(t.Context(), messages.Verdict(pipeline.RunLive, "later", "", pipeline.Verdict{
		Identity: w.Survivor.Identity, Look: pipeline.LookPeek, Outcome: pipeline.Reject, Reason: "no_profit", DecidedAt: desk.T0.Add(time.Hour),
	}))
	if err != nil {
		t.Fatal(err)
	}
	k := at(t, d, desk.T0.Add(30*time.Hour))
	if err := k.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := k.stock.holding(pipeline.KeySeen(w.Survivor.Identity)); h.State != refresh.Gone || h.Why != "no_profit" || !h.Confirmed.Equal(desk.T0) {
		t.Errorf("got %s because %s, confirmed %v", h.State, h.Why, h.Confirmed)
	}
	if n := len(candidates(t, d, w.Survivor.ASIN)); n != 0 {
		t.Errorf("offered %d times", n)
	}
}

// TestAHoldingThatSomebodyDamagedIsNamedBeforeItIsDueAndHeals replaces a
// holding by an invalid value between two steps, as by hand or by a disk fault.
func TestAHoldingThatSomebodyDamagedIsNamedBeforeItIsDueAndHeals(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	asins := d.ASINs(keepasim.Good)
	key := pipeline.KeySeen(accept(t, d, asins[0]).Survivor.Identity)
	other := pipeline.KeySeen(accept(t, d, asins[1]).Survivor.Identity)
	k := at(t, d, desk.T0.Add(time.Hour))
	turn := func() {
		t.Helper()
		k.last.Forget() // a hint may still be under way
		if err := errors.Join(k.follow(t.Context(), false), k.step(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	turn()
	turn() // its own writes are not read again
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketStock)
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	right := e.Value()
	with := func(field string, value any) string {
		var all map[string]any
		if err := json.Unmarshal(right, &all); err != nil {
			t.Fatal(err)
		}
		all[field] = value
		raw, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, wrong := range []string{
		"{", `[]`, `{}`, with("creation_date", int64(9e18)), with("creation_date", -5), with("ran", -5), with("ran", int64(9e18)),
		with("failed", -1), with("attempt", -1), with("seq", -1), with("confirmed", "9999-01-01T00:00:00Z"), with("due", "9999-01-01T00:00:00Z"),
		with("state", "sold"), with("asin", "B000000000"),
	} {
		if _, err := kv.Put(t.Context(), key, []byte(wrong)); err != nil {
			t.Fatal(err)
		}
		turn()
		if k.bad[key] == nil || !strings.Contains(k.bad[key].Error(), "STOCK/"+key) || k.stock.holding(other).State != refresh.Held {
			t.Errorf("%s: named %v, and the other deal is %q", wrong, k.bad, k.stock.holding(other).State)
		}
		if _, err := kv.Put(t.Context(), key, right); err != nil {
			t.Fatal(err)
		}
		turn()
		if len(k.bad) > 0 || k.stock.holding(key).State != refresh.Held {
			t.Errorf("%s: it is right again, and the refresher reports %v", wrong, k.bad)
		}
	}
	if err := kv.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	turn()
	if _, there := k.stock.all[key]; there || len(k.bad) > 0 {
		t.Errorf("it was deleted by hand, and the refresher keeps it: %v", k.bad)
	}
}

func TestBooksThatCannotBeAreMadeAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	w := accept(t, d, d.ASINs(keepasim.Good)[0])
	k := at(t, d, desk.T0.Add(time.Hour))
	if err := k.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	right := k.state
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketStock)
	if err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]func(*refresh.Checkpoint){
		"ran for ever":              func(b *refresh.Checkpoint) { b.Ran = 1<<63 - 1 },
		"ran for less than nothing": func(b *refresh.Checkpoint) { b.Ran = -5 },
		"a position beyond the end": func(b *refresh.Checkpoint) { b.Seq = 1 << 62 },
		"a plan without end":        func(b *refresh.Checkpoint) { b.Rate = 1 << 62 },
		"lies ahead":                func(b *refresh.Checkpoint) { b.At = b.At.AddDate(1000, 0, 0) },
	} {
		b := right
		wrong(&b)
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Put(t.Context(), pipeline.KeyCheckpoint, raw); err != nil {
			t.Fatal(err)
		}
		k.last.Forget()
		if err := errors.Join(k.follow(t.Context(), false), k.step(t.Context())); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if k.state.Seq != right.Seq || k.state.Ran > time.Hour || k.stock.holding(pipeline.KeySeen(w.Survivor.Identity)).State != refresh.Held {
			t.Errorf("%s: the books are %+v", name, k.state)
		}
	}
}

func TestAnImpossibleBalanceStopsTheRefresherAndNothingElse(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	w := accept(t, d, d.ASINs(keepasim.Good)[0])
	k := at(t, d, desk.T0.Add(time.Hour))
	for _, wrong := range []string{"{", `{"est":100,"rate":9000000000000000000,"state":"burst"}`} {
		budget(t, d, wrong)
		if err := k.step(t.Context()); err == nil || !strings.Contains(err.Error(), "decode the balance") {
			t.Errorf("%s: got %v, want the balance named", wrong, err)
		}
	}
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	if err := k.step(t.Context()); err != nil || k.stock.holding(pipeline.KeySeen(w.Survivor.Identity)).State != refresh.Held {
		t.Errorf("the balance is right again: %v", err)
	}
}

func TestWhatCannotBeReadHidesNoDeal(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	asins := d.ASINs(keepasim.Good)
	d.PublishUnreadable(t, asins[0])
	w := accept(t, d, asins[1])
	d.PublishUnreadable(t, asins[1])
	k := at(t, d, desk.T0.Add(time.Hour))
	if err := k.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := k.stock.holding(pipeline.KeySeen(w.Survivor.Identity)); h.State != refresh.Held || len(k.stock.all) != 1 {
		t.Errorf("the deal is %q of %d, want it held and nothing else", h.State, len(k.stock.all))
	}
	last, err := d.Bus.Last(t.Context(), pipeline.StreamVerdicts)
	if err != nil || k.state.Seq != last {
		t.Errorf("read up to %d of %d: %v", k.state.Seq, last, err)
	}
}

func TestADealThatTheListNeverNamesAgainIsConfirmedForOneTokenInEveryPeriod(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	d := desk.New(t, 3600) // two hours are two seconds
	budget(t, d, `{"est":100,"rate":100,"state":"burst"}`)
	asin := d.ASINs(keepasim.Good)[0]
	d.Grant(t, pipeline.StagePeeker, 100_000)
	d.Grant(t, pipeline.StageCommitter, 100_000)
	d.Offer(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration))
	d.Run(t, peeker.Run, nil)
	d.Run(t, committer.Run, nil)
	cfg := Config{Period: 2 * time.Hour, Share: 0.15}
	d.Run(t, func(ctx context.Context, env process.Env) error {
		env.AnnounceReady()
		return Run(ctx, env, d.Bus, cfg, worker.NewStatus(env))
	}, nil)
	var confirmed []desk.Verdict
	desk.Await(t, "three confirmations", func() bool {
		confirmed = confirmed[:0]
		for _, v := range d.Verdicts(t) {
			switch {
			case v.Outcome == pipeline.Confirm:
				confirmed = append(confirmed, v)
			case v.Source == pipeline.SourceRefresh && v.Look != pipeline.LookList && v.Outcome != pipeline.Survive:
				t.Fatalf("a refresh ended at %s: %s because %s", v.Look, v.Outcome, v.Reason)
			}
		}
		return len(confirmed) >= 3
	})
	for i, v := range confirmed {
		if v.Tokens != 1 || v.Look != pipeline.LookPeek {
			t.Errorf("confirmed at %s for %d tokens", v.Look, v.Tokens)
		}
		if i > 0 && v.WorkID == confirmed[i-1].WorkID {
			t.Error("two confirmations of one due hour")
		}
	}
	if n := d.Sim.Account().Peeks[asin]; n < 4 || n > 1+len(confirmed)+2 {
		t.Errorf("%d peeks for %d confirmations", n, len(confirmed))
	}
}
