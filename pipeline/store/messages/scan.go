package messages

import (
	"context"
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
// confirmation of a peek, and the rejects of each look. A replay publishes on the same subjects; its verdicts show and
// hide nothing, so the live one before is read where one of a replay is the newest.
func LastVerdicts(ctx context.Context, b *bus.Bus, deals []pipeline.Identity) ([]bus.Read, error) {
	var subjects []string
	for _, d := range deals {
		subjects = append(subjects,
			pipeline.SubjectVerdict(d.Domain, pipeline.LookCommit, pipeline.Accept, d.ASIN),
			pipeline.SubjectVerdict(d.Domain, pipeline.LookPeek, pipeline.Confirm, d.ASIN))
		for _, l := range []pipeline.Look{pipeline.LookList, pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
			subjects = append(subjects, pipeline.SubjectVerdict(d.Domain, l, pipeline.Reject, d.ASIN))
		}
	}
	slices.Sort(subjects)
	newest, err := b.Newest(ctx, pipeline.StreamVerdicts, slices.Compact(subjects), bus.Until{})
	if err != nil {
		return nil, err
	}
	var live []bus.Read
	var covered []string
	for _, m := range newest {
		if m.Live() {
			live = append(live, m)
		} else {
			covered = append(covered, m.Subject)
		}
	}
	if len(covered) == 0 {
		return live, nil
	}
	before := map[string]bus.Read{}
	err = b.Scan(ctx, pipeline.StreamVerdicts, bus.From{Subjects: covered}, func(m bus.Read) error {
		if m.Live() {
			before[m.Subject] = m
		}
		return nil
	})
	return slices.AppendSeq(live, maps.Values(before)), err
}
