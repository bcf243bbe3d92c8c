package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// judging are the built-in rules with a line replaced.
func judging(t testing.TB, lines ...string) *verdict.Judge {
	t.Helper()
	body := schemas.UsedBooks
	for i := 0; i < len(lines); i += 2 {
		if !bytes.Contains(body, []byte(lines[i])) {
			t.Fatalf("no line %q", lines[i])
		}
		body = bytes.Replace(body, []byte(lines[i]), []byte(lines[i+1]), 1)
	}
	j, err := verdict.NewJudge(body)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// commit is the commit of a book on a stored answer.
type commit struct {
	work   decide.Work
	answer decide.Answer
	at     time.Time
}

func (c commit) by(j *verdict.Judge) pipeline.Verdict {
	return decide.Commit(j, c.work, c.answer, nil, 7, c.at).Verdict
}

// sold publishes the deals of the books that the rules accept, as the committer does.
func sold(t testing.TB, d *desk.Desk, j *verdict.Judge) map[string]commit {
	t.Helper()
	out := map[string]commit{}
	for _, class := range []keepasim.Class{keepasim.Good} {
		for _, asin := range d.ASINs(class) {
			c := commit{work: d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), at: decide.Instant(d.Env.Now())}
			c.answer = decide.Answer{Key: asin, Body: d.Product(t, asin, true)}
			c.answer.ID = d.Store(t, pipeline.KindCommit, asin, c.work.ID, c.answer.Body, time.Minute)
			v := c.by(j)
			if v.Outcome != pipeline.Accept {
				continue
			}
			u := worker.Unit{Work: c.work, Origin: "SURVIVORS/1"}
			if err := d.Bus.PublishAll(t.Context(), u.Conclude(v, "").Messages); err != nil {
				t.Fatal(err)
			}
			out[asin] = c
		}
	}
	return out
}

