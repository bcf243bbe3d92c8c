package decide_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// book is a good book of the simulated list, its peek and its full record.
type book struct {
	judge      *verdict.Judge
	work       decide.Work
	peek, full []byte
}

func ask(t *testing.T, sim http.Handler, path string, form url.Values) []byte {
	t.Helper()
	form.Set("key", "k")
	form.Set("domain", "1")
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+form.Encode(), nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %.300s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

var backlog = sync.OnceValue(func() *keepasim.Backlog { return keepasim.Backlog400(1) })

func aBook(t *testing.T) book {
	t.Helper()
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	query, err := keepa.ParseQuery("used-books", schemas.UsedBooksQuery)
	if err != nil {
		t.Fatal(err)
	}
	world := backlog()
	sim := keepasim.New(keepasim.Options{Now: func() time.Time { return t0 }, Seed: 1, Rate: 5000, Catalogue: world, Instant: true})
	sim.Start(t0)
	page, err := keepa.DecodeDealPage(ask(t, sim, "/deal", url.Values{"selection": {string(query.Encode(0))}}))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(page.Rows, func(r keepa.DealRow) bool { return world.Truth(r.ASIN) == keepasim.Good })
	row := page.Rows[i]
	product := func(offers string) []byte {
		form := url.Values{"asin": {row.ASIN}, "stats": {"365"}, "history": {"1"}}
		if offers != "" {
			form.Set("offers", offers)
		}
		_, raw, err := keepa.SplitProducts(ask(t, sim, "/product", form))
		if err != nil || len(raw) != 1 {
			t.Fatal(len(raw), err)
		}
		return raw[0].Body
	}
	id := pipeline.Identity{Domain: 1, ASIN: row.ASIN, PriceType: int(keepa.Used), CreationDate: int64(row.CreationDate)}
	return book{judge: judge, peek: product(""), full: product("20"), work: decide.Work{ID: "w", Row: row, Survivor: pipeline.Survivor{
		Candidate: pipeline.Candidate{Identity: id, Source: pipeline.SourceLive, ListSeenAt: t0, Row: row.Raw},
	}}}
}

func TestADealCountsTheTokensAndTheAnswersOfEveryLook(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	p := decide.Peek(b.judge, b.work, decide.Answer{ID: "7", Key: b.work.Row.ASIN, Body: b.peek}, 1, nil, t0).Verdict
	if p.Outcome != pipeline.Survive || p.Tokens != 1 || p.TokensSpent != 1 || !slices.Equal(p.ResponseIDs, []string{"7"}) || p.Tier == "" {
		t.Fatalf("peek: %+v", p)
	}
	w := b.work
	w.Survivor.TokensSpent, w.Survivor.ResponseIDs, w.Survivor.Tier = p.TokensSpent, p.ResponseIDs, p.Tier
	w.Survivor.ResponseIDs = append(make([]string, 0, 8), p.ResponseIDs...) // room that two decisions must not share
	sellers := []decide.Answer{{ID: "9", Key: "A2", Body: []byte("null")}}
	c := decide.Commit(b.judge, w, decide.Answer{ID: "8", Body: b.full}, sellers, 7, t0).Verdict
	again := decide.Commit(b.judge, w, decide.Answer{ID: "18", Body: b.full}, nil, 6, t0).Verdict
	if c.Outcome != pipeline.Accept || c.Tokens != 7 || c.TokensSpent != 8 || !slices.Equal(c.ResponseIDs, []string{"7", "8", "9"}) || c.Tier != p.Tier {
		t.Fatalf("commit: %+v", c)
	}
	if !slices.Equal(again.ResponseIDs, []string{"7", "18"}) {
		t.Errorf("a second decision rests on %v", again.ResponseIDs)
	}
	var d decide.Found
	if err := json.Unmarshal(c.Deal, &d); err != nil || d.Tokens != 8 || d.WorkID != "w" || !slices.Equal(d.ResponseIDs, c.ResponseIDs) || d.Identity() != b.work.Survivor.Identity {
		t.Errorf("the deal says %+v, %v", d, err)
	}
	if v := decide.Skip(b.judge, b.work, t0).Verdict; v.Outcome != pipeline.Survive || v.Tier != pipeline.TierB || v.Tokens != 0 {
		t.Errorf("skipped: %+v", v)
	}
	if v := decide.NotFound(b.judge, pipeline.LookPeek, w, 1, t0).Verdict; v.Outcome != pipeline.Fail || v.TokensSpent != 2 || v.Reason != decide.ReasonNotFound {
		t.Errorf("not found: %+v", v)
	}
}

func TestACommitSaysWhatItsPeekExpectedAndNotWhatItFound(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	for _, expected := range []*int64{new(int64(123)), nil} {
		b.work.Survivor.ExpectedValueCents = expected
		v := decide.Commit(b.judge, b.work, decide.Answer{ID: "8", Body: b.full}, nil, 6, t0).Verdict
		if v.Outcome != pipeline.Accept || v.ProfitCents == nil || (v.ExpectedValueCents == nil) != (expected == nil) || expected != nil && *v.ExpectedValueCents != *expected {
			t.Errorf("%s with a profit of %v, expected %v: the verdict says %v", v.Outcome, v.ProfitCents, expected, v.ExpectedValueCents)
		}
	}
}

// Verdicts have the identity of the work, so a deal with another one would never be hidden.
func TestADealHasTheIdentityOfItsWork(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	b.work.Survivor.Domain, b.work.Survivor.PriceType = 3, 32
	nameless := bytes.Replace(b.full, []byte(`"domainId":1`), []byte(`"domainId":null`), 1)
	for name, body := range map[string][]byte{"as answered": b.full, "without a domain": nameless} {
		v := decide.Commit(b.judge, b.work, decide.Answer{ID: "8", Body: body}, nil, 6, t0).Verdict
		var d decide.Found
		if err := json.Unmarshal(v.Deal, &d); err != nil || d.Identity() != b.work.Survivor.Identity {
			t.Errorf("%s: %+v, %v", name, d.Identity(), err)
		}
	}
}

func TestOnlyARefreshOfAStoredDealIsConfirmed(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	c := decide.Commit(b.judge, b.work, decide.Answer{ID: "8", Body: b.full}, nil, 6, t0).Verdict
	var stored deal.Deal
	if err := json.Unmarshal(c.Deal, &stored); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name   string
		source pipeline.Source
		stored *deal.Deal
		want   pipeline.Outcome
	}{
		{"a refresh of a deal", pipeline.SourceRefresh, &stored, pipeline.Confirm},
		{"a refresh without a deal", pipeline.SourceRefresh, nil, pipeline.Survive},
		{"a new price of a deal", pipeline.SourceLive, &stored, pipeline.Survive},
	} {
		w := b.work
		w.Survivor.Source = x.source
		v := decide.Peek(b.judge, w, decide.Answer{ID: "9", Body: b.peek}, 1, x.stored, t0).Verdict
		if v.Outcome != x.want || (v.Deal != nil) != (x.want == pipeline.Confirm) {
			t.Errorf("%s: %s (%s), want %s", x.name, v.Outcome, v.Reason, x.want)
		}
	}
}

