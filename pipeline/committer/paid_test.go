package committer_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/responses"
	"ratchet/schemas"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

// sellerOf returns the seller behind the deal that a good book makes.
func sellerOf(t *testing.T, d *desk.Desk, asin string) string {
	t.Helper()
	j, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	id := decide.SellerWanted(j, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), d.Product(t, asin, true), nil, d.Env.Now())
	if id == "" {
		t.Fatalf("%s wants no seller", asin)
	}
	return id
}

// dealOf returns the deal of a verdict.
func dealOf(t *testing.T, v desk.Verdict) (d struct {
	SellerID      string `json:"seller_id"`
	SellerUnknown bool   `json:"seller_unknown"`
},
) {
	t.Helper()
	if v.Outcome != pipeline.Accept {
		t.Fatalf("%s (%s), want accept", v.Outcome, v.Reason)
	}
	if err := json.Unmarshal(v.Deal, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestASellersAnswerBelongsToItsWorkAndIsPaidForOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	seller := sellerOf(t, d, asin)
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	d.Survives(t, w, pipeline.LookPeek, "a")
	stop := d.Run(t, committer.Run, nil)
	first := d.AwaitVerdicts(t, 1)[0]
	stop()
	found, err := responses.Find(t.Context(), d.Bus, 1, pipeline.KindSeller, []string{seller})
	if err != nil {
		t.Fatal(err)
	}
	if a := found[seller]; a.WorkID != w.ID || a.Cost != 1 {
		t.Errorf("the seller's answer is of work %q for %d tokens, want %q for 1", a.WorkID, a.Cost, w.ID)
	}
	if got := dealOf(t, first); got.SellerUnknown || got.SellerID != seller {
		t.Errorf("the deal says seller %q, unknown %t", got.SellerID, got.SellerUnknown)
	}
	paid := d.Spent(t)
	if first.Tokens != paid {
		t.Errorf("the verdict says %d tokens, the ledger %d", first.Tokens, paid)
	}
	again(t, d, first, paid)
}

// again resets the consumer and expects the same verdict without a payment.
func again(t *testing.T, d *desk.Desk, first desk.Verdict, paid int) {
	t.Helper()
	d.Redeliver(t, pipeline.DurableCommit(pipeline.TierA))
	// Without its ID the repeat is stored beside the first, so that their bytes can be compared.
	purgeVerdicts(t, d)
	d.Run(t, committer.Run, nil)
	second := d.AwaitVerdicts(t, 1)[0]
	if again := d.Spent(t) - paid; again != 0 {
		t.Errorf("paid %d tokens again", again)
	}
	if !slices.Equal(second.ResponseIDs, first.ResponseIDs) || second.Tokens != first.Tokens || second.Outcome != first.Outcome {
		t.Errorf("decided again otherwise:\n%s\n%s", first.Body, second.Body)
	}
}

// purgeVerdicts recreates the stream, so that it remembers no IDs.
func purgeVerdicts(t *testing.T, d *desk.Desk) {
	t.Helper()
	if err := d.Bus.JS.DeleteStream(t.Context(), pipeline.StreamVerdicts); err != nil {
		t.Fatal(err)
	}
	if err := d.Bus.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestASellerThatKeepaDoesNotKnowIsAnAnswerThatTheVerdictRestsOn(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	nobody := d.Store(t, pipeline.KindSeller, sellerOf(t, d, asin), "another", []byte("null"), time.Hour)
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookPeek, "a")
	d.Run(t, committer.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	if !slices.Contains(v.ResponseIDs, nobody) || len(v.ResponseIDs) != 2 {
		t.Errorf("rests on %v, want the product and answer %s", v.ResponseIDs, nobody)
	}
	if !dealOf(t, v).SellerUnknown {
		t.Error("a seller that Keepa does not know is known")
	}
	if n := d.Sim.Account().Tokens[keepasim.KindSeller]; n != 0 {
		t.Errorf("asked again for %d tokens", n)
	}
}

func TestAStaleSellerIsUnknownWhereNoneCanBeBought(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	d.Store(t, pipeline.KindSeller, sellerOf(t, d, asin), "another", []byte(`{"sellerId":"S","sellerName":"Old","currentRating":90}`), 8*24*time.Hour)
	product := d.Store(t, pipeline.KindCommit, asin, w.ID, d.Product(t, asin, true), time.Minute)
	d.Wish(t, token.Nospend)
	d.Survives(t, w, pipeline.LookPeek, "a")
	d.Run(t, committer.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	if !slices.Equal(v.ResponseIDs, []string{product}) || !dealOf(t, v).SellerUnknown {
		t.Errorf("rests on %v with a known seller, want %s alone", v.ResponseIDs, product)
	}
}

func TestASellersAnswerThatCannotBeStoredYetIsKeptUntilItCan(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	sellerOf(t, d, asin)
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	d.Run(t, committer.Run, nil) // it rejects a topology that is not its own
	subjects(t, d, "response.*.peek.>", "response.*.commit.>", "response.*.deals.>", "response.*.attempt.>")
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookPeek, "a")
	desk.Await(t, "the seller is paid for", func() bool { return d.Sim.Account().Tokens[keepasim.KindSeller] == 1 })
	subjects(t, d, "response.>")
	v := d.AwaitVerdicts(t, 1)[0]
	if dealOf(t, v).SellerUnknown || len(v.ResponseIDs) != 2 {
		t.Errorf("rests on %v, want the product and its seller", v.ResponseIDs)
	}
	if n := d.Sim.Account().Tokens[keepasim.KindSeller]; n != 1 {
		t.Errorf("%d tokens for one seller", n)
	}
}

// subjects changes the subjects of RESPONSES.
func subjects(t *testing.T, d *desk.Desk, names ...string) {
	t.Helper()
	streams.Change(t, d.Bus, pipeline.StreamResponses, func(c *jetstream.StreamConfig) { c.Subjects = names })
}

func TestTwoWorkersWithOneSellerPayOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	bySeller := map[string][]string{}
	var pair []string
	for _, asin := range d.ASINs(keepasim.Good) {
		s := sellerOf(t, d, asin)
		if bySeller[s] = append(bySeller[s], asin); len(bySeller[s]) == 2 {
			pair = bySeller[s]
			break
		}
	}
	if pair == nil {
		t.Fatal("no two good books of this world have one seller")
	}
	for _, asin := range pair {
		w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		d.Store(t, pipeline.KindCommit, asin, w.ID, d.Product(t, asin, true), time.Minute)
		d.Survives(t, w, pipeline.LookPeek, "a")
	}
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	d.Hold()
	d.Run(t, committer.Run, nil)
	d.Call(t)
	d.AwaitRedelivery(t, pipeline.DurableCommit(pipeline.TierA)) // the other worker met the order
	d.Release()
	for _, v := range d.AwaitVerdicts(t, 2) {
		if dealOf(t, v).SellerUnknown {
			t.Errorf("%s: seller unknown", v.ASIN)
		}
	}
	if n := d.Sim.Account().Tokens[keepasim.KindSeller]; n != 1 {
		t.Errorf("%d tokens for one seller", n)
	}
}

func TestACommitThatIsDeliveredToTwoWorkersAtOnceIsPaidOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	d.Hold()
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookPeek, "a")
	d.Run(t, committer.Run, nil)
	d.Call(t) // one worker is buying; the reset delivers the same work to another
	d.Redeliver(t, pipeline.DurableCommit(pipeline.TierA))
	desk.Await(t, "the other worker met the order", func() bool { return closes(t, d) > 0 })
	d.Release()
	d.AwaitVerdicts(t, 1)
	if n := d.Sim.Account().Commits[asin]; n != 1 {
		t.Errorf("paid %s times, want once", strconv.Itoa(n))
	}
}

