package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
)

// decision is the newest live decision about an ASIN in a marketplace.
type decision struct {
	deal     *deal.Deal // nil if it is not a deal
	ids      []string   // the answers that the deal is from
	sequence uint64
}

// marketOf returns which marketplace is meant by an ASIN, and its newest decision there. A book's ASIN is its ISBN, the
// same in every marketplace: that of the newest deal is meant, else that of the newest candidate, decision or answer;
// 0 if nothing is stored.
func marketOf(ctx context.Context, b *bus.Bus, asin string) (domain int, last decision, err error) {
	in, newest, err := decisionsIn(ctx, b, asin)
	if err != nil {
		return 0, last, err
	}
	for d, one := range in {
		if one.deal != nil && one.sequence > last.sequence {
			domain, last = d, one
		}
	}
	if domain == 0 {
		domain, err = newestIn(ctx, b, pipeline.StreamCandidates, "candidate.*.*."+asin)
	}
	if domain = cmp.Or(domain, newest); domain == 0 && err == nil {
		domain, err = newestIn(ctx, b, pipeline.StreamResponses, "response.*.peek."+asin, "response.*.commit."+asin)
	}
	return domain, in[domain], err
}

// newestIn returns the marketplace of the newest message on subjects of a stream; 0 without one.
func newestIn(ctx context.Context, b *bus.Bus, stream string, subjects ...string) (domain int, err error) {
	err = b.Scan(ctx, stream, bus.From{Newest: true, Headers: true, Subjects: subjects}, func(r bus.Read) error {
		_, key, _ := strings.Cut(r.Subject, ".")
		domain = pipeline.DomainOf(key)
		return nil
	})
	return domain, err
}

// decisionsIn returns the newest live decisions about an ASIN by marketplace, and the marketplace of the newest one.
func decisionsIn(ctx context.Context, b *bus.Bus, asin string) (in map[int]decision, newest int, err error) {
	in = map[int]decision{}
	err = messages.ScanVerdicts(ctx, b, bus.From{Subjects: []string{"verdict.*.*.*." + asin}}, func(r bus.Read, v visibility.Verdict) error {
		if v.Run != pipeline.RunLive {
			return nil
		}
		newest = v.Domain
		switch v.Outcome {
		case pipeline.Accept, pipeline.Confirm:
			var found deal.Deal
			if json.Unmarshal(v.Deal, &found) == nil && found.ASIN == asin {
				in[v.Domain] = decision{&found, v.ResponseIDs, r.Sequence}
			}
		case pipeline.Reject, pipeline.Fail:
			in[v.Domain] = decision{sequence: r.Sequence}
		case pipeline.Survive, pipeline.Shed:
		}
		return nil
	})
	return in, newest, err
}

// Serving returns the connection in the part of the plan that serves the marketplace that is meant by an ASIN, whose
// rules decide about it.
func Serving(ctx context.Context, b *bus.Bus, asin string) (*bus.Bus, error) {
	plans, err := b.Plans(ctx)
	if err != nil || len(plans) == 0 {
		return b, err
	}
	domain, _, err := marketOf(ctx, b, asin)
	if err != nil || domain == 0 {
		return b, err
	}
	p, err := plans.Of(domain)
	if err != nil || p == b.Plan() {
		return b, err
	}
	return b.As(ctx, p)
}
