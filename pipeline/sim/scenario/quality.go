package scenario

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/sim/keepasim"
)

// Quality is how well the rules decided, compared with the simulated books.
type Quality struct {
	// Recall is the share of the decided good ones that became deals, Precision the
	// share of the deals that are good; both 0 to 1, and 1 without any.
	Recall    float64 `json:"recall"`
	Precision float64 `json:"precision"`
	// BadAtGlance is the share of the bad ones that were rejected for no token,
	// BadBeforeOffers before any offers were bought; both 0 to 1, without heuristic rules.
	BadAtGlance     float64 `json:"bad_rejected_at_glance"`
	BadBeforeOffers float64 `json:"bad_rejected_before_offers"`
	// Heuristic counts rejections by rules that may be wrong, HeuristicCost the good ones
	// among them; ByThumb has both by rule.
	Heuristic     int             `json:"heuristic_rejects"`
	HeuristicCost int             `json:"heuristic_cost_good"`
	ByHeuristic   map[string]Cost `json:"heuristic_rules,omitempty"`
	// Classes counts the books of each class by their last look and outcome.
	Classes map[keepasim.Class]map[string]int `json:"classes,omitempty"`
	// ByClass is how well each class was decided.
	ByClass map[keepasim.Class]Shares `json:"by_class,omitempty"`
	Worth
}

// Shares are how well a class was decided. Recall is the share of its books with the right decision: the good
// accepted, the bad rejected. Precision is the share of the deals that would be good if the only bad ones
// were those of the class; for the good class, the share of all deals that are good. Both 0 to 1.
type Shares struct {
	Decided   int     `json:"decided"`
	Recall    float64 `json:"recall"`
	Precision float64 `json:"precision"`
}

// Worth is the value of the deals, by the sale prices of their copies in the simulator.
type Worth struct {
	Judged         int     `json:"deals_judged"`
	PredictedCents int64   `json:"predicted_cents"` // in total
	MadeCents      int64   `json:"made_cents"`
	Losing         int     `json:"deals_losing"`
	LosingShare    float64 `json:"losing_share"` // 0 without deals
}

// truths is what the simulator knows of its books.
type truths interface {
	Truth(asin string) keepasim.Class
	Sells(asin string, now time.Time) (keepasim.Sale, bool)
}

// Cost is the effect of a heuristic rule.
type Cost struct {
	Rejects int `json:"rejects"`
	Good    int `json:"good"` // of the rejected
}

// qualityOf compares final verdicts with the simulator. What was shed or failed was
// not decided by a rule, and books of an unknown class do not count.
func qualityOf(final map[string]pipeline.Verdict, truth truths) Quality {
	q := Quality{Recall: 1, Precision: 1, Classes: map[keepasim.Class]map[string]int{}, ByClass: map[keepasim.Class]Shares{}}
	var good, bad, found, wrong, free, cheap int
	for _, v := range final {
		class := truth.Truth(v.ASIN)
		if class == keepasim.Unknown || v.Outcome != pipeline.Reject && v.Outcome != pipeline.Accept {
			continue
		}
		q.count(class, v)
		rejects := v.Outcome == pipeline.Reject
		if !rejects {
			q.add(v, truth)
		}
		if rejects && v.Heuristic {
			q.heuristic(v.RuleID, !class.Bad())
		}
		switch {
		case !class.Bad():
			good++
			if !rejects {
				found++
			}
			continue
		case !rejects:
			wrong++
		case v.Look == pipeline.LookGlance && !v.Heuristic:
			free++
		case v.Look == pipeline.LookPeek && !v.Heuristic:
			cheap++
		}
		bad++
	}
	share(&q.Recall, found, good)
	share(&q.Precision, found, found+wrong)
	share(&q.BadAtGlance, free, bad)
	share(&q.BadBeforeOffers, free+cheap, bad)
	share(&q.LosingShare, q.Losing, q.Judged)
	for class, ends := range q.Classes {
		q.ByClass[class] = shares(class, ends, found, wrong)
	}
	return q
}

// add counts the profit of a deal.
func (w *Worth) add(v pipeline.Verdict, truth truths) {
	sold, known := truth.Sells(v.ASIN, v.DecidedAt)
	if !known {
		return
	}
	w.Judged++
	w.MadeCents += int64(sold.Profit)
	if v.ProfitCents != nil {
		w.PredictedCents += *v.ProfitCents
	}
	if sold.Profit < 0 {
		w.Losing++
	}
}

// shares returns how well a class was decided, by its ends; found and wrong are the numbers of good and other deals.
func shares(class keepasim.Class, ends map[string]int, found, wrong int) Shares {
	s := Shares{Recall: 1, Precision: 1}
	for _, n := range ends {
		s.Decided += n
	}
	accepted := ends[end(pipeline.LookCommit, pipeline.Accept)] // no other look accepts
	if class.Bad() {
		share(&s.Recall, s.Decided-accepted, s.Decided)
		share(&s.Precision, found, found+accepted)
		return s
	}
	share(&s.Recall, accepted, s.Decided)
	share(&s.Precision, found, found+wrong)
	return s
}

// end names the look and the outcome at which a book ended.
func end(look pipeline.Look, o pipeline.Outcome) string { return string(look) + " " + string(o) }

// heuristic counts a rejection by a heuristic rule.
func (q *Quality) heuristic(rule string, good bool) {
	if q.ByHeuristic == nil {
		q.ByHeuristic = map[string]Cost{}
	}
	c := q.ByHeuristic[rule]
	c.Rejects++
	q.Heuristic++
	if good {
		c.Good++
		q.HeuristicCost++
	}
	q.ByHeuristic[rule] = c
}

func (q *Quality) count(class keepasim.Class, v pipeline.Verdict) {
	if q.Classes[class] == nil {
		q.Classes[class] = map[string]int{}
	}
	q.Classes[class][end(v.Look, v.Outcome)]++
}

// share leaves the ratio unchanged if whole is 0.
func share(ratio *float64, part, whole int) {
	if whole > 0 {
		*ratio = float64(part) / float64(whole)
	}
}

// lines returns the quality for people: one line for each class, and the shares.
func (q Quality) lines() []string {
	out := []string{fmt.Sprintf("recall %.1f %%, precision %.1f %%; of the bad %.1f %% rejected at the glance, %.1f %% before any offers were bought",
		100*q.Recall, 100*q.Precision, 100*q.BadAtGlance, 100*q.BadBeforeOffers)}
	if q.Judged > 0 {
		out = append(out, fmt.Sprintf("by what their copies sold for, %d of %d deals lose; they make %d cents each, %d were predicted",
			q.Losing, q.Judged, q.MadeCents/int64(q.Judged), q.PredictedCents/int64(q.Judged)))
	}
	for _, rule := range slices.Sorted(maps.Keys(q.ByHeuristic)) {
		out = append(out, fmt.Sprintf("heuristic rule %s rejected %d, %d of them good", rule, q.ByHeuristic[rule].Rejects, q.ByHeuristic[rule].Good))
	}
	for _, class := range slices.Sorted(maps.Keys(q.Classes)) {
		of := q.ByClass[class]
		line := fmt.Sprintf("%-17srecall %.2f precision %.2f  ", class, of.Recall, of.Precision)
		for _, where := range slices.Sorted(maps.Keys(q.Classes[class])) {
			line += fmt.Sprintf("%s %d  ", where, q.Classes[class][where])
		}
		out = append(out, line)
	}
	return out
}
