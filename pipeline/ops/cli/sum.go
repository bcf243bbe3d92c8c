package cli

import (
	"encoding/json"
	"fmt"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
)

// writeSum prints the newest deal of the story as a sum, line by line, with its evidence.
func (s Story) writeSum(p *lines) {
	if d := s.Deal(); d != nil {
		writeSum(p, *d)
	}
}

// Deal returns the newest deal of the story that this build can decode; nil if absent.
func (s Story) Deal() *deal.Deal {
	for _, v := range slices.Backward(s.Verdicts) {
		var d deal.Deal
		if v.Run == pipeline.RunLive && v.Verdict.Deal != nil && json.Unmarshal(v.Verdict.Deal, &d) == nil && d.Extraction == deal.Extraction {
			return &d
		}
	}
	return nil
}

// writeSum prints a deal as a sum.
func writeSum(p *lines, d deal.Deal) {
	mark := ""
	if d.Simulated {
		mark = " (" + simulated + ": nobody sells this)"
	}
	p.f("\nThe deal of %s, as a sum%s\n", d.DecidedAt.Format("2006-01-02 15:04:05"), mark)
	for _, l := range Sum(d) {
		p.f("  %s\t%s\t%s\n", l.Name, l.Amount, l.Note)
	}
	if to := deal.LinksOf(d.Domain, d.ASIN); !d.Simulated {
		p.f("  Amazon: %s\n  used offers: %s\n  Keepa: %s\n", to.Amazon, to.Offers, to.Keepa)
	}
	p.f("\n")
}

// SumLine is one line of a deal's sum.
type SumLine struct{ Name, Amount, Note string }

// Sum returns a deal as a sum that a person can check, followed by its evidence.
func Sum(d deal.Deal) []SumLine {
	money := keepa.Domain(d.Domain).Currency().Format
	mark := func(assumed bool) string {
		if assumed {
			return "assumed"
		}
		return ""
	}
	lines := []SumLine{{"sells for", money(d.SalePriceCents), fmt.Sprintf("%s to %s in 8 of 10 cases%s", money(d.SalePriceLowCents), money(d.SalePriceHighCents), cappedBy(d))}}
	less := func(name string, cents int64, note string) {
		if cents != 0 {
			lines = append(lines, SumLine{"− " + name, money(cents), note})
		}
	}
	less("VAT", d.VATCents, "")
	less("referral fee", d.ReferralCents, fmt.Sprintf("%g %% %s", d.ReferralPercent, mark(d.ReferralAssumed)))
	less("FBA fee", d.FBAFeeCents, mark(d.FBAFeeAssumed)+otherBand(d))
	less("closing fee", d.ClosingFeeCents, mark(d.ClosingAssumed))
	less("copy", d.PriceCents, d.Condition)
	less("shipping", d.ShippingCents, mark(!d.ShippingKnown))
	less("tax", d.TaxCents, "")
	less("preparation", d.PrepCents, "")
	less("inbound", d.InboundCents, "")
	less("other", d.OtherCents, "")
	lines = append(lines,
		SumLine{"= profit", money(d.ProfitCents), fmt.Sprintf("%s to %s; break-even at a sale of %s", money(d.ProfitLowCents), money(d.ProfitHighCents), money(d.BreakevenCents))},
		SumLine{"odds of a loss", fmt.Sprintf("%.0f %%", 100*d.LossChance), fmt.Sprintf("sells in about %.1f months; %.0f %% within six", d.MonthsToSell, 100*d.SaleChance6M)},
		SumLine{"rests on", fmt.Sprintf("%d sales", d.SaleCount), fmt.Sprintf("%d in a year; weighted by age %.1f", d.SalesInYear, d.NEff)})
	for _, s := range d.LastSales {
		lines = append(lines, SumLine{"  sold", money(s.Cents), s.At.Time().Format("2006-01-02")})
	}
	also := func(name string, cents *int64) {
		if cents != nil {
			lines = append(lines, SumLine{name, money(*cents), ""})
		}
	}
	also("next-best used", d.NextBestCents)
	also("lowest new", d.LowestNewCents)
	also("used Buy Box", d.UsedBuyBoxCents)
	return lines
}

func cappedBy(d deal.Deal) string {
	switch d.CapBy {
	case deal.ByNew:
		return "; never above the lowest new offer"
	case deal.ByAmazon:
		return "; never above Amazon's price"
	case deal.ByBuyBox:
		return "; never above the Buy Box"
	case deal.ByNext:
		return "; never above the next-best used offer"
	case deal.NoCeiling:
	}
	return ""
}

func otherBand(d deal.Deal) string {
	if d.FBAFeeOtherBand {
		return "Keepa's, for another band of prices"
	}
	return ""
}
