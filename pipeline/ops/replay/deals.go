package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
)

// Redecided counts what changed rules mean for the stored deals.
type Redecided struct {
	Deals        int            `json:"deals"`
	Hidden       int            `json:"hidden"`       // visible before
	Offered      int            `json:"offered"`      // hidden by earlier rules before
	Recalculated int            `json:"recalculated"` // still visible, with the numbers of the new settings
	Kept         int            `json:"kept"`         // unchanged
	Other        int            `json:"other"`        // hidden for what a later look found, or of another marketplace: these rules do not change it
	Gone         int            `json:"gone"`         // unchanged: their answers are no longer stored, or unreadable
	Reasons      map[string]int `json:"reasons"`      // of the hidden
}

// Deals decides every stored deal again, as of the instant at which it was decided: from the inputs that its verdict
// kept if the settings are the same, else from the stored answers that it is based on. version is that of the applied
// rules: every message has an id of its own, so an interrupted pass is completed by deciding again.
//
//	DEALS    ─▶ the newest version of each       ┐                      ┌─▶ VERDICTS commit reject         (hidden)
//	VERDICTS ─▶ the last verdict for and against ┴─▶ judge ─ otherwise ─┴─▶ DEALS, VERDICTS commit accept  (offered)
func Deals(ctx context.Context, b *bus.Bus, judge *verdict.Judge, version int, progress func(Step)) (Redecided, error) {
	r := &redecision{
		b: b, judge: judge, generation: pipeline.Generation(fmt.Sprintf("rules-%d", version)), progress: progress,
		sum: Redecided{Reasons: map[string]int{}},
	}
	var err error
	if r.answers, err = b.Fetcher(ctx, pipeline.StreamResponses); err != nil {
		return r.sum, err
	}
	deals, err := r.stored(ctx)
	if err != nil {
		return r.sum, err
	}
	r.sum.Deals = len(deals)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for part := range slices.Chunk(deals, dealsAtOnce) {
		workers.Go(func() error { return r.decide(ctx, part) })
	}
	err = workers.Wait()
	return r.sum, err
}

// dealsAtOnce is how many deals one step decides.
const dealsAtOnce = 250

// redecision is one pass over the deals.
type redecision struct {
	b          *bus.Bus
	answers    *bus.Fetcher
	judge      *verdict.Judge
	generation pipeline.Generation
	progress   func(Step)

	mu   sync.Mutex // of what follows
	sum  Redecided
	seen int
}

// storedDeal is the newest version of a deal, and the last verdicts for and against it.
type storedDeal struct {
	decide.Found
	sequence uint64
	yes, no  lastVerdict
}

// lastVerdict is the part of a verdict that a decision needs.
type lastVerdict struct {
	PriceType int             `json:"price_type"`
	Look      pipeline.Look   `json:"look"`
	RuleSet   string          `json:"rule_set"`
	Inputs    json.RawMessage `json:"inputs"`

	sequence uint64
	again    bool // it decided on a stored deal, not on a new look
}

// visible reports whether the deal is shown.
func (d storedDeal) visible() bool { return d.yes.sequence >= d.no.sequence }

// stored returns the newest versions of all deals in DEALS.
func (r *redecision) stored(ctx context.Context) (deals []bus.Read, err error) {
	err = r.b.Scan(ctx, pipeline.StreamDeals, bus.From{Newest: true, Subjects: r.b.Subjects("deal.%s.>")}, func(m bus.Read) error {
		deals = append(deals, m)
		return nil
	})
	return deals, err
}

// readable returns the stored deals that can be read. The recorder makes dead letters of the others.
func readable(stored []bus.Read) []storedDeal {
	deals := make([]storedDeal, 0, len(stored))
	for _, m := range stored {
		d := storedDeal{sequence: m.Sequence}
		if json.Unmarshal(m.Body, &d.Found) == nil && d.Deal != nil && pipeline.ValidASIN(d.ASIN) {
			deals = append(deals, d)
		}
	}
	return deals
}

