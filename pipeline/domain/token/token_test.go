package token

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
)

var t0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func at(left, rate int, refillIn time.Duration) Bucket {
	return Bucket{}.Probed(pipeline.Reading{TS: t0.UnixMilli(), Left: left, Rate: rate, RefillInMS: refillIn.Milliseconds()}, t0)
}

func TestTheProjectionFollowsKeepasTicks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		b    Bucket
		at   time.Duration
		want int
	}{
		{"nothing before the first refill", at(10, 5, 30*time.Second), 29 * time.Second, 10},
		{"a lump at the refill", at(10, 5, 30*time.Second), 30 * time.Second, 15},
		{"the next a tick later", at(10, 5, 30*time.Second), 91 * time.Second, 20},
		{"debt is repaid by ordinary ticks", at(-231, 5, time.Minute), time.Hour, -231 + 59*5},
		{"the bucket overflows at an hour of refill", at(290, 5, time.Minute), 10 * time.Hour, 300},
		{"a balance above a smaller plan stays", at(1000, 5, time.Minute), time.Hour, 1000},
		{"a clock that runs backwards refills nothing", at(10, 5, time.Minute), -time.Hour, 10},
		{"what is owed is not there", at(10, 5, time.Minute).Owe(13, t0), 0, -3},
	} {
		if got := tc.b.Balance(t0.Add(tc.at)); got != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, got, tc.want)
		}
	}
	b := at(50, 5, time.Minute)
	b.Reading.FlowRed = 0.9
	if got := b.Balance(t0.Add(time.Minute)); got != 54 {
		t.Errorf("trackings eat a part of the refill, rounded up: got %d, want 54", got)
	}
}

func TestZeroIsAValueAndUnknownIsNot(t *testing.T) {
	t.Parallel()
	if (Bucket{}).Known || !at(0, 5, time.Minute).Known {
		t.Error("0 and unknown are confused")
	}
	bad := pipeline.Reading{TS: t0.UnixMilli() + 1}
	if got := at(42, 5, time.Minute).Reported(bad, t0).Probed(bad, t0); got.Reading.Left != 42 {
		t.Errorf("the zeroes of a bad key were believed: %+v", got)
	}
}

func TestBetweenTwoRefillsThePoorerReadingIsTheLater(t *testing.T) {
	t.Parallel()
	// The first was asked later and reports a shorter processing time, and yet it was charged last.
	last := pipeline.Reading{TS: 541674, TookMS: 119, Left: 20, RefillInMS: 28329, Rate: 5}
	first := pipeline.Reading{TS: 540185, TookMS: 2345, Left: 120, RefillInMS: 28803, Rate: 5}
	after := pipeline.Reading{TS: 600000, TookMS: 100, Left: 25, RefillInMS: 31400, Rate: 5}
	b := Bucket{}.Reported(last, t0).Reported(first, t0)
	if b.Reading.Left != 20 || Newer(&last, &first).Left != 20 || Newer(&first, &last).Left != 20 {
		t.Errorf("balance %d, want 20", b.Reading.Left)
	}
	if b = b.Reported(after, t0); b.Reading.Left != 25 {
		t.Errorf("balance %d after the refill, want 25", b.Reading.Left)
	}
}

func TestASingleSpikeOfTheRateIsNotBelieved(t *testing.T) {
	t.Parallel()
	b := at(10, 5, time.Minute)
	spike := b.Reading
	spike.TS, spike.Rate = spike.TS+60200, 12
	b = b.Reported(spike, t0)
	if b.Rate() != 5 {
		t.Errorf("rate %d after one spike", b.Rate())
	}
	spike.TS += 60200
	if b = b.Reported(spike, t0); b.Rate() != 12 {
		t.Errorf("rate %d after two readings with the new plan", b.Rate())
	}
	spike.TS, spike.Rate = spike.TS+60200, 5
	if b = b.Reported(spike, t0); b.Rate() != 5 {
		t.Errorf("a smaller plan holds at once, got %d", b.Rate())
	}
}

