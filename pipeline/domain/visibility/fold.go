package visibility

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
)

// Fold computes the states of deals from the versions, verdicts and actions that it is given. The zero value is
// empty.
type Fold struct {
	// StatesOnly makes it keep only the members on which states depend. Visible then shows only these.
	StatesOnly bool

	records map[DealKey]*record
	actions action.Record
	names   map[string][]string // of the members of versions, by the joined names
}

// record is everything received about one deal. Most have one version and few verdicts, for which a slice is smaller
// than a map and as fast to search.
type record struct {
	versions []version
	verdicts []dealVerdict
	loose    bool // a version was added since the last Compact
}

// versionKey identifies a version: the message's id; without one, its sequence in the stream.
type versionKey struct {
	msg string
	id  uint64
}

// verdictKey identifies a verdict: the work and the look; without a Work-Id, its sequence in the stream.
type verdictKey struct {
	work string
	look pipeline.Look
	id   uint64
}

func keyOf(v Verdict) verdictKey {
	if v.WorkID == "" {
		return verdictKey{look: v.Look, id: v.Sequence}
	}
	return verdictKey{work: v.WorkID, look: v.Look}
}

// dealVerdict is the part of a verdict that concerns a deal.
type dealVerdict struct {
	key     verdictKey
	id      uint64
	look    pipeline.Look
	outcome pipeline.Outcome
	reason  string
	at      time.Time

	repeated bool // it was published more than once
}

func (b *Fold) record(p DealKey) *record {
	if b.records == nil {
		b.records = map[DealKey]*record{}
	}
	r := b.records[p]
	if r == nil {
		r = &record{}
		b.records[p] = r
	}
	return r
}

// Version adds a version of a deal.
func (b *Fold) Version(v Version) {
	if v.Run != pipeline.RunLive {
		return
	}
	key, r := v.key(), b.record(v.DealKey)
	i := slices.IndexFunc(r.versions, func(of version) bool { return of.key == key })
	if i >= 0 && v.Sequence >= r.versions[i].sequence {
		r.versions[i].repeated = r.versions[i].repeated || v.Sequence > r.versions[i].sequence
		return
	}
	kept := version{key: key, sequence: v.Sequence, at: v.At.Truncate(time.Millisecond), workID: v.WorkID, values: b.pack(v.Members)}
	if r.loose = true; i < 0 {
		r.versions = append(r.versions, kept)
	} else {
		kept.repeated = true
		r.versions[i] = kept
	}
}

// Verdict adds a verdict. Those without an effect are kept too: a
// verdict that is published again counts as its first version.
func (b *Fold) Verdict(v Verdict) {
	if v.Run != pipeline.RunLive {
		return
	}
	key, r := keyOf(v), b.record(DealKeyOf(v.Identity))
	next := dealVerdict{key: key, id: v.Sequence, look: v.Look, outcome: v.Outcome, reason: v.Reason, at: v.At.Truncate(time.Millisecond)}
	i := slices.IndexFunc(r.verdicts, func(of dealVerdict) bool { return of.key == key })
	if i < 0 {
		r.verdicts = append(r.verdicts, next)
		return
	}
	first := &r.verdicts[i]
	repeated := first.repeated || v.Sequence != first.id
	if v.Sequence < first.id {
		*first = next
	}
	first.repeated = repeated
}

// Forget removes the versions and the verdicts before these sequences, which their streams hold no more. It reports
// whether one of them was published more than once: then a later copy may be held, which the Fold has not kept.
func (b *Fold) Forget(versions, verdicts uint64) (unsure bool) {
	for p, r := range b.records {
		r.versions = slices.DeleteFunc(r.versions, func(v version) bool {
			unsure = unsure || v.sequence < versions && v.repeated
			return v.sequence < versions
		})
		r.verdicts = slices.DeleteFunc(r.verdicts, func(v dealVerdict) bool {
			unsure = unsure || v.id < verdicts && v.repeated
			return v.id < verdicts
		})
		if len(r.versions)+len(r.verdicts) == 0 {
			delete(b.records, p)
		}
	}
	return unsure
}

// Action adds an action of the user.
func (b *Fold) Action(s action.Recorded) { b.actions.Add(s) }

// States returns the states of all deals with a version, in order.
func (b *Fold) States() []State {
	var out []State
	rules := b.actions.Rules()
	for _, p := range slices.SortedFunc(maps.Keys(b.records), DealKey.Compare) {
		if r := b.records[p]; len(r.versions) > 0 {
			out = append(out, r.state(p, rules))
		}
	}
	return out
}

// Visible returns the visible deals with a version since then, and the values to show.
func (b *Fold) Visible(since time.Time) []Shown {
	var out []Shown
	for _, s := range b.States() {
		if s.HiddenBecause == "" && !s.LastSeen.Before(since) {
			out = append(out, b.records[s.DealKey].shown(s))
		}
	}
	return out
}

// Unsure returns the looks whose verdicts must all be read before the state of this deal is certain, because a
// verdict that was read may be a repeat. If a verdict rejects the deal, or marks it stale without any reject, that is
// the look of the newest of these, the accepts and the confirms; and in any case each look that accepted or confirmed
// it and also did something else, and each look with a verdict that was read twice.
func (b *Fold) Unsure(p DealKey) (looks []pipeline.Look) {
	r := b.record(p)
	yes, no := r.newest()
	if no.id == 0 && yes.id > 0 {
		no = r.mark()
	}
	if no.id > 0 {
		looks = append(looks, later(yes, no).look)
	}
	accepted, other := map[pipeline.Look]bool{}, map[pipeline.Look]bool{}
	for _, v := range r.verdicts {
		yes := v.outcome == pipeline.Accept || v.outcome == pipeline.Confirm
		accepted[v.look] = accepted[v.look] || yes || v.repeated
		other[v.look] = other[v.look] || !yes || v.repeated
	}
	for look := range accepted {
		if accepted[look] && other[look] {
			looks = append(looks, look)
		}
	}
	return looks
}

// Awaits reports whether a reject hides the deal and the verdict that accepts its version of that instant has not been
// received. That verdict is published after the version, and outweighs whatever was decided in between.
func (b *Fold) Awaits(p DealKey, decided time.Time) bool {
	yes, no := b.record(p).newest()
	return no.id > yes.id && b.record(p).confirmed().Before(decided.Truncate(time.Millisecond))
}

// newest returns the newest verdict for a deal and the newest against it.
func (r *record) newest() (yes, no dealVerdict) {
	for _, h := range r.verdicts {
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

func later(a, b dealVerdict) dealVerdict {
	if b.id > a.id {
		return b
	}
	return a
}

// Compare orders deal keys by domain, ASIN and price type.
func (p DealKey) Compare(q DealKey) int {
	return cmp.Or(cmp.Compare(p.Domain, q.Domain), cmp.Compare(p.ASIN, q.ASIN), cmp.Compare(p.PriceType, q.PriceType))
}
