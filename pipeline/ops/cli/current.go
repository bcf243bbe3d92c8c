package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/text/foreign"
)

// Current is a deal as it is visible now.
type Current struct {
	Deal
	Body    json.RawMessage // the merged members of its messages, cleaned
	Visible bool            // if false it is hidden, and the rest is empty
	Awaits  bool            // hidden only until its verdict arrives, which is published after the deal
}

// CurrentOn returns the current state of the deal on a subject of DEALS.
func CurrentOn(ctx context.Context, b *bus.Bus, subject string) (Current, error) {
	return current(ctx, newReader(b, subject), subject)
}

// CurrentOf returns the current state of the deal of a message of DEALS, which may be unreadable. A replica that is
// read may lack the message, or its verdict, although another one has delivered it.
func CurrentOf(ctx context.Context, b *bus.Bus, m pipeline.Stored) (Current, error) {
	e := newReader(b, m.Subject)
	if v, err := visibility.ReadVersion(m); err == nil {
		e.own = &v
	}
	return current(ctx, e, m.Subject)
}

func current(ctx context.Context, e *reader, subject string) (Current, error) {
	place, err := placeOn(subject)
	if err != nil {
		return Current{}, nil //nolint:nilerr // it is not a deal
	}
	if err := e.advance(ctx, toTheEnd); err != nil {
		return Current{}, err
	}
	visible := e.book.Visible(time.Time{})
	if len(visible) == 0 {
		return Current{Awaits: e.own != nil && e.book.Awaits(place, e.own.Origin.At)}, nil
	}
	c := Current{Visible: true}
	if c.Body, err = json.Marshal(visible[0].Members); err != nil {
		return c, fmt.Errorf("encode the deal of %s: %w", place.ASIN, err)
	}
	c.Deal, err = dealOf(visible[0])
	return c, err
}

// placeOn reads the subject deal.DOMAIN.PRICETYPE.ASIN.
func placeOn(subject string) (visibility.DealKey, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 {
		return visibility.DealKey{}, fmt.Errorf("subject %q: want deal.DOMAIN.PRICETYPE.ASIN", subject)
	}
	domain, err := strconv.Atoi(parts[1])
	if err != nil {
		return visibility.DealKey{}, fmt.Errorf("subject %q: %w", subject, err)
	}
	priceType, err := strconv.Atoi(parts[2])
	return visibility.DealKey{Domain: domain, PriceType: priceType, ASIN: parts[3]}, err
}

// Best sorts deals, the most profitable first.
func Best(deals []Deal) { By("").sort(deals) }

// condition returns the condition if Keepa has a number for it; else "".
func (d Deal) condition() string {
	if keepa.ConditionOf(d.Condition) == keepa.ConditionUnknown {
		return ""
	}
	return d.Condition
}

// Text is the text of a message about a deal: our lines, with foreign text escaped for a sink.
type Text struct {
	Title string
	Sums  string   // the facts that decide, in one line
	Lines []string // the facts that decide
	Links []Link   // empty if the deal is simulated
}

// Link is a page about a deal.
type Link struct{ Name, URL string }

// Describe returns the text of a message about the deal, with foreign text escaped by the sink.
func (d Deal) Describe(sink func(foreign.Text) string) Text {
	t := Text{Title: cmp.Or(sink(d.Title.Short(120)), d.ASIN)}
	profit := fmt.Sprintf("profit %s (%s to %s), odds of a loss %s", d.money(d.ProfitCents), d.money(d.ProfitLow), d.money(d.ProfitHigh), chance(d.LossChance))
	buy := fmt.Sprintf("buy %s, %s", d.money(d.LandedCents), cmp.Or(d.condition(), "condition unknown"))
	sells := fmt.Sprintf("sells for %s (%s to %s) in about %s months", d.money(d.SaleCents), d.money(d.SaleLow), d.money(d.SaleHigh), orDash(rounded(d.MonthsToSell)))
	t.Sums = fmt.Sprintf("%s · %s · %s · rank %s · %s", profit, buy, sells, orDash(grouped(number(d.Rank))), d.ASIN)
	t.Lines = []string{
		profit,
		buy + ", costs " + d.money(d.AllInCents) + " in all" + d.seller(sink),
		sells + ", rank " + orDash(grouped(number(d.Rank))),
		fmt.Sprintf("why: %s sales in a year, lowest new %s, next best used %s; ratchet why %s",
			orDash(number(d.SalesInYear)), d.money(d.LowestNew), d.money(d.NextBest), d.ASIN),
	}
	if note := d.Note(); note != "" {
		if d.Simulated {
			note += ": nobody sells this"
		}
		t.Lines, t.Sums = append([]string{note}, t.Lines...), note+" · "+t.Sums
	}
	if d.Simulated {
		return t
	}
	to := deal.LinksOf(d.Domain, d.ASIN)
	t.Links = []Link{{"Amazon", to.Amazon}, {"used offers", to.Offers}, {"Keepa", to.Keepa}}
	if to.Amazon == "" {
		t.Links = nil // an unknown marketplace
	}
	return t
}

// seller returns the seller of the copy, as far as it is known.
func (d Deal) seller(sink func(foreign.Text) string) string {
	name := d.SellerName
	if name.IsZero() {
		name = foreign.Of(d.SellerID)
	}
	if name.IsZero() {
		return ""
	}
	out := ", from " + sink(name.Short(60))
	if d.SellerRating != nil && d.SellerRatings != nil {
		out += fmt.Sprintf(" (%d %% of %s)", *d.SellerRating, grouped(number(d.SellerRatings)))
	}
	if d.BuyFBA != nil && *d.BuyFBA {
		out += ", FBA"
	}
	return out
}

// rounded formats a number with one decimal; empty if unknown.
func rounded(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', 1, 64)
}
