package token

import (
	"time"

	"ratchet/pipeline"
)

// Demand is the waiting work of a stage.
type Demand struct {
	Tokens int // worst price of everything that waits
	Step   int // worst price of the smallest durable step; positive while Tokens is
}

// Shares define how stages divide the income.
type Shares struct {
	Weight   map[pipeline.Stage]int
	Burst    map[pipeline.Stage]int // most credit a stage may hold on a small plan
	ListPart int                    // percent of the income that discovery may spend at most
}

// DefaultShares returns the default weights.
func DefaultShares() Shares {
	return Shares{
		Weight:   map[pipeline.Stage]int{pipeline.StageWatermarker: 10, pipeline.StagePeeker: 30, pipeline.StageCommitter: 60},
		Burst:    map[pipeline.Stage]int{pipeline.StageWatermarker: 10, pipeline.StagePeeker: 100, pipeline.StageCommitter: 52},
		ListPart: 15,
	}
}

// patience is how long an expensive step may be saved for while a cheaper one
// waits; it stays below the ten minutes after which a wait counts as a stall.
const patience = 7 * time.Minute

// PlanInput is what Shares.Plan decides on.
type PlanInput struct {
	Bucket Bucket
	Grants map[pipeline.Stage]Grant
	Demand map[pipeline.Stage]Demand
	Base   map[pipeline.Stage]int // used tokens that fairness ignores
	Opened time.Time              // when the books of discovery began
	Start  int                    // the balance at Opened
	Listed int                    // what discovery had used at Opened
	Issued time.Time              // when something was last issued
	Floor  int                    // balance below which nothing is issued
	Saving pipeline.Stage         // the stage that the last plan saved for; "" without one
}

// Used returns what a stage's grant has used, credit and open claims included.
func Used(g Grant) int { return g.Settled + g.Lost + g.Credit() + g.Held() }

// Head returns what may still be issued: the projected balance less all outstanding
// permission and the floor. Below zero, permission must be taken back.
func (p PlanInput) Head(now time.Time) int {
	if !p.Bucket.Known {
		return 0
	}
	head := p.Bucket.Balance(now) - p.Floor
	for _, g := range p.Grants {
		head -= g.Credit() + g.Held()
	}
	return head
}

// last returns when something was last issued, or the beginning.
func (p PlanInput) last() time.Time {
	if p.Issued.After(p.Opened) {
		return p.Issued
	}
	return p.Opened
}

// Waiting reports whether any stage has work.
func (p PlanInput) Waiting() bool {
	for _, d := range p.Demand {
		if d.Tokens > 0 {
			return true
		}
	}
	return false
}

// Plan returns how much to issue to each stage now, and the stage that must wait for
// the head to grow, with the head it needs. The sum never exceeds the head.
//
// The stage furthest below its weight is next, and while its step is not affordable the others
// wait too: a cheap stage cannot use up the savings of an expensive one. The stage that the last
// plan saved for comes first, so that a step which becomes due meanwhile does not take what was
// saved. Only when saving would outlast patience does the cheapest step go first.
func (s Shares) Plan(p PlanInput, now time.Time) (issue map[pipeline.Stage]int, wait pipeline.Stage, need int) {
	issue = map[pipeline.Stage]int{}
	if !p.Bucket.Known {
		return issue, "", 0
	}
	for head := p.Head(now); ; {
		stage, step := s.first(p, issue, now)
		if stage == "" {
			return issue, "", 0
		}
		if head < step {
			if cheap, price := s.cheapest(p, issue, now); len(issue) == 0 && price <= head && s.outlasts(p, step-head, now) {
				issue[cheap] = price
			}
			return issue, stage, step
		}
		issue[stage] += step
		head -= step
	}
}

// outlasts reports whether saving what is missing takes longer than patience.
func (s Shares) outlasts(p PlanInput, missing int, now time.Time) bool {
	end := p.last().Add(patience)
	if at, ok := p.Bucket.Affordable(p.Bucket.Balance(now)+missing, now); ok && !at.After(end) {
		return false
	}
	return !now.Before(end)
}

// first returns the stage that was saved for, until it has its step; then the next one.
func (s Shares) first(p PlanInput, issued map[pipeline.Stage]int, now time.Time) (pipeline.Stage, int) {
	if p.Saving != "" && issued[p.Saving] == 0 {
		if step := s.wants(p, p.Saving, 0, now); step > 0 {
			return p.Saving, step
		}
	}
	return s.next(p, issued, now)
}

