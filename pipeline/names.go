package pipeline

import (
	"fmt"
	"strconv"
	"strings"
)

// The streams. All use limits retention: processed messages stay for replay.
const (
	StreamCandidates = "CANDIDATES" // what to look at
	StreamSurvivors  = "SURVIVORS"  // what a look let through
	StreamResponses  = "RESPONSES"  // every paid answer, zstd, before it is used
	StreamVerdicts   = "VERDICTS"   // every decision of every look
	StreamDeals      = "DEALS"      // accepted deals, the newest readable by direct get
	StreamLedger     = "LEDGER"     // every token movement, mode change, poll, sweep and gap
	StreamDead       = "DEAD"       // what could not be processed
	StreamActions    = "ACTIONS"    // what the user bought, sold and ignores
)

// Streams are all streams.
func Streams() []string {
	return append([]string{StreamCandidates, StreamSurvivors, StreamResponses}, RecordedStreams()...)
}

// RecordedStreams are the streams that the recorder writes to ClickHouse completely.
func RecordedStreams() []string {
	return []string{StreamVerdicts, StreamDeals, StreamLedger, StreamDead, StreamActions}
}

// The key-value buckets.
const (
	BucketTokens     = "TOKENS"     // grants, balance, policy, mode
	BucketLeaders    = "TOKEND"     // leader keys with a TTL: tokend's, the watermarker's
	BucketWatermarks = "WATERMARKS" // one key per DOMAIN.QUERY
	BucketSeen       = "SEEN"       // the last decision about an ASIN
	BucketStatus     = "STATUS"     // heartbeats with a TTL
	BucketOrders     = "ORDERS"     // which answers are being bought now
	BucketWants      = "WANTS"      // which queries want an ASIN, when there are several
	BucketStock      = "STOCK"      // the deals to refresh, one key each, and the refresher's totals
	BucketPosted     = "POSTED"     // what the notifier has sent to its targets
	BucketConfig     = "CONFIG"     // what the operator applied, with its history
	BucketRuns       = "RUNS"       // replays: what each decides again, its progress and its results
)

// The fixed keys of TOKENS, TOKEND, STOCK and CONFIG.
const (
	KeyBalance           = "balance"
	KeyMode              = "mode"
	KeyPolicy            = "policy"
	KeyShed              = "shed" // the lines below which work is shed
	KeyLeader            = "leader"
	KeyWatermarkerLeader = "watermarker"
	KeyRefresherLeader   = "keeper"
	KeyNotifierLeader    = "notifier" // the notifier that sends alarms
	KeyCheckpoint        = "books"    // of STOCK
	KeyRules             = "rules"    // of CONFIG
	KeyQueries           = "queries"  // of CONFIG
)

// The stream and the subjects of a bucket, as the NATS clients name them.
const (
	bucketPrefix = "KV_"
	keyPrefix    = "$KV."
)

// BucketStream is the stream of a bucket.
func BucketStream(bucket string) string { return bucketPrefix + bucket }

// BucketOf is the inverse of BucketStream; false for another stream.
func BucketOf(stream string) (bucket string, is bool) { return strings.CutPrefix(stream, bucketPrefix) }

// KeySubject is the subject of a key in its bucket's stream; > stands for every key, and no key makes the prefix.
func KeySubject(bucket, key string) string { return keyPrefix + bucket + "." + key }

// KeyGrant is the key of a stage's grant in TOKENS.
func KeyGrant(s Stage) string { return "grant." + string(s) }

// KeyWatermark is the key of a query's watermark in WATERMARKS.
func KeyWatermark(domain int, query string) string { return strconv.Itoa(domain) + "." + query }

// DomainOf returns the marketplace with which a key of WATERMARKS or STOCK begins; 0 for a key of another form.
func DomainOf(key string) int {
	domain, _, _ := strings.Cut(key, ".")
	n, err := strconv.Atoi(domain)
	if err != nil {
		return 0
	}
	return n
}

// KeySeen is the key in SEEN of an ASIN and price type.
func KeySeen(i Identity) string { return fmt.Sprintf("%d.%d.%s", i.Domain, i.PriceType, i.ASIN) }

// KeyOrder is the key in ORDERS of an answer that is being bought.
func KeyOrder(domain int, k Kind, key string) string { return fmt.Sprintf("%d.%s.%s", domain, k, key) }

// KeyPosted is the key in POSTED of what a target received of an ASIN; target
// is a hash of its address, which may contain a secret.
func KeyPosted(target string, i Identity) string {
	return fmt.Sprintf("%s.%d.%d.%s", target, i.Domain, i.PriceType, i.ASIN)
}

// KeyTarget is the key in POSTED of what a target refused, and of the alarms that it received.
func KeyTarget(target string) string { return target + ".state" }

// DurableGlance is the peeker's free consumer on CANDIDATES.
const DurableGlance = "glance"

// DurableStray is a consumer of the first plan's peeker on CANDIDATES and on SURVIVORS, if there are several plans.
// It receives the messages with an unknown marketplace number, which no plan's own consumers deliver.
const DurableStray = "stray"

// DurablePeek is the peeker's paid consumer on the glance survivors of a source.
func DurablePeek(s Source) string { return "peek-" + string(s) }

// DurableCommit is the committer's paid consumer on the peek survivors of a tier.
func DurableCommit(t Tier) string { return "commit-" + string(t) }

