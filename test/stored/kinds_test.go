package stored

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
)

// kind is one kind of message of a stream, or of value of a bucket.
type kind struct {
	name    string
	stream  string
	subject string // filter
	read    func(*testing.T, *bus.Bus, pipeline.Stored) (value any, err error)
	// headers are what read returns of the headers, besides those of every message; nil if it reads no other.
	headers func(value any) map[string]string
	has     string // what the subject or the body of the recorded one contains
}

// kinds are all that is stored for longer than a process lives.
func kinds() []kind {
	return append([]kind{
		{name: "candidate", stream: pipeline.StreamCandidates, subject: "candidate.>", read: candidate, has: `"list_seen_at"`},
		{name: "survivor", stream: pipeline.StreamSurvivors, subject: "survivor.*.glance.>", read: survivor},
		{name: "survivor-peek", stream: pipeline.StreamSurvivors, subject: "survivor.*.peek.>", read: survivor},
		{name: "answer-deals", stream: pipeline.StreamResponses, subject: "response.*.deals.>", read: answer, headers: answerHeaders},
		{name: "answer-peek", stream: pipeline.StreamResponses, subject: "response.*.peek.>", read: answer, headers: answerHeaders},
		{name: "answer-commit", stream: pipeline.StreamResponses, subject: "response.*.commit.>", read: answer, headers: answerHeaders},
		{name: "attempt", stream: pipeline.StreamResponses, subject: "response.*.attempt.>", has: ".attempt.peek-", read: attempt, headers: attemptHeaders},
		{name: "verdict-glance", stream: pipeline.StreamVerdicts, subject: "verdict.*.glance.reject.>", read: verdict, headers: verdictHeaders},
		{name: "verdict-peek", stream: pipeline.StreamVerdicts, subject: "verdict.*.peek.reject.>", read: verdict, headers: verdictHeaders},
		{name: "verdict-accept", stream: pipeline.StreamVerdicts, subject: "verdict.*.commit.accept.>", read: verdict, headers: verdictHeaders},
		{name: "deal", stream: pipeline.StreamDeals, subject: "deal.>", read: dealMessage},
		{name: "dead", stream: pipeline.StreamDead, subject: "dead.>", read: body[pipeline.Dead](pipeline.SchemaDead)},
		{name: "action-buy", stream: pipeline.StreamActions, subject: "action.*.buy.>", read: acted},
		{name: "action-ignore", stream: pipeline.StreamActions, subject: "action.*.ignore.>", read: acted},
		value[token.Grant]("grant", pipeline.BucketTokens, pipeline.KeyGrant(pipeline.StagePeeker), `"claimed"`),
		value[token.Balance]("balance", pipeline.BucketTokens, pipeline.KeyBalance, `"reading"`),
		value[shedding.Lines]("shed", pipeline.BucketTokens, pipeline.KeyShed, ""),
		{name: "mode", stream: pipeline.BucketStream(pipeline.BucketTokens), subject: pipeline.KeySubject(pipeline.BucketTokens, pipeline.KeyMode), read: mode},
		{name: "policy", stream: pipeline.BucketStream(pipeline.BucketTokens), subject: pipeline.KeySubject(pipeline.BucketTokens, pipeline.KeyPolicy), read: policy},
		value[watermark.State]("watermark", pipeline.BucketWatermarks, "1.first", `"last_sweep"`),
		value[pipeline.Seen]("seen", pipeline.BucketSeen, "1.*.*", ""),
		value[seen.Wants]("wants", pipeline.BucketWants, "1.*.*", ""),
		value[pipeline.Heartbeat]("heartbeat-watermarker", pipeline.BucketStatus, "watermarker.>", `"queries"`),
		value[pipeline.Heartbeat]("heartbeat-tokend", pipeline.BucketStatus, "tokend.>", ""),
		value[refresh.Holding]("holding", pipeline.BucketStock, "1.*.*", ""),
		value[refresh.Checkpoint]("refresher", pipeline.BucketStock, pipeline.KeyCheckpoint, ""),
		value[notifier.Sent]("sent", pipeline.BucketPosted, "*.1.*.*", ""),
		value[pipeline.AppliedRules]("rules", pipeline.BucketConfig, pipeline.KeyRules, ""),
		value[pipeline.AppliedQueries]("queries", pipeline.BucketConfig, pipeline.KeyQueries, ""),
		value[replay.Record]("replay", pipeline.BucketRuns, ">", ""),
	}, lines()...)
}

// lines are the kinds of lines of the ledger.
func lines() []kind {
	var out []kind
	for event, stage := range map[pipeline.Event]pipeline.Stage{
		pipeline.EventIssue: pipeline.StagePeeker, pipeline.EventClaim: pipeline.StagePeeker, pipeline.EventClose: pipeline.StagePeeker,
		pipeline.EventMode: "tokend", pipeline.EventPoll: pipeline.StageWatermarker, pipeline.EventSweep: pipeline.StageWatermarker,
	} {
		out = append(out, kind{
			name: "ledger-" + string(event), stream: pipeline.StreamLedger, subject: pipeline.SubjectLedger(stage, event),
			read: body[pipeline.Entry](pipeline.SchemaLedger),
		})
	}
	return out
}

