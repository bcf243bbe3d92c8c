package token

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
)

// question is the state of our questions for the balance; all instants are machine time.
type question struct {
	wanted   bool
	silent   time.Time     // since when Keepa has not answered; the take-over, before the first answer
	last     time.Time     // when one last ended, with or without an answer
	answered time.Time     // when one was last answered
	wait     time.Duration // until the next one, after a failure
}

// When /token is asked.
const (
	askFirst = 250 * time.Millisecond // between questions after a success, and after the first failure
	askMost  = 10 * time.Second       // between questions while Keepa is silent
	// outage is how long /token may be silent before a new leader takes over its predecessor's balance, and
	// before the tokens of dead claims count as spent.
	outage = 30 * time.Second
	// askIdle and askWaiting are how old a reading may grow, pipeline time, while
	// nothing waits and while something does.
	askIdle    = time.Hour
	askWaiting = 5 * time.Minute
	// refillGuard is the delay after a refill before /token is asked, pipeline time.
	refillGuard = 20 * time.Millisecond
)

// WarnNoAnswer is the warning of an issuer that continues without an answer from Keepa.
const WarnNoAnswer = "keepa does not answer, the last known balance is used"

func (q question) outage(m Moment) bool {
	return !q.silent.IsZero() && m.Machine.Sub(q.silent) > outage
}

// check asks when an answer is needed, and gives dead claims up.
func (i Issuer) check(m Moment) (Issuer, []Effect) {
	i = i.see(m)
	if m.Machine.Sub(i.question.last) >= max(askFirst, i.question.wait) && i.asks(m) {
		return i, []Effect{Ask{}}
	}
	return i, i.reap(m)
}

// asks reports whether an answer is needed now. A stage that waits for more than one refill leads to
// a question after each of them: it is free, and shows at once what other programs spent.
func (i Issuer) asks(m Moment) bool {
	b := i.Bucket
	age := m.Now.Sub(b.At)
	refilled := i.Saving != "" && m.Now.After(b.Announced().Add(refillGuard))
	return !b.Known || i.question.wanted || refilled || age >= askIdle ||
		age >= askWaiting && i.Waiting() || len(i.dead(m)) > 0
}

// onAnswered applies a reported balance.
func (i Issuer) onAnswered(r pipeline.Reading, m Moment) (Issuer, []Effect) {
	i.question = question{last: m.Machine, answered: m.Machine}
	first := !i.Bucket.Known
	i.Bucket = i.Bucket.Probed(r, m.Now)
	i.Note = ""
	if first && i.Bucket.Known && i.Opened.IsZero() {
		i = i.openDiscovery(r.Left, m.Now)
	}
	i = i.openBooks()
	return i, i.reap(m)
}

// onUnanswered handles a question without an answer: the projection stays in
// use, and if there is none, after a while, the predecessor's.
func (i Issuer) onUnanswered(e Unanswered, m Moment) (Issuer, []Effect) {
	var say []Effect
	q := i.question
	if q.silent.IsZero() {
		q.silent = m.Machine
	}
	q.last, q.wait = m.Machine, min(max(askFirst, 2*q.wait), askMost)
	if e.Final {
		q.wait = askMost
	}
	i.question = q
	if i.Note != e.Note {
		i.Note = e.Note
		say = append(say, Warn{Text: "keepa does not report the balance", Err: e.Note})
	}
	if !i.Bucket.Known && q.outage(m) {
		var stood bool
		if i, stood = i.standIn(m.Now); stood {
			say = append(say, Warn{Text: WarnNoAnswer})
		}
	}
	return i, append(say, i.reap(m)...)
}

// openDiscovery starts counting discovery's part: it may use so much of the balance
// that was found, and its percentage of the income from now on.
func (i Issuer) openDiscovery(start int, now time.Time) Issuer {
	i.Opened, i.Start, i.Listed = now, start, Used(i.Grants[pipeline.StageWatermarker])
	i.Books.Opened, i.Books.Start, i.Books.Listed, i.Books.Refill = i.Opened, i.Start, i.Listed, i.Bucket.Refill()
	return i
}

// reopenDiscovery starts the count again once the plan yields another income: that of before was earned at another
// rate. What discovery had left of its part it keeps, at most the balance. Books of an earlier build name no rate.
func (i Issuer) reopenDiscovery(now time.Time) Issuer {
	refill := i.Bucket.Refill()
	if i.Opened.IsZero() || !i.Bucket.RateConfirmed() || refill == 0 || refill == i.Books.Refill {
		return i
	}
	rest := i.effectiveShares().listRest(i.PlanInput, cmp.Or(i.Books.Refill, refill), now)
	return i.openDiscovery(max(0, min(rest/100, i.Bucket.Balance(now))), now)
}

// standIn makes a balance from the predecessor's and the workers' readings when Keepa stays silent after a
// take-over: the newest reading as if it had just been received, so that no refill is counted that this
// process did not see, less all that may be owed. Without any reading, nothing may be issued.
func (i Issuer) standIn(now time.Time) (Issuer, bool) {
	newest, owed := i.written.API, i.written.Owed
	for _, g := range i.Grants {
		newest = Newer(newest, g.API)
	}
	if newest == nil {
		return i, false
	}
	r := *newest
	if i.written.Rate > 0 {
		r.Rate = min(r.Rate, i.written.Rate) // a wrong rate in one answer is not believed here either
	}
	i.Bucket = Bucket{}.Probed(r, now).Owe(owed, now)
	i.question.wanted = true
	return i, i.Bucket.Known
}

// see records when each open claim was first seen: times of two clocks are never compared.
func (i Issuer) see(m Moment) Issuer {
	first := map[string]time.Time{}
	for _, g := range i.Grants {
		for id := range g.Open {
			first[id] = m.Machine
			if at, known := i.first[id]; known {
				first[id] = at
			}
		}
	}
	i.first = first
	return i
}

// deadClaim is an open claim that has outlived its life.
type deadClaim struct {
	stage    pipeline.Stage
	id       string
	hold     Hold
	answered bool // an answer since then shows whether the claim's call cost anything
}

// dead returns the claims that have outlived their life, in the order of their ids.
func (i Issuer) dead(m Moment) []deadClaim {
	var out []deadClaim
	for _, stage := range pipeline.Stages() {
		open := i.Grants[stage].Open
		for _, id := range slices.Sorted(maps.Keys(open)) {
			at, seen := i.first[id]
			if end := at.Add(i.Life); seen && m.Machine.After(end) {
				out = append(out, deadClaim{stage: stage, id: id, hold: open[id], answered: i.question.answered.After(end)})
			}
		}
	}
	return out
}

// reap gives dead claims up once an answer has shown the actual balance;
// if Keepa is silent for long, their tokens count as spent.
func (i Issuer) reap(m Moment) []Effect {
	var out []Effect
	for _, d := range i.dead(m) {
		c := Reap{Epoch: i.Epoch, Claim: d.id}
		if !d.answered {
			if !i.question.outage(m) {
				continue
			}
			c.Owed = d.hold.N
		}
		out = append(out, Append{i.line(pipeline.Entry{
			Event: pipeline.EventLost, Stage: d.stage, Tokens: d.hold.N, PriceKind: d.hold.Kind, Items: d.hold.Items, Claim: d.id,
			Note: "its worker did not close it", At: m.Now,
		}, "lost:%s", d.id)}, Swap{Stage: d.stage, Change: c})
	}
	return out
}
