package cli_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/test/desk"
)

func TestAPictureHasTheNumbersOfTheDeal(t *testing.T) {
	t.Parallel()
	d, asins := worked(t, keepasim.Good, keepasim.NoProfit)
	settings, spent := desk.BuiltIn(t).Settings(), d.Spent(t)
	d.Hold() // a call to Keepa would hang now
	p, err := cli.PictureOf(t.Context(), d.Bus, settings, asins[keepasim.Good])
	if err != nil {
		t.Fatal(err)
	}
	deals, _, err := cli.NewVisible(d.Bus, "none").List(t.Context(), p.Until.AddDate(-1, 0, 0))
	if err != nil || len(deals) != 1 {
		t.Fatalf("%d deals, %v", len(deals), err)
	}
	listed, o := deals[0], p.Odds
	if p.Deal == nil || o == nil || *p.Copy != *listed.LandedCents || o.Profit != *listed.ProfitCents || o.Low != *listed.SaleLow || o.High != *listed.SaleHigh {
		t.Fatalf("the picture has %+v, the list %+v", p, listed)
	}
	if got := o.Distribution.Quantile(0.5); got != *listed.SaleCents || math.Abs(o.Distribution.Below(o.Breakeven)-*listed.LossChance) > 1e-4 {
		t.Errorf("its distribution has the middle %d and %f below break-even, the deal %d and %f", got, o.Distribution.Below(o.Breakeven), *listed.SaleCents, *listed.LossChance)
	}
	if n := len(p.Market.Sales); n != *listed.SaleCount || len(p.Market.Used) == 0 || len(p.Market.Rank) == 0 || p.Answer == "" || !strings.Contains(string(chart.History(p.Product, chart.Year, chart.Desktop)), "this copy") {
		t.Errorf("%d sales are drawn, the deal has %d", n, *listed.SaleCount)
	}

	rejected, err := cli.PictureOf(t.Context(), d.Bus, settings, asins[keepasim.NoProfit])
	if err != nil || rejected.Deal != nil || len(rejected.Market.Used) == 0 || rejected.Odds == nil || !rejected.Odds.AtBest || rejected.Copy != nil {
		t.Errorf("what was rejected at the peek: %+v, %v", rejected.Odds, err)
	}
	if _, err := cli.PictureOf(t.Context(), d.Bus, settings, "B000000000"); err == nil || !strings.Contains(err.Error(), "ratchet why B000000000") {
		t.Errorf("an ASIN that was never listed: %v", err)
	}
	if d.Spent(t) != spent {
		t.Errorf("drawing cost %d tokens", d.Spent(t)-spent)
	}
}

func TestTheSameISBNInAnotherMarketplaceChangesNeitherPictureNorExplanation(t *testing.T) {
	t.Parallel()
	d, asins := worked(t, keepasim.Good)
	judge, asin := desk.BuiltIn(t), asins[keepasim.Good]
	both := func() (cli.Picture, cli.Explanation) {
		p, err := cli.PictureOf(t.Context(), d.Bus, judge.Settings(), asin)
		if err != nil {
			t.Fatal(err)
		}
		e, err := cli.Explain(t.Context(), d.Bus, judge, asin)
		if err != nil {
			t.Fatal(err)
		}
		return p, e
	}
	picture, explanation := both()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	c := w.Survivor.Candidate
	c.Domain = int(keepa.DomainDE)
	id := c.WorkID(pipeline.FirstGeneration)
	_, err := responses.Put(t.Context(), d.Bus, []responses.Answer{{
		Domain: c.Domain, Kind: pipeline.KindPeek, Key: asin, Body: d.Product(t, asin, false), Request: "/de", RequestID: "de", WorkID: id, Cost: 1, AnsweredAt: d.Env.Now(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Bus.PublishAll(t.Context(), []bus.Message{
		messages.Candidate("candidate", id, c),
		messages.Verdict(pipeline.RunLive, id, "CANDIDATES/2", pipeline.Verdict{
			Identity: c.Identity, Look: pipeline.LookPeek, Outcome: pipeline.Reject, Reason: "no_profit", RuleID: "no_profit", Source: pipeline.SourceLive, DecidedAt: d.Env.Now(),
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	p, e := both()
	if p.Deal == nil || p.Answer != picture.Answer || !reflect.DeepEqual(p.Market, picture.Market) || !reflect.DeepEqual(p.Odds, picture.Odds) {
		t.Errorf("the picture is\n%+v, want\n%+v", p, picture)
	}
	if e.Domain != 1 || e.WorkID != explanation.WorkID {
		t.Errorf("explained is %s in marketplace %d, want %s", e.WorkID, e.Domain, explanation.WorkID)
	}
}
