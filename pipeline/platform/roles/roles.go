// Package roles defines the permissions on NATS in one table, from which are generated the server's
// configuration in deploy/nats and the page docs/roles.md. A test checks that everything else is denied.
// The server does not check reply subjects, so the rights do not stop an attacker who has a password.
package roles

import (
	"slices"
	"strings"

	"ratchet/pipeline"
)

// Role is what one kind of process, or a person, does on NATS.
type Role struct {
	Name    string // also the user name
	Purpose string
	// Publishes lists subjects of streams and of bucket keys.
	Publishes []string
	// Gets lists the streams and buckets from which it reads single messages.
	Gets []string
	// Scans lists those that it reads with ephemeral consumers of its own.
	Scans []string
	// Takes lists the durables from which it takes work, by stream.
	Takes map[string][]string
	// Plans are the plans beside the first one.
	Plans []pipeline.Plan
	// Subscribes lists the subjects to which it subscribes.
	Subscribes []string
	// Requests lists further subjects of requests that it sends.
	Requests []string
	// Serves marks a micro service of the role's name.
	Serves bool
	// Person marks a role used from a terminal: its inbox is that of the nats CLI.
	Person bool
}

// The roles that are not daemons.
const (
	Provisioner = "provisioner"
	Reader      = "reader"
	Operator    = "operator"
)

// Shorthands of the table for a bucket's stream and the subject of a key.
var (
	bucket = pipeline.BucketStream
	key    = pipeline.KeySubject
)

// Table returns every role. With several Keepa keys a role has the rights of its daemons of every plan.
func Table(plans ...pipeline.Plan) []Role {
	all := []Role{tokend(), watermarker(), peeker(), committer(), recorder(), notifier(), page(), provisioner(), reader(), operator()}
	for i := range all {
		for _, p := range plans {
			all[i].join(p)
		}
	}
	return all
}

func tokend() Role {
	return Role{
		Name: "tokend", Purpose: "issues tokens", Serves: true,
		Publishes: []string{
			"ledger.>", key(pipeline.BucketTokens, "grant.*"), key(pipeline.BucketTokens, pipeline.KeyBalance), key(pipeline.BucketTokens, pipeline.KeyMode),
			key(pipeline.BucketLeaders, pipeline.KeyLeader), key(pipeline.BucketStatus, "tokend.>"),
		},
		Gets:  []string{bucket(pipeline.BucketTokens), bucket(pipeline.BucketLeaders), bucket(pipeline.BucketWatermarks)},
		Scans: []string{pipeline.StreamLedger, bucket(pipeline.BucketWatermarks)},
		Subscribes: []string{
			key(pipeline.BucketTokens, "grant.>"), key(pipeline.BucketTokens, pipeline.KeyMode), key(pipeline.BucketTokens, pipeline.KeyPolicy),
			key(pipeline.BucketWatermarks, ">"), "survivor.>", key(pipeline.BucketLeaders, pipeline.KeyLeader),
			"$JS.ACK." + pipeline.StreamSurvivors + ".>", // what the workers have settled
		},
		Requests: []string{"svc.tokend.*"}, // whether the leader lives
	}
}

// spender adds the rights that every stage needs for tokens and answers.
func spender(r Role) Role {
	grant := pipeline.KeyGrant(pipeline.Stage(r.Name))
	r.Serves = true
	r.Publishes = append(r.Publishes,
		"ledger."+r.Name+".>", "dead."+r.Name+".>",
		"response.*.attempt.>", "response.*.whole.>", // calls that have begun, and answers that cannot be split by product
		key(pipeline.BucketTokens, grant), key(pipeline.BucketOrders, ">"), key(pipeline.BucketSeen, ">"), key(pipeline.BucketStatus, r.Name+".>"))
	r.Gets = append(r.Gets, bucket(pipeline.BucketTokens), bucket(pipeline.BucketOrders), bucket(pipeline.BucketSeen), bucket(pipeline.BucketWants),
		bucket(pipeline.BucketConfig), pipeline.StreamCandidates)
	r.Scans = append(r.Scans, pipeline.StreamResponses, pipeline.StreamLedger)
	r.Subscribes = append(r.Subscribes, key(pipeline.BucketTokens, grant), key(pipeline.BucketTokens, pipeline.KeyMode), key(pipeline.BucketConfig, pipeline.KeyRules))
	return r
}

