package deal

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"ratchet/pipeline/domain/keepa"
)

// Settings are the constants of the economics. The rule file sets them; Defaults are its initial values. The tags
// are the manual: docs/rules.md and the file that `ratchet init` writes take unit and meaning from them.
type Settings struct {
	Marketplace string `yaml:"marketplace" says:"the marketplace that the amounts belong to: the end of its host name"`

	PrepCents     int64   `yaml:"prep_cents" unit:"cents" says:"preparing one book for the warehouse"`
	InboundCents  int64   `yaml:"inbound_cents" unit:"cents" says:"sending one book to the warehouse"`
	OtherCents    int64   `yaml:"other_cents" unit:"cents" says:"whatever else one book costs"`
	ShippingCents int64   `yaml:"shipping_cents" unit:"cents" says:"shipping where a seller does not state it; also the ship credit of a sale"`
	TaxPercent    float64 `yaml:"tax_percent" unit:"percent" says:"sales tax on the landed price; 0 for the exempt"`
	VATPercent    float64 `yaml:"vat_percent" unit:"percent" says:"contained in the sale price; referral fee and revenue are net of it"`

	FBAFeeCents     int64   `yaml:"fba_fee_cents" unit:"cents" says:"pick and pack where Keepa does not know the product's"`
	ReferralPercent float64 `yaml:"referral_percent" unit:"percent" says:"referral fee where Keepa does not know the product's"`
	CountClosingFee bool    `yaml:"count_closing_fee" says:"add the closing fee of media to Amazon's fees"`
	ClosingFeeCents int64   `yaml:"closing_fee_cents" unit:"cents" says:"closing fee of media where Keepa does not know the product's"`

	// The least that Amazon's fees can be. Keepa's figures are raised to them, so
	// that a look which does not know the fees yet can still bound the profit.
	LeastFBAFeeCents     int64   `yaml:"least_fba_fee_cents" unit:"cents" says:"the least that Amazon takes to pick, pack and ship"`
	LeastReferralPercent float64 `yaml:"least_referral_percent" unit:"percent" says:"the least referral fee"`

	TierACents int64 `yaml:"tier_a_cents" unit:"cents" says:"expected value from which a survivor goes first"`
	TierBCents int64 `yaml:"tier_b_cents" unit:"cents" says:"expected value from which a survivor goes second"`
}

// Setting is one of the settings for a manual.
type Setting struct {
	Name  string // in the rule file
	Value any    // its value
	Unit  string // cents are the smallest unit of the marketplace's currency; "" without a unit
	Says  string
}

// List returns every setting, in the order of the rule file.
func (s Settings) List() []Setting {
	v := reflect.ValueOf(s)
	var all []Setting
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		all = append(all, Setting{Name: tag.Get("yaml"), Value: v.Field(i).Interface(), Unit: tag.Get("unit"), Says: tag.Get("says")})
	}
	return all
}

// Defaults returns the constants for used books on amazon.com.
func Defaults() Settings {
	return Settings{
		Marketplace: keepa.DomainCom.Suffix(),
		PrepCents:   275, InboundCents: 50, ShippingCents: 399, TaxPercent: 5,
		FBAFeeCents: 550, ReferralPercent: 15, ClosingFeeCents: 180,
		LeastFBAFeeCents: 229, LeastReferralPercent: 14, CountClosingFee: true,
		TierACents: 600, TierBCents: 200,
	}
}

// Validate returns an error for each invalid setting.
func (s Settings) Validate() error {
	var errs []error
	check := func(ok bool, name, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("settings.%s: must be %s", name, want))
		}
	}
	percent := func(v float64) bool { return v >= 0 && v < 100 }
	_, known := keepa.DomainOf(s.Marketplace)
	check(known, "marketplace", "the end of an Amazon host name: "+keepa.Suffixes())
	check(s.PrepCents >= 0, "prep_cents", "0 or more")
	check(s.InboundCents >= 0, "inbound_cents", "0 or more")
	check(s.OtherCents >= 0, "other_cents", "0 or more")
	check(s.ShippingCents >= 0, "shipping_cents", "0 or more")
	check(percent(s.TaxPercent), "tax_percent", "from 0 to below 100")
	check(percent(s.VATPercent), "vat_percent", "from 0 to below 100")
	check(percent(s.ReferralPercent), "referral_percent", "from 0 to below 100")
	check(percent(s.LeastReferralPercent), "least_referral_percent", "from 0 to below 100")
	check(s.FBAFeeCents >= 0, "fba_fee_cents", "0 or more")
	check(s.ClosingFeeCents >= 0, "closing_fee_cents", "0 or more")
	check(s.LeastFBAFeeCents >= 0, "least_fba_fee_cents", "0 or more")
	check(s.TierACents >= s.TierBCents && s.TierBCents >= 0, "tier_a_cents", "at least tier_b_cents")
	return errors.Join(errs...)
}

// Domain returns the marketplace of the settings.
func (s Settings) Domain() keepa.Domain {
	d, _ := keepa.DomainOf(s.Marketplace)
	return d
}

// basisPoints converts a percentage to hundredths of a percent, the unit of all integer arithmetic here.
func basisPoints(percent float64) int64 { return int64(math.Round(percent * 100)) }

// share returns amount × basis points, rounded half up; amount is not negative.
func share(amount, bp int64) int64 { return (amount*bp + 5000) / 10_000 }
