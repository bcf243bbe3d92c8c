package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/store/messages"
)

// chooseDepth reads the first verdicts of the span and chooses between inputs and
// answers, with the reason. Inputs suffice if the new rules derive them from an answer as
// the live rules did and need no others; a verdict for which that is not true is
// decided from its answers in any case.
func (r *Replay) chooseDepth(ctx context.Context, ch Warehouse) error {
	sample, total, err := r.sample(ctx)
	if err != nil {
		return err
	}
	if err := r.room(ctx, total); err != nil {
		return err
	}
	depth, why := r.fitting(sample)
	switch {
	case r.o.Depth != "" && r.o.Depth != depth:
		depth, why = r.o.Depth, "you asked for it; left to itself it would be "+string(depth)+": "+why
	case r.o.Depth != "":
		why = "you asked for it, and " + why
	}
	r.Depth, r.Why = depth, why
	if depth != Inputs || ch == nil {
		return nil
	}
	if r.ReadsCH, err = r.recorded(ctx); err == nil && !r.ReadsCH {
		r.Why += "; ClickHouse has not recorded all of them yet"
	}
	return err
}

// sample returns the first verdicts of the span, and the number of verdicts to read.
func (r *Replay) sample(ctx context.Context) ([]original, int, error) {
	s, err := openStream(ctx, r.b, r.o, &r.Record)
	if err != nil {
		return nil, 0, err
	}
	defer s.stop()
	for more := true; more; {
		var ps []original
		if ps, _, _, more, err = s.next(ctx); err != nil || len(ps) > 0 {
			return ps, s.total(), err
		}
	}
	return nil, s.total(), nil
}

// room returns an error if the run's verdicts would push live ones out of VERDICTS.
func (r *Replay) room(ctx context.Context, total int) error {
	if r.o.ChangedOnly {
		return nil
	}
	span, err := r.verdicts(ctx)
	if err != nil || span.Messages == 0 || span.Limit <= 0 {
		return err
	}
	need := span.Bytes / span.Messages * uint64(total)                                 //nolint:gosec // a count
	if left := uint64(span.Limit) - min(span.Bytes, uint64(span.Limit)); need > left { //nolint:gosec // above zero
		return fmt.Errorf("replay %d verdicts: they would take about %d MB, VERDICTS has %d MB left, and live verdicts would fall out of it; "+
			"choose a shorter span or add --changed-only", total, need>>20, left>>20)
	}
	return nil
}

// fitting returns the depth that fits the sample, and why.
func (r *Replay) fitting(sample []original) (Depth, string) {
	if len(sample) == 0 {
		return Answers, "there is nothing to decide again"
	}
	version := r.judge.Version()
	missing := map[string]bool{}
	other, suffice := "", 0
	for i := range sample {
		p := &sample[i]
		if !verdict.SameInputs(p.ruleSet, version) {
			other = p.ruleSet
			continue
		}
		lacks := r.lacks(p)
		for _, name := range lacks {
			missing[name] = true
		}
		if len(lacks) == 0 {
			suffice++
		}
	}
	switch {
	case suffice > 0:
		return Inputs, "the rules differ at most in thresholds and conditions, and verdicts keep every input that they need"
	case other != "":
		return Answers, fmt.Sprintf("the settings or the extraction differ from those of the live rules %s, so the inputs are other numbers", other)
	default:
		return Answers, "the rules need inputs that the verdicts do not keep: " + strings.Join(slices.Sorted(maps.Keys(missing)), ", ")
	}
}

// lacks returns the inputs that the rules need and a verdict does not keep.
func (r *Replay) lacks(p *original) []string {
	kept := map[string]bool{}
	if err := messages.Members(p.inputs, func(name, _ []byte) error { kept[string(name)] = true; return nil }); err != nil {
		return r.judge.Needs(r.o.Look)
	}
	var out []string
	for _, name := range r.judge.Needs(r.o.Look) {
		if !kept[name] {
			out = append(out, name)
		}
	}
	return out
}

// Describe returns the depth, its source, and why.
func (r *Replay) Describe() string {
	if r.Depth == Answers {
		return fmt.Sprintf("Depth: stored answers, from RESPONSES, because %s.", r.Why)
	}
	where := "VERDICTS"
	if r.ReadsCH {
		where = "ClickHouse"
	}
	return fmt.Sprintf("Depth: kept inputs, from %s, because %s.", where, r.Why)
}