func watermarker() Role {
	return spender(Role{
		Name: "watermarker", Purpose: "reads the deal list; offers stored deals again (the refresher)",
		Publishes: []string{
			"candidate.>", "response.*.deals.>", "verdict.*.list.>", key(pipeline.BucketWatermarks, ">"), key(pipeline.BucketWants, ">"), key(pipeline.BucketStock, ">"),
			pipeline.SubjectLapse(), key(pipeline.BucketLeaders, pipeline.KeyWatermarkerLeader), key(pipeline.BucketLeaders, pipeline.KeyRefresherLeader),
		},
		Gets: []string{bucket(pipeline.BucketWatermarks), bucket(pipeline.BucketLeaders), pipeline.StreamDeals, pipeline.StreamDead},
		Scans: []string{
			pipeline.StreamVerdicts, pipeline.StreamSurvivors, pipeline.StreamActions, bucket(pipeline.BucketStock), bucket(pipeline.BucketWatermarks),
		},
		Subscribes: []string{
			key(pipeline.BucketConfig, pipeline.KeyQueries), key(pipeline.BucketWatermarks, ">"), key(pipeline.BucketStock, ">"), "action.>",
			key(pipeline.BucketLeaders, pipeline.KeyWatermarkerLeader), key(pipeline.BucketLeaders, pipeline.KeyRefresherLeader),
		},
		Requests: []string{"svc.watermarker.*"}, // whether the leader lives
	})
}

func peeker() Role {
	takes := map[string][]string{pipeline.StreamCandidates: {pipeline.DurableGlance}}
	for _, s := range pipeline.Sources() {
		takes[pipeline.StreamSurvivors] = append(takes[pipeline.StreamSurvivors], pipeline.DurablePeek(s))
	}
	return spender(Role{
		Name: "peeker", Purpose: "glances and peeks",
		Publishes: []string{
			"survivor.>", "response.*.peek.>", "verdict.*.glance.>", "verdict.*.peek.>", "deal.>", key(pipeline.BucketTokens, pipeline.KeyShed),
		},
		Gets:       []string{pipeline.StreamDeals},
		Scans:      []string{pipeline.StreamSurvivors},
		Takes:      takes,
		Subscribes: []string{"survivor.*." + string(pipeline.LookGlance) + ".>"},
	})
}

func committer() Role {
	takes := map[string][]string{}
	for _, t := range pipeline.Tiers() {
		takes[pipeline.StreamSurvivors] = append(takes[pipeline.StreamSurvivors], pipeline.DurableCommit(t))
	}
	return spender(Role{
		Name: "committer", Purpose: "fetches the full record of survivors and publishes deals",
		Publishes: []string{
			"deal.>", "response.*.commit.>", "response.*.seller.>", "verdict.*.commit.>",
		},
		Gets:       []string{pipeline.StreamSurvivors},
		Scans:      []string{pipeline.StreamDeals, pipeline.StreamVerdicts}, // deals with an older estimate are decided again
		Takes:      takes,
		Subscribes: []string{"survivor.*." + string(pipeline.LookPeek) + ".>"},
	})
}

func recorder() Role {
	r := Role{
		Name: "recorder", Purpose: "writes the streams into ClickHouse", Serves: true, Takes: map[string][]string{},
		Publishes: []string{"dead.>", key(pipeline.BucketStatus, "recorder.>")},
		Gets:      slices.Concat(all, []string{bucket(pipeline.BucketStatus)}),
		Subscribes: []string{
			"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
			"verdict.>", "deal.>", "ledger.>", "dead.>", "action.>",
		},
	}
	for _, s := range recorded {
		r.Takes[s] = []string{pipeline.DurableRecorder(s)}
	}
	return r
}

