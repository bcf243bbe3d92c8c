package action

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

var (
	book    = Target{By: ByASIN, Domain: 1, Value: "0593655036"}
	seller  = Target{By: BySeller, Value: "A2L77EE7U53NWQ"}
	brand   = Target{By: ByBrand, Value: "acme"}
	words   = Target{By: ByWords, Value: "large print"}
	product = Product{Domain: 1, ASIN: "0593655036", Seller: "A2L77EE7U53NWQ", Brand: "ACME", Title: "Atomic Habits (Large-Print)"}
)

// said returns the nth message of the stream.
func said(n int, kind, of Kind, t Target) Recorded {
	return Recorded{
		Origin: pipeline.Origin{Sequence: uint64(n), Run: pipeline.RunLive, MsgID: fmt.Sprint(n)},
		Action: Action{Kind: kind, Of: of, Target: t, At: t0.Add(time.Duration(n) * time.Hour)},
	}
}

func TestAnActionHidesADealUntilItIsUndone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		said []Recorded
		want string
	}{
		{"no action", nil, ""},
		{"bought", []Recorded{said(1, Buy, "", book)}, Bought},
		{"bought, and that undone", []Recorded{said(1, Buy, "", book), said(2, Undo, Buy, book)}, ""},
		{"bought again after the undo", []Recorded{said(1, Buy, "", book), said(2, Undo, Buy, book), said(3, Buy, "", book)}, Bought},
		{"an undo without an action", []Recorded{said(1, Buy, "", book), said(2, Undo, Ignore, book)}, Bought},
		{"sold hides nothing", []Recorded{said(1, Sold, "", book)}, ""},
		{"ignored", []Recorded{said(1, Ignore, "", book)}, IgnoredASIN},
		{"bought and ignored", []Recorded{said(1, Ignore, "", book), said(2, Buy, "", book)}, Bought},
		{"of another marketplace", []Recorded{said(1, Ignore, "", Target{By: ByASIN, Domain: 2, Value: book.Value})}, ""},
		{"its seller", []Recorded{said(1, Ignore, "", seller)}, IgnoredSeller},
		{"its seller, lapsed", []Recorded{said(1, Ignore, "", seller), said(2, Lapse, Ignore, seller)}, ""},
		{"its brand, in any case", []Recorded{said(1, Ignore, "", brand)}, IgnoredBrand},
		{"words of its title", []Recorded{said(1, Ignore, "", words)}, IgnoredWords},
		{"not half a word", []Recorded{said(1, Ignore, "", Target{By: ByWords, Value: "arge print"})}, ""},
		{"not in another order", []Recorded{said(1, Ignore, "", Target{By: ByWords, Value: "print large"})}, ""},
		{"of a replay", []Recorded{func() Recorded { s := said(1, Ignore, "", book); s.Run = "lax"; return s }()}, ""},
	} {
		var r Record
		for _, s := range c.said {
			r.Add(s)
		}
		if got := r.Rules().Hides(product); got != c.want {
			t.Errorf("%s: hidden because %q, want %q", c.name, got, c.want)
		}
	}
	var r Record
	r.Add(said(1, Ignore, "", words))
	if got := r.Rules().Hides(Product{Domain: 1, ASIN: "0593655036"}); got != "" {
		t.Errorf("a deal of which nothing is known is hidden because %q", got)
	}
}

func drawSaid(r *rapid.T) []Recorded {
	var out []Recorded
	for n := range rapid.IntRange(0, 14).Draw(r, "messages") {
		kind := rapid.SampledFrom([]Kind{Buy, Ignore, Ignore, Sold, Undo, Lapse}).Draw(r, "kind")
		target, of := book, Kind("")
		if kind == Ignore || kind == Undo || kind == Lapse {
			target = rapid.SampledFrom([]Target{book, seller, brand, words}).Draw(r, "target")
		}
		if kind == Undo || kind == Lapse {
			of = rapid.SampledFrom([]Kind{Ignore, Ignore, Buy}).Draw(r, "of")
		}
		s := said(n+1, kind, of, target)
		s.MsgID = fmt.Sprint(rapid.IntRange(0, 20).Draw(r, "id")) // some are published again
		if kind == Ignore && rapid.Bool().Draw(r, "for a time") {
			s.Until = s.Action.At.Add(time.Duration(rapid.IntRange(1, 20).Draw(r, "hours")) * time.Hour)
		}
		out = append(out, s)
	}
	return out
}

