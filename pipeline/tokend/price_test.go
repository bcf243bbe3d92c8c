package tokend

import (
	"errors"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/spend/claims"
)

func TestAKindThatBreaksItsCeilingIsStoppedAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, keepasim.Options{Rate: 5, Balance: 300, Faults: keepasim.Faults{Rules: []keepasim.Rule{
		{Kind: keepasim.KindCommit, Do: keepasim.Overprice, Cost: 17, Times: 1},
	}}})
	d := w.tokend()
	w.survivors(pipeline.LookPeek, "a", 3)
	w.survivors(pipeline.LookGlance, "live", 3)
	w.turn(d)
	w.turn(d)
	committer, peeker := w.purse(pipeline.StageCommitter), w.purse(pipeline.StagePeeker)
	c, err := committer.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := w.gateway().Products(t.Context(), c, 1, w.asn[:1], true)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context(), a.Consumed, a.Reading); err != nil {
		t.Fatal(err)
	}
	w.turn(d)
	if _, err := committer.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1); !errors.Is(err, claims.ErrShort) {
		t.Errorf("after a call of %d tokens a commit can still be claimed: %v", a.Consumed, err)
	}
	for _, note := range []string{w.state().Note, w.state().Stopped[pipeline.StageCommitter]} {
		if !strings.Contains(note, "commit is stopped") || !strings.Contains(note, "17") {
			t.Errorf("note is %q, want it to name the kind and the price", note)
		}
	}
	p, err := peeker.Claim(t.Context(), 1, pipeline.KindPeek, 1)
	if err != nil {
		t.Fatalf("peeks do not go on: %v", err)
	}
	if err := p.Close(t.Context(), 1, nil); err != nil {
		t.Fatal(err)
	}
	w.turn(d)
	if n := w.alarms(); n != 1 {
		t.Errorf("%d lines of the ledger tell of it, want 1", n)
	}
	w.put(pipeline.KeyPolicy, `{"ceilings":{"commit":17}}`)
	w.turn(d)
	w.turn(d)
	if c, err = committer.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1); err != nil {
		t.Fatalf("with the ceiling raised no commit can be claimed: %v", err)
	}
	if c.Tokens() != 17 {
		t.Errorf("a claim reserves %d tokens, want the operator's ceiling of 17", c.Tokens())
	}
}

// alarms returns the lines of the ledger that report a broken ceiling.
func (w *world) alarms() int {
	w.t.Helper()
	lines, _ := w.ledger()
	n := 0
	for _, l := range lines {
		if l.Event == pipeline.EventMode && l.PriceKind == pipeline.KindCommit {
			n++
		}
	}
	return n
}
