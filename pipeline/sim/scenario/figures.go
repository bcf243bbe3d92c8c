package scenario

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"ratchet/pipeline"
)

// Figures are a scenario's result. Hours and minutes are pipeline time.
type Figures struct {
	Scenario                  string                `json:"scenario"`
	OK                        bool                  `json:"ok"`
	Failures                  []string              `json:"failures"` // the missed bars; empty when OK
	Speed                     float64               `json:"speed"`
	Seed                      uint64                `json:"seed"`
	Hours                     float64               `json:"hours"` // duration
	Decided                   int                   `json:"decided"`
	Undecided                 int                   `json:"undecided"`    // candidates without a final verdict
	Shed                      int                   `json:"shed"`         // for 0 tokens; among the decided
	HoursToAll                float64               `json:"hours_to_all"` // t0 to the last final verdict
	TokensSpent               int                   `json:"tokens_spent"` // what Keepa charged until that verdict
	TokensPerDecision         float64               `json:"tokens_per_decision"`
	RepeatPaid                int                   `json:"repeat_paid"` // answers paid for again without an excuse
	TokensExpiredWhileWaiting int                   `json:"tokens_expired_while_waiting"`
	TokensUsedShare           float64               `json:"tokens_used_share"` // while work waited
	LongestStallMin           float64               `json:"longest_stall_min"`
	MinBalance                int                   `json:"min_balance"` // lowest after a call, by what it could know
	HTTP429                   int                   `json:"http_429"`
	HTTP429Avoidable          int                   `json:"http_429_avoidable"` // those that the last answer announced
	LedgerDrift               int                   `json:"ledger_drift"`       // charged, and not in the ledger
	StageDrift                int                   `json:"stage_drift"`        // under the wrong stage in the ledger
	DriftSeries               int                   `json:"drift_series"`       // of others, and of lost answers
	Foreign                   int                   `json:"foreign"`            // what others spent, by Keepa's books
	GrantWritesPerCall        float64               `json:"grant_writes_per_call"`
	ListShare                 float64               `json:"list_share"` // discovery's part of the tokens
	RowsUnaccounted           int                   `json:"rows_unaccounted"`
	GoodTotal                 int                   `json:"good_total"`
	GoodVisible               int                   `json:"good_visible"`
	RejectedByLook            map[pipeline.Look]int `json:"rejected_by_look"`
	Discovered                                      // of the list, compared with the census
	Quality                                         // of the decisions, compared with the simulated books
	Recorded                                        // in ClickHouse, compared with the streams
	NoPeekTokens              int                   `json:"no_peek_tokens,omitempty"` // with a commit for each
	VisibleDiffer             int                   `json:"visible_differ"`           // ClickHouse, `ratchet deals`
	VisibleIn                 string                `json:"visible_in"`               // clickhouse, or streams
	DecisionsPerHour          map[int]float64       `json:"decisions_per_hour,omitempty"`
	PaidWorthCents            int64                 `json:"paid_worth_cents,omitempty"` // median; if anything was shed
	ShedWorthCents            int64                 `json:"shed_worth_cents,omitempty"` // of what was shed
	Orders                                          // of the work, by the simulator; if anything was shed
	Kills                     int                   `json:"kills,omitempty"`  // each may cost one repeated answer
	Faults                    []FaultFigures        `json:"faults,omitempty"` // of the cluster, one by one
	Notes                     []string              `json:"notes,omitempty"`
}

// Bars are a scenario's minimum results; a zero bar is not checked. Some results are checked in every scenario.
type Bars struct {
	HoursToAll        float64
	TokensPerDecision float64
	StallMin          float64
	Good              int     // good deals that the user must see
	UsedShare         float64 // 0 means 0.99
	GrantWrites       float64 // writes of grants per paid call
	ListShare         float64 // discovery's part of the tokens
	Recall, Precision float64 // of the deals, by the simulator
	Losing            float64 // share of the deals that may lose money
	Covered           float64 // least share of the way from random to perfect order
	OneView           bool    // ClickHouse and ratchet deals show the same deals
	BadAtGlance       float64 // share of the bad that cost no token
	BadBeforeOffers   float64 // share of the bad for which no offers are bought
	FoundPolls        float64 // polling intervals until a new price is found, p95
	FoundOldHours     float64 // until a row with an old date is found
	Outages           int     // gaps of ten hours and more, exactly
	MayWait           bool    // the run may end with undecided work
	Sheds             bool    // more is listed than tokens can decide: the least valuable is shed
	Repeats           int     // answers that may be paid for again, beside one per kill
	// Floor is the policy's floor.
	Floor int
}