func TestRefillIsAdditiveAndTheProjectionNeverExceedsTheTruth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 5000).Draw(t, "rate")
		left := rapid.IntRange(-350, Minutes*rate).Draw(t, "left")
		in := time.Duration(rapid.IntRange(1, 60200).Draw(t, "refill in")) * time.Millisecond
		b := at(left, rate, in)
		one := time.Duration(rapid.IntRange(0, 7200).Draw(t, "first")) * time.Second
		two := time.Duration(rapid.IntRange(0, 7200).Draw(t, "second")) * time.Second
		truth := func(d time.Duration) int {
			if d < in {
				return left
			}
			return min(Minutes*rate, left+rate*(1+int((d-in)/Tick)))
		}
		mid, end := b.Balance(t0.Add(one)), b.Balance(t0.Add(one+two))
		if mid > end || end > max(left, truth(one+two)) {
			t.Fatalf("projected %d then %d, truth %d", mid, end, truth(one+two))
		}
		// The other way: it is never more than one refill behind within an hour.
		if one+two < time.Hour && end < truth(one+two)-rate {
			t.Fatalf("projected %d, truth %d", end, truth(one+two))
		}
		want := rapid.IntRange(1, Minutes*rate).Draw(t, "want")
		if when, ok := b.Affordable(want, t0); ok && (b.Balance(when) < want || when.After(t0) && b.Balance(when.Add(-time.Millisecond)) >= want) {
			t.Fatalf("affordable at %s, where the balance is %d of %d", when.Sub(t0), b.Balance(when), want)
		}
	})
}

func TestTheTickIsLearned(t *testing.T) {
	t.Parallel()
	b := at(10, 5, 30*time.Second)
	r := b.Reading
	for range 40 {
		r.TS += 60000
		b = b.Reported(r, t0)
	}
	if d := (b.Period() - time.Minute).Abs(); d > 20*time.Millisecond {
		t.Errorf("period %s after forty ticks of a minute", b.Period())
	}
}

func TestEveryTokenBetweenTwoReadingsIsExplained(t *testing.T) {
	t.Parallel()
	reading := func(at time.Duration, left int) pipeline.Reading {
		into := at % Tick
		return pipeline.Reading{TS: t0.Add(at).UnixMilli(), Left: left, Rate: 5, RefillInMS: (Tick - into).Milliseconds()}
	}
	a := reading(10*time.Second, 100)
	for _, tc := range []struct {
		name           string
		a, b           pipeline.Reading
		settled        int
		expired, drift int
	}{
		{"our own call", a, reading(20*time.Second, 94), 6, 0, 0},
		{"a refill and a call", a, reading(70*time.Second, 99), 6, 0, 0},
		{"seven of another program", a, reading(70*time.Second, 92), 6, 0, 7},
		{"tokens that came from nowhere", a, reading(70*time.Second, 102), 6, 0, -3},
		{"a refill that had no room", reading(0, 298), reading(61*time.Second, 300), 0, 3, 0},
		{"a full bucket, idle for three hours", reading(0, 300), reading(3*time.Hour, 300), 0, 895, 0},
		{"a full bucket and another program", reading(0, 300), reading(61*time.Second, 290), 0, 5, 10},
	} {
		expired, drift := Reconcile(tc.a, tc.b, Tick, tc.settled)
		if expired != tc.expired || drift != tc.drift {
			t.Errorf("%s: %d expired, %d drift; want %d and %d", tc.name, expired, drift, tc.expired, tc.drift)
		}
	}
}