func notifier() Role {
	return Role{
		Name: "notifier", Purpose: "notifies targets of deals and alarms", Serves: true,
		Publishes: []string{
			key(pipeline.BucketPosted, ">"), key(pipeline.BucketLeaders, pipeline.KeyNotifierLeader), key(pipeline.BucketStatus, "notifier.>"),
		},
		Gets: []string{bucket(pipeline.BucketPosted), bucket(pipeline.BucketLeaders), bucket(pipeline.BucketTokens)},
		// It has a consumer of its own on DEALS for each target.
		Scans:      []string{pipeline.StreamDeals, pipeline.StreamVerdicts, pipeline.StreamActions, bucket(pipeline.BucketStatus), bucket(pipeline.BucketWatermarks)},
		Subscribes: []string{key(pipeline.BucketLeaders, pipeline.KeyNotifierLeader)},
		Requests:   []string{"$JS.ACK." + pipeline.StreamDeals + ".>", "svc.*.status", "svc.notifier.*"},
	}
}

// page may read like a reader, and write what its buttons write: actions, retried dead letters and rules.
func page() Role {
	r := reader()
	r.Name, r.Purpose, r.Person = "page", "shows pages to browsers, whose buttons record what was bought and ignored, retry dead letters and apply rules", false
	r.Publishes = []string{
		"action.>", "candidate.>", "survivor.>", "verdict.>", "deal.>", key(pipeline.BucketConfig, pipeline.KeyRules), key(pipeline.BucketRuns, ">"),
	}
	return r
}

func provisioner() Role {
	return Role{
		Name: Provisioner, Purpose: "creates and changes streams, buckets and consumers, which no other role does; restores a backup",
		Publishes: []string{"$KV.>"}, // what was written to a bucket while it was copied
		Requests: []string{
			"$JS.API.STREAM.RESTORE.*", "$JS.SNAPSHOT.RESTORE.>",
			"$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DURABLE.CREATE.*.*",
			"$JS.API.CONSUMER.RESET.*.*",
		},
	}
}

func reader() Role {
	return Role{
		Name: Reader, Purpose: "looks: status, deals, reports, why, nats kv watch", Person: true,
		Scans:      everything(),
		Subscribes: []string{"candidate.>", "survivor.>", "response.>", "verdict.>", "deal.>", "ledger.>", "dead.>", "action.>", "$KV.>", "$JS.EVENT.>"},
		Requests:   []string{"$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.NAMES.*", "$SRV.>", "svc.*.status"},
	}
}

func operator() Role {
	r := reader()
	r.Name, r.Purpose = Operator, "looks, backs up, and intervenes: pauses, drains, dead letters, replays, rules, queries, actions"
	r.Publishes = []string{
		"candidate.>", "survivor.>", "verdict.>", "dead.>", "deal.>", "ledger.>", "action.>",
		key(pipeline.BucketTokens, pipeline.KeyMode), key(pipeline.BucketTokens, pipeline.KeyPolicy),
		key(pipeline.BucketConfig, pipeline.KeyRules), key(pipeline.BucketConfig, pipeline.KeyQueries), key(pipeline.BucketRuns, ">"),
	}
	r.Requests = append(r.Requests,
		"$JS.API.STREAM.SNAPSHOT.*", "$JS.SNAPSHOT.ACK.>", // a backup
		"$JS.API.CONSUMER.PAUSE.*.*", "$JS.API.CONSUMER.RESET.*.*", "svc.*.drain")
	return r
}

// all lists every stream, and recorded those from which the recorder takes.
var (
	all      = pipeline.Streams()
	recorded = pipeline.RecordedStreams()
	buckets  = []string{
		pipeline.BucketTokens, pipeline.BucketLeaders, pipeline.BucketWatermarks, pipeline.BucketSeen, pipeline.BucketStatus,
		pipeline.BucketOrders, pipeline.BucketWants, pipeline.BucketStock, pipeline.BucketPosted, pipeline.BucketRuns, pipeline.BucketConfig,
	}
)

func everything() []string {
	out := slices.Clone(all)
	for _, b := range buckets {
		out = append(out, bucket(b))
	}
	return out
}

