package page_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

// twoKeys adds a second plan, with a balance of its own, to a desk.
func twoKeys(t testing.TB, d *desk.Desk) *bus.Bus {
	t.Helper()
	if err := d.Bus.Apply(t.Context(), bus.Provision{Plans: plan.Map{"eu": {keepa.DomainDE}}}); err != nil {
		t.Fatal(err)
	}
	eu, err := d.Bus.As(t.Context(), "eu")
	if err != nil {
		t.Fatal(err)
	}
	put(t, d, eu.Own(pipeline.BucketTokens), pipeline.KeyBalance, token.Balance{
		Est: 33, At: desk.T0, Rate: 1, Cap: 60, State: string(token.Burst), Since: desk.T0.Add(-40 * time.Minute),
	})
	entry(t, d, 600, pipeline.Entry{Event: pipeline.EventMode, Plan: "eu", Note: "burst to recharge"})
	entry(t, d, 480, pipeline.Entry{Event: pipeline.EventMode, Plan: "eu", Note: "recharge to burst, ended by balance"})
	entry(t, d, 470, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Plan: "eu", Tokens: 7, API: &pipeline.Reading{Left: 44, Rate: 1}})
	return eu
}

func TestOfSeveralKeysEachHasItsBalanceAndItsRules(t *testing.T) {
	if testing.Short() {
		t.Skip("runs two plans")
	}
	t.Parallel()
	d := desk.New(t, 1)
	machineRuns(t, d)
	accepts(t, d, d.ASINs(keepasim.Good)[0])
	eu := twoKeys(t, d)
	s := open(t, d, page.Options{})
	_, body := get(t, s.URL()+"machine")
	for _, want := range []string{
		"<dt>Balance of main</dt><dd><b>140</b>", "<dt>Balance of eu</dt><dd><b>33</b>", "<dt>Mode of main</dt><dd><b>recharge</b>", "<dt>Mode of eu</dt><dd><b>burst</b>",
		"140 of 300 tokens, recharge; eu 33 of 60, burst", "<h2>Balance of plan main</h2>", "<h2>Balance of plan eu</h2>",
		`<td>2026-03-01 23:00</td><td>2026-03-02 01:00</td><td>pause</td>`,                                                 // of eu alone
		`<td>2026-03-02 01:00</td><td>now</td><td>burst</td><td class="n">–</td><td class="n">44</td><td class="n">7</td>`, // and what it spent
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the machine lacks %s", want)
		}
	}
	drawn, _, _ := strings.Cut(body, `id="s-counted"`)
	if n := strings.Count(drawn, `class="n">7</td>`); n != 1 {
		t.Errorf("what eu spent is in %d rows", n)
	}
	if t.Failed() {
		t.Log(body)
	}
	_, body = get(t, s.URL()+"whatif")
	if !strings.Contains(body, `<a href="/whatif?plan=main" aria-current="page">main <small>(all others)`) || !strings.Contains(body, `<a href="/whatif?plan=eu">eu <small>(de)`) {
		t.Errorf("the plans cannot be chosen: %s", body)
	}
	if r, body := get(t, s.URL()+"whatif?plan=fr"); r.StatusCode != 404 || !strings.Contains(body, "there is no plan fr") {
		t.Errorf("an unknown plan: %s %s", r.Status, body)
	}
	const asked = "whatif?plan=eu&t-min_profit_cents=20"
	_, body = get(t, s.URL()+asked)
	form := url.Values{"token": {tokenOf.FindStringSubmatch(body)[1]}, "t-min_profit_cents": {"20"}, "back": {"/" + asked}}
	button := regexp.MustCompile(`name="plan" value="eu"><button form="act" name="apply" value="([^"]+)">Apply to plan eu<`).FindStringSubmatch(body)
	if button == nil {
		t.Fatalf("no button for the plan: %s", body)
	}
	form.Set("apply", button[1])
	form.Set("plan", "eu")
	code, to := request(t, http.MethodPost, s.URL()+"act", form, nil)
	if code != 303 || !strings.Contains(to, "applied=1,eu") {
		t.Fatalf("got %d, %s", code, to)
	}
	if _, said := get(t, s.URL()+strings.TrimPrefix(to, "/")); !strings.Contains(said, "Version 1 of the rules of plan eu is live") || !strings.Contains(said, "rules revert --plan eu") {
		t.Errorf("said %s", said)
	}
	for b, want := range map[*bus.Bus]int{d.Bus: 0, eu: 1} {
		if all, err := cli.AppliedRules(t.Context(), b); err != nil || len(all) != want {
			t.Errorf("plan %s has %d applied versions, want %d: %v", b.Plan(), len(all), want, err)
		}
	}
	if _, body = get(t, s.URL()+"whatif?plan=main"); strings.Contains(body, "applied here") || !strings.Contains(body, "built in") {
		t.Errorf("the other plan's rules changed: %s", body)
	}
}

func TestABookIsExplainedByTheRulesOfThePlanThatServesItsMarketplace(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	eu := twoKeys(t, d)
	strict, version := desk.StrictRules(t)
	_, err := cli.ApplyNextRules(t.Context(), eu, func([]pipeline.AppliedRules) (pipeline.AppliedRules, error) {
		return pipeline.AppliedRules{RuleSet: version, Rules: strict, File: "strict.yaml"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for i, domain := range []keepa.Domain{keepa.DomainCom, keepa.DomainDE} {
		c := d.Work(t, d.ASINs(keepasim.Good)[i], pipeline.SourceLive, pipeline.FirstGeneration).Survivor.Candidate
		c.Domain = int(domain)
		id := c.WorkID(pipeline.FirstGeneration)
		v := pipeline.Verdict{Identity: c.Identity, Look: pipeline.LookGlance, Outcome: pipeline.Survive, Reason: "ok", Source: pipeline.SourceLive, DecidedAt: desk.T0}
		if err := d.Bus.PublishAll(t.Context(), []bus.Message{messages.Candidate("candidate", id, c), messages.Verdict(pipeline.RunLive, id, "", v)}); err != nil {
			t.Fatal(err)
		}
		of[c.ASIN] = version
		if domain == keepa.DomainCom {
			of[c.ASIN] = desk.BuiltIn(t).Version()
		}
	}
	s := open(t, d, page.Options{})
	for asin, want := range of {
		if _, body := get(t, s.URL()+"deal/"+asin); !strings.Contains(body, ", version "+want) {
			t.Errorf("%s is not explained by the rules %s: %s", asin, want, body)
		}
	}
}
