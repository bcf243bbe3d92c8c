package claims_test

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

func TestAClaimLivesTwoMinutesOfPipelineTimeAndAtLeastTenSecondsOfTheMachine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		speed float64
		life  time.Duration
	}{{1, 2 * time.Minute}, {6, 20 * time.Second}, {720, 10 * time.Second}} {
		d := newDesk(t, 20)
		d.env.Clock = process.NewClock(time.Now(), c.speed)
		before := time.Now()
		claim, err := d.purse().Claim(t.Context(), 1, pipeline.KindPeek, 1)
		if err != nil {
			t.Fatal(err)
		}
		early, late := before.Add(c.life), time.Now().Add(c.life)
		if at := claim.Deadline(); at.Before(early) || at.After(late) {
			t.Errorf("speed %g: it ends after %s, want %s", c.speed, at.Sub(before), c.life)
		}
		if at := claim.StartBy(); claim.Deadline().Sub(at) != c.life/2 {
			t.Errorf("speed %g: a call may start until %s before its end, want half of %s", c.speed, claim.Deadline().Sub(at), c.life)
		}
	}
}

func TestTheOperatorsCeilingIsWhatAClaimReserves(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 100)
	d.change(func(g token.Grant) token.Grant {
		g.Ceilings = map[pipeline.Kind]int{pipeline.KindCommit: 20}
		return g
	})
	claim, err := d.purse().Claim(t.Context(), 26, pipeline.KindCommit, 2)
	if err != nil {
		t.Fatal(err)
	}
	if g := d.grant(); claim.Tokens() != 40 || g.Open[claim.ID()].N != 40 || g.Claimed != 40 {
		t.Errorf("%d are reserved, the grant says %+v; want 2 × 20", claim.Tokens(), g)
	}
	if err := claim.CloseFailed(t.Context(), 3, nil, "server"); err != nil {
		t.Fatal(err)
	}
	if lines := d.closes(); len(lines) != 1 || lines[0].Tokens != 3 || lines[0].Note != "failed: server" {
		t.Errorf("%+v", lines)
	}
	d.change(func(g token.Grant) token.Grant {
		g.Learned = map[pipeline.Kind]token.Learned{pipeline.KindCommit: {Overran: 21}}
		return g
	})
	if _, err := d.purse().Claim(t.Context(), 20, pipeline.KindCommit, 1); err == nil {
		t.Error("a kind that broke its ceiling is claimed for")
	}
}

func TestAClaimsLinesAreInTheLedgerBeforeTheGrantForgetsIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20)
	p := d.purse()
	claim, err := p.Claim(t.Context(), 13, pipeline.KindCommit, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := claim.CloseUnknown(t.Context(), "timeout"); err != nil {
		t.Fatal(err)
	}
	lines := d.closes()
	if len(lines) != 1 || lines[0].Tokens != 0 || lines[0].Note != token.NoteUnknown+": timeout" || lines[0].PriceKind != pipeline.KindCommit {
		t.Errorf("%+v", lines)
	}
	var opened []pipeline.Entry
	err = bus.ScanJSON(t.Context(), d.bus, pipeline.StreamLedger, bus.From{Subjects: []string{"ledger.*.claim"}}, func(_ bus.Read, e pipeline.Entry) error {
		opened = append(opened, e)
		return nil
	})
	if err != nil || len(opened) != 1 || opened[0].Tokens != 13 || opened[0].Claim != claim.ID() {
		t.Errorf("%+v, %v", opened, err)
	}
	// The ledger does not take the line: the claim stays open for tokend to give up, and its tokens stay reserved.
	second, err := p.Claim(t.Context(), 5, pipeline.KindPeek, 5)
	if err != nil {
		t.Fatal(err)
	}
	tooLarge := strings.Repeat("x", 9<<20) // more than the server takes
	if err := second.CloseFailed(t.Context(), 5, nil, tooLarge); err == nil {
		t.Error("a claim is closed without a line")
	}
	if g := d.grant(); len(g.Open) != 1 || g.Settled != 0 {
		t.Errorf("the grant settled what no line explains: %+v", g)
	}
}
