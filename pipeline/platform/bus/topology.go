package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token/plan"
)

const (
	day      = 24 * time.Hour
	gigabyte = int64(1) << 30

	// dedupWindow is how long a stream drops a repeated Nats-Msg-Id.
	dedupWindow = day
	// ackWaitPipeline is longer than the longest call, and than a NATS outage that a worker
	// should survive with unsettled messages. After it the work of a dead worker is redelivered, so it bounds a stall.
	ackWaitPipeline = 5 * time.Minute
	// LeastAckWait is its minimum on the server's clock.
	LeastAckWait = 30 * time.Second
	// unlimited deliveries: an outage of Keepa or ClickHouse returns the same work for as long as it lasts, and must
	// not lose it. Work that cannot be read or decided becomes a dead letter, written by the stage with the reason.
	unlimited = -1

	// StatusTTL is how long a heartbeat remains after its daemon has died.
	StatusTTL = 2 * time.Minute
	// LeaseTTL is how long a leader key remains after its holder's last renewal.
	LeaseTTL = 2 * time.Minute
	// markerTTL is how long the marker of a key that ended remains.
	markerTTL = time.Minute

	// orderAge bounds the remains of an order: its value has a TTL of its own, its delete marker does not.
	orderAge = 10 * time.Minute
)

// streams returns the streams, and the streams under the buckets.
func (b *Bus) streams(plans plan.Map) []jetstream.StreamConfig {
	all := b.cfg.streams()
	for _, k := range b.cfg.buckets(plans) {
		s := bucketStream(k)
		if k.Bucket == pipeline.BucketTokens && len(plans) > 0 {
			s.Metadata = map[string]string{metaPlans: plans.String()}
		}
		all = append(all, s)
	}
	return all
}

func (c Config) streams() []jetstream.StreamConfig {
	// A replicated stream is not compressed: servers that replay its log
	// were seen to truncate a compressed block and to lose all of it.
	compression := jetstream.S2Compression
	if c.Replicas > 1 {
		compression = jetstream.NoCompression
	}
	stream := func(name, says string, age time.Duration, bytes int64, subjects ...string) jetstream.StreamConfig {
		dedup := dedupWindow
		if age > 0 {
			dedup = min(dedup, age) // the server accepts no longer window
		}
		return jetstream.StreamConfig{
			Name: name, Description: says, Subjects: subjects,
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: c.Replicas,
			MaxAge: age, MaxBytes: bytes, Duplicates: dedup,
			AllowDirect: true, AllowAtomicPublish: true, Compression: compression,
		}
	}
	responses := stream(pipeline.StreamResponses, "every paid answer, zstd, before it is used", c.MaxAge, c.MaxStore, "response.>")
	responses.Compression = jetstream.NoCompression // the bodies are zstd already
	responses.DenyDelete = true
	ledger := stream(pipeline.StreamLedger, "every token movement, mode change, poll, sweep and gap", 90*day, gigabyte, "ledger.>")
	ledger.DenyDelete = true
	return []jetstream.StreamConfig{
		stream(pipeline.StreamCandidates, "what to look at, with its deal-list row", 30*day, 4*gigabyte, "candidate.>"),
		stream(pipeline.StreamSurvivors, "what a look let through", 30*day, 4*gigabyte, "survivor.>"),
		responses,
		stream(pipeline.StreamVerdicts, "every decision of every look", 90*day, 10*gigabyte, "verdict.>"),
		stream(pipeline.StreamDeals, "accepted deals; the newest of an ASIN by direct get", 90*day, 2*gigabyte, "deal.>"),
		ledger,
		stream(pipeline.StreamDead, "what could not be processed, ready to be re-driven", 180*day, gigabyte, "dead.>"),
		stream(pipeline.StreamActions, "what the user bought, sold and ignores; kept for ever", 0, gigabyte/4, "action.>"),
	}
}

func (c Config) buckets(plans plan.Map) []jetstream.KeyValueConfig {
	bucket := func(name, says string, history uint8) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{
			Bucket: name, Description: says, History: history,
			Storage: jetstream.FileStorage, Replicas: c.Replicas,
		}
	}
	// Keys with a TTL need history 1: with more, the server raises the TTL to the
	// limit marker's.
	leaders := bucket(pipeline.BucketLeaders, "leader election: the leases of tokend, the watermarker, the refresher and the notifier", 1)
	leaders.LimitMarkerTTL = markerTTL
	status := bucket(pipeline.BucketStatus, "heartbeats; a key that vanishes is a daemon that died", 1)
	status.LimitMarkerTTL = markerTTL
	orders := bucket(pipeline.BucketOrders, "claims on answers that are being bought", 1)
	orders.TTL, orders.LimitMarkerTTL = orderAge, markerTTL
	seen := bucket(pipeline.BucketSeen, "what was decided about an ASIN", 1)
	seen.TTL = 60 * day
	wants := bucket(pipeline.BucketWants, "which deal queries want an ASIN, where there are several", 1)
	wants.TTL = 60 * day
	stock := bucket(pipeline.BucketStock, "the deals that we hold: when each was checked, confirmed and offered again", 1)
	stock.TTL = 60 * day // a deal that is shown is written again after a week
	posted := bucket(pipeline.BucketPosted, "what the targets of the notifier were sent", 1)
	posted.TTL = 180 * day // longer than DEALS keeps a deal, so that none is posted twice; renewed with the deal
	all := []jetstream.KeyValueConfig{
		bucket(pipeline.BucketTokens, "grants, balance, policy and mode", 64),
		leaders, status, seen, orders, stock, posted, wants,
		bucket(pipeline.BucketConfig, "what the operator put live: the rules and the queries, with their history", 64),
		bucket(pipeline.BucketRuns, "replays: what each decides again, how far it is, what it found", 1),
		bucket(pipeline.BucketWatermarks, "how far each query's list was read, and what is still owed", 64),
	}
	for _, p := range plans.Named() {
		all = append(all, bucket(p.Own(pipeline.BucketTokens), fmt.Sprintf("grants, balance, policy and mode of plan %s", p), 64))
	}
	return all
}

