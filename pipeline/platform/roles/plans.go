package roles

import (
	"slices"
	"strings"

	"ratchet/pipeline"
)

// join adds to a role what a further plan has for itself, next to each such thing of the first plan.
func (r *Role) join(p pipeline.Plan) {
	r.Plans = append(r.Plans, p)
	for _, list := range []*[]string{&r.Publishes, &r.Gets, &r.Scans, &r.Subscribes, &r.Requests} {
		for _, subject := range slices.Clone(*list) {
			if own := owned(subject, p); own != subject {
				*list = append(*list, own)
			}
		}
	}
	if r.Name == "peeker" { // the first of several
		for _, stream := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors} {
			if !slices.Contains(r.Takes[stream], pipeline.DurableStray) {
				r.Takes[stream] = append(r.Takes[stream], pipeline.DurableStray)
			}
		}
	}
	for stream, names := range r.Takes {
		if stream != pipeline.StreamCandidates && stream != pipeline.StreamSurvivors {
			continue
		}
		for _, name := range names {
			if _, first := pipeline.Plan("").Base(name); first && name != pipeline.DurableStray {
				r.Takes[stream] = append(r.Takes[stream], p.Own(name))
			}
		}
	}
}

// owned returns the plan's own name in a subject of the first plan; the subject itself where plans share it.
func owned(subject string, p pipeline.Plan) string {
	for _, key := range []string{
		key(pipeline.BucketLeaders, pipeline.KeyLeader), key(pipeline.BucketLeaders, pipeline.KeyWatermarkerLeader), key(pipeline.BucketLeaders, pipeline.KeyRefresherLeader),
		key(pipeline.BucketConfig, pipeline.KeyRules), key(pipeline.BucketConfig, pipeline.KeyQueries), bucket(pipeline.BucketTokens),
	} {
		if subject == key {
			return p.Own(subject)
		}
	}
	if rest, is := strings.CutPrefix(subject, key(pipeline.BucketTokens, "")); is {
		return key(p.Own(pipeline.BucketTokens), rest)
	}
	return subject
}