// judge fills OK and Failures.
func (f *Figures) judge(b Bars, rows int) {
	if f.Failures == nil {
		f.Failures = []string{}
	}
	miss, used := f.miss, cmp.Or(b.UsedShare, 0.99)
	miss(rows > 0 && !b.MayWait && f.Decided != rows, "decided: %d, want %d", f.Decided, rows)
	miss(f.Decided == 0, "decided: nothing")
	miss(f.RowsUnaccounted != 0, "rows_unaccounted: %d, want 0", f.RowsUnaccounted)
	miss(f.RepeatPaid > b.Repeats+f.Kills, "repeat_paid: %d, want at most %d", f.RepeatPaid, b.Repeats+f.Kills)
	miss(f.TokensExpiredWhileWaiting != 0, "tokens_expired_while_waiting: %d, want 0", f.TokensExpiredWhileWaiting)
	miss(f.TokensUsedShare < used, "tokens_used_share: %.4f, want at least %.2f", f.TokensUsedShare, used)
	miss(f.HTTP429Avoidable != 0, "http_429_avoidable: %d, want 0", f.HTTP429Avoidable)
	miss(f.LedgerDrift != 0, "ledger_drift: %d, want 0", f.LedgerDrift)
	miss(f.StageDrift != 0, "stage_drift: %d, want 0", f.StageDrift)
	miss(f.MinBalance < b.Floor, "min_balance: %d, want %d or more", f.MinBalance, b.Floor)
	miss(b.HoursToAll > 0 && f.HoursToAll > b.HoursToAll, "hours_to_all: %.4f, want at most %.2f", f.HoursToAll, b.HoursToAll)
	miss(b.TokensPerDecision > 0 && f.TokensPerDecision > b.TokensPerDecision,
		"tokens_per_decision: %.4f, want at most %.2f", f.TokensPerDecision, b.TokensPerDecision)
	miss(b.StallMin > 0 && f.LongestStallMin > b.StallMin, "longest_stall_min: %.1f, want at most %.0f", f.LongestStallMin, b.StallMin)
	miss(b.Good > 0 && f.GoodVisible != b.Good, "good_visible: %d, want %d", f.GoodVisible, b.Good)
	miss(b.GrantWrites > 0 && f.GrantWritesPerCall > b.GrantWrites, "grant_writes_per_call: %.2f, want at most %.2f", f.GrantWritesPerCall, b.GrantWrites)
	miss(b.ListShare > 0 && f.ListShare > b.ListShare, "list_share: %.3f, want at most %.2f", f.ListShare, b.ListShare)
	miss(b.Sheds && f.Shed == 0, "shed: 0, although more was listed than tokens can decide")
	miss(!b.Sheds && !b.MayWait && f.Shed > 0, "shed: %d, although all of it can be decided", f.Shed)
	miss(b.Sheds && f.PaidWorthCents <= f.ShedWorthCents, "paid_worth_cents: %d, want more than the %d of what was shed", f.PaidWorthCents, f.ShedWorthCents)
	atLeast := func(want, got float64, name string) {
		miss(got < want, "%s: %.4f, want at least %.2f", name, got, want)
	}
	miss(f.Unrecorded != 0, "unrecorded: %d of %d messages, want 0", f.Unrecorded, f.Messages)
	miss(f.RecordedTwice != 0, "recorded_twice: %d rows, want 0", f.RecordedTwice)
	miss(len(f.SumsAstray) != 0, "sums_astray: %s", strings.Join(f.SumsAstray, "; "))
	miss(b.OneView && f.VisibleDiffer != 0, "visible_differ: %d, want 0", f.VisibleDiffer)
	atLeast(b.Recall, f.Recall, "recall")
	atLeast(b.Precision, f.Precision, "precision")
	atLeast(b.BadAtGlance, f.BadAtGlance, "bad_rejected_at_glance")
	atLeast(b.BadBeforeOffers, f.BadBeforeOffers, "bad_rejected_before_offers")
	miss(b.Losing > 0 && f.LosingShare > b.Losing, "losing_share: %.2f, want at most %.2f", f.LosingShare, b.Losing)
	atLeast(b.Covered, f.Covered, "order_covered")
	miss(b.FoundPolls > 0 && f.FoundPolls > b.FoundPolls, "found_p95_polls: %.2f, want at most %.2f", f.FoundPolls, b.FoundPolls)
	miss(b.FoundOldHours > 0 && f.FoundOldHours > b.FoundOldHours, "found_old_max_hours: %.2f, want at most %.2f", f.FoundOldHours, b.FoundOldHours)
	miss(b.Outages > 0 && f.Outages != b.Outages, "outages: %d gap records, want %d", f.Outages, b.Outages)
	f.OK = len(f.Failures) == 0
}

