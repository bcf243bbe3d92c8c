package replay

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/platform/bus"
)

// archive reads the evidence of live verdicts.
type archive struct {
	b         *bus.Bus
	look      pipeline.Look
	works     *bus.Fetcher
	responses *bus.Fetcher
}

func openArchive(ctx context.Context, b *bus.Bus, look pipeline.Look) (*archive, error) {
	a := &archive{b: b, look: look}
	var err error
	if a.works, err = b.Fetcher(ctx, decidedOf(look)); err != nil {
		return nil, err
	}
	a.responses, err = b.Fetcher(ctx, pipeline.StreamResponses)
	return a, err
}

// gather finds the evidence of each verdict: the survivor that was decided, the
// answers of this look, and the deal of a refresh.
func (a *archive) gather(ctx context.Context, ps []*original) ([]evidence, error) {
	out := make([]evidence, len(ps))
	if err := a.origins(ctx, ps, out); err != nil || a.look == pipeline.LookGlance {
		return out, err
	}
	if err := a.answers(ctx, ps, out); err != nil {
		return nil, err
	}
	for i, p := range ps {
		if a.look != pipeline.LookPeek || p.source != pipeline.SourceRefresh || out[i].lost != "" {
			continue
		}
		var err error
		if out[i].deal, err = a.dealAt(ctx, p, out[i].work); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a *archive) origins(ctx context.Context, ps []*original, out []evidence) error {
	var seqs []uint64
	for i, p := range ps {
		seq, ok := p.originOf(a.look)
		switch {
		case p.lost != "":
			out[i].lost = p.lost
		case !ok:
			out[i].lost = lostRow
		default:
			seqs = append(seqs, seq)
		}
	}
	stored, err := a.works.Read(ctx, seqs)
	if err != nil {
		return err
	}
	for i, p := range ps {
		if out[i].lost != "" {
			continue
		}
		seq, _ := p.originOf(a.look)
		if m, ok := stored[seq]; ok {
			out[i].work, out[i].lost = readWork(m, p, a.look)
		} else {
			out[i].lost = lostRow
		}
	}
	return nil
}

// answers reads those that the verdict names beyond its survivor's.
func (a *archive) answers(ctx context.Context, ps []*original, out []evidence) error {
	own := make([][]uint64, len(ps))
	var all []uint64
	for i, p := range ps {
		if out[i].lost != "" {
			continue
		}
		own[i], out[i].lost = ownAnswers(p, out[i].work)
		all = append(all, own[i]...)
	}
	stored, err := a.responses.Read(ctx, all)
	if err != nil {
		return err
	}
	for i := range ps {
		for n, seq := range own[i] {
			m, ok := stored[seq]
			switch {
			case !ok:
				out[i].lost = lostAnswer
			case n == 0:
				out[i].answer = &m
			default:
				out[i].more = append(out[i].more, m)
			}
		}
	}
	return nil
}

// ownAnswers returns the sequences of the answers of the verdict's own look.
func ownAnswers(p *original, w decide.Work) ([]uint64, string) {
	before := w.Survivor.ResponseIDs
	if len(p.responses) < len(before) || !slices.Equal(p.responses[:len(before)], before) {
		return nil, lostBroken
	}
	rest := p.responses[len(before):]
	if len(rest) == 0 && p.reason != decide.ReasonNotFound && p.reason != decide.ReasonNoAnswer {
		return nil, lostLook
	}
	var out []uint64
	for _, id := range rest {
		seq, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, lostBroken
		}
		out = append(out, seq)
	}
	return out, ""
}

// dealAt returns the deal that was the newest when the verdict was stored; nil without one.
func (a *archive) dealAt(ctx context.Context, p *original, w decide.Work) (*deal.Deal, error) {
	subject := pipeline.SubjectDeal(p.domain, w.Survivor.PriceType, p.asin)
	found, err := a.b.Newest(ctx, pipeline.StreamDeals, []string{subject}, bus.Until{Time: p.stored})
	if err != nil {
		return nil, err
	}
	var d *deal.Deal
	for _, m := range found {
		var one deal.Deal
		if json.Unmarshal(m.Body, &one) == nil {
			d = &one
		}
	}
	return d, nil
}
