// Package decide turns what a look knows about a unit of work into its verdict.
//
// It is the one place where live daemons and a replay decide: both hand in the
// candidate, the stored answers and the instant, and equal arguments give equal
// bytes. Instants are whole milliseconds, as headers and ClickHouse keep them.
package decide

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/verdict"
)

// Work is one candidate or survivor in hand.
type Work struct {
	ID       string
	Survivor pipeline.Survivor // a candidate is a survivor of nothing
	Row      keepa.DealRow
}

// Answer is a stored answer as a decision sees it.
type Answer struct {
	ID   string // its sequence in RESPONSES
	Key  string // ASIN or seller id
	Body []byte // Keepa's JSON; null where Keepa knows no such seller
}

// Ruling is a verdict and what comes with it.
type Ruling struct {
	Verdict pipeline.Verdict
	// Unreadable is why a stored answer could not be read; the verdict is then fail.
	Unreadable error
	// Changed are fields whose type is not what it used to be and that no rule needed.
	Changed []*keepa.TypeError
}

// ReasonNotFound is why a product that Keepa does not know fails.
const ReasonNotFound = "not_found"

// ReasonShed is why work is given up that nobody looked at.
const ReasonShed = "shed_over_capacity"

// reasonUnreadable is why a product fails whose JSON is not what it used to be.
const reasonUnreadable = "product_unreadable"

// reasonConfirmed is why a refreshed deal ends at its peek.
const reasonConfirmed = "unchanged"

// Glance decides on the row alone.
func Glance(j *verdict.Judge, w Work, now time.Time) Ruling {
	now = Instant(now)
	return Ruling{Verdict: w.verdict(pipeline.LookGlance, j.Glance(w.Row, now), j.Version(), 0, w.Survivor.ResponseIDs, now), Changed: w.Row.Changed}
}

// Skip lets a candidate through to the commit unseen.
func Skip(j *verdict.Judge, w Work, now time.Time) Ruling {
	f := verdict.Finding{Outcome: pipeline.Survive, Reason: "skipped", Tier: pipeline.TierB}
	return Ruling{Verdict: w.verdict(pipeline.LookPeek, f, j.Version(), 0, nil, Instant(now))}
}

// ReasonNoAnswer is why work fails that was paid for as often as work may be, and no answer came whole.
const ReasonNoAnswer = "no_answer"

// NoAnswer is the verdict on work that may not be paid for again.
func NoAnswer(j *verdict.Judge, look pipeline.Look, w Work, now time.Time) Ruling {
	f := verdict.Finding{Outcome: pipeline.Fail, Reason: ReasonNoAnswer}
	return Ruling{Verdict: w.paid(look, f, j.Version(), 0, w.Survivor.ResponseIDs, Instant(now))}
}

// NotFound is the verdict of a paid look at a product that Keepa does not know.
func NotFound(j *verdict.Judge, look pipeline.Look, w Work, tokens int, now time.Time) Ruling {
	f := verdict.Finding{Outcome: pipeline.Fail, Reason: ReasonNotFound}
	return Ruling{Verdict: w.paid(look, f, j.Version(), tokens, w.Survivor.ResponseIDs, Instant(now))}
}

// Shed is the verdict on work that lies under a line: it is not looked at, because
// tokens suffice only for what is worth more.
func Shed(j *verdict.Judge, w Work, l shedding.Line, now time.Time) Ruling {
	f := verdict.Finding{Outcome: pipeline.Shed, Reason: ReasonShed, Inputs: map[string]any{
		"line_cents": l.BelowCents, "waiting": l.Waiting, "decidable": l.Decidable, "patience_s": l.PatienceS,
	}}
	v := w.paid(pipeline.LookPeek, f, j.Version(), 0, w.Survivor.ResponseIDs, Instant(now))
	v.ExpectedValueCents = w.Survivor.ExpectedValueCents
	return Ruling{Verdict: v}
}