// DurableNotify is the notifier's consumer on DEALS for a target, by the hash of its address.
func DurableNotify(target string) string { return "notify-" + target }

// DurableRecorder is the recorder's consumer on a stream: recorder-verdicts …
func DurableRecorder(stream string) string { return "recorder-" + strings.ToLower(stream) }

// SubjectCandidate is candidate.DOMAIN.SOURCE.ASIN.
func SubjectCandidate(domain int, s Source, asin string) string {
	return fmt.Sprintf("candidate.%d.%s.%s", domain, s, asin)
}

// SubjectSurvivor is survivor.DOMAIN.LOOK.LANE.ASIN; the lane is a source after
// a glance and a tier after a peek.
func SubjectSurvivor(domain int, l Look, lane, asin string) string {
	return fmt.Sprintf("survivor.%d.%s.%s.%s", domain, l, lane, asin)
}

// SubjectResponse is response.DOMAIN.KIND.KEY: an ASIN, a seller or QUERY-PAGE.
func SubjectResponse(domain int, k Kind, key string) string {
	return fmt.Sprintf("response.%d.%s.%s", domain, k, key)
}

// SubjectAttempt is response.DOMAIN.attempt.KIND-WORK: the calls that were begun for a unit of work, one message each.
func SubjectAttempt(domain int, k Kind, workID string) string {
	return fmt.Sprintf("response.%d.attempt.%s-%s", domain, k, workID)
}

// SubjectWhole is response.DOMAIN.whole.CALL: the bytes of a paid
// answer that contains a part which cannot be separated or read.
func SubjectWhole(domain int, call string) string {
	return fmt.Sprintf("response.%d.whole.%s", domain, strings.ReplaceAll(call, ".", "-"))
}

// SubjectVerdict is verdict.DOMAIN.LOOK.OUTCOME.ASIN.
func SubjectVerdict(domain int, l Look, o Outcome, asin string) string {
	return fmt.Sprintf("verdict.%d.%s.%s.%s", domain, l, o, asin)
}

// SubjectDeal is deal.DOMAIN.PRICETYPE.ASIN.
func SubjectDeal(domain, priceType int, asin string) string {
	return fmt.Sprintf("deal.%d.%d.%s", domain, priceType, asin)
}

// SubjectLedger is ledger.STAGE.EVENT.
func SubjectLedger(s Stage, e Event) string { return fmt.Sprintf("ledger.%s.%s", s, e) }

// SubjectAction is action.DOMAIN.KIND.KEY: buy, sold, ignore, undo or lapse; domain 0 is every marketplace.
func SubjectAction(domain int, kind, key string) string {
	return fmt.Sprintf("action.%d.%s.%s", domain, kind, key)
}

// SubjectLapse is every lapse: action.*.lapse.KEY.
func SubjectLapse() string { return "action.*.lapse.*" }

// SubjectDead is dead.STAGE.KEY.
func SubjectDead(stage, key string) string { return fmt.Sprintf("dead.%s.%s", stage, key) }

// The headers that every message carries.
const (
	HeaderSchema      = "Schema"        // candidate.v1 …
	HeaderWorkID      = "Work-Id"       // Identity.WorkID
	HeaderRunID       = "Run-Id"        // "live" or a replay's name
	HeaderAt          = "At"            // pipeline time, RFC 3339 with ms
	HeaderMsgID       = "Nats-Msg-Id"   // deduplication key
	HeaderTraceparent = "traceparent"   // W3C trace context: the work, and the span that published it if traces are on
	HeaderBuild       = "Build"         // the build that published it
	HeaderOrigin      = "Origin"        // STREAM/SEQUENCE of the message it was decided from; on verdicts
	HeaderAgain       = "Decides-Again" // STREAM/SEQUENCE of the live verdict, if of the present stream; on verdicts of a replay
	HeaderWas         = "Was"           // OUTCOME REASON of the live verdict; on verdicts of a replay
)

// The further headers of a stored answer.
const (
	HeaderKind       = "Kind"             // Kind
	HeaderRequest    = "Request"          // the request's path and query, without the key
	HeaderRequestID  = "Request-Id"       // the claim under which it was paid
	HeaderCost       = "Cost"             // this part's share of the price, tokens
	HeaderAnsweredAt = "Answered-At"      // pipeline time at which the answer arrived
	HeaderEncoding   = "Content-Encoding" // zstd
	HeaderPosition   = "Position"         // its index in the answer, from 0; absent for a single part
	HeaderQuery      = "Query"            // the deal query, NAME@VERSION; on the dead letter of a row or page
	HeaderDomain     = "Domain"           // Keepa's domain id; as above
	HeaderPriceType  = "Price-Type"       // as above
	HeaderPart       = "Part"             // N/M: a whole answer that exceeds one message
)

// The schemas of the message bodies.
const (
	SchemaCandidate = "candidate.v1"
	SchemaSurvivor  = "survivor.v1"
	SchemaResponse  = "response.v1"
	SchemaAttempt   = "attempt.v1"
	SchemaVerdict   = "verdict.v1"
	SchemaDeal      = "deal.v2"
	SchemaDealV1    = "deal.v1" // with a list price in place of an estimate; still read
	SchemaLedger    = "ledger.v1"
	SchemaDead      = "dead.v1"
	SchemaAction    = "action.v1"
)

// RunLive is the Run-Id of everything outside a replay.
const RunLive = "live"

// TimeFormat is the format of At and Answered-At: RFC 3339 with milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"
