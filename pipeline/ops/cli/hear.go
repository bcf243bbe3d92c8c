package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
)

// hear reads what the streams say of all deals.
func hear(ctx context.Context, b *bus.Bus) (*visibility.Book, error) { return hearOn(ctx, b, "deal.>") }

// hearOf reads what the streams say of some deals, at most filtersAtOnce.
func hearOf(ctx context.Context, b *bus.Bus, places ...visibility.Place) (*visibility.Book, error) {
	subjects := make([]string, len(places))
	for i, p := range places {
		subjects[i] = pipeline.SubjectDeal(p.Domain, p.PriceType, p.ASIN)
	}
	return hearOn(ctx, b, subjects...)
}

// hearOn reads every version on some subjects of DEALS, and of the verdicts about these
// deals as many as decide how they stand. What the recorder buries is passed over: it
// reads them in the same way.
func hearOn(ctx context.Context, b *bus.Bus, subjects ...string) (*visibility.Book, error) {
	e := ear{b: b, places: map[product][]visibility.Place{}, whole: map[string]bool{}}
	err := b.Scan(ctx, pipeline.StreamDeals, bus.From{Subjects: subjects}, func(r bus.Read) error {
		if v, err := visibility.ReadVersion(r.Stored()); err == nil {
			e.book.Version(v)
			e.about(v.Place)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := messages.ScanActions(ctx, b, e.book.Action); err != nil {
		return nil, err
	}
	if err := e.newest(ctx); err != nil {
		return nil, err
	}
	// What is read may put another verdict in front, which is looked behind in turn: at most
	// once for each look.
	for e.doubt(); len(e.behind) > 0; e.doubt() {
		if err := e.all(ctx); err != nil {
			return nil, err
		}
	}
	return &e.book, nil
}

// readable is how many deals DEALS holds.
func readable(ctx context.Context, b *bus.Bus) (int, error) {
	places := map[visibility.Place]bool{}
	err := b.Scan(ctx, pipeline.StreamDeals, bus.From{}, func(r bus.Read) error {
		if v, err := visibility.ReadVersion(r.Stored()); err == nil && v.Run == pipeline.RunLive {
			places[v.Place] = true
		}
		return nil
	})
	return len(places), err
}

// product is what verdicts are about as far as their subjects tell.
type product struct {
	domain int
	asin   string
}

// ear hears about the deals of a book.
type ear struct {
	b      *bus.Bus
	book   visibility.Book
	places map[product][]visibility.Place // the deals of each product
	behind []string                       // subjects of which every verdict is to be heard
	whole  map[string]bool                // those, and the ones of which it was
}

// lookBehind has every verdict of a look at a product heard.
func (e *ear) lookBehind(of product, look pipeline.Look) {
	subject := fmt.Sprintf("verdict.%d.%s.*.%s", of.domain, look, of.asin)
	if !e.whole[subject] {
		e.whole[subject] = true
		e.behind = append(e.behind, subject)
	}
}

func (e *ear) about(p visibility.Place) {
	of := product{p.Domain, p.ASIN}
	if !slices.Contains(e.places[of], p) {
		e.places[of] = append(e.places[of], p)
	}
}

// newest hears the newest verdict of each subject that may say something, and looks
// behind it where it hides others that count: it is a replay's, about another price
// type, one of the keeper's, a repeat, or nothing that can be read. That the newest verdict is
// the last decided is taken for granted; only confirmed_at and the mark rest on it.
func (e *ear) newest(ctx context.Context) error {
	var subjects []string
	for of := range e.places {
		subjects = append(subjects, telling(of)...)
	}
	stored, err := e.b.Newest(ctx, pipeline.StreamVerdicts, subjects, bus.Until{})
	if err != nil {
		return err
	}
	read := make([]visibility.Verdict, len(stored))
	for i, r := range stored {
		if v, err := visibility.ReadVerdict(r.Stored()); err == nil {
			e.book.Verdict(v)
			read[i] = v
		}
	}
	for i, r := range stored {
		of, look, known := productOf(r.Subject)
		v := read[i]
		unread := v.Outcome == ""
		others := func(p visibility.Place) bool { return p != visibility.PlaceOf(v.Identity) }
		if known && (unread || v.Run != pipeline.RunLive || v.Outcome == pipeline.Fail || e.book.Repeats(v) || slices.ContainsFunc(e.places[of], others)) {
			e.lookBehind(of, look)
		}
	}
	return nil
}

// doubt looks behind the verdicts that decide against others: what was published again
// is what it was at first.
func (e *ear) doubt() {
	for of, places := range e.places {
		for _, p := range places {
			if look, yes := e.book.Decisive(p); yes {
				e.lookBehind(of, look)
			}
		}
	}
}

// filtersAtOnce is how many subjects one consumer asks for.
const filtersAtOnce = 500

// all hears every verdict on the subjects behind.
func (e *ear) all(ctx context.Context) error {
	for part := range slices.Chunk(e.behind, filtersAtOnce) {
		err := messages.ScanVerdicts(ctx, e.b, bus.From{Subjects: part}, func(_ bus.Read, v visibility.Verdict) error {
			e.book.Verdict(v)
			return nil
		})
		if err != nil {
			return err
		}
	}
	e.behind = nil
	return nil
}

// productOf is what a verdict's subject says of it: verdict.DOMAIN.LOOK.OUTCOME.ASIN.
func productOf(subject string) (of product, look pipeline.Look, ok bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 5 {
		return of, "", false
	}
	domain, err := strconv.Atoi(parts[1])
	return product{domain, parts[4]}, pipeline.Look(parts[2]), err == nil
}

// telling are the subjects of the verdicts that say how a deal stands.
func telling(of product) []string {
	out := []string{pipeline.SubjectVerdict(of.domain, pipeline.LookList, pipeline.Fail, of.asin)}
	for _, look := range []pipeline.Look{pipeline.LookList, pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
		for _, o := range []pipeline.Outcome{pipeline.Accept, pipeline.Confirm, pipeline.Reject} {
			out = append(out, pipeline.SubjectVerdict(of.domain, look, o, of.asin))
		}
	}
	return out
}
