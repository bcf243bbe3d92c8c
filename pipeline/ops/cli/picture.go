package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/responses"
)

// Picture is what a chart of one ASIN draws, from the streams: the numbers of the deal, else those of the cheapest
// copy, or before a commit those of the best possible copy.
type Picture struct {
	chart.Product
	Answer   string // the stored answer that the histories are from
	Answered time.Time
	Deal     *deal.Deal // nil if the last decision is not a deal
}

// PictureOf reads the picture of an ASIN by the settings. It costs no token.
func PictureOf(ctx context.Context, b *bus.Bus, s deal.Settings, asin string) (Picture, error) {
	domain, last, err := marketOf(ctx, b, asin)
	if err != nil {
		return Picture{}, err
	}
	newest, commit, err := answersOf(ctx, b, domain, asin, last.ids)
	if err != nil {
		return Picture{}, err
	}
	if newest == nil {
		return Picture{}, fmt.Errorf("no answer about %s is stored, so there is nothing to draw; `ratchet why %s` shows what is left", asin, asin)
	}
	p, err := keepa.DecodeProduct(newest.Body)
	if err != nil {
		return Picture{}, fmt.Errorf("the stored answer %s about %s is unreadable: %w", newest.ID, asin, err)
	}
	out := Picture{Answer: newest.ID, Answered: newest.AnsweredAt, Deal: last.deal}
	out.Product = chart.Product{ASIN: asin, Title: p.Title, Currency: p.Domain.Currency(), Until: decide.Instant(newest.AnsweredAt)}
	row, err := rowOf(ctx, b, domain, asin)
	if err != nil {
		return out, err
	}
	if out.Title.IsZero() {
		out.Title = row.Title
	}
	out.draw(s, &row, &p)
	if len(out.Market.BuyBox) == 0 && commit != nil && commit.ID != newest.ID {
		if older, err := keepa.DecodeProduct(commit.Body); err == nil {
			out.Market.BuyBox = s.Market(&older, deal.ShippingUnknown, out.Until).BuyBox // a peek has none
		}
	}
	return out, nil
}

// draw fills in the market, the copy and its odds.
func (o *Picture) draw(s deal.Settings, row *keepa.DealRow, p *keepa.Product) {
	if o.Deal != nil {
		o.Until = o.Deal.DecidedAt
	}
	finding := s.Buying().ShippingIn(p, o.Until)
	if o.Deal != nil {
		finding = o.Deal.UsedShipping
	}
	o.Market = s.Market(p, finding, o.Until)
	view, copies, err := deal.View{}, []deal.Copy(nil), error(nil)
	if p.OffersAsked {
		view, copies, err = s.OfOffers(s.OfRow(row, o.Until), p, o.Until)
	} else {
		view, err = s.OfProduct(s.OfRow(row, o.Until), p, o.Until)
	}
	switch {
	case err != nil: // a history is unreadable; Market names it
	case o.Deal != nil:
		o.Copy, o.Odds = &o.Deal.LandedCents, oddsOf(o.Deal, view.Evidence)
	case len(copies) > 0:
		o.Copy, o.Odds = &copies[0].LandedCents, chart.OddsOf(view.With(s, copies[0], nil))
	default:
		o.Odds = chart.OddsOf(view)
	}
}

// oddsOf returns the odds of a deal.
func oddsOf(d *deal.Deal, e *deal.Evidence) *chart.Odds {
	bought := d.Copy()
	from, ok := e.Distribution(&bought, d.CapCents)
	if !ok {
		return nil
	}
	return &chart.Odds{
		Distribution: from, Low: d.SalePriceLowCents, Middle: d.SalePriceCents, High: d.SalePriceHighCents, Breakeven: d.BreakevenCents,
		ProfitLow: d.ProfitLowCents, Profit: d.ProfitCents, ProfitHi: d.ProfitHighCents, LossChance: d.LossChance,
	}
}

// answersOf returns the answer to draw, which is the last of the given ones or the newest, and the newest answer to a
// commit; nil if absent.
func answersOf(ctx context.Context, b *bus.Bus, domain int, asin string, ids []string) (draw, commit *responses.Answer, err error) {
	for _, id := range slices.Backward(ids) {
		if draw, err = responses.Load(ctx, b, id); err != nil {
			return nil, nil, err
		}
		if draw != nil && (draw.Kind == pipeline.KindCommit || draw.Kind == pipeline.KindPeek) {
			break
		}
		draw = nil
	}
	sequences := map[pipeline.Kind]uint64{}
	from := bus.From{Newest: true, Headers: true, Subjects: []string{
		pipeline.SubjectResponse(domain, pipeline.KindPeek, asin), pipeline.SubjectResponse(domain, pipeline.KindCommit, asin),
	}}
	err = b.Scan(ctx, pipeline.StreamResponses, from, func(r bus.Read) error {
		kind := pipeline.Kind(r.Header.Get(pipeline.HeaderKind))
		sequences[kind] = max(sequences[kind], r.Sequence)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if n := sequences[pipeline.KindCommit]; n > 0 {
		if commit, err = responses.Load(ctx, b, strconv.FormatUint(n, 10)); err != nil {
			return nil, nil, err
		}
	}
	if n := sequences[pipeline.KindPeek]; draw == nil && n > sequences[pipeline.KindCommit] {
		draw, err = responses.Load(ctx, b, strconv.FormatUint(n, 10))
	}
	return cmp.Or(draw, commit), commit, err
}

// rowOf returns the newest row of the deal list about an ASIN; empty if absent.
func rowOf(ctx context.Context, b *bus.Bus, domain int, asin string) (row keepa.DealRow, err error) {
	from := bus.From{Newest: true, Subjects: []string{pipeline.SubjectCandidate(domain, "*", asin)}}
	err = bus.ScanJSON(ctx, b, pipeline.StreamCandidates, from, func(_ bus.Read, c pipeline.Candidate) error {
		if r, err := keepa.DecodeDealRow(c.Row); err == nil {
			row = r
		}
		return nil
	})
	return row, err
}