// stand is how the deals stand by their streams: hidden_because and profit of each.
func stand(t testing.TB, b *bus.Bus) (hidden map[string]string, profit map[string]string) {
	t.Helper()
	var book visibility.Fold
	err := b.Scan(t.Context(), pipeline.StreamDeals, bus.From{}, func(r bus.Read) error {
		v, err := visibility.ReadVersion(r.Stored())
		book.Version(v)
		return err
	})
	if err == nil {
		err = messages.ScanVerdicts(t.Context(), b, bus.From{}, func(_ bus.Read, v visibility.Verdict) error {
			book.Verdict(v)
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	hidden, profit = map[string]string{}, map[string]string{}
	for _, s := range book.States() {
		hidden[s.ASIN] = s.HiddenBecause
	}
	for _, s := range book.Visible(time.Time{}) {
		profit[s.ASIN] = string(s.Members["profit_cents"])
	}
	return hidden, profit
}

// cost is what the newest version of each deal cost, in tokens.
func cost(t testing.TB, b *bus.Bus) map[string]int {
	t.Helper()
	out := map[string]int{}
	err := bus.ScanJSON(t.Context(), b, pipeline.StreamDeals, bus.From{}, func(_ bus.Read, f decide.Found) error {
		out[f.ASIN] = f.Tokens
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStoredDealsAreDecidedAgainAsTheirAnswersSay(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	first := judging(t)
	commits := sold(t, d, first)
	if len(commits) < 5 {
		t.Fatalf("%d deals", len(commits))
	}
	asins := slices.Sorted(maps.Keys(commits))
	// One is confirmed by a peek, one was rejected by a refresh.
	confirmed, other := asins[0], asins[1]
	refresh := func(asin string, outcome pipeline.Outcome, source *verdict.Judge) {
		t.Helper()
		w := d.Work(t, asin, pipeline.SourceRefresh, "refresh-1")
		body := d.Product(t, asin, false)
		a := decide.Answer{Key: asin, Body: body, ID: d.Store(t, pipeline.KindPeek, asin, w.ID, body, 0)}
		var f decide.Found
		if err := json.Unmarshal(commits[asin].by(first).Deal, &f); err != nil {
			t.Fatal(err)
		}
		v := decide.Peek(source, w, a, 1, f.Deal, d.Env.Now()).Verdict
		if v.Outcome != outcome {
			t.Fatalf("the refresh of %s: %s %s, want %s", asin, v.Outcome, v.Reason, outcome)
		}
		if err := d.Bus.PublishAll(t.Context(), worker.Unit{Work: w, Origin: "SURVIVORS/2"}.Conclude(v, "").Messages); err != nil {
			t.Fatal(err)
		}
	}
	refresh(confirmed, pipeline.Confirm, first)
	refresh(other, pipeline.Reject, judging(t, "min_sales_in_year: 1", "min_sales_in_year: 100000"))

	steps := 0
	again := func(j *verdict.Judge, version int) replay.Redecided {
		t.Helper()
		r, err := replay.Deals(t.Context(), d.Bus, j, version, func(s replay.Step) { steps = s.Seen })
		if err != nil {
			t.Fatal(err)
		}
		if r.Deals != len(commits) || r.Hidden+r.Offered+r.Recalculated+r.Kept+r.Other+r.Gone != r.Deals || r.Other != 1 || r.Gone != 0 || steps != r.Deals {
			t.Errorf("version %d: %+v of %d deals, last step %d", version, r, len(commits), steps)
		}
		return r
	}
	paid := cost(t, d.Bus)
	_, before := stand(t, d.Bus)
	if r := again(first, 1); r.Kept != len(commits)-1 {
		t.Errorf("the same rules change something: %+v", r)
	}

	strict := judging(t, "min_profit_cents: 300", "min_profit_cents: 2500", "max_loss_chance: 0.40", "max_loss_chance: 0.2")
	r := again(strict, 2)
	hidden, _ := stand(t, d.Bus)
	for asin, c := range commits {
		if v := c.by(strict); asin != other && asin != confirmed && (v.Outcome == pipeline.Reject) != (hidden[asin] != "") {
			t.Errorf("%s: %s %s, and it is hidden because of %q", asin, v.Outcome, v.Reason, hidden[asin])
		}
	}
	if r.Hidden == 0 || r.Kept == 0 || len(r.Reasons) == 0 {
		t.Errorf("nothing was hidden, or all: %+v", r)
	}
	if n := again(strict, 2); n.Hidden != 0 || n.Offered != 0 {
		t.Errorf("deciding again by the same version is not a repeat: %+v", n)
	}

	if back := again(first, 3); back.Offered != r.Hidden || back.Hidden != 0 {
		t.Errorf("the first rules again: %+v, hidden were %d", back, r.Hidden)
	}
	if _, after := stand(t, d.Bus); !maps.Equal(before, after) {
		t.Errorf("after a change and its reversal:\n%v\nwant\n%v", after, before)
	}

	dear := judging(t, "prep_cents: 275", "prep_cents: 375")
	if n := again(dear, 4); n.Recalculated == 0 || n.Kept != 0 {
		t.Errorf("other costs: %+v", n)
	}
	if is := cost(t, d.Bus); !maps.Equal(is, paid) || paid[asins[2]] != 7 {
		t.Errorf("the deals cost %v tokens, want what was paid, %v", is, paid)
	}
	_, after := stand(t, d.Bus)
	for asin, c := range commits {
		var f decide.Found
		v := c.by(dear)
		if asin == other || v.Deal == nil {
			continue
		}
		if err := json.Unmarshal(v.Deal, &f); err != nil || asin != confirmed && after[asin] != fmt.Sprint(f.ProfitCents) {
			t.Errorf("%s: profit %s by costs of 100 more, want %d (%v)", asin, after[asin], f.ProfitCents, err)
		}
	}
	if was, is := before[confirmed], after[confirmed]; was == is || is == "" {
		t.Errorf("the confirmed deal: profit %s became %s", was, is)
	}
}

func TestADealOfAnotherMarketplaceIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	first := judging(t)
	asin := d.ASINs(keepasim.Good)[0]
	c := commit{work: d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), at: decide.Instant(d.Env.Now())}
	c.work.Survivor.Domain = int(keepa.DomainDE)
	c.work.ID = c.work.Survivor.Identity.WorkID(pipeline.FirstGeneration)
	c.answer = decide.Answer{Key: asin, Body: d.Product(t, asin, true)}
	c.answer.ID = d.Store(t, pipeline.KindCommit, asin, c.work.ID, c.answer.Body, time.Minute)
	v := c.by(first)
	if v.Outcome != pipeline.Accept || v.Domain != int(keepa.DomainDE) {
		t.Fatalf("%s %s of marketplace %d", v.Outcome, v.Reason, v.Domain)
	}
	if err := d.Bus.PublishAll(t.Context(), worker.Unit{Work: c.work, Origin: "SURVIVORS/1"}.Conclude(v, "").Messages); err != nil {
		t.Fatal(err)
	}
	for version, j := range []*verdict.Judge{judging(t, "prep_cents: 275", "prep_cents: 375"), judging(t, "min_profit_cents: 300", "min_profit_cents: 1000000")} {
		r, err := replay.Deals(t.Context(), d.Bus, j, version+1, func(replay.Step) {})
		if err != nil || r.Deals != 1 || r.Other != 1 {
			t.Errorf("rules of amazon.com decide on a deal of amazon.de: %+v, %v", r, err)
		}
	}
}

func TestADealWithoutItsAnswersIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	sold(t, d, judging(t))
	s, err := d.Bus.JS.Stream(t.Context(), pipeline.StreamResponses)
	if err == nil {
		err = s.Purge(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	before, _ := stand(t, d.Bus)
	r, err := replay.Deals(t.Context(), d.Bus, judging(t, "prep_cents: 275", "prep_cents: 9999"), 1, func(replay.Step) {})
	if err != nil || r.Gone != r.Deals || r.Deals == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if after, _ := stand(t, d.Bus); !maps.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
}

// storedDeals is how many the numbers of rules apply are promised for.
const storedDeals = 10_000

// BenchmarkDeals decides 10,000 stored deals again: by other thresholds, and by other costs.
func BenchmarkDeals(b *testing.B) {
	d := desk.New(b, 1)
	first := judging(b)
	commits := sold(b, d, first)
	asins := slices.Sorted(maps.Keys(commits))
	var messages []bus.Message
	for i := range storedDeals {
		was := asins[i%len(asins)]
		asin := fmt.Sprintf("B%09d", i)
		c := commits[was]
		c.work.Survivor.ASIN, c.work.Row.ASIN = asin, asin
		c.work.ID = c.work.Survivor.Identity.WorkID(pipeline.FirstGeneration)
		body := bytes.ReplaceAll(c.answer.Body, []byte(was), []byte(asin))
		kept, err := responses.Put(b.Context(), d.Bus, []responses.Answer{{
			Domain: 1, Kind: pipeline.KindCommit, Key: asin, Body: body, Request: "/stored", RequestID: asin, WorkID: c.work.ID, Cost: 7, AnsweredAt: c.at,
		}})
		if err != nil {
			b.Fatal(err)
		}
		v := decide.Commit(first, c.work, kept[0].Evidence(), nil, 7, c.at).Verdict
		messages = append(messages, worker.Unit{Work: c.work, Origin: "SURVIVORS/1"}.Conclude(v, "").Messages...)
	}
	if err := d.Bus.PublishAll(b.Context(), messages); err != nil {
		b.Fatal(err)
	}
	for i, c := range []struct {
		name string
		j    *verdict.Judge
		most time.Duration
	}{
		{"thresholds", judging(b, "min_profit_cents: 300", "min_profit_cents: 2500"), 5 * time.Second},
		{"back", first, 5 * time.Second},
		{"settings", judging(b, "prep_cents: 275", "prep_cents: 375"), 20 * time.Second},
	} {
		begin := time.Now()
		r, err := replay.Deals(b.Context(), d.Bus, c.j, i+1, func(replay.Step) {})
		took := time.Since(begin)
		b.Logf("%s: %s: %+v", c.name, took.Round(10*time.Millisecond), r)
		b.ReportMetric(took.Seconds(), c.name+"-s")
		if err != nil || took > c.most {
			b.Errorf("%s took %s, want at most %s (%v)", c.name, took, c.most, err)
		}
	}
}