func TestAnAnswerThatCannotBeReadFails(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	for name, r := range map[string]decide.Decision{
		"peek":   decide.Peek(b.judge, b.work, decide.Answer{ID: "1", Body: []byte("[]")}, 1, nil, t0),
		"commit": decide.Commit(b.judge, b.work, decide.Answer{ID: "1", Body: []byte("[]")}, nil, 6, t0),
		"held":   decide.Held(b.judge, b.work, decide.Answer{ID: "1", Body: []byte("[]")}, nil, t0),
	} {
		if r.Verdict.Outcome != pipeline.Fail || r.Verdict.Reason != "product_unreadable" || r.Unreadable == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestASellerIsWantedUntilItWasAskedFor(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	id := decide.SellerWanted(b.judge, b.work, b.full, nil, t0)
	if id == "" {
		t.Fatal("the deal wants no seller")
	}
	if again := decide.SellerWanted(b.judge, b.work, b.full, []decide.Answer{{ID: "4", Key: id, Body: []byte("null")}}, t0); again == id {
		t.Errorf("%s is asked for again", again)
	}
}

// cheaper returns the work with another used price.
func cheaper(w decide.Work, cents int) decide.Work {
	w.Row.Current = slices.Clone(w.Row.Current)
	w.Row.Current[keepa.Used] = cents
	return w
}

func TestAnEarlierAnswerDecidesAtThePriceOfTheRow(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	a := decide.Answer{ID: "7", Key: b.work.Row.ASIN, Body: b.peek, EarlierAt: t0.Add(-time.Hour)}
	used, _ := b.work.Row.Current.Price(keepa.Used)
	within := 0
	for cents := int(used) * 20; cents > int(used)/2; cents = cents * 99 / 100 {
		w := cheaper(b.work, cents)
		v, tenth := decide.Peek(b.judge, w, a, 0, nil, t0).Verdict, decide.Peek(b.judge, cheaper(w, cents*90/100), a, 0, nil, t0).Verdict
		rejected := v.Outcome == pipeline.Reject
		if age := v.Inputs[verdict.InputAnswerAge]; v.Heuristic != rejected || age != int64(3600) || v.Tokens != 0 {
			t.Fatalf("%d cents: %+v", cents, v)
		}
		d, got := decide.EarlierRejects(b.judge, w, a, t0)
		if want := rejected && tenth.Outcome == pipeline.Reject; got != want || want && !reflect.DeepEqual(d.Verdict, v) {
			t.Errorf("%d cents: rejected %t, and a tenth cheaper %t; it ends there: %t", cents, rejected, tenth.Outcome == pipeline.Reject, got)
		}
		if rejected && tenth.Outcome != pipeline.Reject {
			within++
		}
	}
	if within == 0 {
		t.Error("no price is rejected that would pass if it were lower by a tenth")
	}
	own := a
	own.EarlierAt = time.Time{}
	v := decide.Peek(b.judge, cheaper(b.work, int(used)*20), own, 1, nil, t0).Verdict
	if _, is := v.Inputs[verdict.InputAnswerAge]; v.Outcome != pipeline.Survive || is {
		t.Errorf("its own answer has the newer price: %s (%s)", v.Outcome, v.Reason)
	}
}

func TestAnEarlierAnswerDecidesNothingForARowWithoutAUsedPrice(t *testing.T) {
	t.Parallel()
	b := aBook(t)
	a := decide.Answer{ID: "7", Key: b.work.Row.ASIN, Body: b.peek, EarlierAt: t0.Add(-time.Hour)}
	used, _ := b.work.Row.Current.Price(keepa.Used)
	dear := cheaper(b.work, int(used)*20)
	if _, rejects := decide.EarlierRejects(b.judge, dear, a, t0); !rejects {
		t.Fatal("the price of the row is not rejected")
	}
	dear.Row.Current[keepa.Used] = -1
	if _, rejects := decide.EarlierRejects(b.judge, dear, a, t0); rejects {
		t.Error("it decides at its own, earlier price")
	}
}

func TestAnAnswerIsAboutAnEarlierPriceUnlessItWasBoughtForTheWork(t *testing.T) {
	t.Parallel()
	w := aBook(t).work
	w.Survivor.AnswersOf = "before"
	began := w.Row.CreationDate.Time()
	for _, c := range []struct {
		at      time.Time
		work    string
		earlier bool
	}{
		{began.Add(-time.Minute), "other", true},
		{began, "other", false},
		{began.Add(time.Hour), "other", false},
		{began.Add(-time.Minute), w.ID, false},
		{began.Add(-time.Minute), "before", false},
	} {
		if got := w.Earlier(c.at, c.work); got != c.earlier {
			t.Errorf("%s for %q: %t", c.at, c.work, got)
		}
	}
}
