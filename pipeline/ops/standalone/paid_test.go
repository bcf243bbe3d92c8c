package standalone_test

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
)

// fresh is the age up to which an answer serves other work by default.
const fresh = 6 * time.Hour

// call is one call for one unit of work.
type call struct{ claim, kind, work string }

// paid is a stored answer about a product.
type paid struct {
	call
	begun    time.Time // when it was decided to buy it
	answered time.Time
}

// purchases are the calls of a run, by the streams.
type purchases struct {
	offered map[string]pipeline.Candidate // by work
	begun   map[call]time.Time
	stored  map[string][]paid // answers about products by kind and ASIN, in the order of storage
	closed  int               // tokens, by the lines of closed claims
	open    map[string]int    // tokens of the claims whose call has no answer, by claim
}

func purchasesOf(t *testing.T, box *standalone.Box) purchases {
	t.Helper()
	p := purchases{offered: map[string]pipeline.Candidate{}, begun: map[call]time.Time{}, stored: map[string][]paid{}, open: map[string]int{}}
	if err := bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamCandidates, bus.From{}, func(r bus.Read, c pipeline.Candidate) error {
		p.offered[r.Header.Get(pipeline.HeaderWorkID)] = c
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamLedger, bus.From{}, func(_ bus.Read, e pipeline.Entry) error {
		switch {
		case e.Event == pipeline.EventClaim:
			p.open[e.Claim] = e.Tokens
		case e.Event == pipeline.EventClose && !strings.HasPrefix(e.Note, token.NoteUnknown):
			p.closed += e.Tokens
			delete(p.open, e.Claim)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := box.Bus.Scan(t.Context(), pipeline.StreamResponses, bus.From{Headers: true}, func(r bus.Read) error { return p.add(r) }); err != nil {
		t.Fatal(err)
	}
	return p
}

// add adds an attempt or an answer.
func (p *purchases) add(r bus.Read) error {
	c := call{r.Header.Get(pipeline.HeaderRequestID), r.Header.Get(pipeline.HeaderKind), r.Header.Get(pipeline.HeaderWorkID)}
	name := strings.SplitN(r.Subject, ".", 4)
	var err error
	switch name[2] {
	case "attempt":
		p.begun[c], err = time.Parse(pipeline.TimeFormat, r.Header.Get(pipeline.HeaderAt))
	case keepasim.KindPeek, keepasim.KindCommit:
		a := paid{call: c, begun: p.begun[c]}
		a.answered, err = time.Parse(pipeline.TimeFormat, r.Header.Get(pipeline.HeaderAnsweredAt))
		key := name[2] + " " + name[3]
		p.stored[key] = append(p.stored[key], a)
	}
	return err
}

// paidOnce fails for every answer that was bought although a stored one served, for every one that Keepa sent and
// nobody stored, and for tokens of an answered call that the ledger lacks. A question that Keepa answered twice is not
// enough: a second price, a refresh and a repair are work of their own, and on a slow machine, whose simulated hours
// pass in seconds, an answer is soon too old for them. lost are tokens of calls whose answer the simulator withheld.
func paidOnce(t *testing.T, box *standalone.Box, lost int) {
	t.Helper()
	p, books := purchasesOf(t, box), box.Sim.Account()
	for key, all := range p.stored {
		for i, b := range all {
			for _, a := range all[:i] {
				if why := p.serves(a, b); why != "" {
					t.Errorf("%s: paid for again, although %s: %+v and %+v", key, why, a, b)
				}
			}
		}
	}
	sent, late := map[string]int{}, map[string]int{}
	for q, n := range books.Questions {
		sent[q.Kind+" "+q.ASIN] += n - books.Withheld[q]
	}
	for c := range p.begun {
		if _, open := p.open[c.claim]; open {
			late[c.kind+" "+p.offered[c.work].ASIN]++
		}
	}
	if len(sent) == 0 {
		t.Error("Keepa was asked for nothing, which proves nothing")
	}
	for key, n := range sent {
		if n > len(p.stored[key])+late[key] {
			t.Errorf("%s: Keepa answered %d times, and %d answers are stored", key, n, len(p.stored[key]))
		}
	}
	for _, n := range p.open {
		lost += n
	}
	if missing := books.Consumed() - p.closed; missing < 0 || missing > lost {
		t.Errorf("the ledger has %d tokens, Keepa's books %d, and calls without an answer cost at most %d", p.closed, books.Consumed(), lost)
	}
}

// serves returns why a stored answer would have served the work of a later call; empty if it would not.
func (p *purchases) serves(a, b paid) string {
	c, offered := p.offered[b.work]
	switch {
	case b.begun.IsZero() || !offered:
		return "no attempt or no work is stored"
	case a.work == b.work:
		return "its own answer was stored"
	case c.Source == pipeline.SourceRefresh || c.Source == pipeline.SourceRepair:
		return ""
	case a.answered.After(keepa.Minute(c.CreationDate).Time()) && b.begun.Sub(a.answered) < fresh:
		return "a young answer about its price was stored"
	}
	return ""
}
