package bus

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
)

// The thresholds of `nats server check` are in the metadata of streams and consumers. They are added where they are
// missing; one that is set stays, since it is the operator's, or another build's. Only peersExpected follows the
// stream: without it the check of a replicated stream fails, and with it that of a stream with one copy.
const (
	threshold     = "io.nats.monitor."
	peersExpected = threshold + "peer-expect"
)

// streamThresholds returns those of a stream or of a bucket's stream.
func streamThresholds(name string, replicas int) map[string]string {
	m := map[string]string{threshold + "enabled": "true"}
	if replicas > 1 {
		m[peersExpected] = strconv.Itoa(replicas)
		m[threshold+"peer-lag-critical"] = "1000" // operations
		m[threshold+"peer-seen-critical"] = "10s"
	}
	tokens := pipeline.BucketStream(pipeline.BucketTokens)
	if strings.HasPrefix(name, tokens) { // each plan has such a bucket
		name = tokens
	}
	switch name {
	case pipeline.StreamDead: // a letter is a subject: one is worth a look, a hundred have a common cause
		m[threshold+"subjects-warn"], m[threshold+"subjects-critical"] = "1", "100"
	case pipeline.BucketStream(pipeline.BucketStatus): // a daemon is a subject: fewer than tokend and three stages; none
		m[threshold+"subjects-warn"], m[threshold+"subjects-critical"] = "3", "0"
	case tokens: // fewer keys than the balance and three grants; none
		m[threshold+"subjects-warn"], m[threshold+"subjects-critical"] = "3", "0"
	}
	return m
}

// consumerThresholds returns those of a consumer. Work that a worker holds fills its window only if it is not settled.
func consumerThresholds(unprocessed, maxPending int) map[string]string {
	return map[string]string{
		threshold + "enabled":                  "true",
		threshold + "unprocessed-critical":     strconv.Itoa(unprocessed),
		threshold + "redelivery-critical":      "50",
		threshold + "outstanding-ack-critical": strconv.Itoa(maxPending * 95 / 100),
	}
}

// missing adds the thresholds that are not set.
func (c *comparison[C]) missing(have, want map[string]string, set func(s *C, key, value string)) {
	for _, key := range sortedKeys(want) {
		if _, ok := have[key]; !ok {
			c.field("metadata "+key, "", want[key], Cosmetic, func(s *C) { set(s, key, want[key]) })
		}
	}
}

// expectPeers makes the expected number of copies that of the stream.
func expectPeers(s *jetstream.StreamConfig) {
	s.Metadata = cloned(s.Metadata)
	delete(s.Metadata, peersExpected)
	if want, replicated := streamThresholds(s.Name, s.Replicas)[peersExpected]; replicated {
		s.Metadata[peersExpected] = want
	}
}