func TestAGrantMovesOnlyAsItMay(t *testing.T) {
	t.Parallel()
	g, err := Grant{Epoch: 3}.Issue(3, 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Issue(2, 5); !errors.Is(err, ErrEpoch) {
		t.Error("an older tokend issued")
	}
	if _, err := g.Adopt(2); !errors.Is(err, ErrEpoch) {
		t.Error("an older tokend adopted the grant")
	}
	for range 2 { // taken twice is taken once: a write that landed although it was reported lost
		if g, err = g.Take("a", Hold{N: 13}); err != nil {
			t.Fatal(err)
		}
	}
	if g.Credit() != 7 || g.Held() != 13 {
		t.Errorf("credit %d, held %d", g.Credit(), g.Held())
	}
	if _, err := g.Take("b", Hold{N: 8}); !errors.Is(err, ErrShort) {
		t.Error("more was claimed than issued")
	}
	if g, err = g.Revoke(3, 2); err != nil || g.Credit() != 2 || g.Held() != 13 {
		t.Errorf("revoking touched a claim: %+v", g)
	}
	if g, err = g.Reap(3, "a"); err != nil || g.Lost != 13 || g.Held() != 0 {
		t.Errorf("reaped: %+v", g)
	}
	for range 2 { // the worker thaws and repeats itself
		g = g.Settle("a", 6, nil)
	}
	if g.Settled != 6 || g.Lost != 0 || g.Unsure != 6 {
		t.Errorf("settled late: %+v", g)
	}
}

func TestAClaimThatIsGivenUpAlwaysReplacesTheSameOne(t *testing.T) {
	t.Parallel()
	g := Grant{Epoch: 3, Open: map[string]Hold{"new": {N: 2}}, Reaped: map[string]int{}}
	for i := range maxReaped {
		g.Reaped[fmt.Sprintf("c%02d", i)] = 1
	}
	for range 20 { // the change is repeated after a conflict
		next, err := g.Reap(3, "new")
		if _, kept := next.Reaped["c00"]; err != nil || kept || next.Reaped["new"] != 2 || len(next.Reaped) != maxReaped {
			t.Fatalf("kept %v: %v", next.Reaped, err)
		}
	}
}

func TestAPauseEndsAtItsTargetOrItsDeadline(t *testing.T) {
	t.Parallel()
	h := RechargePolicy{}
	phase := h.Next(Phase{}, View{Bucket: at(200, 5, time.Minute)}, t0)
	if phase.Mode != Burst {
		t.Fatalf("begins in %s", phase.Mode)
	}
	low := View{Bucket: at(15, 5, time.Minute), Claimed: 185, Waiting: true}
	phase = h.Next(phase, low, t0)
	if phase.Mode != Recharge || phase.Deadline != t0.Add(time.Hour) || phase.Target > 279 || phase.Target < 200 {
		t.Fatalf("after the burst: %+v", phase)
	}
	if p := h.Next(phase, View{Bucket: at(279, 5, time.Minute), Claimed: 185}, t0); p.Mode != Burst || p.EndedBy != "target" {
		t.Errorf("at the target: %+v", p)
	}
	// The balance never comes; the deadline does.
	end := t0.Add(time.Hour)
	stuck := View{Bucket: Bucket{}.Probed(pipeline.Reading{TS: 1, Left: 15, Rate: 5, RefillInMS: 60000}, end), Claimed: 185, Waiting: true}
	out := h.Next(phase, stuck, end)
	if out.Mode != Burst || out.EndedBy != "deadline" {
		t.Fatalf("at the deadline: %+v", out)
	}
	// Without a call in between it does not pause again.
	if again := h.Next(out, stuck, end.Add(time.Second)); again.Mode != Burst {
		t.Errorf("paused again before anything was bought: %+v", again)
	}
	stuck.Claimed++
	if again := h.Next(out, stuck, end.Add(time.Second)); again.Mode != Recharge || again.Deadline.Before(end) {
		t.Errorf("after a call: %+v", again)
	}
}

func TestAnImpossiblePhaseStillEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 100).Draw(t, "rate")
		b := at(rapid.IntRange(1, Minutes*rate).Draw(t, "left"), rate, time.Minute)
		offset := func(name string) time.Time {
			return t0.Add(time.Duration(rapid.IntRange(-10000, 10000).Draw(t, name)) * time.Hour)
		}
		p := Phase{Mode: Mode(rapid.SampledFrom([]string{"", "burst", "recharge", "nonsense"}).Draw(t, "mode")), Since: offset("since"), Target: rapid.IntRange(-5, 100000).Draw(t, "target")}
		if rapid.Bool().Draw(t, "has deadline") {
			p.Deadline = offset("deadline")
		}
		now := t0
		for range 61 {
			if p = (RechargePolicy{}).Next(p, View{Bucket: b, Waiting: true, Claimed: p.Claimed}, now); p.Mode == Burst {
				return
			}
			now = now.Add(time.Minute)
		}
		t.Fatalf("still pausing after an hour: %+v", p)
	})
}

