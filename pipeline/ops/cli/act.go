package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
)

// Act publishes on ACTIONS that the user bought, sold or ignores something. isNew is false if that action is already
// current: a command whose outcome is unknown can be repeated, and nothing is recorded twice.
func Act(ctx context.Context, b *bus.Bus, a action.Action) (isNew bool, err error) {
	done, err := recorded(ctx, b)
	if err != nil {
		return false, err
	}
	a.After = done.Ended(a.Kind, a.Target)
	id := a.ID()
	if slices.ContainsFunc(done.Current(), func(s action.Recorded) bool { return s.MsgID == id }) {
		return false, nil
	}
	_, err = b.Publish(ctx, messages.Action(a))
	return err == nil, err
}

// Trade returns an action as a purchase or a sale of a copy: its price as people write it, its condition and the day.
// number distinguishes equal copies on a day: 2 is the second.
func Trade(a action.Action, units float64, condition string, day time.Time, number int) action.Action {
	price := keepa.Domain(a.Domain).Currency().Units(units)
	a.PriceCents, a.Condition, a.On = &price, condition, day.UTC().Format(time.DateOnly)
	if number > 1 {
		a.Copy = number
	}
	return a
}

// Sentence formats an action for people.
func Sentence(d action.Action) string {
	of := fmt.Sprintf("%s %q", d.By, d.Value)
	if d.By == action.ByASIN {
		of = fmt.Sprintf("%s (amazon.%s)", d.Value, keepa.Domain(d.Domain).Suffix())
	}
	does := map[action.Kind]string{action.Buy: "was bought", action.Sold: "was sold", action.Ignore: "is ignored"}[d.Kind]
	text := of + " " + does
	if d.PriceCents != nil {
		text += fmt.Sprintf(" for %s on %s", keepa.Domain(d.Domain).Money(d.PriceCents), d.On)
	}
	if !d.Until.IsZero() {
		text += " until " + d.Until.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	return text + "."
}

// Undo undoes all actions of a kind on a target. done is false if there was nothing to undo.
func Undo(ctx context.Context, b *bus.Bus, a action.Action) (done bool, err error) {
	all, err := recorded(ctx, b)
	if err != nil {
		return false, err
	}
	newest, ok := all.Newest(a.Of, a.Target)
	if !ok {
		return false, nil
	}
	a.Kind, a.After = action.Undo, newest.Sequence
	_, err = b.Publish(ctx, messages.Action(a))
	return err == nil, err
}

// Ignored returns what the user ignores now, in the order of the actions.
func Ignored(ctx context.Context, b *bus.Bus) ([]action.Recorded, error) {
	all, err := recorded(ctx, b)
	return slices.DeleteFunc(all.Current(), func(s action.Recorded) bool { return s.Kind != action.Ignore }), err
}

func recorded(ctx context.Context, b *bus.Bus) (action.Record, error) {
	var r action.Record
	err := messages.ScanActions(ctx, b, r.Add)
	return r, err
}

// Marketplaces returns those in which the product is or was a deal, by Keepa's numbers.
func Marketplaces(ctx context.Context, b *bus.Bus, asin string) ([]int, error) {
	var out []int
	err := b.Scan(ctx, pipeline.StreamDeals, bus.From{Subjects: []string{"deal.*.*." + asin}, Newest: true, Headers: true}, func(r bus.Read) error {
		parts := strings.Split(r.Subject, ".")
		if domain, err := strconv.Atoi(parts[1]); err == nil && !slices.Contains(out, domain) {
			out = append(out, domain)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("search the deals for %s: %w", asin, err)
	}
	return out, nil
}

// Hidden returns how many visible deals an action would hide.
func (v *Visible) Hidden(ctx context.Context, a action.Action) (int, error) {
	hides, n := hidesOf(a), 0
	deals, _, err := v.List(ctx, time.Time{})
	for _, d := range deals {
		if hides(d) {
			n++
		}
	}
	return n, err
}

// hidesOf reports whether an action alone hides a deal.
func hidesOf(a action.Action) func(Deal) bool {
	var only action.Record
	only.Add(action.Recorded{Origin: pipeline.Origin{Sequence: 1, Run: pipeline.RunLive}, Action: a})
	rules := only.Rules()
	return func(d Deal) bool {
		return rules.Hides(action.Product{Domain: d.Domain, ASIN: d.ASIN, Seller: d.SellerID, Brand: d.Brand.String(), Title: d.Title.String()}) != ""
	}
}
