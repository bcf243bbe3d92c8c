package scenario

import (
	"time"

	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/sim/keepasim"
)

// startMinus231 begins 231 tokens in debt: nothing may be spent before
// the debt is paid, and spending must start as soon as it is.
func startMinus231() Scenario {
	return Scenario{
		Name:  "start-minus-231",
		About: "the balance is -231 at the start",
		Speed: 60, Limit: 6 * time.Hour, Rows: 400, World: backlog(400),
		Box:  standalone.Options{Rate: 5, Balance: -231},
		Bars: Bars{TokensPerDecision: 1.7, StallMin: 10, Good: 20, GrantWrites: 3},
	}
}

// phantomDrain has another program spend on the same key, a little all the time and once more than there is.
func phantomDrain() Scenario {
	return Scenario{
		Name:  "phantom-drain",
		About: "another program spends on the same key: 2 tokens a minute, and 150 at once",
		Speed: 60, Limit: 10 * time.Hour, Rows: 400, World: backlog(400),
		Box: standalone.Options{Rate: 5, Balance: 300, Faults: keepasim.Faults{Drains: []keepasim.Drain{
			{From: 5 * time.Minute, To: 3 * time.Hour, Every: time.Minute, Tokens: 2},
			{From: 40 * time.Minute, To: 41 * time.Minute, Every: time.Minute, Tokens: 150},
		}}},
		Bars: Bars{TokensPerDecision: 1.7, StallMin: 10, Good: 20, GrantWrites: 3},
	}
}

// tokenOutage12h lets the free /token call fail for half a day; the answers of paid calls must suffice.
func tokenOutage12h() Scenario {
	return Scenario{
		Name:  "token-outage-12h",
		About: "/token answers 503 for twelve hours while work waits",
		Speed: 60, Limit: 14 * time.Hour, World: backlog(3600), Rows: 3600,
		Box: standalone.Options{Rate: 5, Balance: 300, Faults: keepasim.Faults{Rules: []keepasim.Rule{
			keepasim.Outage(20*time.Minute, 12*time.Hour+20*time.Minute),
		}}},
		Bars: Bars{TokensPerDecision: 1.7, StallMin: 10, GrantWrites: 3, MayWait: true},
	}
}

// rate5to25to5 changes the plan up and down again while work waits.
func rate5to25to5() Scenario {
	return Scenario{
		Name:  "rate-5-25-5",
		About: "the plan goes from 5 to 25 tokens a minute after an hour, and back two hours later",
		Speed: 60, Limit: 8 * time.Hour, World: backlog(3600), Rows: 3600,
		Box: standalone.Options{Rate: 5, Balance: 300, Faults: keepasim.Faults{Rates: []keepasim.RateChange{
			{At: time.Hour, Rate: 25}, {At: 3 * time.Hour, Rate: 5},
		}}},
		Bars: Bars{TokensPerDecision: 1.7, StallMin: 10, GrantWrites: 3, MayWait: true},
	}
}

// twoTokends lets two instances contend all the time.
func twoTokends() Scenario {
	return Scenario{
		Name:  "two-tokends",
		About: "two tokends contend for the lease, which is taken from the leader every few minutes",
		Speed: 10, Limit: 6 * time.Hour, Rows: 400, World: backlog(400),
		Box:   standalone.Options{Rate: 5, Balance: 300, Tokends: 2},
		Steps: loseTheLease(2*time.Minute, 4*time.Minute, 30),
		Bars:  Bars{TokensPerDecision: 1.7, StallMin: 10, Good: 20},
	}
}

// heartbeatDay is a day of bursts and pauses on the real daemons.
func heartbeatDay() Scenario {
	return Scenario{
		Name:  "heartbeat-day",
		About: "a day of 5 tokens a minute under the heartbeat policy, on a list that lives",
		Speed: 60, Limit: 24 * time.Hour, World: living(3000),
		Box:  standalone.Options{Rate: 5, Balance: 300, Policy: `{"policy":"heartbeat"}`},
		Bars: Bars{StallMin: 61, GrantWrites: 3},
	}
}
