package worker

import (
	"errors"
	"log/slog"
	"maps"
	"time"

	"ratchet/pipeline/spend/gateway"
)

// Reason is why work is returned although no call failed.
type Reason struct {
	code string // of a counter; one of metric.RetryReasons
	text string // for the status
}

func (r *Reason) Error() string { return r.text }

// The reasons.
var (
	ErrNoSpend   error = &Reason{"nospend", "the mode is nospend and no stored answer can be used"}
	ErrUnfunded  error = &Reason{"unfunded", "the step holds no claim and no stored answer can be used"}
	ErrOrdered   error = &Reason{"ordered", "another worker is buying the same answer"}
	ErrElsewhere error = &Reason{"elsewhere", "the call was for another marketplace"}
	ErrPart      error = &Reason{"part", "the answer was incomplete"}
	ErrLeftOut   error = &Reason{"left_out", "the answer did not contain it"}
	ErrPrice     error = &Reason{"price", "the cost of its earlier call is not known yet"}
	ErrRules     error = &Reason{"rules", "other rules were applied meanwhile"}
)

// kindOf returns the reason as a counter's name and as text for the status.
func kindOf(cause error) (code, text string) {
	if r, ok := errors.AsType[*Reason](cause); ok {
		return r.code, r.text
	}
	if e, ok := errors.AsType[*gateway.Error](cause); ok {
		return "call_failed", "the call failed: " + string(e.Kind)
	}
	return "step_failed", "a step failed"
}

// waitsFor is how long returned work counts as waiting: until then it is redelivered, here or to another worker.
const waitsFor = 5 * time.Minute

// back is one unit of work that was returned for redelivery, and why.
type back struct {
	why string
	at  time.Time
}

// warnEvery is how long a reason that was logged is not logged again, pipeline time.
const warnEvery = 24 * time.Hour

// Again counts returned work by its reason, shows how much of it waits, and warns once a day for each reason.
func (p *Status) Again(log *slog.Logger, work string, cause error) {
	code, why := kindOf(cause)
	p.mu.Lock()
	p.h.Counters["again_"+code]++
	logged, known := p.logged[code]
	warn := !known || p.now().Sub(logged) >= warnEvery
	if p.logged == nil {
		p.logged = map[string]time.Time{}
	}
	if warn {
		p.logged[code] = p.now()
	}
	if p.back == nil {
		p.back = map[string]back{}
	}
	p.back[work] = back{why: why, at: p.now()}
	p.show()
	p.mu.Unlock()
	if warn {
		log.Warn("work will be retried", "why", why, "work", work)
	}
}

// Decided removes work from what waits.
func (p *Status) Decided(work string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.back[work]; waits {
		delete(p.back, work)
		p.show()
	}
}

// show copies the numbers of waiting units, by reason, into the
// heartbeat. A heartbeat that was handed out keeps its own map.
func (p *Status) show() {
	waiting := map[string]int{}
	for work, b := range p.back {
		if p.now().Sub(b.at) > waitsFor {
			delete(p.back, work)
			continue
		}
		waiting[b.why]++
	}
	detail := maps.Clone(p.h.Detail)
	detail["waiting"] = waiting
	p.h.Detail = detail
}
