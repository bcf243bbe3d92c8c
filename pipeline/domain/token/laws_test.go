package token_test

import (
	"flag"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// long runs thousands of steps instead of hundreds: `make laws`.
var long = flag.Bool("long", false, "long runs of the laws")

var t0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func steps(t *rapid.T) int {
	if *long {
		return rapid.IntRange(500, 3000).Draw(t, "steps")
	}
	return rapid.IntRange(150, 400).Draw(t, "steps")
}

func drawRate(t *rapid.T) int {
	return rapid.OneOf(rapid.IntRange(1, 30), rapid.IntRange(31, 5000)).Draw(t, "rate")
}

// drawRules draws the operator's policy, in half of the runs with a floor.
func drawRules(t *rapid.T) token.Rules {
	rules := rapid.SampledFrom([]token.Rules{{}, {Policy: "heartbeat"}}).Draw(t, "rules")
	if floor := rapid.IntRange(-40, 40).Draw(t, "floor"); floor > 0 {
		rules.Floor = &floor
	}
	return rules
}

// drawBalance draws a balance to start with: in debt, anywhere in the bucket, or full.
func drawBalance(t *rapid.T, rate int) int {
	full := token.Minutes * rate
	return rapid.OneOf(rapid.IntRange(-350, full), rapid.IntRange(0, full), rapid.Just(full)).Draw(t, "balance")
}

func drawStage(t *rapid.T) pipeline.Stage {
	return rapid.SampledFrom(pipeline.Stages()).Draw(t, "stage")
}

// anyOpen draws an open claim of a live worker.
func anyOpen(t *rapid.T, e *Engine) (string, bool) {
	ids := e.Living()
	if len(ids) == 0 {
		return "", false
	}
	return rapid.SampledFrom(ids).Draw(t, "claim"), true
}

// disturb draws one random event in the pipeline or around it.
func disturb(t *rapid.T, e *Engine) {
	switch rapid.IntRange(0, 17).Draw(t, "what") {
	case 0:
		e.Waiting[drawStage(t)] += rapid.IntRange(1, 50).Draw(t, "work")
	case 1, 2, 3:
		e.Pass(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
	case 4, 5, 6:
		e.Take(drawStage(t))
	case 7, 8, 9:
		if id, ok := anyOpen(t, e); ok {
			how := rapid.SampledFrom([]Outcome{Answered, Answered, Answered, AnsweredTwice, Unanswered, Undone, DiesAfter, DiesFirst}).Draw(t, "how")
			e.End(id, rapid.IntRange(0, e.Open[id].N).Draw(t, "cost"), how)
		}
	case 10:
		e.TakeOver()
	case 11:
		e.Silent = rapid.Bool().Draw(t, "silent")
	case 12: // Keepa's clock jumps
		e.Skew = time.Duration(rapid.IntRange(-1440, 1440).Draw(t, "skew")) * time.Minute
	case 13:
		e.Spike(rapid.IntRange(1, 6).Draw(t, "spike"))
		turn(t, e)
	case 14:
		e.Fault = e.Nth(rapid.IntRange(0, 6).Draw(t, "effect"), rapid.SampledFrom([]Fault{NotDone, NotReported}).Draw(t, "fault"))
		turn(t, e)
		e.Fault = nil
	default:
		turn(t, e)
	}
}

func turn(t *rapid.T, e *Engine) {
	if err := e.Turn(); err != nil {
		t.Fatal(err)
	}
}

// reached counts the states that runs reached, so that a law is not tested only by runs in which nothing happens.
type reached map[string]int

func (r reached) add(e *Engine) {
	r["runs"]++
	r["paid calls"] += min(1, e.Calls)
	r["claims given up"] += min(1, e.In(pipeline.EventLost))
	r["doubt"] += min(1, e.MostOwed)
	r["faults"] += min(1, e.Faults)
	r["substitute balances"] += min(1, e.StoodIn)
	r["permission taken back"] += min(1, e.TakenBack)
	r["claims that outlived their worker"] += min(1, e.Lost)
	r["a floor"] += min(1, max(0, e.Issuer.Floor))
	r["pauses"] += min(1, e.Pauses)
	r["expiry"] += min(1, e.Expired)
	r["spending of others"] += min(1, e.Foreign)
}

// want fails if fewer than a part of the runs reached a state, by more than chance explains (three standard
// deviations).
func (r reached) want(t *testing.T, percent map[string]int) {
	t.Helper()
	for what, least := range percent {
		n, p := float64(r["runs"]), float64(least)/100
		if got := float64(r[what]); got < n*p-3*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%s in %.0f of %.0f runs, want at least %d %%", what, got, n, least)
		}
	}
}

func TestNoCallOverspendsWhateverIsLost(t *testing.T) {
	t.Parallel()
	came := reached{}
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		start := drawBalance(t, rate)
		e := newEngine(t0, rate, start, drawRules(t))
		busy(t, e)
		for range steps(t) {
			disturb(t, e)
			if s := drawStage(t); e.Fenced(s, 1) {
				t.Fatalf("a tokend of an earlier epoch moved the grant of %s", s)
			}
		}
		if e.Lowest < min(e.Issuer.Floor, start) {
			t.Fatalf("a call took the balance to %d, floor %d", e.Lowest, e.Issuer.Floor)
		}
		if e.Refused > 0 {
			t.Fatalf("%d calls were refused that the plan could have avoided", e.Refused)
		}
		came.add(e)
	})
	t.Log(came)
	came.want(t, map[string]int{"paid calls": 50, "doubt": 20, "faults": 50, "claims that outlived their worker": 20, "claims given up": 1, "substitute balances": 1, "permission taken back": 1, "a floor": 25, "pauses": 1, "expiry": 5})
}

