package tokend

import (
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/sim/keepasim"
)

func TestTheLastModeAndPolicyThatCouldBeReadHoldAlsoOverARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	d := w.tokend()
	w.put(pipeline.KeyMode, "nospend") // not paused, which is the meaning of an unreadable mode
	w.put(pipeline.KeyPolicy, `{"floor":30}`)
	w.turn(d)
	w.put(pipeline.KeyMode, "pasued")
	w.put(pipeline.KeyPolicy, `{"flor":40}`)
	holds := func(when string, d *tokend) {
		t.Helper()
		w.turn(d)
		s := w.state()
		if s.State != "nospend" || d.issuer.Floor != 30 {
			t.Errorf("%s: state %s and floor %d, want nospend and 30", when, s.State, d.issuer.Floor)
		}
		if !strings.Contains(s.Refused, `"pasued"`) || !strings.Contains(s.Refused, `"flor"`) || !strings.Contains(s.Note, s.Refused) {
			t.Errorf("%s: refused %q, note %q; want both keys in both", when, s.Refused, s.Note)
		}
	}
	holds("at once", d)
	d.lease.Release()
	next := w.tokend()
	holds("after a restart", next)
	w.put(pipeline.KeyMode, "run")
	w.put(pipeline.KeyPolicy, `{"floor":40}`)
	w.turn(next)
	if s := w.state(); s.State != "burst" || s.Refused != "" || next.issuer.Floor != 40 {
		t.Errorf("after both were written right: state %s, refused %q, floor %d", s.State, s.Refused, next.issuer.Floor)
	}
	if n := strings.Count(w.log.String(), "what the operator wrote is refused"); n > 2 {
		t.Errorf("warned %d times", n)
	}
}

func TestAGrantThatCannotBeReadIsRebuiltFromTheLedgerToTheToken(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"not JSON": `{"epoch`, "negative": `{"epoch":1,"issued":-5}`, "empty": `{}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
			w.survivors(pipeline.LookGlance, "live", 20)
			d, g, p := w.tokend(), w.gateway(), w.purse(pipeline.StagePeeker)
			buy := func(asins []string) {
				t.Helper()
				for _, asin := range asins {
					if err := w.buy(p, g, asin, false); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.turn(d)
			buy(w.asn[:5])
			w.turn(d)
			before := w.grant(pipeline.StagePeeker)
			w.put(pipeline.KeyGrant(pipeline.StagePeeker), value)
			for range 3 {
				_, _ = d.turn(t.Context()) // one that reads a grant of no epoch steps down first
			}
			after := w.grant(pipeline.StagePeeker)
			if after.Settled != before.Settled || after.Claimed != before.Claimed || after.Credit() == 0 {
				t.Fatalf("rebuilt as %+v, was %+v", after, before)
			}
			buy(w.asn[5:8])
			w.turn(d)
			w.turn(d)
			_, tokens := w.ledger()
			if tokens[pipeline.EventClose] != w.spent() || tokens[pipeline.EventDrift] != 0 {
				t.Errorf("the ledger has %v, Keepa took %d", tokens, w.spent())
			}
		})
	}
}

func TestAPauseOutlivesTheLossOfItsBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	d := w.tokend()
	w.put(pipeline.KeyMode, "paused")
	w.turn(d)
	d.lease.Release()
	s, err := w.bus.JS.Stream(t.Context(), pipeline.BucketStream(pipeline.BucketTokens))
	if err == nil {
		err = s.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.survivors(pipeline.LookGlance, "live", 3)
	next := w.tokend()
	w.turn(next)
	if s := w.state(); s.State != "paused" || w.grant(pipeline.StagePeeker).Credit() != 0 {
		t.Errorf("state %s and credit %d, want paused and none", s.State, w.grant(pipeline.StagePeeker).Credit())
	}
}
