package token

import (
	"time"

	"ratchet/pipeline"
)

// Demand is what waits for a stage.
type Demand struct {
	Tokens int // worst price of everything that waits
	Step   int // worst price of the smallest durable step; never 0 while Tokens is not
}

// Shares say how stages divide the income.
type Shares struct {
	Weight   map[pipeline.Stage]int
	Burst    map[pipeline.Stage]int // most credit a stage may hold
	ListPart int                    // percent of the income that discovery may spend at most
}

// DefaultShares are the weights of the design.
func DefaultShares() Shares {
	return Shares{
		Weight:   map[pipeline.Stage]int{pipeline.StageWatermarker: 10, pipeline.StagePeeker: 30, pipeline.StageCommitter: 60},
		Burst:    map[pipeline.Stage]int{pipeline.StageWatermarker: 10, pipeline.StagePeeker: 100, pipeline.StageCommitter: 52},
		ListPart: 15,
	}
}

// Position is everything a plan is made from.
type Position struct {
	Bucket Bucket
	Grants map[pipeline.Stage]Grant
	Demand map[pipeline.Stage]Demand
	Base   map[pipeline.Stage]int // used tokens that fairness has forgiven
	Opened time.Time              // when tokend began
	Start  int                    // the balance then
	Listed int                    // what discovery had used then
	Floor  int                    // balance below which nothing is issued
}

// Used is what a stage's grant has used, credit and open claims included.
func Used(g Grant) int { return g.Settled + g.Lost + g.Credit() + g.Held() }

// Head is what may still be issued: the projected balance less every permission
// that is outstanding, and the floor.
func (p Position) Head(now time.Time) int {
	if !p.Bucket.Known {
		return 0
	}
	head := p.Bucket.Balance(now) - p.Floor
	for _, g := range p.Grants {
		head -= g.Credit() + g.Held()
	}
	return head
}

// Plan is how much to issue to each stage now, and the stage that must wait for
// the head to grow, with the head it needs. Its sum never exceeds the head.
func (s Shares) Plan(p Position, now time.Time) (issue map[pipeline.Stage]int, wait pipeline.Stage, need int) {
	issue = map[pipeline.Stage]int{}
	head := p.Head(now)
	for {
		stage, step := s.next(p, issue, now)
		if stage == "" {
			return issue, "", 0
		}
		if head < step {
			return issue, stage, step
		}
		issue[stage] += step
		head -= step
	}
}

// next is the stage furthest below its weight among those that want more, and
// the step it wants.
func (s Shares) next(p Position, issued map[pipeline.Stage]int, now time.Time) (pipeline.Stage, int) {
	var best pipeline.Stage
	var bestStep int
	var bestScore float64
	for _, stage := range pipeline.Stages() {
		step := s.wants(p, stage, issued[stage], now)
		if step == 0 {
			continue
		}
		used := Used(p.Grants[stage]) - p.Base[stage] + issued[stage]
		score := float64(used+step) / float64(max(1, s.Weight[stage]))
		if best == "" || score < bestScore {
			best, bestStep, bestScore = stage, step, score
		}
	}
	return best, bestStep
}

// wants is the next step that a stage's demand justifies beyond its credit, or 0.
func (s Shares) wants(p Position, stage pipeline.Stage, issued int, now time.Time) int {
	d, g := p.Demand[stage], p.Grants[stage]
	credit := g.Credit() + issued
	if d.Tokens <= credit || d.Step <= 0 || credit+d.Step > max(s.Burst[stage], d.Step) {
		return 0
	}
	if stage == pipeline.StageWatermarker && !s.listAllows(p, issued+d.Step, now) {
		return 0
	}
	return d.Step
}

// listAllows keeps discovery within its part of the income: of what time has
// paid in since the start, and of the balance that the start found. A bucket
// about to overflow is nobody's income.
func (s Shares) listAllows(p Position, more int, now time.Time) bool {
	if p.Bucket.Balance(now) >= p.Bucket.Capacity()-p.Bucket.Refill() {
		return true
	}
	income := max(0, p.Start) + int(now.Sub(p.Opened)/Tick)*p.Bucket.Refill()
	spent := Used(p.Grants[pipeline.StageWatermarker]) - p.Listed
	return (spent+more)*100 <= income*s.ListPart
}

// Forgive is the base of an idle stage: lowered so far that the stage is level
// with the busy one that has used least of its weight. It comes back to its
// share, not to everything that it left to others.
func (s Shares) Forgive(p Position, idle pipeline.Stage) int {
	level, found := 0.0, false
	for _, stage := range pipeline.Stages() {
		if stage == idle || p.Demand[stage].Tokens == 0 {
			continue
		}
		score := float64(Used(p.Grants[stage])-p.Base[stage]) / float64(max(1, s.Weight[stage]))
		if !found || score < level {
			level, found = score, true
		}
	}
	if !found {
		return p.Base[idle]
	}
	return min(p.Base[idle], Used(p.Grants[idle])-int(level*float64(s.Weight[idle])))
}
