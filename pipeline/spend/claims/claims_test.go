package claims_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/test/streams"
)

type desk struct {
	t    *testing.T
	bus  *bus.Bus
	env  process.Env
	srv  *natsd.Server
	cell bus.Cell
}

func newDesk(t *testing.T, credit int) *desk {
	t.Helper()
	env, srv := streams.Start(t, "")
	b := streams.Connect(t, env)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, bus: b, env: env, srv: srv, cell: bus.NewCell(kv, pipeline.KeyGrant(pipeline.StagePeeker))}
	d.change(func(g token.Grant) token.Grant {
		g.Epoch, g.Issued = 1, credit
		return g
	})
	return d
}

func (d *desk) change(f func(token.Grant) token.Grant) token.Grant {
	d.t.Helper()
	g, err := bus.Change(d.t.Context(), d.cell, func(g token.Grant) (token.Grant, bool, error) { return f(g), true, nil })
	if err != nil {
		d.t.Fatal(err)
	}
	return g
}

func (d *desk) grant() token.Grant {
	d.t.Helper()
	raw, _, err := d.cell.Read(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	var g token.Grant
	if err := json.Unmarshal(raw, &g); err != nil {
		d.t.Fatal(err)
	}
	return g
}

func (d *desk) purse() *claims.Spender {
	d.t.Helper()
	p, err := claims.Open(d.t.Context(), d.bus, d.env, pipeline.StagePeeker)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

func (d *desk) closes() []pipeline.Entry {
	d.t.Helper()
	var out []pipeline.Entry
	err := bus.ScanJSON(d.t.Context(), d.bus, pipeline.StreamLedger, bus.From{Subjects: []string{"ledger.*.close"}}, func(_ bus.Read, e pipeline.Entry) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

func TestAClaimTakesCreditAndItsCloseSettlesTheRealPrice(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20)
	p := d.purse()
	c, err := p.Claim(t.Context(), 13, pipeline.KindCommit, 1)
	if err != nil {
		t.Fatal(err)
	}
	if credit, err := p.Affords(t.Context(), pipeline.KindPeek); err != nil || credit != 7 {
		t.Errorf("credit %d (%v), want 7", credit, err)
	}
	if _, err := p.Claim(t.Context(), 8, pipeline.KindPeek, 8); !errors.Is(err, claims.ErrShort) {
		t.Errorf("claimed beyond the credit: %v", err)
	}
	r := &pipeline.Reading{TS: 1, Left: 50, Rate: 5}
	for range 2 { // a repeat changes nothing
		if err := c.Close(t.Context(), 6, r); err != nil {
			t.Fatal(err)
		}
	}
	g := d.grant()
	if g.Settled != 6 || len(g.Open) != 0 || g.API == nil || g.API.Left != 50 || g.Unsure != 0 {
		t.Errorf("grant %+v", g)
	}
	if lines := d.closes(); len(lines) != 1 || lines[0].Tokens != 6 || lines[0].Claim != c.ID() {
		t.Errorf("close lines %+v", lines)
	}
}

func TestACallWithoutAnAnswerLeavesADoubtNotAPrice(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20)
	c, err := d.purse().Claim(t.Context(), 13, pipeline.KindCommit, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.CloseUnknown(t.Context(), "timeout"); err != nil {
			t.Fatal(err)
		}
	}
	if g := d.grant(); g.Settled != 0 || g.Unsure != 13 || len(g.Open) != 0 {
		t.Errorf("grant %+v", g)
	}
}

func TestNothingCanBeClaimedWhilePausedOrWithoutATokend(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20)
	p := d.purse()
	kv, err := d.bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		wish string
		want token.Wish
	}{
		{"???", token.Paused}, // and no wish was ever readable
		{"nospend", token.Nospend},
		{"???", token.Nospend}, // the last readable one holds
		{`{"mode":"paused"}`, token.Paused},
	} {
		wish, want := c.wish, c.want
		if _, err := kv.Put(t.Context(), pipeline.KeyMode, []byte(wish)); err != nil {
			t.Fatal(err)
		}
		credit, err := p.Affords(t.Context(), pipeline.KindPeek)
		got, _ := p.Wish(t.Context())
		if err != nil || credit != 0 || got != want {
			t.Errorf("mode %s: wish %s, credit %d (%v)", wish, got, credit, err)
		}
		if _, err := p.Claim(t.Context(), 1, pipeline.KindPeek, 1); !errors.Is(err, claims.ErrHeld) {
			t.Errorf("mode %s: tokens that were issued before are claimed: %v", wish, err)
		}
	}
	other, err := claims.Open(t.Context(), d.bus, d.env, pipeline.StageCommitter)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Claim(t.Context(), 1, pipeline.KindCommit, 1); !errors.Is(err, claims.ErrShort) {
		t.Errorf("claimed from a grant that does not exist: %v", err)
	}
}

func TestAChangeOfTheGrantIsHinted(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	p := d.purse()
	if err := d.bus.NC.Flush(); err != nil { // the subscription is known to the server
		t.Fatal(err)
	}
	d.change(func(g token.Grant) token.Grant { g.Issued = 5; return g })
	for {
		select {
		case <-p.Changed():
			if credit, err := p.Affords(t.Context(), pipeline.KindPeek); err == nil && credit == 5 {
				return
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no hint")
		}
	}
}

func TestAClaimWhoseOutcomeIsUnknownIsGivenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20)
	p := d.purse()
	ctx, cancel := context.WithCancel(t.Context())
	// The caller is cancelled once the write is stored and before its acknowledgement arrives.
	sub, err := d.bus.NC.Subscribe(pipeline.KeySubject(pipeline.BucketTokens, ">"), func(*nats.Msg) { cancel() })
	if err != nil {
		t.Fatal(err)
	}
	if err := d.bus.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	c, err := p.Claim(ctx, 13, pipeline.KindCommit, 1)
	if err == nil { // both acknowledgements arrived first
		err = c.Close(t.Context(), 0, nil)
	} else {
		err = nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if g := d.grant(); len(g.Open) != 0 || g.Settled != 0 {
		t.Errorf("a claim without a holder stays open: %+v", g)
	}
}

func TestManyWorkersNeverClaimMoreThanWasIssued(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 25)
	done := make(chan int)
	for range 5 {
		p := d.purse()
		go func() {
			n := 0
			for range 10 {
				if _, err := p.Claim(t.Context(), 1, pipeline.KindPeek, 1); err == nil {
					n++
				}
			}
			done <- n
		}()
	}
	total := 0
	for range 5 {
		total += <-done
	}
	if g := d.grant(); total != 25 || g.Claimed != 25 || len(g.Open) != 25 {
		t.Errorf("%d claims, grant says %d claimed and %d open; issued 25", total, g.Claimed, len(g.Open))
	}
}

func TestAClaimIsClosedAlthoughItsStepWasStopped(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 20)
	claim, err := d.purse().Claim(t.Context(), 13, pipeline.KindCommit, 1)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := claim.CloseUnknown(stopped, "cut"); err != nil {
		t.Fatal(err)
	}
	if g, lines := d.grant(), d.closes(); len(g.Open) != 0 || g.Unsure != 13 || len(lines) != 1 {
		t.Errorf("%+v, %+v: want it closed, with its tokens in doubt", g, lines)
	}
}
