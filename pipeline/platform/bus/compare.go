package bus

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
)

// Severity is the effect of a difference on a daemon.
type Severity int

const (
	// Cosmetic changes nothing that a daemon does.
	Cosmetic Severity = iota
	// Tolerable is what builds and configurations may differ in; a daemon logs a warning.
	Tolerable
	// Missing makes a daemon wait.
	Missing
	// Incompatible stops a daemon.
	Incompatible
)

// Difference is one respect in which NATS differs from this build and configuration.
type Difference struct {
	On       string // stream NAME, bucket NAME or consumer NAME on STREAM
	Field    string // empty: the whole object is missing
	Have     string
	Want     string
	Severity Severity
	Lowers   bool // the wanted value keeps less than the present one
}

// String formats the difference in one line.
func (d Difference) String() string {
	if d.Field == "" {
		return d.On + " is missing"
	}
	return fmt.Sprintf("%s: %s is %s, want %s", d.On, d.Field, d.Have, d.Want)
}

// streamChange is a difference with the change that removes it.
type streamChange struct {
	Difference
	set func(*jetstream.StreamConfig)
}

type consumerChange struct {
	Difference
	set func(*jetstream.ConsumerConfig)
}

// nameOf is the name of a stream in messages to the user.
func nameOf(stream string) string {
	if bucket, is := pipeline.BucketOf(stream); is {
		return "bucket " + bucket
	}
	return "stream " + stream
}