// busy gives every stage work, most of the time.
func busy(t *rapid.T, e *Engine) {
	for _, s := range pipeline.Stages() {
		e.Waiting[s] = rapid.IntRange(0, 50).Draw(t, "work of "+string(s))
	}
}

func TestEveryTokenIsExplained(t *testing.T) {
	t.Parallel()
	came := reached{}
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		e := newEngine(t0, rate, drawBalance(t, rate), drawRules(t))
		busy(t, e)
		for range steps(t) {
			disturb(t, e)
			if e.Skew = 0; rapid.IntRange(0, 30).Draw(t, "drain") == 0 {
				e.Drain(rapid.IntRange(1, 40).Draw(t, "others"))
			}
		}
		calm(t, e)
		// At a full bucket foreign spending cannot be distinguished from expiry, so
		// only their sum is a law; if nothing could expire, each is.
		if got, want := e.Explained()+e.Vanished(), e.Spent()+e.Foreign+e.Expired; got != want {
			t.Fatalf("books explain %d tokens, %d are gone (ours %d, others %d, expired %d; drift %d, vanished %d)",
				got, want, e.Spent(), e.Foreign, e.Expired, e.In(pipeline.EventDrift), e.Vanished())
		}
		if e.Vanished() == 0 && e.Explained() != e.Spent()+e.Foreign {
			t.Fatalf("books explain %d tokens, Keepa took %d", e.Explained(), e.Spent()+e.Foreign)
		}
		came.add(e)
	})
	t.Log(came)
	came.want(t, map[string]int{"paid calls": 50, "spending of others": 50, "expiry": 5, "claims that outlived their worker": 20, "claims given up": 10, "faults": 50, "a floor": 25})
}

// calm lets dead claims be given up and the last reading be explained.
func calm(t *rapid.T, e *Engine) {
	for {
		id, ok := anyOpen(t, e)
		if !ok {
			break
		}
		e.End(id, 0, Answered)
	}
	e.Waiting = map[pipeline.Stage]int{}
	e.Pass(token.ClaimLife + time.Second)
	if err := e.Settle(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // seen, and given up
		e.Pass(token.ClaimLife + time.Second)
		turn(t, e)
	}
	if err := e.Settle(); err != nil {
		t.Fatal(err)
	}
}

func TestWorkThatCanBePaidIsPaidInTime(t *testing.T) {
	t.Parallel()
	came := reached{}
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 5000)).Draw(t, "rate")
		rules := drawRules(t)
		e := newEngine(t0, rate, drawBalance(t, rate), rules)
		cheapest := 0
		for _, s := range pipeline.Stages() {
			if rapid.Bool().Draw(t, string(s)) {
				e.Waiting[s] = 1 << 20
				if cheapest == 0 || token.Price(token.KindOf(s)) < cheapest {
					cheapest = token.Price(token.KindOf(s))
				}
			}
		}
		rounds := 30
		if *long {
			rounds = 240
		}
		for range rounds {
			turn(t, e)
			what := rapid.IntRange(0, 9).Draw(t, "what")
			if what >= 2 && what <= 4 { // before anything else is claimed
				if id, ok := takeAny(e); ok {
					e.End(id, 1, rapid.SampledFrom([]Outcome{Unanswered, DiesAfter, DiesFirst}).Draw(t, "how"))
				}
			}
			e.Serve(realPrice)
			switch what {
			case 0:
				e.TakeOver()
			case 1:
				e.Silent = !e.Silent
			}
			for range 4 {
				e.Pass(15 * time.Second)
				turn(t, e)
				e.Serve(realPrice)
			}
		}
		// A claim of a dead worker holds its tokens for its life, and what it may have cost
		// while /token is silent has to come in again. A floor has to come in first. So has the debt of a balance that
		// stands in: it is the last that Keepa reported, and refills that came in since are not counted unseen.
		refill := time.Duration((cheapest+e.MostOwed+e.StoodDebt+e.Issuer.Floor)/rate+2)*token.Tick + token.ClaimLife
		bound := max(10*time.Minute, refill)
		if e.Lost > 0 {
			bound = max(bound, 10*time.Minute+token.ClaimLife)
		}
		if rules.Policy == "heartbeat" {
			bound = max(bound, time.Hour+refill)
		}
		if e.Longest > bound {
			t.Fatalf("no paid call for %s at rate %d (balance %d, phase %+v)", e.Longest, rate, e.Balance, e.Issuer.Phase)
		}
		if cheapest == 0 && e.Calls > 0 {
			t.Fatalf("%d calls although nothing waited", e.Calls)
		}
		came.add(e)
	})
	t.Log(came)
	came.want(t, map[string]int{"paid calls": 50, "doubt": 10, "pauses": 5, "substitute balances": 1, "claims that outlived their worker": 20, "a floor": 25})
}

