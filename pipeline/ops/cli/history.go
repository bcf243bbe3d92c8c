package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// History is what the live run decided and spent in a span of pipeline time, from the streams.
type History struct {
	Since, Until time.Time
	sum          *report.Report
	status       Status
}

// ReadHistory reads the history since an instant.
func ReadHistory(ctx context.Context, b *bus.Bus, since func(now time.Time) time.Time) (History, error) {
	s, err := ReadStatus(ctx, b)
	if err != nil {
		return History{}, err
	}
	h := History{Since: since(s.At), Until: s.At, status: s}
	h.sum, err = readSince(ctx, b, h.stored(), h.Since)
	return h, err
}

// storedWithin is more than the clocks of machines differ.
const storedWithin = time.Hour

// stored selects what was stored since the history begins: a message is stored after the instant that it names.
// Simulated time stands still while nothing runs and may run ahead, so everything is read.
func (h History) stored() bus.From {
	if h.status.Simulated() || h.Until.After(process.MachineNow().Add(storedWithin)) {
		return bus.From{}
	}
	return bus.From{Since: h.Since.Add(-storedWithin)}
}

// span returns the span, for people.
func (h History) span() string { return "in the last " + brief(h.Until.Sub(h.Since)) }

// RuleCost is what a rule rejected, and the tokens that had been spent on it.
type RuleCost struct {
	Rule      string        `json:"rule"`
	Look      pipeline.Look `json:"look"`
	Reason    string        `json:"reason"`
	Heuristic bool          `json:"heuristic"`
	Rejected  int           `json:"rejected"`
	Tokens    int           `json:"tokens"`
}

// Rules returns the rules by their cost, the most expensive first.
func (h History) Rules() []RuleCost {
	type key struct {
		rule   string
		look   pipeline.Look
		reason string
	}
	by := map[key]*RuleCost{}
	for _, v := range h.sum.Final() {
		if v.Outcome != pipeline.Reject {
			continue
		}
		k := key{v.RuleID, v.Look, v.Reason}
		if by[k] == nil {
			by[k] = &RuleCost{Rule: v.RuleID, Look: v.Look, Reason: v.Reason, Heuristic: v.Heuristic}
		}
		by[k].Heuristic = by[k].Heuristic && v.Heuristic // a new price may be rejected by an earlier answer, by any rule
		by[k].Rejected++
		by[k].Tokens += v.TokensSpent
	}
	var out []RuleCost
	for _, c := range by {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b RuleCost) int {
		return cmp.Or(-cmp.Compare(a.Tokens, b.Tokens), -cmp.Compare(a.Rejected, b.Rejected), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Look, b.Look))
	})
	return out
}

// WriteRules prints which rule costs most.
func (h History) WriteRules(w io.Writer, j *verdict.Judge) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	rules := h.Rules()
	if len(rules) == 0 {
		p.f("No rule cost anything %s: nothing was rejected.\n", h.span())
		return p.flush()
	}
	most := rules[0]
	if most.Tokens == 0 {
		p.f("No rule cost a token %s; %s rejected most, %d of %d that were decided.\n", h.span(), orDash(most.Rule), most.Rejected, h.sum.Decided())
	} else {
		p.f("%s costs most: %d tokens %s went into %d that it rejected.\n", orDash(most.Rule), most.Tokens, h.span(), most.Rejected)
	}
	p.f("\nRULE\tLOOK\tREJECTED\tTOKENS UNTIL THEN\tMAY BE WRONG\tSAYS\n")
	for _, c := range rules {
		sentence, wrong := "", "no"
		if r, ok := j.Rule(c.Rule); ok {
			sentence = r.Says
		}
		if c.Heuristic {
			wrong = "yes"
		}
		p.f("%s\t%s\t%d\t%d\t%s\t%s\n", orDash(c.Rule), c.Look, c.Rejected, c.Tokens, wrong, sentence)
	}
	return p.flush()
}

// shed returns how many candidates were shed because tokens sufficed only for more valuable ones.
func (h History) shed() int {
	n := 0
	for _, v := range h.sum.Final() {
		if v.Outcome == pipeline.Shed {
			n++
		}
	}
	return n
}

// waits returns how many wait for a paid look, and for a free one.
func (s Status) waits() (paid, free int) {
	for _, st := range s.Stages {
		if st.Stage != pipeline.StageWatermarker {
			paid, free = paid+st.Waiting+st.InWork, free+st.Free
		}
	}
	return paid, free
}

// WriteNothing prints why nothing, or so little, was found.
func (h History) WriteNothing(w io.Writer, j *verdict.Judge) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("%s\n\n", h.nothing())
	p.f("WHAT\tCOUNT\n")
	for _, look := range []pipeline.Look{pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit} {
		by := h.sum.Looked(look)
		all := 0
		for _, n := range by {
			all += n
		}
		p.f("looks by the %s\t%d\t%d rejected, %d shed\n", look, all, by[pipeline.Reject], by[pipeline.Shed])
	}
	paid, free := h.status.waits()
	p.f("wait for a look\t%d\t%d of them for tokens\n\n", paid+free, paid)
	for i, c := range h.most() {
		if i == 0 {
			p.f("REJECTED MOST BY\tCOUNT\tSAYS\n")
		}
		sentence := c.Reason
		if r, ok := j.Rule(c.Rule); ok && r.Says != "" {
			sentence = r.Says
		}
		p.f("%s at the %s\t%d\t%s\n", orDash(c.Rule), c.Look, c.Rejected, sentence)
	}
	p.f("\n")
	for i, help := range h.help() {
		if i == 0 {
			p.f("What would help\n")
		}
		p.f("  %s\n", help)
	}
	return p.flush()
}

