package pipeline

import (
	"encoding/json"
	"time"

	"ratchet/pipeline/text/foreign"
)

// Candidate is an ASIN worth a look. Subject candidate.DOMAIN.SOURCE.ASIN.
type Candidate struct {
	Identity
	Queries    []string        `json:"queries"`             // the deal queries that want it, each NAME@VERSION
	Source     Source          `json:"source"`              // why it is looked at
	ListSeenAt time.Time       `json:"list_seen_at"`        // when the list page arrived, pipeline time
	Attempt    int             `json:"attempt"`             // 0 for the first; counts repairs and retries
	NotBefore  time.Time       `json:"not_before,omitzero"` // do not decide earlier than this
	Row        json.RawMessage `json:"row"`                 // Keepa's deal-list row, unchanged

	// AnswersOf is the work whose stored answers serve this one at any age; set when a dead letter is retried.
	AnswersOf string `json:"answers_of,omitempty"`
	// Pay excludes stored answers of other work: the operator wants a paid call.
	Pay bool `json:"pay,omitempty"`
}

// MaxPaid is the most times that one unit of work is paid for, whatever the reason. After
// that it gets a verdict and a dead letter. A call that cost nothing does not count.
const MaxPaid = 3

// Survivor is a candidate that a look let through. Subject
// survivor.DOMAIN.LOOK.LANE.ASIN; the lane is the source after a glance and the
// tier after a peek.
type Survivor struct {
	Candidate
	Look               Look     `json:"look"`
	RuleSet            string   `json:"rule_set"`
	Tier               Tier     `json:"tier,omitempty"`       // set by a peek
	ExpectedValueCents *int64   `json:"expected_value_cents"` // profit × probability; null when unknown
	TokensSpent        int      `json:"tokens_spent"`         // on this work so far, without list pages
	ResponseIDs        []string `json:"response_ids"`         // the stored answers it is based on
}

// Verdict is what a look concluded. Subject verdict.DOMAIN.LOOK.OUTCOME.ASIN;
// its identity is (run, Work-Id, look).
type Verdict struct {
	Identity
	Look               Look            `json:"look"`
	Outcome            Outcome         `json:"outcome"`
	Reason             string          `json:"reason"`  // snake_case code; "ok" when no rule objected
	RuleID             string          `json:"rule_id"` // the rule that decided; empty when none did
	RuleSet            string          `json:"rule_set"`
	Heuristic          bool            `json:"heuristic"` // may be wrong: by such a rule, or an earlier price's answer
	Inputs             map[string]any  `json:"inputs"`    // what the decision used; null means unknown
	Unknown            []string        `json:"unknown"`   // names of inputs that were wanted and unknown
	Source             Source          `json:"source"`
	Tier               Tier            `json:"tier,omitempty"`
	Queries            []string        `json:"queries"`
	RootCategory       int64           `json:"root_category"` // Keepa's root category id; 0 when unknown
	ListedAt           time.Time       `json:"listed_at"`     // when the list page arrived
	DecidedAt          time.Time       `json:"decided_at"`
	Tokens             int             `json:"tokens"`       // this look's own price, its share of a batch
	TokensSpent        int             `json:"tokens_spent"` // all looks of this work so far
	ExpectedValueCents *int64          `json:"expected_value_cents"`
	ProfitCents        *int64          `json:"profit_cents"`
	ResponseIDs        []string        `json:"response_ids"`
	Title              foreign.Text    `json:"title,omitzero"`
	Deal               json.RawMessage `json:"deal,omitempty"` // on accept: the deal
}

// ID returns the verdict's identity within a run: the Work-Id and the look.
func (v Verdict) ID(run, workID string) string { return run + ":" + workID + ":" + string(v.Look) }

// Kind is what a stored answer answers.
type Kind string