func TestRulesThatCannotBeReachedAreRefusedWithTheArithmetic(t *testing.T) {
	t.Parallel()
	b := at(100, 5, time.Minute)
	for raw, want := range map[string]string{
		`{"policy":"heartbeat","target":400}`:                    "60 × 5 a minute = 300",
		`{"policy":"heartbeat","target":280,"pause_minutes":30}`: "30 × 5 = 150",
		`{"floor":295}`: "300 - 295 = 5",
	} {
		r, err := ParseRules([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for _, raw := range []string{
		`{"policy":"thrifty"}`, `{"weights":{"peeker":0}}`, `steady`, `{"below":50,"target":40}`,
		`{"weights":{"peeeker":50}}`, `{"ceilings":{"peak":2}}`, `{"policy":"steady"} {"policy":"heartbeat"}`, `{"policy":"steady"}}`,
	} {
		if _, err := ParseRules([]byte(raw)); err == nil {
			t.Errorf("%s was accepted", raw)
		}
	}
}

func TestAPolicyIsRefusedForTheSameReasonEachTime(t *testing.T) {
	t.Parallel()
	const raw = `{"weights":{"watermarker":0,"peeker":0,"committer":0,"a":1},"ceilings":{"peek":0,"commit":0,"b":5}}`
	_, first := ParseRules([]byte(raw))
	for range 20 { // the order of a map is another each time
		if _, err := ParseRules([]byte(raw)); err == nil || first == nil || err.Error() != first.Error() {
			t.Fatalf("refused because\n%v, and then because\n%v", first, err)
		}
	}
}

func TestAStepThatFallsDueDoesNotTakeWhatWasSaved(t *testing.T) {
	t.Parallel()
	p := PlanInput{
		Bucket: at(10, 5, time.Minute), Start: 1000, Opened: t0,
		Grants: map[pipeline.Stage]Grant{pipeline.StageCommitter: {Issued: 130, Claimed: 130, Settled: 130}},
		Demand: map[pipeline.Stage]Demand{pipeline.StageCommitter: {Tokens: PriceCommit, Step: PriceCommit}},
	}
	issue, wait, need := DefaultShares().Plan(p, t0)
	if len(issue) != 0 || wait != pipeline.StageCommitter || need != PriceCommit {
		t.Fatalf("issued %v, waits for %q with %d", issue, wait, need)
	}
	p.Saving = wait
	p.Demand[pipeline.StageWatermarker] = Demand{Tokens: PricePage, Step: PricePage} // further below its weight
	if issue, wait, _ = DefaultShares().Plan(p, t0); len(issue) != 0 || wait != pipeline.StageCommitter {
		t.Errorf("a page took what was saved for a commit: issued %v, waits for %q", issue, wait)
	}
	p.Bucket = at(20, 5, time.Minute)
	if issue, _, _ = DefaultShares().Plan(p, t0); issue[pipeline.StageCommitter] != PriceCommit || issue[pipeline.StageWatermarker] != PricePage {
		t.Errorf("issued %v, want the commit that was saved for and then the page", issue)
	}
	delete(p.Demand, pipeline.StageCommitter)
	p.Bucket = at(5, 5, time.Minute)
	if issue, _, _ = DefaultShares().Plan(p, t0); issue[pipeline.StageWatermarker] != PricePage {
		t.Errorf("a step without demand is still saved for: issued %v", issue)
	}
}

func TestTheOperatorsCeilingIsReservedAndLiftsAStop(t *testing.T) {
	t.Parallel()
	g := Grant{Epoch: 1, Issued: 40}
	g, err := g.Take("a", Hold{N: 13, Kind: pipeline.KindCommit, Items: 1})
	if err != nil {
		t.Fatal(err)
	}
	if g = g.Settle("a", 15, nil); !g.Stopped(pipeline.KindCommit) || g.Stopped(pipeline.KindPeek) {
		t.Errorf("learned %+v: want commit stopped and peek not", g.Learned)
	}
	if _, err := g.Take("b", Hold{N: 13, Kind: pipeline.KindCommit, Items: 1}); !errors.Is(err, ErrShort) {
		t.Errorf("a stopped kind can be claimed: %v", err)
	}
	if g.Ceilings = map[pipeline.Kind]int{pipeline.KindCommit: 15}; g.Stopped(pipeline.KindCommit) || g.Ceiling(pipeline.KindCommit) != 15 {
		t.Errorf("a raised ceiling does not lift the stop")
	}
	if m := g.Learned[pipeline.KindCommit].Mean(); m != 15 {
		t.Errorf("mean price %v, want 15", m)
	}
}

// A stage that comes back is level with the busy one: with only a token less, its
// first step would come before one that the busy stage is further from.
func TestAnIdleStageIsForgivenToTheLevelAndNotATokenFurther(t *testing.T) {
	shares := DefaultShares()
	for used := range 61 {
		p := PlanInput{
			Grants: map[pipeline.Stage]Grant{pipeline.StageCommitter: {Settled: used}, pipeline.StageWatermarker: {}},
			Demand: map[pipeline.Stage]Demand{pipeline.StageCommitter: {Tokens: 26, Step: 13}},
			Base:   map[pipeline.Stage]int{},
		}
		idle := -shares.Level(p, pipeline.StageWatermarker)
		below := used*shares.Weight[pipeline.StageWatermarker] - idle*shares.Weight[pipeline.StageCommitter]
		if above := -below; below > 0 || above >= shares.Weight[pipeline.StageCommitter] {
			t.Errorf("committer used %d: the list counts as having used %d", used, idle)
		}
	}
}