// takeAny claims a step for the first stage that can.
func takeAny(e *Engine) (string, bool) {
	for _, s := range pipeline.Stages() {
		if id, ok := e.Take(s); ok {
			return id, true
		}
	}
	return "", false
}

func realPrice(s pipeline.Stage) int {
	if s == pipeline.StageCommitter {
		return 6
	}
	return token.Price(token.KindOf(s))
}

func TestNothingExpiresWhileWorkWaitsAndOnlyThenMayIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		e := newEngine(t0, rate, drawBalance(t, rate), token.Rules{})
		busy := rapid.Bool().Draw(t, "busy")
		if busy {
			e.Waiting[pipeline.StagePeeker], e.Waiting[pipeline.StageCommitter] = 1<<20, 1<<20
		}
		turns := 300
		if testing.Short() {
			turns = 100
		}
		for range turns {
			turn(t, e)
			e.Serve(realPrice)
			e.Pass(15 * time.Second)
		}
		if busy && e.Expired > 0 {
			t.Fatalf("%d tokens expired while work waited", e.Expired)
		}
		if !busy && e.Spent() > 0 {
			t.Fatalf("%d tokens spent on nothing", e.Spent())
		}
	})
}

func TestAnyTwoBusyStagesGetTheirWeightOverSixHours(t *testing.T) {
	t.Parallel()
	rates := []int{5, 1, 2, 3, 8, 13, 25, 60, 100}
	if testing.Short() {
		rates = rates[:1]
	}
	for _, rate := range rates {
		e := newEngine(t0, rate, 0, token.Rules{})
		for _, s := range pipeline.Stages() {
			e.Waiting[s] = 1 << 22
		}
		spent := []map[pipeline.Stage]int{}
		for e.Now.Before(t0.Add(24 * time.Hour)) {
			if err := e.Turn(); err != nil {
				t.Fatal(err)
			}
			e.Serve(realPrice)
			e.Pass(token.Tick / 3)
			at := map[pipeline.Stage]int{}
			for s, n := range e.Consumed {
				at[s] = n
			}
			spent = append(spent, at)
		}
		window := int(6 * time.Hour / (token.Tick / 3))
		for i := window; i < len(spent); i += 30 {
			total := 0
			for s := range spent[i] {
				total += spent[i][s] - spent[i-window][s]
			}
			for s, w := range token.DefaultShares().Weight {
				slack := max(5.0, 100*float64(token.PriceCommit)/float64(max(1, total)))
				got := 100 * float64(spent[i][s]-spent[i-window][s]) / float64(max(1, total))
				if got < float64(w)-slack || got > float64(w)+slack {
					t.Errorf("rate %d: %s got %.1f %% of %d tokens, weight %d, slack %.1f", rate, s, got, total, w, slack)
				}
			}
		}
	}
}

func TestAnIdleStageLeavesItsPartToTheOthers(t *testing.T) {
	t.Parallel()
	e := newEngine(t0, 5, 0, token.Rules{})
	e.Waiting[pipeline.StagePeeker] = 1 << 20
	for range 6 * 60 * 4 {
		if err := e.Turn(); err != nil {
			t.Fatal(err)
		}
		e.Serve(realPrice)
		e.Pass(15 * time.Second)
	}
	if left := e.Refilled - e.Spent(); left > 5 {
		t.Errorf("%d tokens lie idle while the only busy stage waits", left)
	}
}

