package messages

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
)

// ScanVerdicts calls f for every stored verdict of a selection, oldest
// first. Messages that the recorder makes dead letters are skipped.
func ScanVerdicts(ctx context.Context, b *bus.Bus, from bus.From, f func(bus.Read, visibility.Verdict) error) error {
	return b.Scan(ctx, pipeline.StreamVerdicts, from, func(r bus.Read) error {
		v, err := visibility.ReadVerdict(r.Stored())
		if err != nil {
			return nil //nolint:nilerr // it is a dead letter with its reason
		}
		return f(r, v)
	})
}

// ScanActions calls f for every action of the user, oldest first. Unreadable ones are skipped.
func ScanActions(ctx context.Context, b *bus.Bus, f func(action.Recorded)) error {
	return b.Scan(ctx, pipeline.StreamActions, bus.From{}, func(r bus.Read) error {
		if done, err := action.Read(r.Stored()); err == nil {
			f(done)
		}
		return nil
	})
}

// LastVerdicts returns the newest verdicts that decide whether these deals are shown: the accept of a commit, the
// confirmation of a peek, and the rejects of each look. Verdicts about other price types of an ASIN have the same
// subject, and so have those of a replay, which show and hide nothing: where one of these is the newest, the live ones
// before it are read.
func LastVerdicts(ctx context.Context, b *bus.Bus, deals []pipeline.Identity) ([]bus.Read, error) {
	asked := map[string][]int{} // the price types of a subject
	for _, d := range deals {
		subjects := []string{
			pipeline.SubjectVerdict(d.Domain, pipeline.LookCommit, pipeline.Accept, d.ASIN),
			pipeline.SubjectVerdict(d.Domain, pipeline.LookPeek, pipeline.Confirm, d.ASIN),
		}
		for _, l := range []pipeline.Look{pipeline.LookList, pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
			subjects = append(subjects, pipeline.SubjectVerdict(d.Domain, l, pipeline.Reject, d.ASIN))
		}
		for _, s := range subjects {
			if !slices.Contains(asked[s], d.PriceType) {
				asked[s] = append(asked[s], d.PriceType)
			}
		}
	}
	newest, err := b.Newest(ctx, pipeline.StreamVerdicts, slices.Sorted(maps.Keys(asked)), bus.Until{})
	if err != nil {
		return nil, err
	}
	var last []bus.Read
	var covered []string
	for _, m := range newest {
		if m.Live() && slices.Equal(asked[m.Subject], []int{priceType(m)}) {
			last = append(last, m)
		} else {
			covered = append(covered, m.Subject)
		}
	}
	type key struct {
		subject   string
		priceType int
	}
	before := map[key]bus.Read{}
	for part := range slices.Chunk(covered, bus.FiltersAtOnce) {
		err := b.Scan(ctx, pipeline.StreamVerdicts, bus.From{Subjects: part}, func(m bus.Read) error {
			if m.Live() {
				before[key{m.Subject, priceType(m)}] = m
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.AppendSeq(last, maps.Values(before)), nil
}

// priceType returns that of a verdict; -1 if it cannot be read.
func priceType(m bus.Read) int {
	id := pipeline.Identity{PriceType: -1}
	if json.Unmarshal(m.Body, &id) != nil {
		return -1
	}
	return id.PriceType
}
