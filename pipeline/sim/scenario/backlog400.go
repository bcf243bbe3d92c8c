package scenario

import (
	"time"

	"ratchet/pipeline/ops/standalone"
)

// backlog400 is 400 candidates that wait at the start, 5 tokens a minute and
// a balance of 300: the same input took a sequential design 21 hours.
func backlog400() Scenario {
	return Scenario{
		Name:  "backlog400",
		About: "400 candidates wait at the start, 95 % of them bad, 5 tokens a minute",
		Speed: 60, Limit: 6 * time.Hour, Rows: 400, World: backlog(400),
		Box: standalone.Options{Rate: 5, Balance: 300},
		Bars: Bars{
			HoursToAll: 0.6, TokensPerDecision: 1.2, StallMin: 10, Good: 20, GrantWrites: 3,
			Recall: 0.99, Precision: 0.99, Losing: 1.0 / 3, BadAtGlance: 0.5, BadBeforeOffers: 0.96, OneView: true,
		},
	}
}