// compareStream lists the differences in the fields that this build uses. Additions of a newer build are ignored.
func compareStream(have, want jetstream.StreamConfig) []streamChange {
	c := comparison[jetstream.StreamConfig]{on: nameOf(want.Name)}
	c.subjects(have.Subjects, want.Subjects)
	c.field("retention", have.Retention, want.Retention, Incompatible, func(s *jetstream.StreamConfig) { s.Retention = want.Retention })
	c.field("storage", have.Storage, want.Storage, Incompatible, func(s *jetstream.StreamConfig) { s.Storage = want.Storage })
	dedup := Tolerable
	if have.Duplicates < want.Duplicates {
		dedup = Incompatible
	}
	c.limit("dedup window", int64(have.Duplicates), int64(want.Duplicates), duration, dedup, func(s *jetstream.StreamConfig) { s.Duplicates = want.Duplicates })
	if want.Replicas > 0 { // 0: unchanged
		c.limit("replicas", int64(have.Replicas), int64(want.Replicas), number, Tolerable, func(s *jetstream.StreamConfig) { s.Replicas = want.Replicas })
	}
	c.limit("max age", int64(have.MaxAge), int64(want.MaxAge), duration, Tolerable, func(s *jetstream.StreamConfig) { s.MaxAge = want.MaxAge })
	c.limit("max bytes", have.MaxBytes, want.MaxBytes, number, Tolerable, func(s *jetstream.StreamConfig) { s.MaxBytes = want.MaxBytes })
	c.limit("messages per subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject, number, Tolerable, func(s *jetstream.StreamConfig) { s.MaxMsgsPerSubject = want.MaxMsgsPerSubject })
	c.field("discard policy", have.Discard, want.Discard, Tolerable, func(s *jetstream.StreamConfig) { s.Discard = want.Discard })
	if have.Replicas > 1 {
		want.Compression = jetstream.NoCompression // as in streams, also where the configuration does not set the replicas
	}
	c.field("compression", have.Compression, want.Compression, Tolerable, func(s *jetstream.StreamConfig) { s.Compression = want.Compression })
	c.feature("direct get", have.AllowDirect, want.AllowDirect, func(s *jetstream.StreamConfig) { s.AllowDirect = true })
	c.feature("atomic batches", have.AllowAtomicPublish, want.AllowAtomicPublish, func(s *jetstream.StreamConfig) { s.AllowAtomicPublish = true })
	c.feature("TTL of messages", have.AllowMsgTTL, want.AllowMsgTTL, func(s *jetstream.StreamConfig) { s.AllowMsgTTL = true })
	c.feature("rollup", have.AllowRollup, want.AllowRollup, func(s *jetstream.StreamConfig) { s.AllowRollup = true })
	c.field("TTL of delete markers", have.SubjectDeleteMarkerTTL, want.SubjectDeleteMarkerTTL, Tolerable,
		func(s *jetstream.StreamConfig) { s.SubjectDeleteMarkerTTL = want.SubjectDeleteMarkerTTL })
	if want.DenyDelete {
		c.field("deletion denied", have.DenyDelete, true, Tolerable, func(s *jetstream.StreamConfig) { s.DenyDelete = true })
	}
	if plans := want.Metadata[metaPlans]; plans != "" {
		c.field("plans", have.Metadata[metaPlans], plans, Incompatible, func(s *jetstream.StreamConfig) {
			if s.Metadata = maps.Clone(s.Metadata); s.Metadata == nil {
				s.Metadata = map[string]string{}
			}
			s.Metadata[metaPlans] = plans
		})
	}
	c.field("description", have.Description, want.Description, Cosmetic, func(s *jetstream.StreamConfig) { s.Description = want.Description })
	thresholds := streamThresholds(want.Name, max(have.Replicas, want.Replicas))
	c.missing(have.Metadata, thresholds, func(s *jetstream.StreamConfig, key, value string) { s.Metadata[key] = value })
	if peers, set := have.Metadata[peersExpected]; set {
		c.field("metadata "+peersExpected, peers, thresholds[peersExpected], Cosmetic, expectPeers)
	}
	out := make([]streamChange, len(c.found))
	for i, d := range c.found {
		out[i] = streamChange(d)
	}
	return out
}

// compareDurable is compareStream for a consumer.
func compareDurable(have jetstream.ConsumerConfig, want durable) []consumerChange {
	w := want.cfg
	c := comparison[jetstream.ConsumerConfig]{on: consumerOn(want)}
	c.field("filter", filters(have), filters(w), Incompatible, func(s *jetstream.ConsumerConfig) {
		s.FilterSubject, s.FilterSubjects = w.FilterSubject, w.FilterSubjects
	})
	c.field("acknowledgement policy", have.AckPolicy, w.AckPolicy, Incompatible, func(s *jetstream.ConsumerConfig) { s.AckPolicy = w.AckPolicy })
	c.field("ack wait", have.AckWait, w.AckWait, Tolerable, func(s *jetstream.ConsumerConfig) { s.AckWait = w.AckWait })
	c.field("max deliveries", have.MaxDeliver, w.MaxDeliver, Tolerable, func(s *jetstream.ConsumerConfig) { s.MaxDeliver = w.MaxDeliver })
	c.field("max ack pending", have.MaxAckPending, w.MaxAckPending, Tolerable, func(s *jetstream.ConsumerConfig) { s.MaxAckPending = w.MaxAckPending })
	c.missing(have.Metadata, w.Metadata, func(s *jetstream.ConsumerConfig, key, value string) { s.Metadata[key] = value })
	out := make([]consumerChange, len(c.found))
	for i, d := range c.found {
		out[i] = consumerChange(d)
	}
	return out
}

func consumerOn(d durable) string { return "consumer " + d.cfg.Durable + " on " + d.stream }

func filters(c jetstream.ConsumerConfig) string {
	all := slices.Sorted(slices.Values(append(slices.Clone(c.FilterSubjects), c.FilterSubject)))
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	return strings.Join(all, " ")
}

// comparison collects the differences of one stream or consumer.
type comparison[C any] struct {
	on    string
	found []struct {
		Difference
		set func(*C)
	}
}

func (c *comparison[C]) add(d Difference, set func(*C)) {
	d.On = c.on
	c.found = append(c.found, struct {
		Difference
		set func(*C)
	}{d, set})
}

func (c *comparison[C]) field(name string, have, want any, sev Severity, set func(*C)) {
	if have != want {
		c.add(Difference{Field: name, Have: worded(have), Want: worded(want), Severity: sev}, set)
	}
}

// limit compares a value that has an upper bound; below 1 means no bound.
func (c *comparison[C]) limit(name string, have, want int64, word func(int64) string, sev Severity, set func(*C)) {
	have, want = max(have, 0), max(want, 0)
	if have == want {
		return
	}
	lowers := want > 0 && (have == 0 || want < have)
	c.add(Difference{Field: name, Have: word(have), Want: word(want), Severity: sev, Lowers: lowers}, set)
}

// feature compares a feature that daemons use: they wait for a missing one, and an additional one is harmless.
func (c *comparison[C]) feature(name string, have, want bool, set func(*C)) {
	if want && !have {
		c.add(Difference{Field: name, Have: "off", Want: "on", Severity: Missing}, set)
	}
}

// subjects reports a missing subject; further ones belong to another build.
func (c *comparison[C]) subjects(have, want []string) {
	all := slices.Clone(have)
	for _, s := range want {
		if !slices.Contains(have, s) {
			all = append(all, s)
		}
	}
	set := func(s *C) {
		if stream, is := any(s).(*jetstream.StreamConfig); is {
			stream.Subjects = all
		}
	}
	switch {
	case len(all) > len(have):
		c.add(Difference{Field: "subjects", Have: worded(strings.Join(have, " ")), Want: strings.Join(want, " "), Severity: Incompatible}, set)
	case len(have) > len(want):
		c.add(Difference{Field: "subjects", Have: strings.Join(have, " "), Want: strings.Join(want, " ") + "; the further ones are kept", Severity: Tolerable}, nil)
	}
}

func worded(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return "none"
		}
		return v
	case bool:
		if v {
			return "on"
		}
		return "off"
	default:
		return fmt.Sprint(v)
	}
}

func number(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

func duration(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return time.Duration(n).String()
}
