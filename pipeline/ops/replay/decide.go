package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
)

// decided is the replay's decision about one live verdict.
type decided struct {
	outcome    pipeline.Outcome
	reason     string
	profit     *int64
	fromInputs bool
	lost       string // why it was not decided again
	message    bus.Message
}

// Why a verdict is not decided again.
const (
	lostRow    = "the survivor that was decided has left SURVIVORS"
	lostAnswer = "an answer that it is based on has left RESPONSES"
	lostLook   = "it is based on no answer: Keepa was not called"
	lostBroken = "the verdict or its evidence cannot be read"
)

// decider is one worker's judge and its reusable buffers.
type decider struct {
	run    string
	look   pipeline.Look
	made   uint32 // when VERDICTS was created
	judge  *verdict.Judge
	second *verdict.Redecider
	body   []byte
}

func newDecider(o Options, j *verdict.Judge, made uint32) *decider {
	return &decider{run: o.Run, look: o.Look, made: made, judge: j.Alone(), second: j.Redecider(o.Look)}
}

// fromInputs decides from the inputs that the verdict kept; false if those do not suffice.
func (b *decider) fromInputs(p *original) (decided, bool) {
	t, ok := b.redecide(p)
	return decided{outcome: t.Outcome, reason: t.Reason, profit: p.profit, fromInputs: true}, ok
}

func (b *decider) redecide(p *original) (verdict.Redecision, bool) {
	if p.lost != "" || !verdict.SameInputs(p.ruleSet, b.judge.Version()) {
		return verdict.Redecision{}, false
	}
	t, ok := b.second.Decide(p.inputs)
	switch {
	case !ok, b.look == pipeline.LookPeek && p.source == pipeline.SourceRefresh && t.Outcome == pipeline.Survive:
		return t, false // a refresh is confirmed against its deal
	case t.Outcome == pipeline.Accept && p.outcome != pipeline.Accept:
		return t, false // a new deal is made from the product
	}
	return t, true
}

// writeInputs writes the verdict of a decision from inputs, once all of the live
// verdict was read.
func (b *decider) writeInputs(p *original) decided {
	t, ok := b.redecide(p)
	if !ok {
		return decided{lost: lostBroken}
	}
	return b.fromRedecision(p, t)
}

// fromRedecision writes the verdict of a decision from inputs.
func (b *decider) fromRedecision(p *original, t verdict.Redecision) decided {
	d := decided{outcome: t.Outcome, reason: t.Reason, profit: p.profit, fromInputs: true}
	if p.full == nil && t.Outcome == p.outcome && t.Reason == p.reason && t.RuleID == p.ruleID && t.Heuristic == p.heuristic &&
		b.second.AllKept() && slices.Equal(t.Unknown, p.unknown) {
		// Only the name of the rules differs, and a deal repeats it.
		d.message = b.message(p, t.Outcome, p.body)
		if p.ruleSet != b.judge.Version() {
			d.message.Body = bytes.ReplaceAll(p.body, ruleSetMember(p.ruleSet), ruleSetMember(b.judge.Version()))
		}
		return d
	}
	v, err := p.verdict()
	if err != nil {
		return decided{lost: lostBroken}
	}
	if t.Outcome != v.Outcome {
		v.Deal = nil
	}
	v.Deal = bytes.ReplaceAll(v.Deal, ruleSetMember(p.ruleSet), ruleSetMember(b.judge.Version()))
	v.Outcome, v.Reason, v.RuleID, v.Heuristic, v.RuleSet = t.Outcome, t.Reason, t.RuleID, t.Heuristic, b.judge.Version()
	v.Inputs, v.Unknown = b.second.Kept(), append([]string{}, t.Unknown...) // [] rather than null
	return b.encode(p, v, d)
}

func ruleSetMember(version string) []byte { return []byte(`"rule_set":"` + version + `"`) }

// verdict returns the live verdict without its inputs.
func (p *original) verdict() (pipeline.Verdict, error) {
	if p.full != nil {
		return *p.full, nil
	}
	var v pipeline.Verdict
	err := json.Unmarshal(p.body, &v)
	v.Inputs = nil
	return v, err
}

// encode encodes a verdict of the run.
func (b *decider) encode(p *original, v pipeline.Verdict, d decided) decided {
	body, err := json.Marshal(v)
	if err != nil {
		return decided{lost: lostBroken}
	}
	d.outcome, d.reason, d.profit = v.Outcome, v.Reason, v.ProfitCents
	d.message = b.message(p, v.Outcome, body)
	return d
}

// message returns a verdict of the run: as of the same instant as the live one, about the
// same survivor, with an id of the run.
func (b *decider) message(p *original, outcome pipeline.Outcome, body []byte) bus.Message {
	header := map[string]string{
		pipeline.HeaderAt: p.decidedAt.Format(pipeline.TimeFormat), pipeline.HeaderWas: p.was(), pipeline.HeaderOrigin: p.origin,
	}
	if p.made == 0 || p.made == b.made { // a sequence of an earlier stream is another verdict in this one
		header[pipeline.HeaderAgain] = messages.Origin(pipeline.StreamVerdicts, p.seq)
	}
	return bus.Message{
		Subject: pipeline.SubjectVerdict(p.domain, b.look, outcome, p.asin), Schema: pipeline.SchemaVerdict,
		ID: pipeline.Verdict{Look: b.look}.ID(b.run, p.work), WorkID: p.work, Run: b.run, Body: body, Header: header,
	}
}

