package refresher

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// ident is the n-th book of a test.
func ident(domain, n int) pipeline.Identity {
	return pipeline.Identity{Domain: domain, ASIN: fmt.Sprintf("B%09d", n), PriceType: 2, CreationDate: 7_000_000}
}

// finds is the verdict that a book is this deal since an instant.
func finds(id pipeline.Identity, deal string, since time.Time) bus.Message {
	return messages.Verdict(pipeline.RunLive, fmt.Sprintf("%s-%d", id.ASIN, since.UnixMilli()), "", pipeline.Verdict{
		Identity: id, Look: pipeline.LookCommit, Outcome: pipeline.Accept, DecidedAt: since, Deal: json.RawMessage(deal),
	})
}

func publish(t *testing.T, d *desk.Desk, ms ...bus.Message) {
	t.Helper()
	if err := d.Bus.PublishBatch(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
}

func step(t *testing.T, k *refresher) {
	t.Helper()
	if err := k.step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestADealIsRepairedForWhatItLacksAndNobodyAskedFor(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	d.Store(t, pipeline.KindSeller, "NOBODY", "another", []byte("null"), time.Hour)
	cases := []struct {
		name, deal string
		want       []string
	}{
		{"complete", `{"offer_matched":true,"seller_id":"KNOWN"}`, nil},
		{"no offer was found", `{"offer_matched":false}`, []string{"offer"}},
		{"nobody asked for the seller", `{"offer_matched":true,"seller_unknown":true,"seller_id":"UNASKED"}`, []string{"seller"}},
		{"Keepa does not know the seller", `{"offer_matched":true,"seller_unknown":true,"seller_id":"NOBODY"}`, nil},
		{"no offer, no seller", `{"offer_matched":false,"seller_unknown":true}`, []string{"offer"}},
	}
	for n, c := range cases {
		publish(t, d, finds(ident(1, n), c.deal, desk.T0))
	}
	k := at(t, d, desk.T0.Add(8*time.Hour))
	k.cfg.Sellers = true
	step(t, k)
	for n, c := range cases {
		if got := k.stock.holding(pipeline.KeySeen(ident(1, n))).Missing; !slices.Equal(got, c.want) {
			t.Errorf("%s: it lacks %q, want %q", c.name, got, c.want)
		}
		repairs := candidates(t, d, ident(1, n).ASIN)
		if wants := len(c.want) > 0; len(repairs) > 1 || wants != (len(repairs) == 1 && repairs[0].Source == pipeline.SourceRepair) {
			t.Errorf("%s: offered as %+v", c.name, repairs)
		}
	}
}

func TestARefreshThatFailedIsOfferedAgainWithinHours(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	id := ident(1, 1)
	publish(t, d, finds(id, `{"offer_matched":true}`, desk.T0))
	step(t, at(t, d, desk.T0.Add(25*time.Hour)))
	failed := desk.T0.Add(25*time.Hour + 10*time.Minute)
	publish(t, d, messages.Verdict(pipeline.RunLive, "refresh", "", pipeline.Verdict{
		Identity: id, Look: pipeline.LookPeek, Outcome: pipeline.Fail, Reason: "no_answer", DecidedAt: failed,
	}))
	k := at(t, d, failed.Add(time.Minute))
	step(t, k)
	if h := k.stock.holding(pipeline.KeySeen(id)); h.Failed != 1 || !h.Due.IsZero() || h.State != refresh.Held {
		t.Errorf("after a failed look it is %s, failed %d times, under way since %v", h.State, h.Failed, h.Due)
	}
	step(t, at(t, d, failed.Add(2*time.Hour)))
	if n := len(candidates(t, d, id.ASIN)); n != 2 {
		t.Errorf("offered %d times, want again two hours after the look failed", n)
	}
}

func TestThePlanCountsWhatRefreshesCost(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	id := ident(1, 1)
	looked := func(n int, look pipeline.Look, o pipeline.Outcome, source pipeline.Source, tokens, spent int) bus.Message {
		v := pipeline.Verdict{
			Identity: id, Look: look, Outcome: o, Source: source, DecidedAt: desk.T0.Add(time.Duration(n) * time.Minute), Tokens: tokens, TokensSpent: spent,
		}
		if o == pipeline.Accept {
			v.Deal = json.RawMessage(`{"offer_matched":true}`)
		}
		return messages.Verdict(pipeline.RunLive, fmt.Sprintf("look-%d", n), "", v)
	}
	publish(t, d,
		finds(id, `{"offer_matched":true}`, desk.T0),
		looked(1, pipeline.LookPeek, pipeline.Confirm, pipeline.SourceRefresh, 1, 1),
		looked(2, pipeline.LookCommit, pipeline.Accept, pipeline.SourceLive, 6, 7),    // a new price in the list
		looked(3, pipeline.LookCommit, pipeline.Accept, pipeline.SourceRefresh, 0, 7), // decided again by new rules
	)
	hour := desk.T0.Add(time.Hour)
	k := at(t, d, hour)
	step(t, k)
	if got := k.state.Summary.PerHour; got != 45 {
		t.Errorf("peeks confirm, and %g refreshes an hour are planned, want 45", got)
	}
	var ms []bus.Message
	for n := range 300 {
		ms = append(ms, looked(10+n, pipeline.LookCommit, pipeline.Accept, pipeline.SourceRefresh, 6, 7))
	}
	publish(t, d, ms...)
	for _, k := range []*refresher{k, at(t, d, hour.Add(time.Minute))} { // the second starts from what the first stored
		step(t, k)
		if got := k.state.Summary.PerHour; got < 45.0/7 || got > 45.0/6.9 {
			t.Errorf("all refreshes cost 7 tokens, and %g an hour are planned, want %g", got, 45.0/7)
		}
	}
}

func TestMoreVerdictsThanAStepReadsAreReadByTheNext(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	often, last := ident(1, 1), ident(1, 2)
	var ms []bus.Message
	for n := range verdictsAtOnce {
		ms = append(ms, finds(often, `{"offer_matched":true}`, desk.T0.Add(time.Duration(n)*time.Millisecond)))
	}
	publish(t, d, append(ms, finds(last, `{"offer_matched":true}`, desk.T0))...)
	k := at(t, d, desk.T0.Add(time.Hour))
	for _, c := range []struct {
		seq  uint64
		held int
	}{{verdictsAtOnce, 1}, {verdictsAtOnce + 1, 2}} {
		step(t, k)
		if stored := at(t, d, desk.T0.Add(time.Hour)); stored.state.Seq != c.seq || len(stored.stock.all) != c.held {
			t.Errorf("read up to %d, %d deals are stored; want %d and %d", stored.state.Seq, len(stored.stock.all), c.seq, c.held)
		}
	}
}

func TestAPlansRefresherHoldsTheDealsOfItsMarketplacesAlone(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	if err := d.Bus.Apply(t.Context(), bus.Provision{Plans: plan.Map{"eu": {keepa.DomainDE}}}); err != nil {
		t.Fatal(err)
	}
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketStock)
	if err != nil {
		t.Fatal(err)
	}
	domains := map[pipeline.Plan]int{"": 1, "eu": int(keepa.DomainDE)}
	for _, domain := range domains {
		id := ident(domain, domain)
		body, err := json.Marshal(refresh.Holding{Identity: id, State: refresh.Held, Confirmed: desk.T0, Found: desk.T0, Row: json.RawMessage(`{}`)})
		if err == nil {
			_, err = kv.Put(t.Context(), pipeline.KeySeen(id), body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for p, domain := range domains {
		b, err := d.Bus.As(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		k := on(t, d, b, desk.T0.Add(25*time.Hour))
		r := k.round(refresh.Checkpoint{Clock: k.state.Clock, Rate: 5}, map[string]refresh.Holding{}, k.env.Now())
		own := pipeline.KeySeen(ident(domain, domain))
		if len(k.stock.all) != 1 || k.stock.all[own] == nil || len(r.Offer) != 1 || r.Offer[0].Holding.Domain != domain {
			t.Errorf("the plan %q of marketplace %d holds %d deals and offers %+v", p, domain, len(k.stock.all), r.Offer)
		}
	}
}

func TestARoundThatIsNotPublishedIsDecidedAgain(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	budget(t, d, `{"est":100,"rate":5,"state":"burst"}`)
	id := ident(1, 1)
	publish(t, d, finds(id, `{"offer_matched":true}`, desk.T0))
	step(t, at(t, d, desk.T0.Add(time.Hour)))
	due := desk.T0.Add(25 * time.Hour)
	k := at(t, d, due)
	before := k.state
	repair := d.Refuse(t, pipeline.StreamCandidates)
	if err := k.step(t.Context()); err == nil {
		t.Error("what the stream refuses counts as offered")
	}
	if stored := at(t, d, due); !stored.stock.holding(pipeline.KeySeen(id)).Due.IsZero() || stored.state != before {
		t.Errorf("nothing was published, and stored is %+v of %+v", stored.stock.holding(pipeline.KeySeen(id)), stored.state)
	}
	repair()
	step(t, at(t, d, due.Add(time.Minute)))
	if n := len(candidates(t, d, id.ASIN)); n != 1 {
		t.Errorf("offered %d times, want once", n)
	}
}
