// Package decide computes the verdict of a look on a unit of work.
//
// Live daemons and a replay both decide here: they pass the candidate, the stored answers and the instant, and
// equal arguments give equal bytes. Instants are whole milliseconds, as headers and ClickHouse store them.
package decide

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/shedding"
	"ratchet/pipeline/domain/verdict"
)

// Work is one candidate or survivor to decide about.
type Work struct {
	ID       string
	Survivor pipeline.Survivor // for a candidate only the candidate part is set
	Row      keepa.DealRow
}

// Answer is a stored answer as the input of a decision.
type Answer struct {
	ID   string // its sequence in RESPONSES
	Key  string // ASIN or seller id
	Body []byte // Keepa's JSON; null for a seller that Keepa does not know

	// EarlierAt is when a peek was answered that is about an earlier price of the work's book; zero for one that is
	// about the work's own price.
	EarlierAt time.Time
}

// Earlier reports whether an answer is about an earlier price than the work is: it came before the price began, and
// was not bought for the work.
func (w Work) Earlier(answeredAt time.Time, boughtFor string) bool {
	return boughtFor != w.ID && boughtFor != w.Survivor.AnswersOf && answeredAt.Before(w.Row.CreationDate.Time())
}

// Decision is a verdict with its by-products.
type Decision struct {
	Verdict pipeline.Verdict
	// Unreadable is why a stored answer could not be read; the verdict is then fail.
	Unreadable error
	// Changed are fields of an unexpected type that no rule needed.
	Changed []*keepa.TypeError
}

// ReasonNotFound is the reason of a fail for a product that Keepa does not know.
const ReasonNotFound = "not_found"

// ReasonShed is the reason of work that was given up without a look.
const ReasonShed = "shed_over_capacity"

// reasonUnreadable is the reason of a fail for a product whose JSON has an unexpected shape.
const reasonUnreadable = "product_unreadable"

// reasonConfirmed is the reason of a refreshed deal that ends at its peek.
const reasonConfirmed = "unchanged"

// Glance decides on the row alone.
func Glance(j *verdict.Judge, w Work, now time.Time) Decision {
	now = Instant(now)
	return Decision{Verdict: w.verdict(pipeline.LookGlance, j.Glance(w.Row, now), j.Version(), 0, w.Survivor.ResponseIDs, now), Changed: w.Row.Changed}
}

// Skip passes a candidate on to the commit without a peek.
func Skip(j *verdict.Judge, w Work, now time.Time) Decision {
	f := verdict.Finding{Outcome: pipeline.Survive, Reason: "skipped", Tier: pipeline.TierB}
	return Decision{Verdict: w.verdict(pipeline.LookPeek, f, j.Version(), 0, nil, Instant(now))}
}

// ReasonNoAnswer is the reason of a fail for work that was paid for as often as is allowed without a complete answer.
const ReasonNoAnswer = "no_answer"

// NoAnswer returns the verdict on work that may not be paid for again.
func NoAnswer(j *verdict.Judge, look pipeline.Look, w Work, now time.Time) Decision {
	f := verdict.Finding{Outcome: pipeline.Fail, Reason: ReasonNoAnswer}
	return Decision{Verdict: w.paid(look, f, j.Version(), 0, w.Survivor.ResponseIDs, Instant(now))}
}

// NotFound returns the verdict of a paid look at a product that Keepa does not know.
func NotFound(j *verdict.Judge, look pipeline.Look, w Work, tokens int, now time.Time) Decision {
	f := verdict.Finding{Outcome: pipeline.Fail, Reason: ReasonNotFound}
	return Decision{Verdict: w.paid(look, f, j.Version(), tokens, w.Survivor.ResponseIDs, Instant(now))}
}

