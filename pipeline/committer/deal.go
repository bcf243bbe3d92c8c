package committer

import (
	"encoding/json"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/deal"
	"ratchet/pipeline/stage"
	"ratchet/pipeline/verdict"
	"ratchet/pipeline/work"
)

// Found is a deal as it is published: the economics, and what they rest on.
type Found struct {
	*deal.Deal
	WorkID             string          `json:"work_id"`
	Queries            []string        `json:"queries"`
	Source             pipeline.Source `json:"source"`
	ListedAt           time.Time       `json:"listed_at"`
	ExpectedValueCents *int64          `json:"expected_value_cents"` // before the commit
	RuleSet            string          `json:"rule_set"`
	Tokens             int             `json:"tokens"` // all looks of this work
	ResponseIDs        []string        `json:"response_ids"`
}

// conclude is a verdict and, on accept, the deal before it: whoever reads the
// verdict finds the deal.
func (w *worker) conclude(u work.Unit, f verdict.Finding, paid work.Paid, now time.Time) stage.Decision[work.Effect] {
	v := u.Verdict(pipeline.LookCommit, f, w.judge.Version(), paid, now)
	v.Tier, v.ExpectedValueCents = u.Survivor.Tier, u.Survivor.ExpectedValueCents
	e := work.Effect{ID: v.Identity, Memory: work.Memorable(v)}
	if f.Outcome == pipeline.Accept && f.Deal != nil {
		body, err := json.Marshal(Found{
			Deal: f.Deal, WorkID: u.WorkID, Queries: v.Queries, Source: v.Source, ListedAt: v.ListedAt,
			ExpectedValueCents: v.ExpectedValueCents, RuleSet: v.RuleSet, Tokens: v.TokensSpent, ResponseIDs: v.ResponseIDs,
		})
		if err != nil {
			panic(err) // the deal holds nothing that JSON cannot
		}
		v.Deal = body
		e.Messages = append(e.Messages, bus.Message{
			Subject: pipeline.SubjectDeal(v.Domain, v.PriceType, v.ASIN), Schema: pipeline.SchemaDeal,
			ID: "deal:" + u.WorkID, WorkID: u.WorkID, Body: body,
		})
	}
	e.Messages = append(e.Messages, work.Message(u.WorkID, v))
	w.pulse.Count("commit_"+string(v.Outcome), 1)
	return stage.Decision[work.Effect]{Out: []work.Effect{e}}
}
