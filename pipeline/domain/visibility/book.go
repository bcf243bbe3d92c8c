package visibility

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
)

// Book is what was heard of deals. The zero value is an empty one.
type Book struct {
	records map[Place]*record
	actions action.Record
}

// record is what was heard of one deal.
type record struct {
	versions map[event]Version
	words    map[word]heard
}

// event is what makes two versions one: the message's id; of a version without one, its
// place in the stream.
type event struct {
	msg string
	id  uint64
}

// word is what makes two verdicts one: the work and the look; of a verdict without a
// Work-Id, its place in the stream.
type word struct {
	work string
	look pipeline.Look
	id   uint64
}

func wordOf(v Verdict) word {
	if v.WorkID == "" {
		return word{look: v.Look, id: v.Sequence}
	}
	return word{work: v.WorkID, look: v.Look}
}

// heard is as much of a verdict as concerns a deal.
type heard struct {
	id      uint64
	look    pipeline.Look
	outcome pipeline.Outcome
	reason  string
	at      time.Time
}

func (b *Book) record(p Place) *record {
	if b.records == nil {
		b.records = map[Place]*record{}
	}
	r := b.records[p]
	if r == nil {
		r = &record{versions: map[event]Version{}, words: map[word]heard{}}
		b.records[p] = r
	}
	return r
}

// Version hears a version of a deal.
func (b *Book) Version(v Version) {
	if v.Run != pipeline.RunLive {
		return
	}
	v.At = v.At.Truncate(time.Millisecond)
	e, r := event{msg: v.MsgID}, b.record(v.Place)
	if v.MsgID == "" {
		e.id = v.Sequence
	}
	if first, known := r.versions[e]; !known || v.Sequence < first.Sequence {
		r.versions[e] = v
	}
}

// Verdict hears a verdict. Those that say nothing are kept as well: one that was
// published again is what it was at first.
func (b *Book) Verdict(v Verdict) {
	if v.Run != pipeline.RunLive {
		return
	}
	w, r := wordOf(v), b.record(PlaceOf(v.Identity))
	if first, known := r.words[w]; !known || v.Sequence < first.id {
		r.words[w] = heard{id: v.Sequence, look: v.Look, outcome: v.Outcome, reason: v.Reason, at: v.At.Truncate(time.Millisecond)}
	}
}

// Action hears what the user did.
func (b *Book) Action(s action.Said) { b.actions.Hear(s) }

// States are the deals of which a version was heard, in order.
func (b *Book) States() []State {
	var out []State
	rules := b.actions.Rules()
	for _, p := range slices.SortedFunc(maps.Keys(b.records), Place.Compare) {
		if r := b.records[p]; len(r.versions) > 0 {
			out = append(out, r.state(p, rules))
		}
	}
	return out
}

// Visible are the deals that are shown, with what is shown of them, of those with a
// version since then.
func (b *Book) Visible(since time.Time) []Shown {
	var out []Shown
	for _, s := range b.States() {
		if s.HiddenBecause == "" && !s.LastSeen.Before(since) {
			out = append(out, b.records[s.Place].shown(s))
		}
	}
	return out
}

// Repeats reports whether a live verdict that was heard is one that was published
// before, so that it says nothing.
func (b *Book) Repeats(v Verdict) bool {
	return b.record(PlaceOf(v.Identity)).words[wordOf(v)].id != v.Sequence
}

// Decisive is the look of the verdict that decides over a deal that was rejected or
// marked. A reader who heard only the newest verdict of each subject looks behind it,
// because it may have been published again.
func (b *Book) Decisive(p Place) (pipeline.Look, bool) {
	r := b.record(p)
	yes, no := r.newest()
	if no.id == 0 && yes.id > 0 {
		no = r.mark()
	}
	return later(yes, no).look, no.id > 0
}

// Awaits reports whether a deal that was decided then is hidden only because the
// verdict that accepts it has not been heard: it is published after the deal.
func (b *Book) Awaits(p Place, decided time.Time) bool {
	yes, no := b.record(p).newest()
	return no.id > yes.id && no.at.Before(decided) && b.record(p).confirmed().Before(decided)
}

// newest are the newest word for a deal and the newest against it.
func (r *record) newest() (yes, no heard) {
	for _, h := range r.words {
		switch h.outcome {
		case pipeline.Accept, pipeline.Confirm:
			yes = later(yes, h)
		case pipeline.Reject:
			no = later(no, h)
		case pipeline.Survive, pipeline.Shed, pipeline.Fail:
		}
	}
	return yes, no
}

func later(a, b heard) heard {
	if b.id > a.id {
		return b
	}
	return a
}

// Compare orders places by domain, ASIN and price type.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Domain, q.Domain), cmp.Compare(p.ASIN, q.ASIN), cmp.Compare(p.PriceType, q.PriceType))
}