// Shed returns the verdict on work below a line: it is not looked at,
// because the tokens suffice only for more valuable work.
func Shed(j *verdict.Judge, w Work, l shedding.Line, now time.Time) Decision {
	f := verdict.Finding{Outcome: pipeline.Shed, Reason: ReasonShed, Inputs: map[string]any{
		"line_cents": l.BelowCents, "waiting": l.Waiting, "decidable": l.Decidable, "patience_s": l.PatienceS,
	}}
	v := w.paid(pipeline.LookPeek, f, j.Version(), 0, w.Survivor.ResponseIDs, Instant(now))
	v.ExpectedValueCents = w.Survivor.ExpectedValueCents
	return Decision{Verdict: v}
}

// Peek decides on a product without offers. tokens is what this work paid for it. stored is the
// newest deal of the ASIN, nil without one: a refresh that finds it unchanged ends here.
//
// Of an answer about an earlier price, only the histories and averages count; current values are those of the row,
// which is newer. Its reject is heuristic: histories may have changed since.
func Peek(j *verdict.Judge, w Work, a Answer, tokens int, stored *deal.Deal, now time.Time) Decision {
	now = Instant(now)
	ids := append(w.Survivor.ResponseIDs[:len(w.Survivor.ResponseIDs):len(w.Survivor.ResponseIDs)], a.ID)
	product, err := keepa.DecodeProduct(a.Body)
	if err != nil {
		return Decision{Verdict: w.paid(pipeline.LookPeek, unreadable(), j.Version(), tokens, ids, now), Unreadable: err}
	}
	earlier := !a.EarlierAt.IsZero()
	if earlier {
		product = product.Repriced(&w.Row)
	}
	f := j.Peek(w.Row, product, now)
	if earlier && f.Kept != nil {
		f.Heuristic, f.Kept[verdict.InputAnswerAge] = f.Outcome == pipeline.Reject, int64(now.Sub(a.EarlierAt)/time.Second)
	}
	if f.Outcome == pipeline.Survive && w.Survivor.Source == pipeline.SourceRefresh && stored != nil {
		if confirmed, ok := j.Confirm(stored, w.Row, product, now); ok {
			confirmed.Reason, confirmed.Kept = reasonConfirmed, f.Kept
			f = confirmed
		}
	}
	r := Decision{Verdict: w.paid(pipeline.LookPeek, f, j.Version(), tokens, ids, now), Changed: product.Changed, Unreadable: unread(f, product)}
	if f.Deal != nil {
		r.Verdict.Deal = found(f.Deal, w.ID, r.Verdict)
	}
	return r
}

// spare is by how many percent a book may become cheaper before what an earlier answer concludes needs a new look.
const spare = 10

// EarlierRejects returns the reject of the work by an answer about an earlier price, with room to spare: it would also
// be rejected if the used price were lower by a tenth. If it is false, only a new peek can decide.
func EarlierRejects(j *verdict.Judge, w Work, a Answer, now time.Time) (Decision, bool) {
	used, known := w.Row.Current.Price(keepa.Used)
	if !known {
		return Decision{}, false
	}
	d := Peek(j, w, a, 0, nil, now)
	if d.Verdict.Outcome != pipeline.Reject {
		return Decision{}, false
	}
	w.Row.Current = slices.Clone(w.Row.Current)
	w.Row.Current[keepa.Used] = int(used * (100 - spare) / 100)
	return d, Peek(j, w, a, 0, nil, now).Verdict.Outcome == pipeline.Reject
}

// Commit decides on a product with offers and on the known sellers, in the
// order of their ids. tokens is the price of the look, sellers included.
func Commit(j *verdict.Judge, w Work, a Answer, sellers []Answer, tokens int, now time.Time) Decision {
	now = Instant(now)
	ids := append(w.Survivor.ResponseIDs[:len(w.Survivor.ResponseIDs):len(w.Survivor.ResponseIDs)], a.ID)
	product, err := keepa.DecodeProduct(a.Body)
	if err != nil {
		return Decision{Verdict: w.paid(pipeline.LookCommit, unreadable(), j.Version(), tokens, ids, now), Unreadable: err}
	}
	for _, s := range sellers {
		// The deal also rests on an answer that Keepa does not know the seller.
		ids = append(ids, s.ID)
	}
	f := j.Commit(w.Row, product, known(sellers, &product.Changed), now)
	r := Decision{Verdict: w.paid(pipeline.LookCommit, f, j.Version(), tokens, ids, now), Changed: product.Changed, Unreadable: unread(f, product)}
	if f.Outcome == pipeline.Accept && f.Deal != nil {
		r.Verdict.Deal = found(f.Deal, w.ID, r.Verdict)
	}
	return r
}

