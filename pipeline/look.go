package pipeline

// Look is what was looked at to reach a verdict.
type Look string

// The looks, cheapest first.
const (
	LookList   Look = "list"   // a page of the deal list
	LookGlance Look = "glance" // the candidate's own row: 0 tokens
	LookPeek   Look = "peek"   // statistics and history without offers: 1 token
	LookCommit Look = "commit" // full history with offers: 6 tokens and more
)

// Bound returns the words before a profit that the look finds: that of a peek is an upper bound for the commit, that of
// a glance a guess.
func (l Look) Bound() string {
	switch l {
	case LookGlance:
		return "about "
	case LookPeek:
		return "at most "
	case LookList, LookCommit:
	}
	return ""
}

// Stage is a daemon that spends tokens.
type Stage string

// The stages.
const (
	StageWatermarker Stage = "watermarker"
	StagePeeker      Stage = "peeker"
	StageCommitter   Stage = "committer"
)

// Stages lists every stage that may hold a grant, in the order in which a
// candidate meets them.
func Stages() []Stage { return []Stage{StageWatermarker, StagePeeker, StageCommitter} }

// Source is why a candidate is looked at; it is also the peeker's lane.
type Source string

// The sources.
const (
	SourceLive     Source = "live"     // the incremental read of the deal list
	SourceGap      Source = "gap"      // a span below the watermark that was owed
	SourceBackfill Source = "backfill" // rows older than the first sweep of their list
	SourceRefresh  Source = "refresh"  // a stored deal that is due for a refresh
	SourceRepair   Source = "repair"   // a stored deal with missing inputs
	SourceRetry    Source = "retry"    // retried by an operator or a replay
)

// Sources lists every source.
func Sources() []Source {
	return []Source{SourceLive, SourceGap, SourceBackfill, SourceRefresh, SourceRepair, SourceRetry}
}

// Tier is the committer's lane: how much a survivor is expected to be worth.
type Tier string

// The tiers, best first.
const (
	TierA Tier = "a"
	TierB Tier = "b"
	TierC Tier = "c"
)

// Tiers lists the tiers, best first.
func Tiers() []Tier { return []Tier{TierA, TierB, TierC} }

// Outcome is what a verdict concluded.
type Outcome string

// The outcomes.
const (
	Survive Outcome = "survive" // the next look is worth its price
	Accept  Outcome = "accept"  // it is a deal
	Reject  Outcome = "reject"  // it is not, and the reason says why
	Shed    Outcome = "shed"    // given up after its glance, for no token: more was listed than the tokens can pay for
	Confirm Outcome = "confirm" // a refresh found nothing changed that matters
	Fail    Outcome = "fail"    // it could not be decided, and the reason says why
)

// Final reports whether no further look follows this outcome.
func (o Outcome) Final() bool { return o != Survive }