// Print writes the figures for people.
func (f Figures) Print(w io.Writer) error {
	if len(f.Faults) > 0 {
		return f.printFaults(w)
	}
	_, err := fmt.Fprintf(w, `%s at speed %g, seed %d, %.2f h
  decided                %d (%d undecided, %d rows unaccounted for)
  hours to all           %.2f
  tokens                 %d, %.3f per decision, %.1f %% for the list
  paid for again         %d
  expired while waiting  %d (used %.2f %%)
  longest stall          %.1f min
  lowest balance         %d, %d × 429 (%d avoidable), ledger drift %d (others took %d, drift says %d)
  grant writes per call  %.2f
  good deals visible     %d of %d (in %s)
  recorded               %d messages, %d without a row, %d rows too many
  rejected by look       %v
  rows of the list       %v, unseen by estimate %.0f, %v
  found                  a new price within %.2f polling intervals (p95), an old date within %.1f h (at most)
`, f.Scenario, f.Speed, f.Seed, f.Hours, f.Decided, f.Undecided, f.RowsUnaccounted, f.HoursToAll, f.TokensSpent, f.TokensPerDecision, 100*f.ListShare,
		f.RepeatPaid, f.TokensExpiredWhileWaiting, 100*f.TokensUsedShare, f.LongestStallMin, f.MinBalance, f.HTTP429, f.HTTP429Avoidable, f.LedgerDrift,
		f.Foreign, f.DriftSeries, f.GrantWritesPerCall, f.GoodVisible, f.GoodTotal, f.VisibleIn, f.Messages, f.Unrecorded, f.RecordedTwice, f.RejectedByLook,
		f.Rows, f.UnseenEstimate, f.Gaps, f.FoundPolls, f.FoundOldHours)
	notes := f.Notes
	if len(f.Classes) > 0 {
		notes = append(f.lines(), notes...)
	}
	for _, n := range notes {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %s\n", n)
		}
	}
	return err
}

// sample is the state of the pipeline at an instant.
type sample struct {
	at       time.Time
	waits    bool // work waits and the mode allows spending
	balance  int
	expired  int // tokens expired so far
	consumed int // tokens charged to us so far
}

// longestStall is the longest span between paid calls during which work waited
// without a break and the balance was positive.
func longestStall(samples []sample, paid []time.Time) time.Duration {
	var longest time.Duration
	var since time.Time // the span's start; zero while nothing waits
	for _, s := range samples {
		for len(paid) > 0 && !paid[0].After(s.at) {
			if !since.IsZero() && paid[0].After(since) {
				longest = max(longest, paid[0].Sub(since))
				since = paid[0]
			}
			paid = paid[1:]
		}
		switch {
		case !s.waits || s.balance <= 0:
			since = time.Time{}
		case since.IsZero():
			since = s.at
		default:
			longest = max(longest, s.at.Sub(since))
		}
	}
	return longest
}

// whileWaiting returns what was consumed and what expired between samples that both had waiting
// work, after it had waited for reaction samples. As the plan's income is consumed, expires or
// stays in the balance, consumed / (consumed + expired) is the share that was used.
func whileWaiting(samples []sample, reaction int) (consumed, expired int) {
	waited := 0
	for i := 1; i < len(samples); i++ {
		if !samples[i-1].waits || !samples[i].waits {
			waited = 0
			continue
		}
		if waited++; waited > reaction {
			consumed += samples[i].consumed - samples[i-1].consumed
			expired += samples[i].expired - samples[i-1].expired
		}
	}
	return consumed, expired
}