func TestAWeekAtFivePerMinuteUnderEitherPolicy(t *testing.T) {
	if testing.Short() {
		t.Skip("runs two weeks")
	}
	t.Parallel()
	seeds := uint64(1)
	if *long {
		seeds = 10
	}
	for seed := range seeds {
		for policy, bound := range map[string]time.Duration{"steady": 10 * time.Minute, "heartbeat": time.Hour} {
			rng := rand.New(rand.NewPCG(seed, 7))
			e, err := aWeek(t0, 5, token.Rules{Policy: policy}, rng.IntN)
			if err != nil {
				t.Fatal(policy, err)
			}
			if e.Longest > bound || e.Lowest < 0 || e.Refused > 0 || e.Wasted > 0 {
				t.Errorf("%s, seed %d: longest %v, lowest %d, refused %d, expired while work waited %d", policy, seed, e.Longest, e.Lowest, e.Refused, e.Wasted)
			}
			if d := e.Spent() + e.Foreign + e.Expired - e.Explained() - e.Vanished(); d != 0 {
				t.Errorf("%s, seed %d: %d tokens unexplained", policy, seed, d)
			}
			if e.Calls == 0 || (policy == "heartbeat") != (e.Pauses > 0) {
				t.Errorf("%s, seed %d: %d calls, %d pauses", policy, seed, e.Calls, e.Pauses)
			}
			t.Logf("%-9s %d calls, %d tokens, longest stall %v, %d pauses (longest %v, ended by %v)",
				policy, e.Calls, e.Spent(), e.Longest, e.Pauses, e.LongPause, e.Ended)
		}
	}
}

func TestAnExpensiveStepIsNotStarvedByCheapOnes(t *testing.T) {
	t.Parallel()
	e := newEngine(t0, 5, 1, token.Rules{})
	e.Waiting[pipeline.StagePeeker], e.Waiting[pipeline.StageCommitter] = 1<<20, 1
	for range 60 {
		run(t, e, 10*time.Second)
		if e.Consumed[pipeline.StageCommitter] > 0 {
			return
		}
	}
	t.Error("a commit starved behind peeks for ten minutes")
}

func TestMoreIncomeNeverMeansFewerCalls(t *testing.T) {
	t.Parallel()
	before := 0
	for _, rate := range []int{1, 2, 3, 4, 5, 6, 8, 10, 15, 25, 40} {
		e := newEngine(t0, rate, 0, token.Rules{})
		e.Waiting[pipeline.StagePeeker], e.Waiting[pipeline.StageCommitter] = 1<<20, 1<<20
		for e.Now.Before(t0.Add(6 * time.Hour)) {
			run(t, e, 20*time.Second)
		}
		if e.Calls < before {
			t.Errorf("rate %d: %d calls, fewer than the %d of a smaller plan", rate, e.Calls, before)
		}
		before = e.Calls
	}
}

func TestDiscoveryStaysWithinItsPartOfTheIncome(t *testing.T) {
	t.Parallel()
	e := newEngine(t0, 5, 300, token.Rules{})
	e.Waiting[pipeline.StageWatermarker], e.Waiting[pipeline.StagePeeker] = 1<<20, 1<<20
	for e.Now.Before(t0.Add(24 * time.Hour)) {
		run(t, e, 20*time.Second)
	}
	income := int(24*time.Hour/token.Tick) * 5
	if got := e.Consumed[pipeline.StageWatermarker]; got > 300+income*15/100 {
		t.Errorf("discovery spent %d of an income of %d", got, income)
	}
}

func TestAfterAChangeOfThePlanDiscoveryHasItsPartOfTheNewIncome(t *testing.T) {
	t.Parallel()
	const half = 12 * time.Hour
	for _, c := range []struct{ before, after int }{{60, 5}, {5, 60}} {
		e := newEngine(t0, c.before, 300, token.Rules{})
		e.Waiting[pipeline.StagePeeker] = 1 << 20
		until := func(end time.Duration) {
			for e.Now.Before(t0.Add(end)) {
				e.Waiting[pipeline.StageWatermarker] = 50
				run(t, e, 20*time.Second)
			}
		}
		until(3 * half)
		e.Plan(c.after)
		e.TakeOver() // a successor counts on
		had, spent := e.Balance, e.Consumed[pipeline.StageWatermarker]
		until(4 * half)
		got, share := e.Consumed[pipeline.StageWatermarker]-spent, int(half/token.Tick)*c.after*15/100
		if got < share*9/10 || got > share+had {
			t.Errorf("from %d to %d a minute: in %s discovery spent %d, want %d and at most the balance of %d", c.before, c.after, half, got, share, had)
		}
	}
}

// run is a turn, all the calls that it allows, and some time.
func run(t *testing.T, e *Engine, d time.Duration) {
	t.Helper()
	if err := e.Turn(); err != nil {
		t.Fatal(err)
	}
	e.Serve(realPrice)
	e.Pass(d)
}
