package replay

import (
	"bytes"
	"context"
	"encoding/json"
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

// decided is what a replay makes of one live verdict.
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
	lostAnswer = "an answer it rests on has left RESPONSES"
	lostLook   = "it rests on no answer: nothing was asked"
	lostBroken = "the verdict or what it rests on cannot be read"
)

// bench is what one worker decides with; its buffers are used again.
type bench struct {
	run    string
	look   pipeline.Look
	judge  *verdict.Judge
	second *verdict.Second
	body   []byte
}

func newBench(o Options, j *verdict.Judge) *bench {
	return &bench{run: o.Run, look: o.Look, judge: j.Alone(), second: j.Second(o.Look)}
}

// fromInputs decides from what the verdict kept; false where that does not suffice.
func (b *bench) fromInputs(p *past) (decided, bool) {
	t, ok := b.think(p)
	return decided{outcome: t.Outcome, reason: t.Reason, profit: p.profit, fromInputs: true}, ok
}

func (b *bench) think(p *past) (verdict.Thought, bool) {
	if p.lost != "" || !verdict.SameInputs(p.ruleSet, b.judge.Version()) {
		return verdict.Thought{}, false
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
// verdict is there.
func (b *bench) writeInputs(p *past) decided {
	t, ok := b.think(p)
	if !ok {
		return decided{lost: lostBroken}
	}
	return b.thought(p, t)
}

// thought writes the verdict of a decision from inputs.
func (b *bench) thought(p *past, t verdict.Thought) decided {
	d := decided{outcome: t.Outcome, reason: t.Reason, profit: p.profit, fromInputs: true}
	if p.full == nil && t.Outcome == p.outcome && t.Reason == p.reason && t.RuleID == p.ruleID && t.Heuristic == p.heuristic &&
		b.second.AllKept() && same(t.Unknown, p.unknown) {
		// The same but for the name of the rules, which a deal repeats.
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
	v.Inputs, v.Unknown = b.second.Kept(), orNone(t.Unknown)
	return b.ruled(p, v, d)
}

func ruleSetMember(version string) []byte { return []byte(`"rule_set":"` + version + `"`) }

func orNone(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// verdict is all of the live verdict but its inputs.
func (p *past) verdict() (pipeline.Verdict, error) {
	if p.full != nil {
		return *p.full, nil
	}
	var v pipeline.Verdict
	err := json.Unmarshal(p.body, &v)
	v.Inputs = nil
	return v, err
}

// ruled encodes a verdict of the run.
func (b *bench) ruled(p *past, v pipeline.Verdict, d decided) decided {
	body, err := json.Marshal(v)
	if err != nil {
		return decided{lost: lostBroken}
	}
	d.outcome, d.reason, d.profit = v.Outcome, v.Reason, v.ProfitCents
	d.message = b.message(p, v.Outcome, body)
	return d
}

// message is a verdict of the run: as of the same instant as the live one, about the
// same survivor, under an id of the run.
func (b *bench) message(p *past, outcome pipeline.Outcome, body []byte) bus.Message {
	return bus.Message{
		Subject: pipeline.SubjectVerdict(p.domain, b.look, outcome, p.asin), Schema: pipeline.SchemaVerdict,
		ID: pipeline.Verdict{Look: b.look}.ID(b.run, p.work), WorkID: p.work, Run: b.run, Body: body,
		Header: map[string]string{
			pipeline.HeaderAt: p.decidedAt.Format(pipeline.TimeFormat), pipeline.HeaderWas: p.was(),
			pipeline.HeaderOrigin: p.origin, pipeline.HeaderAgain: messages.Origin(pipeline.StreamVerdicts, p.seq),
		},
	}
}

// evidence is what a live verdict rested on, as the streams hold it.
type evidence struct {
	work   decide.Work
	lost   string
	answer *bus.Read // the product; nil where Keepa knew none
	more   []bus.Read
	deal   *deal.Deal // that a refresh was compared with
}

// fromAnswers decides from the answers that the live verdict rested on.
func (b *bench) fromAnswers(ctx context.Context, p *past, e evidence, find sellerFinder) (decided, error) {
	if e.lost != "" {
		return decided{lost: e.lost}, nil
	}
	if b.look == pipeline.LookGlance {
		return b.ruled(p, decide.Glance(b.judge, e.work, p.decidedAt).Verdict, decided{}), nil
	}
	if e.answer == nil && p.reason == decide.ReasonNoAnswer {
		return b.ruled(p, decide.NoAnswer(b.judge, b.look, e.work, p.decidedAt).Verdict, decided{}), nil
	}
	if e.answer == nil {
		return b.ruled(p, decide.NotFound(b.judge, b.look, e.work, p.tokens, p.decidedAt).Verdict, decided{}), nil
	}
	product, err := b.open(e.answer, &b.body)
	if err != nil {
		return decided{lost: lostBroken}, nil //nolint:nilerr // it is counted
	}
	if b.look == pipeline.LookPeek {
		return b.ruled(p, decide.Peek(b.judge, e.work, product, p.tokens, e.deal, p.decidedAt).Verdict, decided{}), nil
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
		// Nobody asked for the seller of what was rejected; another deal's may be there.
		if sellers, err = b.sellers(ctx, p, e.work, product, find); err != nil {
			return decided{}, err
		}
		if len(sellers) > 0 {
			r = decide.Commit(b.judge, e.work, product, sellers, p.tokens, p.decidedAt)
		}
	}
	return b.ruled(p, r.Verdict, decided{}), nil
}

// open decompresses an answer into buf.
func (b *bench) open(r *bus.Read, buf *[]byte) (decide.Answer, error) {
	body, err := responses.UnpackInto(*buf, r.Body)
	if err != nil {
		return decide.Answer{}, err
	}
	*buf = body
	return decide.Answer{
		ID: strconv.FormatUint(r.Sequence, 10), Key: r.Subject[strings.LastIndexByte(r.Subject, '.')+1:], Body: body,
	}, nil
}

// sellerFinder is the newest stored answers about sellers, as of the run's begin.
type sellerFinder func(ctx context.Context, domain int, ids []string) ([]bus.Read, error)

// sellerFresh is how old an answer about a seller may be to serve a deal.
const sellerFresh = 7 * 24 * time.Hour

// sellers are those behind a newly found deal that are known and were fresh.
func (b *bench) sellers(ctx context.Context, p *past, w decide.Work, product decide.Answer, find sellerFinder) ([]decide.Answer, error) {
	var out []decide.Answer
	for range decide.SellerRounds {
		id := decide.SellerWanted(b.judge, w, product.Body, out, p.decidedAt)
		if id == "" {
			break
		}
		found, err := find(ctx, p.domain, []string{id})
		if err != nil {
			return nil, err
		}
		fresh, ok := b.freshSeller(p, found)
		if !ok {
			break
		}
		out = append(out, fresh)
	}
	return out, nil
}

// freshSeller is the answer about a seller that served at the time of the decision; false without one.
func (b *bench) freshSeller(p *past, found []bus.Read) (decide.Answer, bool) {
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

// storedSellers asks RESPONSES as it was at a sequence.
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
func readWork(r bus.Read, p *past, look pipeline.Look) (w decide.Work, lost string) {
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