// mostShown is how many of the rules that reject most are shown.
const mostShown = 5

// most returns the rules that reject most.
func (h History) most() []RuleCost {
	all := h.Rules()
	slices.SortStableFunc(all, func(a, b RuleCost) int { return -cmp.Compare(a.Rejected, b.Rejected) })
	return all[:min(len(all), mostShown)]
}

// nothing returns the answer in a sentence.
func (h History) nothing() string {
	decided, shed := h.sum.Decided(), h.shed()
	found := len(h.sum.Found())
	paid, free := h.status.waits()
	begin := fmt.Sprintf("%d deals were found %s", found, h.span())
	if found == 0 {
		begin = "Nothing was found " + h.span()
	} else if found == 1 {
		begin = "1 deal was found " + h.span()
	}
	if stuck := h.status.Check(); stuck != nil {
		return fmt.Sprintf("%s, and it is %s.", begin, strings.TrimSuffix(stuck.Error(), "."))
	}
	most := h.most()
	switch {
	case h.status.Wish != "run" && decided == 0:
		return fmt.Sprintf("%s: you paused it (%s); `ratchet resume` continues.", begin, h.status.Wish)
	case decided == 0 && paid > 0:
		return fmt.Sprintf("%s: nothing was decided, and %d wait for tokens.", begin, paid)
	case decided == 0 && free > 0:
		return fmt.Sprintf("%s: nothing was decided yet, and %d wait for a look.", begin, free)
	case decided == 0:
		return begin + ": nothing new was listed."
	case shed*2 > decided:
		return fmt.Sprintf("%s: of %d that were decided, %d were shed because no tokens were left.", begin, decided, shed)
	case len(most) > 0:
		return fmt.Sprintf("%s, of %d that were decided: %s rejected most, %.0f %% of them.", begin, decided, orDash(most[0].Rule), 100*float64(most[0].Rejected)/float64(decided))
	}
	return fmt.Sprintf("%s, of %d that were decided.", begin, decided)
}

// help returns what would bring more deals, each with its next step.
func (h History) help() []string {
	var out []string
	paid, _ := h.status.waits()
	decided := h.sum.Decided()
	if h.status.Wish != "run" {
		out = append(out, "spending is "+h.status.Wish+": `ratchet resume`")
	}
	if shed := h.shed(); shed > 0 || paid > max(100, decided/5) {
		out = append(out, fmt.Sprintf("more tokens: %d were shed and %d wait; `ratchet forecast` shows what the next plan would bring", shed, paid))
	}
	if most := h.most(); len(most) > 0 {
		out = append(out, fmt.Sprintf("other rules, if %s is stricter than you want: change the file, `ratchet rules check FILE --measure`, `ratchet rules apply FILE`", orDash(most[0].Rule)))
	}
	if days := h.Until.Sub(h.Since).Hours() / 24; float64(decided) < 50*days {
		out = append(out, "a wider query: few prices are listed; `ratchet queries apply FILE`")
	}
	return out
}

// WriteSpent prints the tokens that left the bucket: calls, calls of processes that died, and tokens spent by others.
func (h History) WriteSpent(w io.Writer, when string) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	total := h.sum.Tokens() + h.sum.Lost() + h.sum.Drift()
	found := len(h.sum.Found())
	p.f("%d tokens were spent %s%s; %s.\n\n", total, when, h.of(total), perDeal(total, found))
	p.f("STAGE\tFOR\tCALLS\tITEMS\tTOKENS\n")
	for _, s := range h.sum.Spent() {
		p.f("%s\t%s\t%d\t%d\t%d\n", s.Plan.With(string(s.Stage)), s.Kind, s.Calls, s.Items, s.Tokens)
	}
	for _, extra := range []struct {
		what string
		n    int
	}{{"lost by callers that died", h.sum.Lost()}, {"by others on this key, or not explained", h.sum.Drift()}} {
		if extra.n != 0 {
			p.f("–\t%s\t\t\t%d\n", extra.what, extra.n)
		}
	}
	p.f("\n%d decided, %.2f tokens each", h.sum.Decided(), float64(total)/float64(max(1, h.sum.Decided())))
	if n := h.sum.Expired(); n > 0 {
		p.f("; %d more were refilled while the bucket was full and are lost", n)
	}
	p.f(".\n")
	return p.flush()
}

// of returns the share of the income; "" if the plan is unknown.
func (h History) of(total int) string {
	rate := h.status.rate()
	if rate == 0 {
		return ""
	}
	income := float64(rate) * math.Max(1, h.Until.Sub(h.Since).Minutes())
	return fmt.Sprintf(", %.0f %% of the %.0f that %d a minute pay in that time", 100*float64(total)/income, income, rate)
}

func perDeal(total, found int) string {
	if found == 0 {
		return "no deal was found"
	}
	if found == 1 {
		return fmt.Sprintf("1 deal was found, for %d tokens", total)
	}
	return fmt.Sprintf("%d deals were found, %.1f tokens each", found, float64(total)/float64(found))
}

// money formats an amount in the currency of the marketplace.
func money(domain int, cents float64) string {
	n := int64(math.Round(cents))
	return keepa.Domain(domain).Money(&n)
}
