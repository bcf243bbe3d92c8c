package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// The least history that a forecast needs.
const (
	leastDays    = 1
	leastDecided = 50
)

// planRates are the plans that a forecast compares with the present one, in tokens a minute.
var planRates = []int{1, 5, 20, 60}

// Plan is the forecast of a plan, from the history.
type Plan struct {
	Rate      int     `json:"rate"`    // tokens a minute
	Present   bool    `json:"present"` // it is the present plan: measured, not estimated
	Decided   float64 `json:"decided"` // new prices a day that get a look and are not shed
	Deals     float64 `json:"deals"`   // a month
	Profit    float64 `json:"profit"`  // cents a month if all sell
	UsedShare float64 `json:"used"`    // of its tokens
}

// Pace is the history as rates per day.
type Pace struct {
	Days     float64 `json:"days"`
	Rows     int     `json:"rows"`     // in the lists
	Arrivals float64 `json:"arrivals"` // new prices a day
	Decided  float64 `json:"decided"`  // of them decided and not shed, a day
	Shed     float64 `json:"shed"`     // a day
	Waiting  int     `json:"waiting"`  // now
	Price    float64 `json:"price"`    // tokens for one that is decided
	Other    float64 `json:"other"`    // tokens a day for lists and stored deals
	Accepted float64 `json:"accepted"` // share of the decided
	Profit   float64 `json:"profit"`   // mean cents of a deal that sells
	Rate     int     `json:"rate"`     // of the present plan
}

// Forecast compares plans.
type Forecast struct {
	Pace
	Plans  []Plan `json:"plans"`
	domain int
	from   string
}

// ErrShortHistory means that a history is too short for a forecast.
var ErrShortHistory = errors.New("there is less than a day of history, or fewer than 50 decisions")

// Forecast measures the history.
func (h History) Forecast() (Forecast, error) {
	p, domain := h.pace()
	if p.Days < leastDays || p.Decided*p.Days < leastDecided {
		return Forecast{}, ErrShortHistory
	}
	if p.Rate == 0 {
		return Forecast{}, errors.New("the tokens a minute of a plan are not known: see `ratchet status`")
	}
	if err := h.oneCurrency(); err != nil {
		return Forecast{}, err
	}
	f := Forecast{Pace: p, domain: domain, from: h.from()}
	rates := slices.Concat(planRates, []int{p.Rate})
	slices.Sort(rates)
	for _, rate := range slices.Compact(rates) {
		f.Plans = append(f.Plans, p.at(rate))
	}
	return f, nil
}

// oneCurrency returns an error if the profits of the history cannot be added.
func (h History) oneCurrency() error {
	codes := map[string]bool{}
	for _, v := range h.sum.Accepted() {
		codes[keepa.Domain(v.Domain).Currency().Code] = true
	}
	if len(codes) < 2 {
		return nil
	}
	return fmt.Errorf("your deals are in %s, whose profits cannot be added to a forecast", strings.Join(slices.Sorted(maps.Keys(codes)), ", "))
}

// pace measures new prices. Repeated looks, the lists and stored deals count as other tokens.
func (h History) pace() (Pace, int) {
	var p Pace
	begin, _ := h.sum.Span()
	if begin.Before(h.Since) {
		begin = h.Since
	}
	p.Days = h.Until.Sub(begin).Hours() / 24
	p.Rate = h.status.rate() // of all plans, as the history is
	for _, m := range h.status.Watermarks {
		if !m.NextPoll.IsZero() {
			p.Rows += m.Rows
		}
	}
	decided, shed, old, accepted, tokens, profit, domain := 0, 0, 0, 0, 0, int64(0), 0
	for _, v := range h.sum.Final() {
		switch v.Source {
		case pipeline.SourceRefresh, pipeline.SourceRepair, pipeline.SourceRetry:
			continue
		case pipeline.SourceBackfill:
			old++ // listed before the first look: it does not recur
		case pipeline.SourceLive, pipeline.SourceGap:
		}
		if v.Outcome == pipeline.Shed {
			shed++
			continue
		}
		decided, tokens, domain = decided+1, tokens+v.TokensSpent, v.Domain
		if v.Outcome == pipeline.Accept {
			accepted++
			if v.ProfitCents != nil { // the expected value counts the chance of a sale, as the peek saw it
				profit += *v.ProfitCents
			}
		}
	}
	paid, free := h.status.waits()
	p.Waiting = paid + free
	days := math.Max(p.Days, 1)
	p.Decided, p.Shed = float64(decided)/days, float64(shed)/days
	p.Arrivals = float64(max(decided+shed+p.Waiting-old, 0)) / days
	p.Price = float64(tokens) / float64(max(1, decided))
	p.Other = math.Max(0, float64(h.sum.Tokens()-tokens)) / days
	p.Accepted = float64(accepted) / float64(max(1, decided))
	p.Profit = float64(profit) / float64(max(1, accepted))
	return p, domain
}

