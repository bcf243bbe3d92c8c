package console

import (
	"context"
	"encoding/json"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
)

// standing is the newest live verdict that says something about a deal.
type standing struct {
	sequence uint64
	outcome  pipeline.Outcome
	reason   string
}

// rejectedSince is, for the deals that a later look rejected, the reason. It is the
// definition of ClickHouse's view visible_deals, read from the streams: of a deal's
// live verdicts that accept, reject or confirm the newest counts; what was shed or
// failed says nothing.
func rejectedSince(ctx context.Context, b *bus.Bus, deals []Deal) (map[place]string, error) {
	last := map[place]standing{}
	var subjects []string
	for _, d := range deals {
		subjects = append(subjects, telling(d)...)
	}
	replayed, err := newest(ctx, b, subjects, last)
	if err != nil {
		return nil, err
	}
	// A replay's verdict stands in front of live ones: all of these are read.
	if err := allOf(ctx, b, replayed, last); err != nil {
		return nil, err
	}
	out := map[place]string{}
	for p, s := range last {
		if s.outcome == pipeline.Reject {
			out[p] = s.reason
		}
	}
	return out, nil
}

// telling are the subjects of the verdicts that say something about a deal.
func telling(d Deal) []string {
	return []string{
		pipeline.SubjectVerdict(d.Domain, pipeline.LookList, pipeline.Reject, d.ASIN), // it expired
		pipeline.SubjectVerdict(d.Domain, pipeline.LookGlance, pipeline.Reject, d.ASIN),
		pipeline.SubjectVerdict(d.Domain, pipeline.LookPeek, pipeline.Reject, d.ASIN),
		pipeline.SubjectVerdict(d.Domain, pipeline.LookCommit, pipeline.Reject, d.ASIN),
		pipeline.SubjectVerdict(d.Domain, pipeline.LookPeek, pipeline.Confirm, d.ASIN),
		pipeline.SubjectVerdict(d.Domain, pipeline.LookCommit, pipeline.Accept, d.ASIN),
	}
}

// newest reads the newest verdict of each subject, and returns the subjects on which
// that is a replay's.
func newest(ctx context.Context, b *bus.Bus, subjects []string, last map[place]standing) (replayed []string, err error) {
	stored, err := b.Newest(ctx, pipeline.StreamVerdicts, subjects, bus.Until{})
	if err != nil {
		return nil, err
	}
	for _, m := range stored {
		if m.Header.Get(pipeline.HeaderRunID) != pipeline.RunLive {
			replayed = append(replayed, m.Subject)
			continue
		}
		if err := stand(last, m.Sequence, m.Body); err != nil {
			return nil, err
		}
	}
	return replayed, nil
}

// allOf reads every live verdict of the subjects.
func allOf(ctx context.Context, b *bus.Bus, subjects []string, last map[place]standing) error {
	if len(subjects) == 0 {
		return nil
	}
	return b.Scan(ctx, pipeline.StreamVerdicts, bus.From{Subjects: subjects}, func(r bus.Read) error {
		if r.Header.Get(pipeline.HeaderRunID) != pipeline.RunLive {
			return nil
		}
		return stand(last, r.Sequence, r.Body)
	})
}

func stand(last map[place]standing, sequence uint64, body []byte) error {
	var v pipeline.Verdict
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("decode %s #%d: %w", pipeline.StreamVerdicts, sequence, err)
	}
	p := place{v.Domain, v.PriceType, v.ASIN}
	if s := last[p]; sequence > s.sequence {
		last[p] = standing{sequence, v.Outcome, v.Reason}
	}
	return nil
}