// The kinds of stored answers, which are also the price kinds of the ledger.
const (
	KindDeals  Kind = "deals"
	KindPeek   Kind = "peek"
	KindCommit Kind = "commit"
	KindSeller Kind = "seller"
	KindToken  Kind = "token" // the free /token call; never stored
)

// Event is a movement of tokens or a change of mode or coverage. Its subject is that of Entry.
type Event string

// The ledger's events.
const (
	EventIssue      Event = "issue"       // tokend raised a stage's grant
	EventClaim      Event = "claim"       // a worker took part of a grant for one call
	EventClose      Event = "close"       // the call ended; tokens is what Keepa reported
	EventLost       Event = "lost"        // a claim of a dead worker was given up
	EventExpired    Event = "expired"     // tokens that vanished at a full bucket
	EventDrift      Event = "drift"       // Keepa's balance changed by an amount that no claim explains
	EventMode       Event = "mode"        // tokend's state or the operator's mode changed
	EventPoll       Event = "poll"        // one page of the deal list was read
	EventSweep      Event = "sweep"       // a full sweep ended
	EventGapOpened  Event = "gap_opened"  // a span below the watermark is owed
	EventGapFilled  Event = "gap_filled"  // it was read
	EventGapExpired Event = "gap_expired" // its rows have left the list
)

// Entry is one line of the ledger. Fields that do not apply to the event are absent.
type Entry struct {
	Event        Event     `json:"event"`
	Stage        Stage     `json:"stage"`          // or "tokend" for events of the whole budget
	Plan         Plan      `json:"plan,omitempty"` // whose budget; absent: the first one's
	At           time.Time `json:"at"`
	Tokens       int       `json:"tokens"`               // claim: reserved; close: consumed; drift: signed
	PriceKind    Kind      `json:"price_kind,omitempty"` // what was bought
	Items        int       `json:"items,omitempty"`      // how many ASINs or rows the call was for
	Claim        string    `json:"claim,omitempty"`      // the claim's id
	API          *Reading  `json:"api,omitempty"`        // the bucket as Keepa reported it
	Query        string    `json:"query,omitempty"`
	From         int64     `json:"from,omitempty"` // Keepa minutes
	To           int64     `json:"to,omitempty"`   // Keepa minutes
	RowsEstimate int       `json:"rows_estimate,omitempty"`
	Note         string    `json:"note,omitempty"`
}

// Subject is ledger.STAGE.EVENT, and ledger.STAGE.EVENT.PLAN for a plan with a name.
func (e Entry) Subject() string {
	subject := SubjectLedger(e.Stage, e.Event)
	if e.Plan != "" {
		subject += "." + string(e.Plan)
	}
	return subject
}

// Reading is the state of the bucket as one answer of Keepa reported it.
type Reading struct {
	TS         int64   `json:"ts"`           // Unix ms of the server, when the request arrived
	Left       int     `json:"left"`         // tokens after the request; negative in debt
	Rate       int     `json:"rate"`         // tokens per tick of about a minute
	RefillInMS int64   `json:"refill_in_ms"` // until the next tick, from the end of processing
	TookMS     int64   `json:"took_ms"`      // the server's processing time
	FlowRed    float64 `json:"flow_red"`     // tokens per minute that trackings consume
}

// Dead is a dead letter: work or a message that could not be processed. Subject dead.STAGE.KEY.
type Dead struct {
	Reason     string              `json:"reason"`   // snake_case code
	Error      foreign.Text        `json:"error"`    // may quote Keepa's answer
	Stream     string              `json:"stream"`   // the stream it came from
	Sequence   uint64              `json:"sequence"` // its sequence in that stream
	Subject    string              `json:"subject"`
	Deliveries uint64              `json:"deliveries"`
	Header     map[string][]string `json:"header"`
	Body       []byte              `json:"body"`
}

