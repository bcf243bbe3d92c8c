package action

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
)

// Record is what was done. The zero value is empty. Neither the order nor the repetition of what it hears matters.
type Record struct {
	said map[string]Said // by the message's id, the first of each; without one, by its place in the stream
}

// Hear adds a message.
func (r *Record) Hear(s Said) {
	if s.Run != pipeline.RunLive {
		return
	}
	if r.said == nil {
		r.said = map[string]Said{}
	}
	id := s.MsgID
	if id == "" {
		id = fmt.Sprintf("#%d", s.Sequence)
	}
	if first, known := r.said[id]; !known || s.Sequence < first.Sequence {
		r.said[id] = s
	}
}

// about is a kind of action about one target.
type about struct {
	kind Kind
	Target
}

// ended is up to where in the stream everything was undone or has lapsed.
func (r Record) ended() map[about]uint64 {
	out := map[about]uint64{}
	for _, s := range r.said {
		if s.Kind == Undo || s.Kind == Lapse {
			of := about{s.Of, s.Target}
			out[of] = max(out[of], s.Sequence)
		}
	}
	return out
}

// Ended is the sequence of the last undo or lapse of a kind about a target; 0 without one.
func (r Record) Ended(kind Kind, t Target) uint64 { return r.ended()[about{kind, t}] }

// Standing is what was done and neither undone nor has lapsed, in the order of the stream.
func (r Record) Standing() []Said {
	ended := r.ended()
	var out []Said
	for _, s := range r.said {
		if s.Kind != Undo && s.Kind != Lapse && s.Sequence > ended[about{s.Kind, s.Target}] {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Said) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return out
}

// Newest is the last that stands of a kind about a target.
func (r Record) Newest(kind Kind, t Target) (newest Said, ok bool) {
	for _, s := range r.Standing() {
		if s.Kind == kind && s.Target == t {
			newest, ok = s, true
		}
	}
	return newest, ok
}

// Due are the lapses to say: of each ignore whose newest message says a time that is over.
func (r Record) Due(now time.Time) []Action {
	newest := map[Target]Said{}
	for _, s := range r.Standing() {
		if s.Kind == Ignore {
			newest[s.Target] = s
		}
	}
	var out []Action
	for t, s := range newest {
		if !s.Until.IsZero() && !s.Until.After(now) {
			out = append(out, Action{Kind: Lapse, Of: Ignore, Target: t, At: now.UTC(), After: s.Sequence})
		}
	}
	slices.SortFunc(out, func(a, b Action) int { return cmp.Compare(a.After, b.After) })
	return out
}

// The reasons for which the user's word hides a deal, the first that is so.
const (
	Bought        = "bought"
	IgnoredASIN   = "ignored_asin"
	IgnoredSeller = "ignored_seller"
	IgnoredBrand  = "ignored_brand"
	IgnoredWords  = "ignored_words"
)

// Reasons are all of them.
func Reasons() []string {
	return []string{Bought, IgnoredASIN, IgnoredSeller, IgnoredBrand, IgnoredWords}
}

// Product is what of a deal decides whether it is hidden.
type Product struct {
	Domain               int
	ASIN                 string
	Seller, Brand, Title string // empty where nobody said
}

// Rules is what of a record hides deals.
type Rules struct {
	by    map[about]bool
	words []string
}

// Rules are the record's, to be asked of many deals.
func (r Record) Rules() Rules {
	out := Rules{by: map[about]bool{}}
	for _, s := range r.Standing() {
		out.by[about{s.Kind, s.Target}] = true
		if s.Kind == Ignore && s.By == ByWords {
			out.words = append(out.words, " "+s.Value+" ")
		}
	}
	return out
}

// Hides is why the user's word hides a deal; "" where it does not.
func (r Rules) Hides(p Product) string {
	if len(r.by) == 0 {
		return ""
	}
	itself := Target{By: ByASIN, Domain: p.Domain, Value: p.ASIN}
	switch {
	case r.by[about{Buy, itself}]:
		return Bought
	case r.by[about{Ignore, itself}]:
		return IgnoredASIN
	case p.Seller != "" && r.by[about{Ignore, Target{By: BySeller, Value: p.Seller}}]:
		return IgnoredSeller
	case p.Brand != "" && r.by[about{Ignore, Target{By: ByBrand, Value: lower(p.Brand)}}]:
		return IgnoredBrand
	case len(r.words) > 0 && hasWords(p.Title, r.words):
		return IgnoredWords
	}
	return ""
}

// hasWords reports whether a title has one of these rows of words.
func hasWords(title string, words []string) bool {
	title = " " + wordsOf(title) + " "
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(title, w) })
}
