package scenario

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/sim/keepasim"
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
	// ByClass is how well each class was decided.
	ByClass map[keepasim.Class]Shares `json:"by_class,omitempty"`
	Worth
}

// Shares are how well a class was decided. Recall is how many of its books were decided rightly: the good accepted,
// the bad rejected. Precision is how many of the deals would be good if no bad ones but those of the class existed;
// of the good class, how many of all deals are good. Both 0 to 1.
type Shares struct {
	Decided   int     `json:"decided"`
	Recall    float64 `json:"recall"`
	Precision float64 `json:"precision"`
}

// Worth is what the deals came to, by what the simulator knows their copies to have sold for.
type Worth struct {
	Judged         int     `json:"deals_judged"`
	PredictedCents int64   `json:"predicted_cents"` // all together
	MadeCents      int64   `json:"made_cents"`
	Losing         int     `json:"deals_losing"`
	LosingShare    float64 `json:"losing_share"` // 0 where there is no deal
}

// truths is what is true of the simulated books.
type truths interface {
	Truth(asin string) keepasim.Class
	Sells(asin string, now time.Time) (keepasim.Sale, bool)
}

// Cost is what a heuristic rule did.
type Cost struct {
	Rejects int `json:"rejects"`
	Good    int `json:"good"` // of the rejected
}

// tell judges final verdicts by the truth. What was shed or failed was not decided by
// a rule, and what nobody knows the truth of counts for nothing.
func tell(final map[string]pipeline.Verdict, truth truths) Quality {
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
	share(&q.LosingShare, q.Losing, q.Judged)
	for class, ends := range q.Classes {
		q.ByClass[class] = shares(class, ends, found, wrong)
	}
	return q
}

// add counts what a deal made.
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

// shares are how well a class was decided, by where its books ended; found and wrong are the deals that are good
// and those that are not.
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

// end names where a book ended.
func end(look pipeline.Look, o pipeline.Outcome) string { return string(look) + " " + string(o) }

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
	q.Classes[class][end(v.Look, v.Outcome)]++
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
	if q.Judged > 0 {
		out = append(out, fmt.Sprintf("by what their copies sold for, %d of %d deals lose; they make %d cents each, %d were predicted",
			q.Losing, q.Judged, q.MadeCents/int64(q.Judged), q.PredictedCents/int64(q.Judged)))
	}
	for _, rule := range slices.Sorted(maps.Keys(q.ByThumb)) {
		out = append(out, fmt.Sprintf("heuristic rule %s rejected %d, %d of them good", rule, q.ByThumb[rule].Rejects, q.ByThumb[rule].Good))
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
