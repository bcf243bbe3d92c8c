package peeker

import (
	"errors"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
)

// repriced is a new price of a book, an hour old, and the peek of its earlier price, bought so long ago.
func (s stepper) repriced(class keepasim.Class, n int, source pipeline.Source, age time.Duration) (worker.Unit, string) {
	s.t.Helper()
	w := s.d.Work(s.t, s.d.ASINs(class)[n], source, pipeline.FirstGeneration)
	answer := s.d.Store(s.t, pipeline.KindPeek, w.Survivor.ASIN, w.ID, s.d.Product(s.t, w.Survivor.ASIN, false), age)
	w.Row.CreationDate = keepa.FromTime(s.env.Now().Add(-time.Hour))
	w.Survivor.CreationDate = int64(w.Row.CreationDate)
	w.ID = w.Survivor.WorkID(pipeline.FirstGeneration)
	return worker.Unit{Work: w, Deliveries: 1, Sequence: uint64(n + 1)}, answer
}

// decided stores the decision about the earlier price.
func (s stepper) decided(u worker.Unit, o pipeline.Outcome) {
	s.t.Helper()
	id := u.Identity()
	id.CreationDate -= 600
	m := pipeline.Seen{CreationDate: id.CreationDate, Look: pipeline.LookPeek, Outcome: o, Reason: "r", DecidedAt: s.env.Now(), RuleSet: "r"}
	if err := seen.Store(s.t.Context(), s.bus, id, m); err != nil {
		s.t.Fatal(err)
	}
}

func TestANewPriceOfARejectedBookIsRejectedByTheAnswerAboutItsEarlierPrice(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	for n, class := range []keepasim.Class{keepasim.NoRecentSale, keepasim.NoInferredSale, keepasim.NoProfit} {
		u, answer := s.repriced(class, n, []pipeline.Source{pipeline.SourceLive, pipeline.SourceGap, pipeline.SourceBackfill}[n], 5*time.Hour)
		s.decided(u, pipeline.Reject)
		for range 2 { // and if it is redelivered
			facts, paid := s.gathered(u)
			if paid != 0 {
				t.Fatalf("%s: paid %d", class, paid)
			}
			d := s.decide(u, facts[0])
			if len(d.Out) != 1 {
				t.Fatalf("%s: %+v", class, d)
			}
			v := d.Out[0].Verdict
			if v.Outcome != pipeline.Reject || v.Look != pipeline.LookPeek || !v.Heuristic || v.Tokens != 0 || !slices.Equal(v.ResponseIDs, []string{answer}) || v.RuleID == "" {
				t.Errorf("%s: %+v", class, v)
			}
			if err := worker.Apply(s.bus)(t.Context(), d.Out); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnAnswerAboutAnEarlierPriceDecidesNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		class   keepasim.Class
		source  pipeline.Source
		age     time.Duration
		decided pipeline.Outcome
		change  func(stepper, *worker.Unit)
	}{
		{"the histories let it pass", keepasim.Good, pipeline.SourceLive, 5 * time.Hour, pipeline.Reject, nil},
		{"a deal", keepasim.NoRecentSale, pipeline.SourceLive, 5 * time.Hour, pipeline.Accept, nil},
		{"a book of which nothing is remembered", keepasim.NoRecentSale, pipeline.SourceLive, 5 * time.Hour, "", nil},
		{"an answer of a day ago", keepasim.NoRecentSale, pipeline.SourceLive, 24 * time.Hour, pipeline.Reject, nil},
		{"a refresh", keepasim.NoRecentSale, pipeline.SourceRefresh, 5 * time.Hour, pipeline.Reject, nil},
		{"a repair", keepasim.NoRecentSale, pipeline.SourceRepair, 5 * time.Hour, pipeline.Reject, nil},
		{"a retry", keepasim.NoRecentSale, pipeline.SourceRetry, 5 * time.Hour, pipeline.Reject, nil},
		{"the operator pays", keepasim.NoRecentSale, pipeline.SourceLive, 5 * time.Hour, pipeline.Reject, func(_ stepper, u *worker.Unit) { u.Survivor.Pay = true }},
		{"switched off", keepasim.NoRecentSale, pipeline.SourceLive, 5 * time.Hour, pipeline.Reject, func(s stepper, _ *worker.Unit) { s.cfg.Earlier = 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openStepper(t)
			u, answer := s.repriced(c.class, 0, c.source, c.age)
			if c.decided != "" {
				s.decided(u, c.decided)
			}
			if c.change != nil {
				c.change(s, &u)
			}
			if facts, paid := s.gathered(u); paid != 1 || facts[0].Answer.ID == answer {
				t.Errorf("paid %d, and the answer is %s", paid, facts[0].Answer.ID)
			}
		})
	}
}

func TestWhatAnEarlierAnswerNoLongerRejectsIsRetriedAndDoesNotPass(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u, _ := s.repriced(keepasim.Good, 0, pipeline.SourceLive, 5*time.Hour) // other rules were applied since it was gathered
	stored, err := responses.Find(t.Context(), s.bus, 1, pipeline.KindPeek, []string{u.Survivor.ASIN})
	if err != nil {
		t.Fatal(err)
	}
	if d := s.decide(u, fact{Answer: stored[u.Survivor.ASIN]}); !errors.Is(d.Again, worker.ErrRules) || len(d.Out) != 0 {
		t.Errorf("%+v", d)
	}
}