// Peek decides on a product without offers, for which this work paid so many
// tokens. stored is the newest deal of the ASIN, nil without one: a refresh that
// finds it unchanged ends here.
func Peek(j *verdict.Judge, w Work, a Answer, tokens int, stored *deal.Deal, now time.Time) Ruling {
	now = Instant(now)
	ids := append(w.Survivor.ResponseIDs[:len(w.Survivor.ResponseIDs):len(w.Survivor.ResponseIDs)], a.ID)
	product, err := keepa.DecodeProduct(a.Body)
	if err != nil {
		return Ruling{Verdict: w.paid(pipeline.LookPeek, unreadable(), j.Version(), tokens, ids, now), Unreadable: err}
	}
	f := j.Peek(w.Row, product, now)
	if f.Outcome == pipeline.Survive && w.Survivor.Source == pipeline.SourceRefresh && stored != nil {
		if confirmed, ok := j.Confirm(stored, w.Row, product, now); ok {
			confirmed.Reason, confirmed.Kept = reasonConfirmed, f.Kept
			f = confirmed
		}
	}
	r := Ruling{Verdict: w.paid(pipeline.LookPeek, f, j.Version(), tokens, ids, now), Changed: product.Changed, Unreadable: unread(f, product)}
	if f.Deal != nil {
		r.Verdict.Deal = found(f.Deal, w.ID, r.Verdict)
	}
	return r
}

// Commit decides on a product with offers and on the sellers that are known, in
// the order of their ids. tokens is what the look cost, sellers included.
func Commit(j *verdict.Judge, w Work, a Answer, sellers []Answer, tokens int, now time.Time) Ruling {
	now = Instant(now)
	ids := append(w.Survivor.ResponseIDs[:len(w.Survivor.ResponseIDs):len(w.Survivor.ResponseIDs)], a.ID)
	product, err := keepa.DecodeProduct(a.Body)
	if err != nil {
		return Ruling{Verdict: w.paid(pipeline.LookCommit, unreadable(), j.Version(), tokens, ids, now), Unreadable: err}
	}
	for _, s := range sellers {
		// Also that Keepa knows no such seller is an answer that the deal rests on.
		ids = append(ids, s.ID)
	}
	f := j.Commit(w.Row, product, known(sellers, &product.Changed), now)
	r := Ruling{Verdict: w.paid(pipeline.LookCommit, f, j.Version(), tokens, ids, now), Changed: product.Changed, Unreadable: unread(f, product)}
	if f.Outcome == pipeline.Accept && f.Deal != nil {
		r.Verdict.Deal = found(f.Deal, w.ID, r.Verdict)
	}
	return r
}

// Held decides again on a stored deal, on the peek that last confirmed it, for no token.
func Held(j *verdict.Judge, w Work, a Answer, stored *deal.Deal, now time.Time) Ruling {
	now = Instant(now)
	product, err := keepa.DecodeProduct(a.Body)
	if err != nil {
		return Ruling{Verdict: w.paid(pipeline.LookCommit, unreadable(), j.Version(), 0, w.Survivor.ResponseIDs, now), Unreadable: err}
	}
	f := j.Held(stored, w.Row, product, now)
	r := Ruling{Verdict: w.paid(pipeline.LookCommit, f, j.Version(), 0, w.Survivor.ResponseIDs, now), Unreadable: unread(f, product)}
	if f.Deal != nil {
		r.Verdict.Deal = found(f.Deal, w.ID, r.Verdict)
	}
	return r
}

// Stored is the verdict on a stored deal that was decided again from the inputs that its verdict kept. Accepted it is
// the deal as it was, under the name of the rules that accept it now.
func Stored(j *verdict.Judge, w Work, f Found, t verdict.Thought, inputs map[string]any, now time.Time) Ruling {
	v := w.paid(pipeline.LookCommit, verdict.Finding{
		Outcome: t.Outcome, Reason: t.Reason, RuleID: t.RuleID, Heuristic: t.Heuristic, Unknown: t.Unknown, Kept: inputs,
	}, j.Version(), 0, w.Survivor.ResponseIDs, Instant(now))
	profit := f.ProfitCents
	v.ProfitCents = &profit
	if t.Outcome == pipeline.Accept {
		d := *f.Deal
		d.RuleSet = j.Version()
		v.Deal = found(&d, w.ID, v)
	}
	return Ruling{Verdict: v}
}

// SellerRounds is how many sellers one commit asks for at most: a seller that the rules refuse leaves the next copy to
// be looked at, and its seller.
const SellerRounds = 3

// SellerWanted is the seller of the copy that a product's deal would buy, if neither known nor asked for yet; ""
// where there is no deal, or its seller is known. sellers are the answers so far.
func SellerWanted(j *verdict.Judge, w Work, body []byte, sellers []Answer, now time.Time) string {
	product, err := keepa.DecodeProduct(body)
	if err != nil {
		return ""
	}
	var asked []string
	for _, s := range sellers {
		asked = append(asked, s.Key)
	}
	return j.SellerWanted(w.Row, product, known(sellers, nil), asked, Instant(now))
}