// next returns the stage furthest below its weight among those that want more, and the step it wants.
func (s Shares) next(p PlanInput, issued map[pipeline.Stage]int, now time.Time) (pipeline.Stage, int) {
	var best pipeline.Stage
	var bestStep, bestUsed int
	for _, stage := range pipeline.Stages() {
		step := s.wants(p, stage, issued[stage], now)
		if step == 0 {
			continue
		}
		used := Used(p.Grants[stage]) - p.Base[stage] + issued[stage] + step
		if best == "" || used*s.weight(best) < bestUsed*s.weight(stage) {
			best, bestStep, bestUsed = stage, step, used
		}
	}
	return best, bestStep
}

func (s Shares) cheapest(p PlanInput, issued map[pipeline.Stage]int, now time.Time) (pipeline.Stage, int) {
	var best pipeline.Stage
	var bestStep int
	for _, stage := range pipeline.Stages() {
		if step := s.wants(p, stage, issued[stage], now); step > 0 && (best == "" || step < bestStep) {
			best, bestStep = stage, step
		}
	}
	return best, bestStep
}

func (s Shares) weight(stage pipeline.Stage) int { return max(1, s.Weight[stage]) }

// burst returns the most credit a stage may hold: some steps on a small plan, some minutes of income on a large one.
func (s Shares) burst(p PlanInput, stage pipeline.Stage, step int) int {
	return max(s.Burst[stage], 2*p.Bucket.Refill(), step)
}

// wants returns the next step that a stage's demand justifies beyond its credit, or 0.
func (s Shares) wants(p PlanInput, stage pipeline.Stage, issued int, now time.Time) int {
	d, g := p.Demand[stage], p.Grants[stage]
	credit := g.Credit() + issued
	if d.Step <= 0 || d.Tokens <= credit || credit+d.Step > s.burst(p, stage, d.Step) {
		return 0
	}
	if stage == pipeline.StageWatermarker && !s.listAllows(p, issued+d.Step, now) {
		return 0
	}
	// Credit that does not make a whole step is completed first.
	if rest := credit % d.Step; rest > 0 {
		return d.Step - rest
	}
	return d.Step
}

// listAllows keeps discovery within its part of the income, beside the balance found at
// the start, which may go into the first sweep. There is no limit on tokens that are
// about to expire, nor once nothing was issued to any stage for as long as patience.
func (s Shares) listAllows(p PlanInput, more int, now time.Time) bool {
	if p.Bucket.NearFull(now) || now.Sub(p.last()) >= patience {
		return true
	}
	return more*100 <= s.listRest(p, p.Bucket.Refill(), now)
}

// listRest returns what discovery has left of its part, in hundredths of a token; refill is what each refill brought.
func (s Shares) listRest(p PlanInput, refill int, now time.Time) int {
	income := int(now.Sub(p.Opened)/p.Bucket.Period()) * refill
	spent := Used(p.Grants[pipeline.StageWatermarker]) - p.Listed
	return income*s.ListPart - (spent-max(0, p.Start))*100
}

func (s Shares) alone(p PlanInput, only pipeline.Stage) bool {
	for stage, d := range p.Demand {
		if stage != only && d.Tokens > 0 {
			return false
		}
	}
	return true
}

// Level returns the base of an idle stage, lowered so that the stage counts as having used as much of its weight as
// the busy stage that has used least. So an idle stage saves nothing up: with work again it gets its share, and not
// everything that it left to others.
func (s Shares) Level(p PlanInput, idle pipeline.Stage) int {
	var level pipeline.Stage
	levelUsed := 0
	for _, stage := range pipeline.Stages() {
		if stage == idle || p.Demand[stage].Tokens == 0 {
			continue
		}
		used := Used(p.Grants[stage]) - p.Base[stage]
		if level == "" || used*s.weight(level) < levelUsed*s.weight(stage) {
			level, levelUsed = stage, used
		}
	}
	if level == "" {
		return p.Base[idle]
	}
	even := (levelUsed*s.weight(idle) + s.weight(level) - 1) / s.weight(level)
	return min(p.Base[idle], Used(p.Grants[idle])-even)
}

// Keep returns how much credit a stage may keep: all of it, unless spending is forbidden, the stage
// does not need it while others wait, or the balance that it was issued against is no longer there.
func (s Shares) Keep(p PlanInput, stage pipeline.Stage, spend bool, now time.Time) int {
	credit := p.Grants[stage].Credit()
	if !spend || !p.Bucket.Known {
		return 0
	}
	keep := credit
	if !s.alone(p, stage) {
		keep = min(keep, roundUp(p.Demand[stage]))
	}
	if head := p.Head(now); head < 0 {
		keep = max(0, keep+head)
	}
	return keep
}

func roundUp(d Demand) int {
	if d.Step <= 0 {
		return 0
	}
	return (d.Tokens + d.Step - 1) / d.Step * d.Step
}
