package soak

import (
	"fmt"
	"maps"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/keepasim"
)

// Quality is how well the rules decided, by what is true of the simulated books.
type Quality struct {
	// Recall is how many of the good ones that were decided became deals, Precision
	// how many of the deals are good; both 0 to 1, and 1 where there is nothing to miss.
	Recall    float64 `json:"recall"`
	Precision float64 `json:"precision"`
	// BadAtGlance is how many of the bad ones were rejected for no token, BadBeforeOffers
	// before any offers were bought; both 0 to 1, heuristic rules apart.
	BadAtGlance     float64 `json:"bad_rejected_at_glance"`
	BadBeforeOffers float64 `json:"bad_rejected_before_offers"`
	// Heuristic counts rejections by rules that may be wrong, HeuristicCost the good ones
	// among them; ByThumb has both by rule.
	Heuristic     int             `json:"heuristic_rejects"`
	HeuristicCost int             `json:"heuristic_cost_good"`
	ByThumb       map[string]Cost `json:"heuristic_rules,omitempty"`
	// Classes is where the books of each class ended.
	Classes map[keepasim.Class]map[string]int `json:"classes,omitempty"`
}

// Cost is what a heuristic rule did.
type Cost struct {
	Rejects int `json:"rejects"`
	Good    int `json:"good"` // of the rejected
}

// tell judges final verdicts by the truth. What was shed or failed was not decided by
// a rule, and what nobody knows the truth of counts for nothing.
func tell(final map[string]pipeline.Verdict, truth func(asin string) keepasim.Class) Quality {
	q := Quality{Recall: 1, Precision: 1, Classes: map[keepasim.Class]map[string]int{}}
	var good, bad, found, wrong, free, cheap int
	for _, v := range final {
		class := truth(v.ASIN)
		if class == keepasim.Unknown || v.Outcome != pipeline.Reject && v.Outcome != pipeline.Accept {
			continue
		}
		q.count(class, v)
		rejects := v.Outcome == pipeline.Reject
		if rejects && v.Heuristic {
			q.thumb(v.RuleID, !class.Bad())
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
	return q
}

// thumb counts a rejection by a rule that may be wrong.
func (q *Quality) thumb(rule string, good bool) {
	if q.ByThumb == nil {
		q.ByThumb = map[string]Cost{}
	}
	c := q.ByThumb[rule]
	c.Rejects++
	q.Heuristic++
	if good {
		c.Good++
		q.HeuristicCost++
	}
	q.ByThumb[rule] = c
}

func (q *Quality) count(class keepasim.Class, v pipeline.Verdict) {
	if q.Classes[class] == nil {
		q.Classes[class] = map[string]int{}
	}
	q.Classes[class][string(v.Look)+" "+string(v.Outcome)]++
}

// share leaves the ratio as it is where there is no whole.
func share(ratio *float64, part, whole int) {
	if whole > 0 {
		*ratio = float64(part) / float64(whole)
	}
}

// lines are the quality for people: one line for each class, and the shares.
func (q Quality) lines() []string {
	out := []string{fmt.Sprintf("recall %.1f %%, precision %.1f %%; of the bad %.1f %% rejected at the glance, %.1f %% before any offers were bought",
		100*q.Recall, 100*q.Precision, 100*q.BadAtGlance, 100*q.BadBeforeOffers)}
	for _, rule := range slices.Sorted(maps.Keys(q.ByThumb)) {
		out = append(out, fmt.Sprintf("heuristic rule %s rejected %d, %d of them good", rule, q.ByThumb[rule].Rejects, q.ByThumb[rule].Good))
	}
	for _, class := range slices.Sorted(maps.Keys(q.Classes)) {
		line := fmt.Sprintf("%-17s", class)
		for _, where := range slices.Sorted(maps.Keys(q.Classes[class])) {
			line += fmt.Sprintf("%s %d  ", where, q.Classes[class][where])
		}
		out = append(out, line)
	}
	return out
}