// Held decides again on a stored deal, from the peek that last confirmed it, for no token.
func Held(j *verdict.Judge, w Work, a Answer, stored *deal.Deal, now time.Time) Decision {
	now = Instant(now)
	product, err := keepa.DecodeProduct(a.Body)
	if err != nil {
		return Decision{Verdict: w.paid(pipeline.LookCommit, unreadable(), j.Version(), 0, w.Survivor.ResponseIDs, now), Unreadable: err}
	}
	f := j.Held(stored, w.Row, product, now)
	r := Decision{Verdict: w.paid(pipeline.LookCommit, f, j.Version(), 0, w.Survivor.ResponseIDs, now), Unreadable: unread(f, product)}
	if f.Deal != nil {
		r.Verdict.Deal = found(f.Deal, w.ID, r.Verdict)
	}
	return r
}

// Stored returns the verdict on a stored deal that was decided again from the inputs of its verdict.
// If accepted, the deal is unchanged except for the name of the rules that accept it now.
func Stored(j *verdict.Judge, w Work, f Found, t verdict.Redecision, inputs map[string]any, now time.Time) Decision {
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
	return Decision{Verdict: v}
}

// SellerRounds is how often one commit buys a seller: after one that the
// rules refuse, the next copy is considered, and its seller.
const SellerRounds = 3

// SellerWanted returns the seller of the copy that a product's deal would buy, if it is neither known nor
// asked for yet; "" without a deal, or when its seller is known. sellers are the answers so far.
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

// known decodes the sellers of answers. Fields of another type are added to changed, unless it is nil.
func known(answers []Answer, changed *[]*keepa.TypeError) map[string]keepa.Seller {
	sellers := make(map[string]keepa.Seller, len(answers))
	for _, a := range answers {
		seller, err := keepa.DecodeSeller(a.Body)
		if err != nil || NoSeller(a.Body) {
			continue
		}
		sellers[a.Key] = seller
		if changed != nil {
			*changed = append(*changed, seller.Changed...)
		}
	}
	return sellers
}

// NoSeller reports whether an answer means that the seller does not exist.
func NoSeller(body []byte) bool { return string(body) == "null" }

// Instant returns t as it is stored: UTC, whole milliseconds.
func Instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// unread returns why a rule could not read a history that it needs; nil if it could.
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

// paid returns a verdict of a look that costs tokens. A survivor of the
// peek has a lane, and a commit carries the expected value of the peek.
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

// Found is a deal as it is published: the economics and their basis.
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

// Identity returns the identity of the price that the deal is about.
func (f Found) Identity() pipeline.Identity {
	return pipeline.Identity{Domain: f.Domain, ASIN: f.ASIN, PriceType: f.PriceType, CreationDate: f.CreationDate}
}

// found returns the deal as it is published. It is about the price that the work is about, whatever the answer says of
// itself: streams, tables and lists find a deal's verdicts by that identity.
func found(d *deal.Deal, workID string, v pipeline.Verdict) json.RawMessage {
	d.Identify(v.Domain, v.PriceType, v.CreationDate)
	body, err := json.Marshal(Found{
		Deal: d, WorkID: workID, Queries: v.Queries, Source: v.Source, ListedAt: v.ListedAt,
		RuleSet: v.RuleSet, Tokens: v.TokensSpent, ResponseIDs: v.ResponseIDs,
	})
	if err != nil {
		panic(fmt.Sprintf("encode deal of %s: %v", v.ASIN, err)) // it holds nothing that JSON cannot encode
	}
	return body
}