// bucketStream returns the stream that the NATS clients create for a bucket.
func bucketStream(k jetstream.KeyValueConfig) jetstream.StreamConfig {
	dedup := 2 * time.Minute
	if k.TTL > 0 {
		dedup = min(dedup, k.TTL)
	}
	return jetstream.StreamConfig{
		Name: pipeline.BucketStream(k.Bucket), Description: k.Description, Subjects: []string{pipeline.KeySubject(k.Bucket, ">")},
		MaxMsgsPerSubject: int64(k.History), MaxAge: k.TTL, Storage: k.Storage, Replicas: k.Replicas, Duplicates: dedup,
		AllowRollup: true, DenyDelete: true, AllowDirect: true, Discard: jetstream.DiscardNew,
		AllowMsgTTL: k.LimitMarkerTTL > 0, SubjectDeleteMarkerTTL: k.LimitMarkerTTL,
		// A step buys and decides about many ASINs.
		AllowAtomicPublish: k.Bucket == pipeline.BucketSeen || k.Bucket == pipeline.BucketOrders,
	}
}

type durable struct {
	stream string
	cfg    jetstream.ConsumerConfig
	from   string // the durable that had its work before; empty: none
}

// durables returns the consumers. Those of a named plan come before those of the first plan, which
// takes their marketplaces until it is narrowed.
func durables(ackWait time.Duration, plans plan.Map) []durable {
	consumer := func(stream, name string, filters []string, maxPending, unprocessed int) durable {
		d := durable{stream: stream, cfg: jetstream.ConsumerConfig{
			Durable: name, AckPolicy: jetstream.AckExplicitPolicy,
			AckWait: ackWait, MaxDeliver: unlimited, MaxAckPending: maxPending, Metadata: consumerThresholds(unprocessed, maxPending),
		}}
		if len(filters) == 1 {
			d.cfg.FilterSubject = filters[0]
		} else {
			d.cfg.FilterSubjects = filters
		}
		return d
	}
	var out []durable
	for _, p := range append(plans.Named(), "") {
		of := func(pattern string) []string { return subjects(pattern, plans.Tokens(p)) }
		add := func(stream, name string, filters []string, maxPending, unprocessed int) {
			d := consumer(stream, p.Own(name), filters, maxPending, unprocessed)
			if p != "" {
				d.from = name
			}
			out = append(out, d)
		}
		glanced := of("candidate.%s.>")
		if len(plans) == 0 {
			glanced = []string{"candidate.>"}
		}
		if p == "" && len(plans) > 0 { // before the first plan's consumers are narrowed
			stray := consumer(pipeline.StreamCandidates, pipeline.DurableStray, []string{"candidate.>"}, 2000, 50000)
			stray.from = pipeline.DurableGlance // which had what waits of such numbers
			out = append(out, stray, consumer(pipeline.StreamSurvivors, pipeline.DurableStray, []string{"survivor.>"}, 2000, 50000))
		}
		add(pipeline.StreamCandidates, pipeline.DurableGlance, glanced, 2000, 50000)
		for _, s := range pipeline.Sources() {
			add(pipeline.StreamSurvivors, pipeline.DurablePeek(s), of(fmt.Sprintf("survivor.%%s.%s.%s.>", pipeline.LookGlance, s)), 400, 50000)
		}
		for _, t := range pipeline.Tiers() {
			add(pipeline.StreamSurvivors, pipeline.DurableCommit(t), of(fmt.Sprintf("survivor.%%s.%s.%s.>", pipeline.LookPeek, t)), 100, 5000)
		}
	}
	for _, s := range pipeline.RecordedStreams() {
		out = append(out, consumer(s, pipeline.DurableRecorder(s), nil, 20000, 100000))
	}
	return out
}

// Store opens a bucket of the topology. It asks the server once: a handle works by name, also for a recreated bucket.
func (b *Bus) Store(ctx context.Context, bucket string) (jetstream.KeyValue, error) {
	if kv, ok := b.stores.Load(bucket); ok {
		return kv.(jetstream.KeyValue), nil //nolint:forcetypeassert // nothing else is stored
	}
	kv, err := b.JS.KeyValue(ctx, bucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	bounded := boundedKV{kv, b}
	b.stores.Store(bucket, bounded)
	return bounded, nil
}

// boundedKV is a bucket whose cells know how long to wait for an answer, and where to log.
type boundedKV struct {
	jetstream.KeyValue
	b *Bus
}

// Stream opens a stream of the topology like Store; the state in its handle is that of the first time.
func (b *Bus) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if s, ok := b.opened.Load(name); ok {
		return s.(jetstream.Stream), nil //nolint:forcetypeassert // nothing else is stored
	}
	s, err := b.JS.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	b.opened.Store(name, s)
	return s, nil
}