func TestWhatIsBoughtWhileOtherRulesComeIntoForceIsDecidedByThose(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	d.Hold()
	d.Survives(t, d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookPeek, "a")
	d.Run(t, committer.Run, nil)
	d.Call(t) // the rules are applied while it buys
	strict, want := desk.StrictRules(t)
	if _, err := cli.ApplyRules(t.Context(), d.Bus, pipeline.AppliedRules{Rules: strict}); err != nil {
		t.Fatal(err)
	}
	for _, h := range cli.AwaitRules(t.Context(), d.Bus, 1) {
		if h.Rules.Version != 1 {
			t.Errorf("%s decides by version %d while it buys", h.Daemon, h.Rules.Version)
		}
	}
	d.Release()
	if v := d.AwaitVerdicts(t, 1)[0]; v.Outcome != pipeline.Reject || v.RuleSet != want || d.Sim.Account().Commits[asin] != 1 {
		t.Errorf("%s by %s, paid %d times; want a reject by %s, paid once", v.Outcome, v.RuleSet, d.Sim.Account().Commits[asin], want)
	}
}

// closes returns how many claims have ended.
func closes(t *testing.T, d *desk.Desk) int {
	t.Helper()
	n := 0
	if err := d.Bus.Scan(t.Context(), pipeline.StreamLedger, bus.From{Subjects: []string{"ledger.committer.close"}}, func(bus.Read) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}