// known are the sellers that answers tell of. Fields of another type are noted in changed, if it is given.
func known(answers []Answer, changed *[]*keepa.TypeError) map[string]keepa.Seller {
	sellers := make(map[string]keepa.Seller, len(answers))
	for _, a := range answers {
		seller, err := keepa.DecodeSeller(a.Body)
		if err != nil || Nobody(a.Body) {
			continue
		}
		sellers[a.Key] = seller
		if changed != nil {
			*changed = append(*changed, seller.Changed...)
		}
	}
	return sellers
}

// Nobody reports whether an answer says that there is no such seller.
func Nobody(body []byte) bool { return string(body) == "null" }

// Instant is t as it is stored: UTC, whole milliseconds.
func Instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// unread is why a rule could not read a history that it needs; nil where it could.
func unread(f verdict.Finding, p keepa.Product) error {
	if f.Outcome != pipeline.Fail || f.Reason != verdict.ReasonUnreadable {
		return nil
	}
	for t := range keepa.PriceTypes {
		if _, err := p.Series(keepa.PriceType(t)); err != nil {
			return err
		}
	}
	return errors.New(f.Says)
}

func unreadable() verdict.Finding {
	return verdict.Finding{Outcome: pipeline.Fail, Reason: reasonUnreadable}
}

// paid is a verdict of a look that costs tokens. A survivor of the peek has a
// lane, and a commit carries what the peek expected.
func (w Work) paid(look pipeline.Look, f verdict.Finding, ruleSet string, tokens int, ids []string, now time.Time) pipeline.Verdict {
	v := w.verdict(look, f, ruleSet, tokens, ids, now)
	switch look {
	case pipeline.LookPeek:
		if v.Outcome == pipeline.Survive && v.Tier == "" {
			v.Tier = pipeline.TierC
		}
	case pipeline.LookCommit:
		v.Tier, v.ExpectedValueCents = w.Survivor.Tier, w.Survivor.ExpectedValueCents
	case pipeline.LookList, pipeline.LookGlance:
	}
	return v
}

func (w Work) verdict(look pipeline.Look, f verdict.Finding, ruleSet string, tokens int, ids []string, now time.Time) pipeline.Verdict {
	v := pipeline.Verdict{
		Identity: w.Survivor.Identity, Look: look, Outcome: f.Outcome, Reason: f.Reason, RuleID: f.RuleID, RuleSet: ruleSet,
		Heuristic: f.Heuristic, Inputs: f.Inputs, Unknown: orNone(f.Unknown), Source: w.Survivor.Source, Tier: f.Tier,
		Queries: w.Survivor.Queries, RootCategory: w.Row.RootCategory, ListedAt: Instant(w.Survivor.ListSeenAt), DecidedAt: now,
		Tokens: tokens, TokensSpent: w.Survivor.TokensSpent + tokens, ResponseIDs: orNone(ids), Title: w.Row.Title,
	}
	if f.Kept != nil {
		v.Inputs = f.Kept
	}
	if v.Inputs == nil {
		v.Inputs = map[string]any{}
	}
	if f.ExpectedKnown {
		v.ExpectedValueCents = &f.ExpectedValueCents
	}
	if f.ProfitKnown {
		v.ProfitCents = &f.ProfitCents
	}
	return v
}

func orNone(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Found is a deal as it is published: the economics, and what they rest on.
type Found struct {
	*deal.Deal
	WorkID      string          `json:"work_id"`
	Queries     []string        `json:"queries"`
	Source      pipeline.Source `json:"source"`
	ListedAt    time.Time       `json:"listed_at"`
	RuleSet     string          `json:"rule_set"`
	Tokens      int             `json:"tokens"` // all looks of this work
	ResponseIDs []string        `json:"response_ids"`
}

// Identity is the price that the deal is about.
func (f Found) Identity() pipeline.Identity {
	return pipeline.Identity{Domain: f.Domain, ASIN: f.ASIN, PriceType: f.PriceType, CreationDate: f.CreationDate}
}

func found(d *deal.Deal, workID string, v pipeline.Verdict) json.RawMessage {
	body, err := json.Marshal(Found{
		Deal: d, WorkID: workID, Queries: v.Queries, Source: v.Source, ListedAt: v.ListedAt,
		RuleSet: v.RuleSet, Tokens: v.TokensSpent, ResponseIDs: v.ResponseIDs,
	})
	if err != nil {
		panic(fmt.Sprintf("encode deal of %s: %v", v.ASIN, err)) // it holds nothing that JSON cannot
	}
	return body
}
