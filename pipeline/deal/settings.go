package deal

import (
	"errors"
	"fmt"
	"math"
)

// Settings are the constants of the economics. The rule file sets them; Defaults is what it starts from.
type Settings struct {
	PrepCents       int64   `yaml:"prep_cents"`       // preparing one book for the warehouse
	ShippingCents   int64   `yaml:"shipping_cents"`   // what a seller charges where he does not say
	TaxPercent      float64 `yaml:"tax_percent"`      // on the landed price; 0 for the exempt
	MarkupPercent   float64 `yaml:"markup_percent"`   // of the minimum listing price
	FBAFeeCents     int64   `yaml:"fba_fee_cents"`    // where Keepa does not know the product's
	ReferralPercent float64 `yaml:"referral_percent"` // where Keepa does not know the product's

	// The least that Amazon's fees can be. Keepa's figures are raised to them, so that a look which
	// does not know the fees yet can still bound the profit.
	LeastFBAFeeCents     int64   `yaml:"least_fba_fee_cents"`
	LeastReferralPercent float64 `yaml:"least_referral_percent"`

	// CountClosingFee adds the closing fee of media to Amazon's fees. Off, it is only shown.
	CountClosingFee bool `yaml:"count_closing_fee"`

	AmazonCeilingPercent int64   `yaml:"amazon_ceiling_percent"` // of Amazon's lowest price: the most a listing can bring
	HardCeilingCents     int64   `yaml:"hard_ceiling_cents"`     // no list price above this is believed
	SuspiciousRatio      float64 `yaml:"suspicious_ratio"`       // list price over used price above which a deal is flagged

	SaleWindowDays   int     `yaml:"sale_window_days"`   // how far back sales are inferred
	ConfirmHours     int     `yaml:"confirm_hours"`      // a rank improvement this soon after an offer vanished confirms a sale
	LateConfirmDays  int     `yaml:"late_confirm_days"`  // or the first rank after it, if it is better and not later than this
	SeasonalMinSales int     `yaml:"seasonal_min_sales"` // fewer sales than this tell no season
	OutlierFactor    float64 `yaml:"outlier_factor"`     // times the interquartile range beyond the quartiles

	TierACents int64 `yaml:"tier_a_cents"` // expected value from which a survivor is in tier a
	TierBCents int64 `yaml:"tier_b_cents"` // and in tier b
}

// Defaults are the constants for used books on amazon.com.
func Defaults() Settings {
	return Settings{
		PrepCents: 275, ShippingCents: 399, TaxPercent: 5, MarkupPercent: 10, FBAFeeCents: 550, ReferralPercent: 15,
		LeastFBAFeeCents: 229, LeastReferralPercent: 14,
		AmazonCeilingPercent: 90, HardCeilingCents: 150_000, SuspiciousRatio: 3,
		SaleWindowDays: 1095, ConfirmHours: 240, LateConfirmDays: 30, SeasonalMinSales: 3, OutlierFactor: 1.5,
		TierACents: 1500, TierBCents: 500,
	}
}

// Validate names every setting that makes no sense.
func (s Settings) Validate() error {
	var errs []error
	check := func(ok bool, name, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("settings.%s: must be %s", name, want))
		}
	}
	percent := func(v float64) bool { return v >= 0 && v < 100 }
	check(s.PrepCents >= 0, "prep_cents", "0 or more")
	check(s.ShippingCents >= 0, "shipping_cents", "0 or more")
	check(percent(s.TaxPercent), "tax_percent", "from 0 to below 100")
	check(percent(s.MarkupPercent), "markup_percent", "from 0 to below 100")
	check(percent(s.ReferralPercent), "referral_percent", "from 0 to below 100")
	check(percent(s.LeastReferralPercent), "least_referral_percent", "from 0 to below 100")
	check(s.FBAFeeCents >= 0, "fba_fee_cents", "0 or more")
	check(s.LeastFBAFeeCents >= 0, "least_fba_fee_cents", "0 or more")
	check(s.AmazonCeilingPercent > 0 && s.AmazonCeilingPercent <= 100, "amazon_ceiling_percent", "from 1 to 100")
	check(s.HardCeilingCents > 0, "hard_ceiling_cents", "above 0")
	check(s.SuspiciousRatio > 1, "suspicious_ratio", "above 1")
	check(s.SaleWindowDays >= 365, "sale_window_days", "at least 365")
	check(s.ConfirmHours > 0, "confirm_hours", "above 0")
	check(s.LateConfirmDays >= 0, "late_confirm_days", "0 or more")
	check(s.SeasonalMinSales >= 1, "seasonal_min_sales", "at least 1")
	check(s.OutlierFactor > 0, "outlier_factor", "above 0")
	check(s.TierACents >= s.TierBCents && s.TierBCents >= 0, "tier_a_cents", "at least tier_b_cents")
	return errors.Join(errs...)
}

// basisPoints turns a percentage into hundredths of a percent, the unit of all integer arithmetic here.
func basisPoints(percent float64) int64 { return int64(math.Round(percent * 100)) }

// share is amount × basis points, rounded half up; amount is not negative.
func share(amount, bp int64) int64 { return (amount*bp + 5000) / 10_000 }
