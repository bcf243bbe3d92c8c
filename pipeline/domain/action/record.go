package action

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
)

// Record collects actions. The zero value is empty. Neither the order nor the repetition of messages matters.
type Record struct {
	first map[string]Recorded // by the message's id, the first of each; without one, by its sequence in the stream
}

// Add adds a message.
func (r *Record) Add(s Recorded) {
	if s.Run != pipeline.RunLive {
		return
	}
	if r.first == nil {
		r.first = map[string]Recorded{}
	}
	id := s.MsgID
	if id == "" {
		id = fmt.Sprintf("#%d", s.Sequence)
	}
	if first, known := r.first[id]; !known || s.Sequence < first.Sequence {
		r.first[id] = s
	}
}

// about is a kind of action about one target.
type about struct {
	kind Kind
	Target
}

// ended returns the sequence up to which everything was undone or has lapsed.
func (r Record) ended() map[about]uint64 {
	out := map[about]uint64{}
	for _, s := range r.first {
		if s.Kind == Undo || s.Kind == Lapse {
			of := about{s.Of, s.Target}
			out[of] = max(out[of], s.Sequence)
		}
	}
	return out
}

// Ended returns the sequence of the last undo or lapse of a kind about a target; 0 without one.
func (r Record) Ended(kind Kind, t Target) uint64 { return r.ended()[about{kind, t}] }

// Current returns the actions that were neither undone nor have lapsed, in the order of the stream.
func (r Record) Current() []Recorded {
	ended := r.ended()
	var out []Recorded
	for _, s := range r.first {
		if s.Kind != Undo && s.Kind != Lapse && s.Sequence > ended[about{s.Kind, s.Target}] {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Recorded) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return out
}

// Newest returns the newest current action of a kind about a target.
func (r Record) Newest(kind Kind, t Target) (newest Recorded, ok bool) {
	for _, s := range r.Current() {
		if s.Kind == kind && s.Target == t {
			newest, ok = s, true
		}
	}
	return newest, ok
}

// Due returns the lapses to publish: one for each ignore whose newest message has a time that is over.
func (r Record) Due(now time.Time) []Action {
	newest := map[Target]Recorded{}
	for _, s := range r.Current() {
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

// The reasons why an action hides a deal; the first that applies counts.
const (
	Bought        = "bought"
	IgnoredASIN   = "ignored_asin"
	IgnoredSeller = "ignored_seller"
	IgnoredBrand  = "ignored_brand"
	IgnoredWords  = "ignored_words"
)

// Reasons returns all of them.
func Reasons() []string {
	return []string{Bought, IgnoredASIN, IgnoredSeller, IgnoredBrand, IgnoredWords}
}

// Product is the part of a deal that decides whether it is hidden.
type Product struct {
	Domain               int
	ASIN                 string
	Seller, Brand, Title string // empty when unknown
}

// Rules are the actions of a record that hide deals.
type Rules struct {
	by    map[about]bool
	words []string
}

// Rules returns the record's rules, to apply to many deals.
func (r Record) Rules() Rules {
	out := Rules{by: map[about]bool{}}
	for _, s := range r.Current() {
		out.by[about{s.Kind, s.Target}] = true
		if s.Kind == Ignore && s.By == ByWords {
			out.words = append(out.words, " "+s.Value+" ")
		}
	}
	return out
}

// Hides returns why an action hides a deal; "" if none does.
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

// hasWords reports whether a title contains one of these sequences of words.
func hasWords(title string, words []string) bool {
	title = " " + wordsOf(title) + " "
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(title, w) })
}