// readVerdicts reads the last verdicts for and against each deal.
func (r *redecision) readVerdicts(ctx context.Context, deals []storedDeal) error {
	ids := make([]pipeline.Identity, len(deals))
	for i, d := range deals {
		ids[i] = d.Identity()
	}
	stored, err := messages.LastVerdicts(ctx, r.b, ids)
	if err != nil {
		return err
	}
	byASIN := map[string][]bus.Read{}
	for _, m := range stored {
		asin := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
		byASIN[asin] = append(byASIN[asin], m)
	}
	for i := range deals {
		for _, m := range byASIN[deals[i].ASIN] {
			deals[i].apply(m)
		}
	}
	return nil
}

func (d *storedDeal) apply(m bus.Read) {
	v := lastVerdict{sequence: m.Sequence, again: strings.HasPrefix(m.Header.Get(pipeline.HeaderOrigin), pipeline.StreamDeals+"/")}
	if json.Unmarshal(m.Body, &v) != nil || v.PriceType != d.PriceType {
		return
	}
	of := &d.yes
	if strings.Contains(m.Subject, "."+string(pipeline.Reject)+".") {
		of = &d.no
	}
	if v.sequence > of.sequence {
		*of = v
	}
}

// decide decides on some deals and publishes the decisions that differ.
func (r *redecision) decide(ctx context.Context, stored []bus.Read) error {
	deals := readable(stored)
	if err := r.readVerdicts(ctx, deals); err != nil {
		return err
	}
	judge := r.judge.Alone()
	outcomes, err := r.outcomes(ctx, judge, deals)
	if err != nil {
		return err
	}
	var found, verdicts []bus.Message
	sum := Redecided{Gone: len(stored) - len(deals)}
	reasons := map[string]int{}
	for i, d := range deals {
		v := outcomes[i]
		if publish := sum.count(d, v, verdict.SameInputs(d.RuleSet, judge.Version()), reasons); publish {
			id := r.work(d).ID
			if v.Deal != nil {
				found = append(found, messages.Deal(id, v.Verdict))
			}
			verdicts = append(verdicts, messages.Verdict(pipeline.RunLive, id, messages.Origin(pipeline.StreamDeals, d.sequence), v.Verdict))
		}
	}
	// Deals first: a reader of a verdict finds the deal that it accepts.
	for _, ms := range [][]bus.Message{found, verdicts} {
		if err := r.b.PublishBatch(ctx, ms); err != nil {
			return err
		}
	}
	r.add(len(stored), sum, reasons)
	return nil
}

func (r *redecision) add(seen int, s Redecided, reasons map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen += seen
	t := &r.sum
	t.Hidden, t.Offered, t.Recalculated, t.Kept, t.Other, t.Gone = t.Hidden+s.Hidden, t.Offered+s.Offered, t.Recalculated+s.Recalculated,
		t.Kept+s.Kept, t.Other+s.Other, t.Gone+s.Gone
	for reason, n := range reasons {
		t.Reasons[reason] += n
	}
	r.progress(Step{Seen: r.seen, Total: t.Deals, Decided: r.seen})
}

// outcome is a decision; the zero value if none can be made.
type outcome struct {
	pipeline.Verdict
	other bool // these rules do not apply to it
}

// count counts a decision, and reports whether it changes something.
func (s *Redecided) count(d storedDeal, v outcome, sameSettings bool, reasons map[string]int) (publish bool) {
	switch visible := d.visible(); {
	case v.other:
		s.Other++
	case v.Outcome == pipeline.Reject && visible:
		s.Hidden++
		reasons[v.Reason]++
		return true
	case v.Outcome == pipeline.Accept && !visible:
		s.Offered++
		return true
	case v.Outcome == pipeline.Accept && !sameSettings:
		s.Recalculated++
		return true
	case v.Outcome == pipeline.Accept, v.Outcome == pipeline.Reject:
		s.Kept++
	default:
		s.Gone++
	}
	return false
}

// work returns a deal as work to decide again.
func (r *redecision) work(d storedDeal) decide.Work {
	id := d.Identity()
	return decide.Work{
		ID:  id.WorkID(r.generation),
		Row: keepa.DealRow{ASIN: id.ASIN, Title: d.Title, RootCategory: d.RootCategory, CreationDate: keepa.Minute(id.CreationDate)},
		Survivor: pipeline.Survivor{
			Candidate: pipeline.Candidate{Identity: id, Queries: d.Queries, Source: d.Source, ListSeenAt: d.ListedAt},
			Look:      pipeline.LookPeek, TokensSpent: d.Tokens, ResponseIDs: d.ResponseIDs,
		},
	}
}

