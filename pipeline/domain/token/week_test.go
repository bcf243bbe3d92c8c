package token_test

import (
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// aWeek runs seven days at a plan's rate with the measured churn: polls, a stream of peeks and
// commits, an idle night, a backlog that waits for a day, a day in which another program
// spends, and half a day without /token. It ends early when a law breaks.
func aWeek(start time.Time, rate int, rules token.Rules, draw func(n int) int) (*Engine, error) {
	e := newEngine(start, rate, token.Minutes*rate, rules)
	const step = 15 * time.Second
	for at := time.Duration(0); at < 7*24*time.Hour; at += step {
		e.happen(at, draw)
		if err := e.Turn(); err != nil {
			return e, fmt.Errorf("%v into the week: %w", at, err)
		}
		e.Serve(func(s pipeline.Stage) int { return price(s, draw) })
		e.Pass(step)
	}
	return e, e.Settle() // the last answers are explained before books are compared
}

// The week's days, in hours from its start.
const (
	backlogAt = 48 // 4,000 candidates at once
	drainFrom = 96
	drainTo   = 120
	silentAt  = 132
	quietFrom = 22 // nothing comes for six hours, the bucket fills
	quietTo   = 28
)

func (e *Engine) happen(at time.Duration, draw func(n int) int) {
	hour := int(at / time.Hour)
	e.Silent = hour >= silentAt && hour < silentAt+12
	if hour >= quietFrom && hour < quietTo {
		return
	}
	if at%(15*time.Minute) == 0 {
		e.Waiting[pipeline.StageWatermarker]++
	}
	if at == backlogAt*time.Hour {
		e.Waiting[pipeline.StagePeeker] += 2000
		e.Waiting[pipeline.StageCommitter] += 200
	}
	if hour >= drainFrom && hour < drainTo && at%time.Minute == 0 {
		e.Drain(draw(3))
	}
	// 1,800 rows a day are new or move: half pass the glance, one in twelve of
	// those the peek. A step is 15 s, so there are 5,760 a day.
	if draw(5760) < 900 {
		e.Waiting[pipeline.StagePeeker]++
		if draw(12) == 0 {
			e.Waiting[pipeline.StageCommitter]++
		}
	}
}

// price draws the actual price of a step.
func price(s pipeline.Stage, draw func(n int) int) int {
	if s != pipeline.StageCommitter {
		return token.Price(token.KindOf(s))
	}
	switch x := draw(100); {
	case x < 85:
		return 6
	case x < 95:
		return 8
	}
	return 12
}