// Seen is the value in SEEN of an ASIN and price type: its last final decision.
type Seen struct {
	CreationDate int64     `json:"creation_date"` // Keepa minutes
	Look         Look      `json:"look"`
	Outcome      Outcome   `json:"outcome"`
	Reason       string    `json:"reason"`
	DecidedAt    time.Time `json:"decided_at"`
	RuleSet      string    `json:"rule_set"`
}

// AppliedRules are rules that an operator applied while the pipeline
// runs, as CONFIG stores them. They win over a daemon's RULES.
type AppliedRules struct {
	Version int       `json:"version"`           // from 1; each change adds 1
	RuleSet string    `json:"rule_set"`          // the version of the rules, as on verdicts; "" when Rules is empty
	Rules   string    `json:"rules"`             // the rule file; "": every daemon uses its own RULES again
	File    string    `json:"file,omitempty"`    // the name of the file that was applied
	Reverts *int      `json:"reverts,omitempty"` // the version whose rules these restore
	By      string    `json:"by"`                // user@host
	At      time.Time `json:"at"`                // pipeline time
}

// CurrentRules are the rules that a daemon decides by.
type CurrentRules struct {
	RuleSet string `json:"rule_set"`          // as on verdicts
	Version int    `json:"version"`           // of AppliedRules; 0: its own RULES or the built-in ones
	Refused string `json:"refused,omitempty"` // why newer applied rules are not used
	Own     string `json:"own,omitempty"`     // its own rule file, only in the answer to a request with the body AskOwn
}

// AskOwn is the body of a status request that asks for a daemon's own rule file, too.
const AskOwn = "own"

// AppliedQueries are deal queries that an operator applied while the pipeline
// runs, as CONFIG stores them. They win over the watermarker's QUERIES.
type AppliedQueries struct {
	Version int            `json:"version"`           // from 1; each change adds 1
	Queries []AppliedQuery `json:"queries"`           // all to read; empty: the watermarker reads its own QUERIES again
	Reverts *int           `json:"reverts,omitempty"` // the version whose queries these restore
	By      string         `json:"by"`                // user@host
	At      time.Time      `json:"at"`                // pipeline time
}

// AppliedQuery is one deal query.
type AppliedQuery struct {
	Name  string          `json:"name"`
	Query json.RawMessage `json:"query"` // the query file
}

// CurrentQueries are the lists that the watermarker reads.
type CurrentQueries struct {
	Queries []string `json:"queries"`           // NAME@VERSION
	Version int      `json:"version"`           // of AppliedQueries; 0: its own QUERIES or the built-in one
	Refused string   `json:"refused,omitempty"` // why newer applied queries are not in force
}

// Heartbeat is the state that every daemon writes to STATUS and returns on its status endpoint.
type Heartbeat struct {
	Daemon       string           `json:"daemon"`
	Instance     string           `json:"instance"`       // host.pid
	Plan         Plan             `json:"plan,omitempty"` // whose key it spends with; absent: the first one's
	Build        string           `json:"build"`
	StartedAt    time.Time        `json:"started_at"`
	At           time.Time        `json:"at"`
	State        string           `json:"state"`                  // idle, working, waiting_for_tokens, standby, stuck
	LastProgress time.Time        `json:"last_progress,omitzero"` // the last decision or write
	LastPaid     time.Time        `json:"last_paid,omitzero"`     // the last paid call
	LastError    string           `json:"last_error,omitempty"`   // of the last work that was settled as again or never
	Stuck        string           `json:"stuck,omitempty"`        // why nothing gets done; empty when not stuck
	Rules        *CurrentRules    `json:"rules,omitempty"`        // of a daemon that decides
	Queries      *CurrentQueries  `json:"queries,omitempty"`      // of the watermarker
	Counters     map[string]int64 `json:"counters"`
	Detail       map[string]any   `json:"detail,omitempty"`
}

// Key is the heartbeat's key in STATUS.
func (h Heartbeat) Key() string { return h.Plan.Own(h.Daemon + "." + h.Instance) }