// durables returns those of a stream, which only the provisioner creates and deletes.
func durables(stream string, plans []pipeline.Plan) []string {
	out := durablesOf(stream)
	if stream != pipeline.StreamCandidates && stream != pipeline.StreamSurvivors {
		return out
	}
	first := out
	if len(plans) > 0 {
		out = append(slices.Clone(out), pipeline.DurableStray)
	}
	for _, p := range plans {
		for _, name := range first {
			out = append(out, p.Own(name))
		}
	}
	return out
}

func durablesOf(stream string) []string {
	var out []string
	switch stream {
	case pipeline.StreamCandidates:
		out = append(out, pipeline.DurableGlance)
	case pipeline.StreamSurvivors:
		for _, s := range pipeline.Sources() {
			out = append(out, pipeline.DurablePeek(s))
		}
		for _, t := range pipeline.Tiers() {
			out = append(out, pipeline.DurableCommit(t))
		}
	default:
		if slices.Contains(recorded, stream) {
			out = append(out, pipeline.DurableRecorder(stream))
		}
	}
	return out
}

// Inbox returns the subject prefix for a role's answers. Each daemon has its own,
// so that no other role can subscribe to it; people use that of the nats CLI.
func Inbox(name string) string {
	for _, r := range Table() {
		if r.Name == name && !r.Person {
			return "_INBOX_" + name
		}
	}
	return "_INBOX"
}

// Permissions are a role's subjects in the server's terms. A deny overrides an allow.
type Permissions struct {
	Publish, NotPublish, Subscribe []string
	// Answers allows publishing to the reply subject of a request.
	Answers bool
}

// Permissions returns the role's permissions, sorted.
func (r Role) Permissions() Permissions {
	p := Permissions{
		Publish:   slices.Concat(r.Publishes, r.Requests, []string{"$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*", "$JS.API.CONSUMER.LIST.*"}),
		Subscribe: slices.Concat(r.Subscribes, []string{Inbox(r.Name) + ".>"}),
		Answers:   r.Serves,
	}
	for _, s := range slices.Concat(r.Gets, r.Scans) {
		p.Publish = append(p.Publish, "$JS.API.DIRECT.GET."+s, "$JS.API.DIRECT.GET."+s+".>")
	}
	for _, s := range r.Scans {
		p.Publish = append(p.Publish, "$JS.API.CONSUMER.CREATE."+s+".>", "$JS.API.CONSUMER.DELETE."+s+".*", "$JS.API.CONSUMER.MSG.NEXT."+s+".*", "$JS.FC."+s+".>")
		for _, d := range durables(s, r.Plans) {
			p.NotPublish = append(p.NotPublish, "$JS.API.CONSUMER.CREATE."+s+"."+d, "$JS.API.CONSUMER.CREATE."+s+"."+d+".>", "$JS.API.CONSUMER.DELETE."+s+"."+d)
			if !slices.Contains(r.Takes[s], d) {
				p.NotPublish = append(p.NotPublish, "$JS.API.CONSUMER.MSG.NEXT."+s+"."+d, "$JS.ACK."+s+"."+d+".>")
			}
		}
	}
	for s, names := range r.Takes {
		for _, d := range names {
			p.Publish = append(p.Publish, "$JS.API.CONSUMER.MSG.NEXT."+s+"."+d, "$JS.ACK."+s+"."+d+".>")
		}
	}
	if r.Serves {
		p.Subscribe = append(p.Subscribe, "svc."+r.Name+".*")
		for _, verb := range []string{"PING", "INFO", "STATS"} {
			p.Subscribe = append(p.Subscribe, "$SRV."+verb, "$SRV."+verb+"."+r.Name, "$SRV."+verb+"."+r.Name+".*")
		}
	}
	for _, list := range []*[]string{&p.Publish, &p.NotPublish, &p.Subscribe} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return p
}

// Covers reports whether a NATS pattern contains a subject, which may have wildcards too.
func Covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s), s[i] == ">", token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// MayPublish reports whether the permissions allow a publish.
func (p Permissions) MayPublish(subject string) bool {
	covered := func(list []string) bool {
		return slices.ContainsFunc(list, func(pattern string) bool { return Covers(pattern, subject) })
	}
	return covered(p.Publish) && !covered(p.NotPublish)
}