// The laws: neither order nor repetition matters; after an undo of everything nothing is hidden, and without an
// undo every action stays; after the due lapses none is due, and no ignore is in force after its newest time.
func TestTheLawsOfActions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		all := drawSaid(r)
		var a, b Record
		for _, s := range all {
			a.Add(s)
		}
		for _, s := range append(rapid.Permutation(all).Draw(r, "order"), all[:rapid.IntRange(0, len(all)).Draw(r, "twice")]...) {
			b.Add(s)
		}
		if !reflect.DeepEqual(a.Current(), b.Current()) {
			r.Fatalf("in order\n%+v\nin another\n%+v", a.Current(), b.Current())
		}
		hidden := a.Rules().Hides(product) != ""
		hides := false
		for _, s := range a.Current() {
			hides = hides || s.Kind == Buy || s.Kind == Ignore
		}
		if hidden != hides {
			r.Fatalf("hidden is %v, and standing are %+v", hidden, a.Current())
		}
		now, seq := t0.Add(time.Duration(rapid.IntRange(0, 60).Draw(r, "now"))*time.Hour), 100
		for _, lapse := range a.Due(now) {
			if newest, ok := a.Newest(Ignore, lapse.Target); !ok || newest.Until.IsZero() || newest.Until.After(now) {
				r.Fatalf("%+v is due, and the newest is %+v", lapse, newest)
			}
		}
		for _, lapse := range a.Due(now) {
			seq++
			a.Add(Recorded{Origin: pipeline.Origin{Sequence: uint64(seq), Run: pipeline.RunLive, MsgID: lapse.ID()}, Action: lapse})
		}
		if left := a.Due(now); len(left) > 0 {
			r.Fatalf("still due after the lapses: %+v", left)
		}
		for _, target := range []Target{book, seller, brand, words} {
			for _, of := range []Kind{Buy, Ignore, Sold} {
				seq++
				a.Add(Recorded{Origin: pipeline.Origin{Sequence: uint64(seq), Run: pipeline.RunLive, MsgID: fmt.Sprint("undo ", seq)}, Action: Action{Kind: Undo, Of: of, Target: target}})
			}
		}
		if got := a.Rules().Hides(product); got != "" || len(a.Current()) > 0 {
			r.Fatalf("after everything is undone it is hidden because %q, standing are %+v", got, a.Current())
		}
	})
}

func TestAnEqualActionHasAnEqualIDAndAnotherAnother(t *testing.T) {
	t.Parallel()
	price, more := int64(1250), int64(1300)
	a := Action{Kind: Buy, Target: book, PriceCents: &price, On: "2026-03-02", At: t0}
	again := a
	again.At = t0.Add(time.Hour)
	if a.ID() != again.ID() {
		t.Error("an hour later its id differs")
	}
	seen := map[string]string{a.ID(): "the first"}
	for name, change := range map[string]func(*Action){
		"price": func(a *Action) { a.PriceCents = &more }, "day": func(a *Action) { a.On = "2026-03-03" }, "copy": func(a *Action) { a.Copy = 2 },
		"condition": func(a *Action) { a.Condition = "good" }, "kind": func(a *Action) { a.Kind = Sold }, "domain": func(a *Action) { a.Domain = 2 },
		"after an undo": func(a *Action) { a.After = 7 }, "until": func(a *Action) { a.Until = t0 },
	} {
		other := a
		change(&other)
		if was := seen[other.ID()]; was != "" {
			t.Errorf("another %s has the id of %s", name, was)
		}
		seen[other.ID()] = name
	}
}

func TestAnInvalidActionIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"":                         `{"action":"ignore","by":"words","domain":0,"value":"large print","at":"2026-03-02T09:00:00Z"}`,
		"a price below 0":          `{"action":"buy","by":"asin","domain":1,"value":"0593655036","on":"2026-03-02","price_cents":-1}`,
		"no price":                 `{"action":"buy","by":"asin","domain":1,"value":"0593655036","on":"2026-03-02"}`,
		"no day":                   `{"action":"sold","by":"asin","domain":1,"value":"0593655036","on":"2026-3-2","price_cents":5}`,
		"a brand that is sold":     `{"action":"sold","by":"brand","domain":0,"value":"acme","on":"2026-03-02","price_cents":5}`,
		"a value as it was typed":  `{"action":"ignore","by":"brand","domain":0,"value":"Acme"}`,
		"no ASIN":                  `{"action":"ignore","by":"asin","domain":1,"value":"x"}`,
		"an ASIN of nowhere":       `{"action":"ignore","by":"asin","domain":0,"value":"0593655036"}`,
		"a domain of words":        `{"action":"ignore","by":"words","domain":1,"value":"large print"}`,
		"an undo of nothing":       `{"action":"undo","by":"asin","domain":1,"value":"0593655036"}`,
		"an unknown action":        `{"action":"keep","by":"asin","domain":1,"value":"0593655036"}`,
		"a domain that none holds": `{"action":"ignore","by":"asin","domain":70000,"value":"0593655036"}`,
		"half a message":           `{"action":`,
	} {
		_, err := Read(pipeline.Stored{Sequence: 1, StoredAt: t0, Body: []byte(body), Header: map[string][]string{pipeline.HeaderSchema: {pipeline.SchemaAction}}})
		if (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
