package cli

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
)

// hear reads what the streams say of all deals, as of the sequences that they have now. What an earlier reading kept
// is read on from where that ended; nil without one.
func hear(ctx context.Context, b *bus.Bus, kept *ear) (*ear, error) {
	held, err := holds(ctx, b)
	if err != nil {
		return nil, err
	}
	if kept == nil || !kept.held.continues(held) {
		kept = newEar(b, "deal.>")
	}
	kept.held = held
	return kept, kept.advance(ctx, held.last())
}

// hearOf reads what the streams say of some deals, at most filtersAtOnce, to the end of the streams.
func hearOf(ctx context.Context, b *bus.Bus, places ...visibility.Place) (*visibility.Book, error) {
	subjects := make([]string, len(places))
	for i, p := range places {
		subjects[i] = pipeline.SubjectDeal(p.Domain, p.PriceType, p.ASIN)
	}
	return hearOn(ctx, b, subjects...)
}

// hearOn reads what the streams say of the deals on some subjects of DEALS, to the end of the streams.
func hearOn(ctx context.Context, b *bus.Bus, subjects ...string) (*visibility.Book, error) {
	e := newEar(b, subjects...)
	err := e.advance(ctx, visibility.Sequences{Deals: math.MaxUint64, Verdicts: math.MaxUint64, Actions: math.MaxUint64})
	return &e.book, err
}

// held is what the streams that say something about deals hold.
type held struct{ deals, verdicts, actions bus.Span }

// holds asks for what the streams hold now.
func holds(ctx context.Context, b *bus.Bus) (h held, err error) {
	for stream, span := range map[string]*bus.Span{pipeline.StreamDeals: &h.deals, pipeline.StreamVerdicts: &h.verdicts, pipeline.StreamActions: &h.actions} {
		shelf, err := b.Shelf(ctx, stream)
		if err != nil {
			return h, err
		}
		if *span, err = shelf.Span(ctx); err != nil {
			return h, err
		}
	}
	return h, nil
}

func (h held) last() visibility.Sequences {
	return visibility.Sequences{Deals: h.deals.Last, Verdicts: h.verdicts.Last, Actions: h.actions.Last}
}

// continues reports whether later has everything that was held, and more messages at most: nothing has left the
// streams, and they are the same.
func (h held) continues(later held) bool {
	same := func(a, b bus.Span) bool { return a.Made == b.Made && a.First == b.First && a.Last <= b.Last }
	return same(h.deals, later.deals) && same(h.verdicts, later.verdicts) && same(h.actions, later.actions)
}

func newEar(b *bus.Bus, subjects ...string) *ear {
	return &ear{b: b, subjects: subjects, places: map[product][]visibility.Place{}, whole: map[string]bool{}}
}

// advance reads every version on the subjects, and of the verdicts about these deals as many as decide how they stand,
// up to these sequences. What the recorder buries is passed over: it reads them in the same way.
func (e *ear) advance(ctx context.Context, to visibility.Sequences) error {
	from, again := e.to, e.begun
	e.to, e.begun = to, true
	fresh, err := e.versions(ctx, from.Deals)
	if err != nil {
		return err
	}
	if err := messages.ScanActions(ctx, e.b, func(s action.Said) {
		if s.Sequence <= to.Actions {
			e.book.Action(s)
		}
	}); err != nil {
		return err
	}
	if err := e.newest(ctx, fresh); err != nil {
		return err
	}
	if again && from.Verdicts < to.Verdicts {
		if err := e.verdicts(ctx, bus.From{Sequence: from.Verdicts + 1}); err != nil {
			return err
		}
	}
	// What is read may put another verdict in front, which is looked behind in turn: at most
	// once for each look.
	for e.doubt(); len(e.behind) > 0; e.doubt() {
		if err := e.all(ctx); err != nil {
			return err
		}
	}
	return nil
}

// versions reads the versions after a sequence, and returns the products with a deal that was not known before.
func (e *ear) versions(ctx context.Context, after uint64) (fresh map[product]bool, err error) {
	fresh = map[product]bool{}
	if after > 0 && after >= e.to.Deals {
		return fresh, nil
	}
	from := bus.From{Subjects: e.subjects}
	if after > 0 {
		from.Sequence = after + 1
	}
	err = e.b.Scan(ctx, pipeline.StreamDeals, from, func(r bus.Read) error {
		if v, err := visibility.ReadVersion(r.Stored()); err == nil && v.Sequence <= e.to.Deals {
			e.book.Version(v)
			if e.about(v.Place) {
				fresh[product{v.Domain, v.ASIN}] = true
			}
		}
		return nil
	})
	return fresh, err
}

// verdicts reads the verdicts about the known deals.
func (e *ear) verdicts(ctx context.Context, from bus.From) error {
	return messages.ScanVerdicts(ctx, e.b, from, func(_ bus.Read, v visibility.Verdict) error {
		if v.Sequence <= e.to.Verdicts && len(e.places[product{v.Domain, v.ASIN}]) > 0 {
			e.book.Verdict(v)
		}
		return nil
	})
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
	b        *bus.Bus
	subjects []string // of the versions
	held     held
	begun    bool                 // something was read, perhaps of empty streams
	to       visibility.Sequences // the book is what the streams said up to here
	book     visibility.Book
	places   map[product][]visibility.Place // the deals of each product
	behind   []string                       // subjects of which every verdict is to be heard
	whole    map[string]bool                // those, and the ones of which it was
}

// lookBehind has every verdict of a look at a product heard.
func (e *ear) lookBehind(of product, look pipeline.Look) {
	subject := fmt.Sprintf("verdict.%d.%s.*.%s", of.domain, look, of.asin)
	if !e.whole[subject] {
		e.whole[subject] = true
		e.behind = append(e.behind, subject)
	}
}

// about notes that there is a deal, and reports whether that is new.
func (e *ear) about(p visibility.Place) bool {
	of := product{p.Domain, p.ASIN}
	if slices.Contains(e.places[of], p) {
		return false
	}
	e.places[of] = append(e.places[of], p)
	return true
}

// newest reads the newest verdict of each subject that may say something, and all of its look where it may hide others
// that count: it belongs to a replay, to another price type or to the refresher, or it cannot be read. It assumes that
// the newest verdict is the last decided; only confirmed_at and the mark depend on that.
func (e *ear) newest(ctx context.Context, products map[product]bool) error {
	var subjects []string
	for of := range products {
		subjects = append(subjects, telling(of)...)
	}
	var until bus.Until
	switch {
	case e.to.Verdicts == 0 || len(products) == 0:
		return nil
	case e.to.Verdicts < math.MaxUint64:
		until.Sequence = e.to.Verdicts
	}
	stored, err := e.b.Newest(ctx, pipeline.StreamVerdicts, subjects, until)
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
		if known && (unread || v.Run != pipeline.RunLive || v.Outcome == pipeline.Fail || slices.ContainsFunc(e.places[of], others)) {
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
			for _, look := range e.book.Unsure(p) {
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
		if err := e.verdicts(ctx, bus.From{Subjects: part}); err != nil {
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

// telling are the subjects of the verdicts that say how a deal stands, and of those that may have come before them for
// the same work.
func telling(of product) []string {
	var out []string
	for _, look := range []pipeline.Look{pipeline.LookList, pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
		for _, o := range []pipeline.Outcome{pipeline.Accept, pipeline.Confirm, pipeline.Reject, pipeline.Survive, pipeline.Shed, pipeline.Fail} {
			out = append(out, pipeline.SubjectVerdict(of.domain, look, o, of.asin))
		}
	}
	return out
}