// evidence is what a live verdict was based on, as stored in the streams.
type evidence struct {
	work   decide.Work
	lost   string
	answer *bus.Read // the product; nil if Keepa did not find it
	more   []bus.Read
	deal   *deal.Deal // that a refresh was compared with
}

// fromAnswers decides from the answers that the live verdict was based on.
func (b *decider) fromAnswers(ctx context.Context, p *original, e evidence, find sellerFinder) (decided, error) {
	if e.lost != "" {
		return decided{lost: e.lost}, nil
	}
	if b.look == pipeline.LookGlance {
		return b.encode(p, decide.Glance(b.judge, e.work, p.decidedAt).Verdict, decided{}), nil
	}
	if e.answer == nil && p.reason == decide.ReasonNoAnswer {
		return b.encode(p, decide.NoAnswer(b.judge, b.look, e.work, p.decidedAt).Verdict, decided{}), nil
	}
	if e.answer == nil {
		return b.encode(p, decide.NotFound(b.judge, b.look, e.work, p.tokens, p.decidedAt).Verdict, decided{}), nil
	}
	product, err := b.open(e.answer, &b.body)
	if err != nil {
		return decided{lost: lostBroken}, nil //nolint:nilerr // it is counted
	}
	if b.look == pipeline.LookPeek {
		at, err := time.Parse(pipeline.TimeFormat, e.answer.Header.Get(pipeline.HeaderAnsweredAt))
		if err == nil && e.work.Earlier(at, e.answer.Header.Get(pipeline.HeaderWorkID)) {
			product.EarlierAt = at
		}
		return b.encode(p, decide.Peek(b.judge, e.work, product, p.tokens, e.deal, p.decidedAt).Verdict, decided{}), nil
	}
	var sellers []decide.Answer
	for i := range e.more {
		var own []byte
		s, err := b.open(&e.more[i], &own)
		if err != nil {
			return decided{lost: lostBroken}, nil //nolint:nilerr // it is counted
		}
		sellers = append(sellers, s)
	}
	r := decide.Commit(b.judge, e.work, product, sellers, p.tokens, p.decidedAt)
	if r.Verdict.Outcome == pipeline.Accept && p.outcome != pipeline.Accept && len(sellers) == 0 {
		// The seller of a rejected copy was never requested; one stored for another deal may serve.
		if sellers, err = b.sellers(ctx, p, e.work, product, find); err != nil {
			return decided{}, err
		}
		if len(sellers) > 0 {
			r = decide.Commit(b.judge, e.work, product, sellers, p.tokens, p.decidedAt)
		}
	}
	return b.encode(p, r.Verdict, decided{}), nil
}

// open decompresses an answer into buf.
func (b *decider) open(r *bus.Read, buf *[]byte) (decide.Answer, error) {
	body, err := responses.UnpackInto(*buf, r.Body)
	if err != nil {
		return decide.Answer{}, err
	}
	*buf = body
	return decide.Answer{
		ID: strconv.FormatUint(r.Sequence, 10), Key: r.Subject[strings.LastIndexByte(r.Subject, '.')+1:], Body: body,
	}, nil
}

// sellerFinder returns the newest stored answers about sellers as of the run's start.
type sellerFinder func(ctx context.Context, domain int, ids []string) ([]bus.Read, error)

// sellerFresh is the maximum age of an answer about a seller.
const sellerFresh = 7 * 24 * time.Hour

// sellers returns the stored, fresh answers about the sellers of a newly found deal.
func (b *decider) sellers(ctx context.Context, p *original, w decide.Work, product decide.Answer, find sellerFinder) ([]decide.Answer, error) {
	var out []decide.Answer
	for {
		id := decide.SellerWanted(b.judge, w, product.Body, out, p.decidedAt)
		if id == "" {
			return out, nil
		}
		found, err := find(ctx, p.domain, []string{id})
		if err != nil {
			return nil, err
		}
		fresh, ok := b.freshSeller(p, found)
		if !ok {
			return out, nil
		}
		out = append(out, fresh)
	}
}

// freshSeller returns the answer about a seller that was fresh at the time of the decision; false without one.
func (b *decider) freshSeller(p *original, found []bus.Read) (decide.Answer, bool) {
	for i := range found {
		at, err := time.Parse(pipeline.TimeFormat, found[i].Header.Get(pipeline.HeaderAnsweredAt))
		if err != nil || p.decidedAt.Sub(at) >= sellerFresh {
			continue
		}
		var own []byte
		if a, err := b.open(&found[i], &own); err == nil {
			return a, true
		}
	}
	return decide.Answer{}, false
}

// storedSellers reads RESPONSES as of a sequence.
func storedSellers(b *bus.Bus, until uint64) sellerFinder {
	return func(ctx context.Context, domain int, ids []string) ([]bus.Read, error) {
		var subjects []string
		for _, id := range ids {
			subjects = append(subjects, pipeline.SubjectResponse(domain, pipeline.KindSeller, id))
		}
		return b.Newest(ctx, pipeline.StreamResponses, subjects, bus.Until{Sequence: until})
	}
}

// readWork decodes the candidate or survivor that was decided.
func readWork(r bus.Read, p *original, look pipeline.Look) (w decide.Work, lost string) {
	var err error
	if look == pipeline.LookGlance {
		w, err = messages.Work(pipeline.SchemaCandidate, r.Header, r.Body)
	} else {
		w, err = messages.Decided(r.Header, r.Body)
	}
	if err != nil || w.ID != p.work {
		return w, lostBroken
	}
	return w, ""
}