// value is the kind of a key of a bucket, read as daemons do.
func value[T any](name, bucket, key, has string) kind {
	return kind{name: name, has: has, stream: pipeline.BucketStream(bucket), subject: pipeline.KeySubject(bucket, key), read: func(t *testing.T, b *bus.Bus, m pipeline.Stored) (any, error) {
		kv, err := b.Store(t.Context(), bucket)
		if err != nil {
			return nil, err
		}
		c := bus.NewCell(kv, strings.TrimPrefix(m.Subject, pipeline.KeySubject(bucket, "")))
		raw, _, err := c.Read(t.Context())
		if err != nil {
			return nil, err
		}
		return bus.Decode[T](c, raw)
	}}
}

// body is the reader of a message that is only JSON.
func body[T any](schema string) func(*testing.T, *bus.Bus, pipeline.Stored) (any, error) {
	return func(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
		var v T
		err := m.Decode(schema, &v)
		return v, err
	}
}

func candidate(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
	w, err := messages.Work(pipeline.SchemaCandidate, m.Header, m.Body)
	return w.Survivor.Candidate, err
}

func survivor(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
	w, err := messages.Work(pipeline.SchemaSurvivor, m.Header, m.Body)
	return w.Survivor, err
}

// readVerdict is a verdict with the headers that name its origin.
type readVerdict struct {
	pipeline.Verdict
	origin string
}

func verdict(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
	v, err := visibility.ReadVerdict(m)
	return readVerdict{v.WithInputs(), m.Header[pipeline.HeaderOrigin][0]}, err
}

func verdictHeaders(v any) map[string]string {
	return map[string]string{pipeline.HeaderOrigin: v.(readVerdict).origin} //nolint:forcetypeassert // verdict returns it
}

// dealMessage is a deal as the decoders know it: a member that none of them names is lost.
func dealMessage(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
	v, err := visibility.ReadVersion(m)
	if err != nil {
		return nil, err
	}
	kept, err := json.Marshal(v.Members)
	if err != nil {
		return nil, err
	}
	var d struct {
		deal.Deal
		Source   pipeline.Source `json:"source"`
		Queries  []string        `json:"queries"`
		ListedAt time.Time       `json:"listed_at"`
		WorkID   string          `json:"work_id"`
	}
	if err := json.Unmarshal(kept, &d); err != nil {
		return nil, err
	}
	return d, nil
}

func acted(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
	a, err := action.Read(m)
	return a.Action, err
}

// answer reads a stored answer, and returns its body.
func answer(t *testing.T, b *bus.Bus, m pipeline.Stored) (any, error) {
	a, err := responses.Load(t.Context(), b, strconv.FormatUint(m.Sequence, 10))
	if err == nil && a == nil {
		err = fmt.Errorf("answer %d is not stored", m.Sequence)
	}
	if err != nil {
		return nil, err
	}
	packed, err := responses.Unpack(m.Body)
	if err == nil && string(packed) != string(a.Body) {
		err = fmt.Errorf("%d of %d bytes were read", len(a.Body), len(packed))
	}
	return *a, err
}

func answerHeaders(v any) map[string]string {
	a := v.(responses.Answer) //nolint:forcetypeassert // answer returns it
	h := map[string]string{
		pipeline.HeaderRequestID: a.RequestID, pipeline.HeaderCost: strconv.Itoa(a.Cost), pipeline.HeaderRequest: a.Request,
		pipeline.HeaderAnsweredAt: a.AnsweredAt.Format(pipeline.TimeFormat), pipeline.HeaderPosition: strconv.Itoa(a.Position),
		pipeline.HeaderKind: string(a.Kind), pipeline.HeaderEncoding: "zstd", // which unpacked it
	}
	return h
}

// attempt reads the attempts that are stored for the same work.
func attempt(t *testing.T, b *bus.Bus, m pipeline.Stored) (any, error) {
	work := m.Header[pipeline.HeaderWorkID][0]
	all, err := responses.Outcomes(t.Context(), b, 1, pipeline.KindPeek, []string{work})
	if err == nil && all[work].Calls != 1 {
		err = fmt.Errorf("%d calls for the work, want 1", all[work].Calls)
	}
	return m, err
}

func attemptHeaders(v any) map[string]string {
	m := v.(pipeline.Stored) //nolint:forcetypeassert // attempt returns it
	return map[string]string{pipeline.HeaderKind: m.Header[pipeline.HeaderKind][0], pipeline.HeaderRequestID: m.Header[pipeline.HeaderRequestID][0]}
}

func mode(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
	w, err := token.ParseWish(m.Body)
	return w, err
}

func policy(_ *testing.T, _ *bus.Bus, m pipeline.Stored) (any, error) {
	r, err := token.ParseRules(m.Body)
	return r, err
}