// minutes of a day, and days of a month.
const (
	minutes = 24 * 60
	month   = 30
)

// at returns the forecast of a plan. A smaller plan spends the same share of its tokens on lists and stored deals as
// the present one; a larger plan spends the same amount.
func (p Pace) at(rate int) Plan {
	income := float64(rate * minutes)
	other := p.Other * math.Min(1, float64(rate)/float64(p.Rate))
	decided := p.Arrivals
	if p.Price > 0 {
		decided = math.Min(decided, math.Max(0, income-other)/p.Price)
	}
	switch {
	case rate == p.Rate:
		decided = math.Min(p.Arrivals, p.Decided)
	case rate > p.Rate:
		decided = math.Max(decided, math.Min(p.Arrivals, p.Decided))
	default:
		decided = math.Min(decided, p.Decided)
	}
	return Plan{
		Rate: rate, Present: rate == p.Rate, Decided: decided, Deals: month * decided * p.Accepted, Profit: month * decided * p.Accepted * p.Profit,
		UsedShare: math.Min(1, (other+decided*p.Price)/income),
	}
}

// short reports whether more tokens would decide more.
func (p Pace) short() bool { return p.Arrivals-math.Min(p.Arrivals, p.Decided) > p.Arrivals/20 }

// from returns the rules and queries of the history.
func (h History) from() string {
	var parts []string
	if h.status.Rules != nil {
		parts = append(parts, "rules "+h.status.Rules.RuleSet)
	}
	if q := h.status.Queries; q != nil && len(q.IDs) > 0 {
		parts = append(parts, strings.Join(q.IDs, ", "))
	}
	return strings.Join(parts, ", ")
}

// next returns the present plan and the next larger one; false if none is larger.
func (f Forecast) next() (present, next Plan, ok bool) {
	for _, p := range f.Plans {
		switch {
		case p.Present:
			present = p
		case p.Rate > f.Rate && !ok:
			next, ok = p, true
		}
	}
	return present, next, ok
}

// Write prints whether the plan is the bottleneck, and what the next plan would bring, compared with its price a month
// if given, in whole units of the currency.
func (f Forecast) Write(w io.Writer, price float64) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	is := "is not"
	if f.short() {
		is = "is"
	}
	p.f("Your plan %s the bottleneck: %d tokens a minute decide %.0f of %.0f new prices a day.\n", is, f.Rate, math.Min(f.Arrivals, f.Decided), f.Arrivals)
	p.f("From your own last %s: a list of %d rows, %.0f shed a day, %d wait, %.1f tokens for a decision, %.1f %% become deals (%s).\n\n",
		brief(time.Duration(f.Days*24*float64(time.Hour))), f.Rows, f.Shed, f.Waiting, f.Price, 100*f.Accepted, f.from)
	p.f("TOKENS A MINUTE\tDECIDED A DAY\tDEALS A MONTH\tPROFIT A MONTH, IF ALL SELL\tTOKENS USED\t\n")
	for _, plan := range f.Plans {
		note := ""
		if plan.Present {
			note = "yours, measured"
		}
		p.f("%d\t%.0f\t%.0f\t%s\t%.0f %%\t%s\n", plan.Rate, plan.Decided, plan.Deals, money(f.domain, plan.Profit), 100*plan.UsedShare, note)
	}
	p.f("\n%s\n", f.sentence(price))
	return p.flush()
}

// sentence returns what the next plan would bring, at most: shed work is worth less than the rest.
func (f Forecast) sentence(price float64) string {
	present, next, ok := f.next()
	if !ok {
		return fmt.Sprintf("%d tokens a minute is the largest plan that is compared.", f.Rate)
	}
	deals, profit := next.Deals-present.Deals, next.Profit-present.Profit
	extra := float64(keepa.Domain(f.domain).Currency().Units(price))
	s := fmt.Sprintf("The next plan, %d tokens a minute, would bring at most %.0f more deals and %s more profit a month if all sell", next.Rate, deals, money(f.domain, profit))
	switch {
	case price <= 0:
		return s + "; --price N compares that with its extra monthly cost."
	case profit > extra:
		return fmt.Sprintf("%s, for %s more a month: at best it pays.", s, money(f.domain, extra))
	}
	return fmt.Sprintf("%s, for %s more a month: it does not pay.", s, money(f.domain, extra))
}