// outcomes decides deals from their kept inputs where those suffice, else from their answers, which are read
// together.
func (r *redecision) outcomes(ctx context.Context, judge *verdict.Judge, deals []storedDeal) ([]outcome, error) {
	second := r.judge.Redecider(pipeline.LookCommit)
	out, rest := make([]outcome, len(deals)), make([]int, 0, len(deals))
	var ids []uint64
	for i := range deals {
		var ok bool
		if out[i], ok = r.fromInputs(judge, second, deals[i]); ok {
			continue
		}
		rest = append(rest, i)
		for _, id := range deals[i].ResponseIDs {
			if n, err := strconv.ParseUint(id, 10, 64); err == nil {
				ids = append(ids, n)
			}
		}
	}
	stored, err := r.answers.Read(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, i := range rest {
		out[i] = r.fromAnswers(judge, deals[i], stored)
	}
	return out, nil
}

// fromInputs decides one deal without its answers; false if they are required.
func (r *redecision) fromInputs(judge *verdict.Judge, second *verdict.Redecider, d storedDeal) (outcome, bool) {
	last := d.yes
	if !d.visible() {
		last = d.no
	}
	older := d.Extraction < deal.Extraction
	if d.Domain != int(judge.Settings().Domain()) || !d.visible() && (older || !d.no.again) {
		return outcome{other: true}, true
	}
	if older || last.Look != pipeline.LookCommit || !verdict.SameInputs(last.RuleSet, judge.Version()) || !verdict.SameInputs(d.RuleSet, judge.Version()) {
		return outcome{}, false
	}
	t, ok := second.DecideCopy(last.Inputs)
	// The rules may now choose another of several copies; a visible deal that they accept stays unchanged.
	if !ok || second.SeveralCopies() && (!d.visible() || t.Outcome != pipeline.Accept) {
		return outcome{}, false
	}
	return outcome{Verdict: decide.Stored(judge, r.work(d), d.Found, t, second.Kept(), d.DecidedAt).Verdict}, true
}

// fromAnswers decides one deal from the answers that it was decided on; the zero value if they are gone or cannot be
// read.
func (r *redecision) fromAnswers(judge *verdict.Judge, d storedDeal, stored map[uint64]bus.Read) outcome {
	var commit, peek *decide.Answer
	var sellers []decide.Answer
	for _, id := range d.ResponseIDs {
		kind, a, ok := storedAnswer(id, stored)
		switch {
		case !ok:
		case kind == pipeline.KindCommit:
			commit = &a
		case kind == pipeline.KindPeek:
			peek = &a
		case kind == pipeline.KindSeller:
			sellers = append(sellers, a)
		}
	}
	w := r.work(d)
	switch {
	case commit != nil:
		w.Survivor.ResponseIDs = nil // it names them itself
		return outcome{Verdict: decide.Commit(judge, w, *commit, sellers, 0, d.DecidedAt).Verdict}
	case peek != nil && d.yes.Look == pipeline.LookPeek:
		return outcome{Verdict: decide.Held(judge, w, *peek, d.Deal, d.DecidedAt).Verdict}
	}
	return outcome{}
}

// storedAnswer returns the answer with an id; false if it is gone or cannot be unpacked.
func storedAnswer(id string, stored map[uint64]bus.Read) (pipeline.Kind, decide.Answer, bool) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return "", decide.Answer{}, false
	}
	m, ok := stored[n]
	parts := strings.Split(m.Subject, ".") // response.DOMAIN.KIND.KEY
	if !ok || len(parts) != 4 {
		return "", decide.Answer{}, false
	}
	body, err := responses.UnpackInto(nil, m.Body)
	if err != nil {
		return "", decide.Answer{}, false
	}
	return pipeline.Kind(parts[2]), decide.Answer{ID: id, Key: parts[3], Body: body}, true
}
