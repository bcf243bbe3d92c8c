package cli

import (
	"context"
	"fmt"
	"maps"
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

// readAll reads the state of all deals from the streams, up to their current ends. It continues from an earlier read,
// nil if absent, also from one that was cut short; the caller keeps the reader in any case.
func readAll(ctx context.Context, b *bus.Bus, kept *reader, statesOnly bool) (*reader, error) {
	now, err := spansOf(ctx, b)
	if err != nil {
		return kept, err
	}
	if kept == nil || !kept.spans.continues(now) || kept.book.Forget(now.deals.First, now.verdicts.First) {
		kept = newReader(b, "deal.>")
		kept.book.StatesOnly = statesOnly
	}
	kept.spans = now
	if kept.unfinished {
		if err := kept.advance(ctx, kept.to); err != nil {
			return kept, err
		}
	}
	return kept, kept.advance(ctx, now.last())
}

// readDeals reads the state of some deals, at most bus.FiltersAtOnce, to the end of the streams.
func readDeals(ctx context.Context, b *bus.Bus, places ...visibility.DealKey) (*visibility.Fold, error) {
	subjects := make([]string, len(places))
	for i, p := range places {
		subjects[i] = pipeline.SubjectDeal(p.Domain, p.PriceType, p.ASIN)
	}
	return readSubjects(ctx, b, subjects...)
}

// readSubjects reads the state of the deals on subjects of DEALS, to the end of the streams.
func readSubjects(ctx context.Context, b *bus.Bus, subjects ...string) (*visibility.Fold, error) {
	e := newReader(b, subjects...)
	err := e.advance(ctx, toTheEnd)
	return &e.book, err
}

// toTheEnd is where a reader ends that reads what the streams hold.
var toTheEnd = visibility.Sequences{Deals: math.MaxUint64, Verdicts: math.MaxUint64, Actions: math.MaxUint64}

// spans are the spans of the streams that determine the deals.
type spans struct{ deals, verdicts, actions bus.Span }

// spansOf returns what the streams hold now.
func spansOf(ctx context.Context, b *bus.Bus) (h spans, err error) {
	for stream, span := range map[string]*bus.Span{pipeline.StreamDeals: &h.deals, pipeline.StreamVerdicts: &h.verdicts, pipeline.StreamActions: &h.actions} {
		if *span, err = b.Span(ctx, stream); err != nil {
			return h, err
		}
	}
	return h, nil
}

func (h spans) last() visibility.Sequences {
	return visibility.Sequences{Deals: h.deals.Last, Verdicts: h.verdicts.Last, Actions: h.actions.Last}
}

// continues reports whether later are the same streams. They delete what is old, from the front; actions stay.
func (h spans) continues(later spans) bool {
	same := func(a, b bus.Span) bool { return a.Made == b.Made && a.First <= b.First && a.Last <= b.Last }
	return same(h.deals, later.deals) && same(h.verdicts, later.verdicts) && same(h.actions, later.actions) && h.actions.First == later.actions.First
}

func newReader(b *bus.Bus, subjects ...string) *reader {
	return &reader{
		b: b, subjects: subjects, places: map[product][]visibility.DealKey{}, complete: map[string]bool{}, fresh: map[product]bool{},
		scanned: map[product]bool{},
	}
}

// advance reads every version on the subjects, and the verdicts that determine the state of these deals, up to these
// sequences. Like the recorder, it skips what the recorder dead-letters. After an error the next call resumes it, up to
// the sequences of the first call: reading many deals may take longer than a caller can wait.
func (e *reader) advance(ctx context.Context, to visibility.Sequences) error {
	if !e.unfinished {
		e.to, e.unfinished = to, true
	}
	if err := e.versions(ctx); err != nil {
		return err
	}
	if err := messages.ScanActions(ctx, e.b, func(s action.Recorded) {
		if s.Sequence <= e.to.Actions {
			e.book.Action(s)
		}
	}); err != nil {
		return err
	}
	if err := e.decisions(ctx); err != nil {
		return err
	}
	if e.begun && e.followed < e.to.Verdicts {
		if err := e.verdicts(ctx, bus.From{Sequence: e.followed + 1}); err != nil {
			return err
		}
	}
	e.followed = e.to.Verdicts
	// These verdicts may put another one first, whose look must be read completely in turn: at most once for each look.
	for e.requestUnsure(); len(e.reading)+len(e.requested) > 0; e.requestUnsure() {
		if err := e.readRequested(ctx); err != nil {
			return err
		}
	}
	e.book.Compact()
	e.begun, e.unfinished = true, false
	return nil
}

// versions reads the versions that were not read yet.
func (e *reader) versions(ctx context.Context) error {
	if e.read > 0 && e.read >= e.to.Deals {
		return nil
	}
	from := bus.From{Subjects: e.subjects}
	if e.read > 0 {
		from.Sequence = e.read + 1
	}
	add := func(v visibility.Version) {
		e.book.Version(v)
		if e.addDeal(v.DealKey) {
			e.fresh[product{v.Domain, v.ASIN}] = true
		}
	}
	if e.own != nil {
		add(*e.own)
	}
	err := e.b.Scan(ctx, pipeline.StreamDeals, from, func(r bus.Read) error {
		if r.Sequence > e.to.Deals {
			return nil
		}
		if v, err := visibility.ReadVersion(r.Stored()); err == nil {
			add(v)
		}
		e.read = r.Sequence
		return nil
	})
	if err == nil {
		e.read = e.to.Deals
	}
	return err
}

// verdicts reads the verdicts about the known deals. After an error the next call, which is for the same ones, resumes
// it.
func (e *reader) verdicts(ctx context.Context, from bus.From) error {
	if e.cutAt > 0 {
		from.Sequence = e.cutAt + 1
	}
	err := e.b.Scan(ctx, pipeline.StreamVerdicts, from, func(r bus.Read) error {
		if of, _, ok := productOf(r.Subject); ok && r.Sequence <= e.to.Verdicts && len(e.places[of]) > 0 {
			if v, err := visibility.ReadVerdict(r.Stored()); err == nil {
				e.book.Verdict(v)
			}
		}
		e.cutAt = r.Sequence
		return nil
	})
	if err == nil {
		e.cutAt = 0
	}
	return err
}

// readable returns how many deals DEALS holds.
func readable(ctx context.Context, b *bus.Bus) (int, error) {
	places := map[visibility.DealKey]bool{}
	err := b.Scan(ctx, pipeline.StreamDeals, bus.From{}, func(r bus.Read) error {
		if v, err := visibility.ReadVersion(r.Stored()); err == nil && v.Run == pipeline.RunLive {
			places[v.DealKey] = true
		}
		return nil
	})
	return len(places), err
}

// product is what the subject of a verdict identifies.
type product struct {
	domain int
	asin   string
}

// reader folds the state of deals from the streams.
type reader struct {
	b          *bus.Bus
	subjects   []string            // of the versions
	own        *visibility.Version // one that is there whether or not the stream that is read has it; nil: none
	spans      spans
	begun      bool                 // the fold was complete once, even if the streams were empty
	to         visibility.Sequences // it is complete up to here, unless unfinished
	unfinished bool
	followed   uint64           // the last verdict up to which those about the deals known before were read
	cutAt      uint64           // the last verdict that a scan has read which was cut short; 0: none was
	read       uint64           // the last version that was read
	fresh      map[product]bool // of which deals were read, and no verdicts yet
	scanned    map[product]bool // of which every verdict was read
	book       visibility.Fold
	places     map[product][]visibility.DealKey // the deals of each product
	requested  []string                         // subjects whose verdicts must all be read
	reading    []string                         // of them, those that are being read
	complete   map[string]bool                  // those, and the ones that were read
}

// requestLook requests every verdict of a look at a product.
func (e *reader) requestLook(of product, look pipeline.Look) {
	subject := fmt.Sprintf("verdict.%d.%s.*.%s", of.domain, look, of.asin)
	if !e.complete[subject] && !e.scanned[of] {
		e.complete[subject] = true
		e.requested = append(e.requested, subject)
	}
}

// addDeal adds a deal, and reports whether it is new.
func (e *reader) addDeal(p visibility.DealKey) bool {
	of := product{p.Domain, p.ASIN}
	if slices.Contains(e.places[of], p) {
		return false
	}
	e.places[of] = append(e.places[of], p)
	return true
}

// fewProducts is the most of whose verdicts only the newest are read: each is looked for by itself, and for many of
// them one scan is faster, which also leaves nothing to request.
const fewProducts = 20

// decisions reads the verdicts of the fresh products.
func (e *reader) decisions(ctx context.Context) error {
	if len(e.fresh) <= fewProducts {
		if err := e.newest(ctx); err != nil {
			return err
		}
	} else {
		if err := e.verdicts(ctx, bus.From{}); err != nil {
			return err
		}
		for of := range e.fresh {
			e.scanned[of] = true
		}
	}
	clear(e.fresh)
	return nil
}

// newest reads the newest verdict of each subject of the fresh products. It requests all verdicts of a look if the
// newest may hide others that count: it belongs to a replay, to another price type or to the refresher, or it is
// unreadable. It assumes that the newest verdict is the last decided; only confirmed_at and the mark depend on that.
func (e *reader) newest(ctx context.Context) error {
	products := slices.Collect(maps.Keys(e.fresh))
	if len(products) == 0 {
		return nil
	}
	var subjects []string
	for _, of := range products {
		subjects = append(subjects, verdictSubjects(of)...)
	}
	var until bus.Until
	switch {
	case e.to.Verdicts == 0:
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
		others := func(p visibility.DealKey) bool { return p != visibility.DealKeyOf(v.Identity) }
		if known && (unread || v.Run != pipeline.RunLive || look == pipeline.LookList && v.Outcome == pipeline.Fail || slices.ContainsFunc(e.places[of], others)) {
			e.requestLook(of, look)
		}
	}
	return nil
}

// requestUnsure requests the looks of verdicts that override others, because a republished verdict keeps its first
// position.
func (e *reader) requestUnsure() {
	for of, places := range e.places {
		for _, p := range places {
			for _, look := range e.book.Unsure(p) {
				e.requestLook(of, look)
			}
		}
	}
}

// readRequested reads every verdict on the requested subjects.
func (e *reader) readRequested(ctx context.Context) error {
	for len(e.reading)+len(e.requested) > 0 {
		if len(e.reading) == 0 {
			n := min(len(e.requested), bus.FiltersAtOnce)
			e.reading, e.requested = e.requested[:n], e.requested[n:]
		}
		if err := e.verdicts(ctx, bus.From{Subjects: e.reading}); err != nil {
			return err
		}
		e.reading = nil
	}
	return nil
}

// productOf parses a verdict's subject: verdict.DOMAIN.LOOK.OUTCOME.ASIN.
func productOf(subject string) (of product, look pipeline.Look, ok bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 5 {
		return of, "", false
	}
	domain, err := strconv.Atoi(parts[1])
	return product{domain, parts[4]}, pipeline.Look(parts[2]), err == nil
}

// verdictSubjects returns the subjects of the verdicts that determine the state of a deal, and of earlier ones for the
// same work.
func verdictSubjects(of product) []string {
	var out []string
	for _, look := range []pipeline.Look{pipeline.LookList, pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
		for _, o := range []pipeline.Outcome{pipeline.Accept, pipeline.Confirm, pipeline.Reject, pipeline.Survive, pipeline.Shed, pipeline.Fail} {
			out = append(out, pipeline.SubjectVerdict(of.domain, look, o, of.asin))
		}
	}
	return out
}
