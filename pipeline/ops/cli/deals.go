package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/text/foreign"
)

// Deal is what `ratchet deals` shows of a deal: what to buy, what it earns, and the evidence. The names are those of
// the message; absent is null.
type Deal struct {
	Domain        int             `json:"domain"`
	ASIN          string          `json:"asin"`
	PriceType     int             `json:"price_type"`
	CreationDate  int64           `json:"creation_date"` // Keepa minutes: when the used price began
	URL           string          `json:"url"`           // the product at Amazon, from ASIN and marketplace; empty if simulated
	KeepaURL      string          `json:"keepa_url"`     // its histories; as above
	OffersURL     string          `json:"offers_url"`    // the used offers at Amazon; as above
	Simulated     bool            `json:"simulated"`     // the simulated Keepa answered: nobody sells this
	Title         foreign.Text    `json:"title"`
	LandedCents   *int64          `json:"landed_cents"`
	ShippingKnown *bool           `json:"shipping_known"`
	PriceCents    *int64          `json:"price_cents"` // of the offer to buy, without shipping
	ShippingCents *int64          `json:"shipping_cents"`
	Condition     string          `json:"condition"`
	SellerID      string          `json:"seller_id"`
	Brand         foreign.Text    `json:"brand"`
	SellerName    foreign.Text    `json:"seller_name"`
	SellerRating  *int64          `json:"seller_rating"`
	SellerRatings *int64          `json:"seller_rating_count"`
	SellerQuality *float64        `json:"seller_quality"`
	BuyFBA        *bool           `json:"buy_fba"`
	SaleCents     *int64          `json:"sale_price_cents"`
	SaleLow       *int64          `json:"sale_price_low_cents"`
	SaleHigh      *int64          `json:"sale_price_high_cents"`
	ProfitCents   *int64          `json:"profit_cents"`
	ProfitLow     *int64          `json:"profit_low_cents"`
	ProfitHigh    *int64          `json:"profit_high_cents"`
	LossChance    *float64        `json:"loss_chance"` // 0 to 1
	MonthsToSell  *float64        `json:"months_to_sell"`
	SaleChance6M  *float64        `json:"sale_chance_6m"` // 0 to 1
	ROIPercent    *float64        `json:"roi_percent"`
	Rank          *int64          `json:"rank"`
	DecidedAt     time.Time       `json:"decided_at"`
	Source        pipeline.Source `json:"source"`
	ExpectedCents *int64          `json:"expected_value_cents"`

	// The evidence.
	SaleCount     *int        `json:"sale_count"` // sales that the histories imply
	SalesInYear   *int        `json:"sales_in_year"`
	NEff          *float64    `json:"n_eff"` // the number of current sales that they are worth
	LastSales     []deal.Sale `json:"last_sales"`
	NextBest      *int64      `json:"next_best_cents"`
	LowestNew     *int64      `json:"lowest_new_cents"`
	UsedBuyBox    *int64      `json:"used_buy_box_cents"`
	AllInCents    *int64      `json:"all_in_cost_cents"`
	TaxCents      *int64      `json:"tax_cents"`
	PrepCents     *int64      `json:"prep_cents"`
	InboundCents  *int64      `json:"inbound_cents"`
	OtherCents    *int64      `json:"other_cents"`
	VATCents      *int64      `json:"vat_cents"`
	AmazonFees    *int64      `json:"amazon_fees_cents"` // the next three together
	ReferralCents *int64      `json:"referral_cents"`
	FBACents      *int64      `json:"fba_fee_cents"`
	ClosingCents  *int64      `json:"closing_fee_cents"`
	FeesAssumed   *bool       `json:"fees_assumed"`
	Referral      *bool       `json:"referral_assumed"`
	FBAFee        *bool       `json:"fba_fee_assumed"`
	ClosingFee    *bool       `json:"closing_fee_assumed"`
	OtherBand     *bool       `json:"fba_fee_other_band"` // Keepa's fee is for another band of prices
	RuleSet       string      `json:"rule_set"`
	Tokens        int         `json:"tokens"`       // what all looks of it cost
	ResponseIDs   []string    `json:"response_ids"` // the stored answers: nats stream get RESPONSES ID
	WorkID        string      `json:"work_id"`

	// Its later state.
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`   // when a look last confirmed it
	Stale       string    `json:"stale_because,omitempty"` // why it was not confirmed in time

	seen time.Time // when its newest version was decided
}

// notOfMessage are the members that the message does not have.
var notOfMessage = []string{"work_id", "confirmed_at", "stale_because", "url", "keepa_url", "offers_url"}

// members are the members of a deal's message that are shown.
var members = func() (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Deal]()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && !slices.Contains(notOfMessage, name) {
			names = append(names, name)
		}
	}
	return names
}()

// dealsOf decodes visible deals, the most profitable first.
func dealsOf(shown []visibility.Shown) ([]Deal, error) {
	var out []Deal
	for _, s := range shown {
		d, err := dealOf(s)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	By("").sort(out)
	return out, nil
}

func dealOf(s visibility.Shown) (Deal, error) {
	d := Deal{}
	shown := map[string]json.RawMessage{}
	for _, name := range members {
		if raw, ok := s.Members[name]; ok {
			shown[name] = raw
		}
	}
	raw, err := json.Marshal(shown)
	if err == nil {
		err = json.Unmarshal(foreign.JSON(raw), &d)
	}
	if err != nil {
		return d, fmt.Errorf("decode the deal of %s: %w", s.ASIN, err)
	}
	d.Domain, d.ASIN, d.PriceType, d.WorkID = s.Domain, s.ASIN, s.PriceType, s.WorkID
	d.DecidedAt = d.DecidedAt.UTC().Truncate(time.Millisecond) // as a column holds it
	d.ConfirmedAt, d.Stale, d.seen = s.LastConfirmed, s.StaleBecause, s.LastSeen
	if !d.Simulated {
		to := deal.LinksOf(d.Domain, d.ASIN)
		d.URL, d.KeepaURL, d.OffersURL = to.Amazon, to.Keepa, to.Offers
	}
	return d, nil
}

// place returns the product and price type of the deal.
func (d Deal) place() visibility.DealKey { return visibility.DealKeyOf(d.Identity()) }

// Identity returns the price that the deal is about. It is the same after a refresh, and another for a new price.
func (d Deal) Identity() pipeline.Identity {
	return pipeline.Identity{Domain: d.Domain, ASIN: d.ASIN, PriceType: d.PriceType, CreationDate: d.CreationDate}
}

// foundAt returns when a look last found it to be a deal.
func (d Deal) foundAt() time.Time {
	if d.ConfirmedAt.After(d.DecidedAt) {
		return d.ConfirmedAt
	}
	return d.DecidedAt
}

// Seen reports whether a version was decided at an instant or later, as in Visible.List.
func (d Deal) Seen(since time.Time) bool { return !d.seen.Before(since) }

// Note returns what a person must know before acting on the deal; empty if nothing.
func (d Deal) Note() string {
	switch {
	case d.Simulated && d.Stale != "":
		return simulated + ", " + d.Stale
	case d.Simulated:
		return simulated
	}
	return d.Stale
}

// simulated marks the answers of the simulated Keepa.
const simulated = "simulated"
