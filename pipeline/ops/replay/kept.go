package replay

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
)

// Kept holds the inputs of the last decision on each product in a span, in memory, to decide them again at once.
// Only paid looks keep inputs, so what a glance rejected is missing. It is not safe for concurrent use.
type Kept struct {
	// Most limits how many products are held; of more, those that were decided last.
	Most    int
	LeftOut int // decisions that were left out because of it

	next uint64 // the first sequence of VERDICTS that was not read
	held map[visibility.DealKey]*keptInputs
}

// keptInputs are those of one decision.
type keptInputs struct {
	seq       uint64
	place     visibility.DealKey
	look      pipeline.Look // whose rules decide: a confirmed deal is decided by those of the commit
	ruleSet   string
	decidedAt time.Time
	inputs    []byte
	profit    *int64
	expected  *int64
	title     foreign.Text
}

// Read takes in what was decided since the last call, at first that of the last span before now, pipeline time, and
// drops what is older.
func (k *Kept) Read(ctx context.Context, b *bus.Bus, now time.Time, span time.Duration) error {
	from := bus.From{Sequence: k.next, Subjects: []string{"verdict.*.peek.>", "verdict.*.commit.>"}}
	if k.next == 0 {
		// Pipeline time is never slower than the machine's, by which a stream is searched.
		k.held, from.Since = map[visibility.DealKey]*keptInputs{}, process.MachineNow().Add(-span)
	}
	err := b.Scan(ctx, pipeline.StreamVerdicts, from, func(r bus.Read) error {
		k.next = r.Sequence + 1
		if r.Live() {
			k.take(r)
		}
		return nil
	})
	for place, v := range k.held {
		if v.decidedAt.Before(now.Add(-span)) {
			delete(k.held, place)
		}
	}
	k.limit(k.Most)
	return err
}

// ofEarlier is in the inputs of a verdict by an answer about an earlier price.
var ofEarlier = []byte(`"` + verdict.InputAnswerAge + `"`)

// take takes in a verdict. What cannot be read is a dead letter of the recorder's.
func (k *Kept) take(r bus.Read) {
	p, err := readOriginal(r)
	if err != nil || len(p.inputs) < 2 {
		return
	}
	v := &keptInputs{
		seq: r.Sequence, place: visibility.DealKey{Domain: p.domain, ASIN: p.asin, PriceType: p.priceType}, look: lookOf(r.Subject), ruleSet: p.ruleSet,
		decidedAt: p.decidedAt, inputs: bytes.Clone(p.inputs), profit: p.profit, expected: p.expected, title: p.title,
	}
	switch p.outcome {
	case pipeline.Confirm:
		v.look = pipeline.LookCommit
	case pipeline.Accept, pipeline.Reject, pipeline.Survive:
	default:
		return
	}
	if k.held[v.place] != nil && bytes.Contains(v.inputs, ofEarlier) {
		return // a reject by an answer about an earlier price: what that answer's own look kept says more
	}
	k.held[v.place] = v
	if len(k.held) > k.Most+k.Most/4 {
		k.limit(k.Most)
	}
}

// lookOf is the look in the subject of a verdict: verdict.DOMAIN.LOOK.OUTCOME.ASIN.
func lookOf(subject string) pipeline.Look {
	parts := strings.SplitN(subject, ".", 4)
	if len(parts) < 4 {
		return ""
	}
	return pipeline.Look(parts[2])
}

// limit drops the oldest decisions beyond so many.
func (k *Kept) limit(most int) {
	if len(k.held) <= most {
		return
	}
	all := k.sorted()
	for _, v := range all[:len(all)-most] {
		delete(k.held, v.place)
		k.LeftOut++
	}
}

// sorted are the decisions in the order of the stream.
func (k *Kept) sorted() []*keptInputs {
	return slices.SortedFunc(maps.Values(k.held), func(a, b *keptInputs) int { return cmp.Compare(a.seq, b.seq) })
}

// Compared is the result of two rule sets on the same inputs.
type Compared struct {
	Decided int // products, each by its last paid look
	Lost    int // products whose inputs do not suffice for both rule sets

	Before, After Found
	More, Fewer   Group // deals that only the second rule set finds, and those that only the first finds
	Onward        Group // products that only the second rule set passes from the peek to a commit
	Stopped       int   // products that only the first passes
	Several       int   // of More and Fewer: products with several copies, of which the rules may choose another
}

// Found are deals.
type Found struct {
	Deals    int
	Profit   int64 // each in the middle of its range
	Expected int64 // what was expected of them before the commit: profit by the chance of a sale in six months
	Known    int   // of how many that is known
}

// Group are some of the products, the most profitable first.
type Group struct {
	N        int
	Profit   int64
	Reasons  map[string]int // why the other rules reject them
	Examples []Example
}

const groupShown = 10

func (f *Found) add(v *keptInputs) {
	f.Deals++
	if v.profit != nil {
		f.Profit += *v.profit
	}
	if v.expected != nil {
		f.Expected += *v.expected
		f.Known++
	}
}

func (g *Group) add(v *keptInputs, reason string) {
	g.N++
	if v.profit != nil {
		g.Profit += *v.profit
	}
	count(&g.Reasons, reason)
	e := Example{Domain: v.place.Domain, ASIN: v.place.ASIN, Title: v.title, Profit: v.profit}
	at, _ := slices.BinarySearchFunc(g.Examples, e, func(kept, e Example) int {
		if profitOf(kept) >= profitOf(e) {
			return -1
		}
		return 1
	})
	g.Examples = slices.Insert(g.Examples, at, e)
	g.Examples = g.Examples[:min(len(g.Examples), groupShown)]
}

// Compare decides the kept inputs by both rule sets. Of a commit it decides on the copy that the verdict was about.
func (k *Kept) Compare(before, after *verdict.Judge) Compared {
	var c Compared
	second := map[pipeline.Look][2]*verdict.Redecider{}
	for _, look := range []pipeline.Look{pipeline.LookPeek, pipeline.LookCommit} {
		second[look] = [2]*verdict.Redecider{before.Redecider(look), after.Redecider(look)}
	}
	for _, v := range k.sorted() {
		if v.place.Domain != int(before.Settings().Domain()) {
			continue
		}
		by := second[v.look]
		was, ok := redecided(by[0], before, v)
		is, also := redecided(by[1], after, v)
		if !ok || !also {
			c.Lost++
			continue
		}
		c.Decided++
		c.count(v, was, is, v.look == pipeline.LookCommit && by[1].SeveralCopies())
	}
	return c
}

func redecided(s *verdict.Redecider, j *verdict.Judge, v *keptInputs) (verdict.Redecision, bool) {
	if s == nil || !verdict.SameInputs(v.ruleSet, j.Version()) {
		return verdict.Redecision{}, false
	}
	return s.DecideCopy(v.inputs)
}

// count counts one product.
func (c *Compared) count(v *keptInputs, was, is verdict.Redecision, several bool) {
	if v.look == pipeline.LookPeek {
		switch {
		case passes(is.Outcome) && !passes(was.Outcome):
			c.Onward.add(v, was.Reason)
		case passes(was.Outcome) && !passes(is.Outcome):
			c.Stopped++
		}
		return
	}
	if passes(was.Outcome) {
		c.Before.add(v)
	}
	if passes(is.Outcome) {
		c.After.add(v)
	}
	switch {
	case passes(is.Outcome) && !passes(was.Outcome):
		c.More.add(v, was.Reason)
	case passes(was.Outcome) && !passes(is.Outcome):
		c.Fewer.add(v, is.Reason)
	default:
		return
	}
	if several {
		c.Several++
	}
}
